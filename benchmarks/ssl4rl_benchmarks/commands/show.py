"""``ssl4rl show``: a picture of several instances with question and answer."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from PIL import Image

from ssl4rl_benchmarks.commands import flags
from ssl4rl_benchmarks.commands.calls import Outcome, require_picture
from ssl4rl_envs import Batch, Stream, Task, animation, make_task, rendering
from ssl4rl_envs.stream import Split

MOST = 1000
"""Instances on a board; more would be a picture of gigabytes."""


@dataclass(frozen=True)
class ShowFlags:
    """Draw several instances with question and answer."""

    out: Path
    """The picture file to write; its ending decides the format, e.g. board.png, or with --solve episodes.gif."""
    count: int = 8
    """How many instances."""
    split: Split = "train"
    """Whose items are shown."""
    seed: int = 0
    """Of the instances."""
    solve: bool = False
    """Show how the task's teacher answers, decision by decision with its reasons: in strips, or in an animation."""
    json: bool = False
    """Print the questions and answers as JSON."""


def run(arguments: list[str]) -> Outcome:
    """Draw the instances that a call asks for."""
    call = flags.parse_with_env(ShowFlags, arguments, "show", "Draw several instances with question and answer.")
    return Outcome(0, show(call.command, call.env_id, call.env_args), call.command.json)


def show(given: ShowFlags, env_id: str, env_args: dict[str, Any]) -> dict[str, Any]:
    """Write a board of instances with their true answers."""
    if not 1 <= given.count <= MOST:
        raise ValueError(f"--count must be at least 1 and at most {MOST}, got {given.count}")
    require_picture(given.out)
    task = make_task(env_id, **env_args)
    batch = task.sample(Stream.span(given.split, given.seed, 0, given.count))
    instances = solve(task, batch, given.out) if given.solve else ask(task, batch, given.out)
    if not given.json:
        print(f"{given.count} instances of {env_id} in {given.out}")
    return {"env": env_id, "split": given.split, "seed": given.seed, "picture": str(given.out), "instances": instances}


def ask(task: Task, batch: Batch, out: Path) -> list[dict[str, Any]]:
    """Draw questions with their true answers."""
    answers = rendering.reveal(task, batch)
    board = rendering.board([rendering.card(task, batch, row, verdict) for row, verdict in enumerate(answers)])
    out.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(board).save(out)
    return [{"question": q, "answer": a.truth} for q, a in zip(task.question(batch), answers, strict=True)]


def solve(task: Task, batch: Batch, out: Path) -> list[dict[str, Any]]:
    """Draw how the teacher of a task answers questions, with its reasons."""
    episodes = animation.solved(task, batch)
    animation.write(episodes, out)
    decisions = [
        [{"thought": one.thought, "answer": one.decision, "reward": one.reward} for one in episode[:-1]]
        for episode in episodes
    ]
    return [{"question": q, "decisions": d} for q, d in zip(task.question(batch), decisions, strict=True)]
