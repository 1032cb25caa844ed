"""``ssl4rl list`` and ``ssl4rl show``: what there is, in words and in pictures."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from PIL import Image

from ssl4rl_envs import Stream, env_ids, make_task, rendering


@dataclass(frozen=True)
class ListFlags:
    """List the environments."""

    json: bool = False
    """Print JSON."""


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


def describe(env_id: str) -> dict[str, Any]:
    """Return what is worth knowing of an environment, as plain data."""
    task = make_task(env_id)
    return {
        "env": env_id,
        "asks": type(task).asks,
        "observation_space": str(task.observation_space),
        "action_space": str(task.action_space),
        "interfaces": ["array", "text"] if task.has_text else ["array"],
        "chance": task.chance,
        "horizon": task.horizon,
    }


def list_environments(flags: ListFlags) -> list[dict[str, Any]]:
    """Describe all environments; print them as a table unless JSON is asked for."""
    rows = [describe(env_id) for env_id in env_ids()]
    if not flags.json:
        columns = {"environment": "env", "action space": "action_space", "chance": "chance", "asks": "asks"}
        cells = [list(columns), *([_cell(row[key]) for key in columns.values()] for row in rows)]
        widths = [max(len(line[i]) for line in cells) for i in range(len(columns))]
        for line in cells:
            print("  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip())
    return rows


def show(flags: ShowFlags, env_id: str, env_args: dict[str, Any]) -> dict[str, Any]:
    """Write a board of instances with their true answers."""
    if flags.count < 1:
        raise ValueError(f"--count must be at least 1, got {flags.count}")
    task = make_task(env_id, **env_args)
    batch = task.sample(Stream(flags.split, np.full(flags.count, flags.seed, np.uint64), np.arange(flags.count)))
    truths = task.oracle(batch)
    score = task.score(truths, batch)
    verdicts = rendering.judge(task, batch, truths, score)
    board = rendering.board([rendering.card(task, batch, row, verdict) for row, verdict in enumerate(verdicts)])
    flags.out.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(board).save(flags.out)
    if not flags.json:
        print(f"{flags.count} instances of {env_id} in {flags.out}")
    instances = [{"question": q, "answer": v.answer} for q, v in zip(task.question(batch), verdicts, strict=True)]
    return {"env": env_id, "split": flags.split, "seed": flags.seed, "picture": str(flags.out), "instances": instances}


def _cell(value: Any) -> str:
    return f"{value:.3f}" if isinstance(value, float) else str(value)
