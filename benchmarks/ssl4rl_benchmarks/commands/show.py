"""``ssl4rl show``: a picture of several instances with question and answer."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from PIL import Image

from ssl4rl_benchmarks.commands import flags
from ssl4rl_benchmarks.commands.calls import Outcome, named_env, wants_help
from ssl4rl_envs import Stream, make_task, rendering


@dataclass(frozen=True)
class ShowFlags:
    """Draw several instances with question and answer."""

    out: Path
    """The picture file to write; its ending decides the format, e.g. board.png."""
    count: int = 8
    """How many instances."""
    split: Literal["train", "validation", "test"] = "train"
    """Whose items are shown."""
    seed: int = 0
    """Of the instances."""
    json: bool = False
    """Print the questions and answers as JSON."""


def run(arguments: list[str]) -> Outcome:
    """Draw the instances that a call asks for."""
    text = "Draw several instances with question and answer."
    if wants_help(arguments):
        flags.parse(ShowFlags, arguments, "ssl4rl show ENV", text)
    env = named_env(arguments, "show")
    parsed = flags.parse(ShowFlags, arguments[1:], f"ssl4rl show {env}", text, env)
    return Outcome(0, show(parsed.command, env, flags.env_arguments(parsed.env)), parsed.command.json)


def show(given: ShowFlags, env_id: str, env_args: dict[str, Any]) -> dict[str, Any]:
    """Write a board of instances with their true answers."""
    if given.count < 1:
        raise ValueError(f"--count must be at least 1, got {given.count}")
    task = make_task(env_id, **env_args)
    batch = task.sample(Stream(given.split, np.full(given.count, given.seed, np.uint64), np.arange(given.count)))
    truths = task.oracle(batch)
    score = task.score(truths, batch)
    verdicts = rendering.judge(task, batch, truths, score)
    board = rendering.board([rendering.card(task, batch, row, verdict) for row, verdict in enumerate(verdicts)])
    given.out.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(board).save(given.out)
    if not given.json:
        print(f"{given.count} instances of {env_id} in {given.out}")
    instances = [{"question": q, "answer": v.answer} for q, v in zip(task.question(batch), verdicts, strict=True)]
    return {"env": env_id, "split": given.split, "seed": given.seed, "picture": str(given.out), "instances": instances}
