"""What the model of a run learned before it: kept in the folder of the pretraining, and found from every run behind it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from ssl4rl_agents.runs.files import read_from, write_json

START = "start.json"
"""In the folder of a run that started from another's checkpoint: which one that was."""

PRETRAINED, LESSONS, SETTINGS = "pretrained.json", "pretrained_on", "settings"


def write_pretrained(run: Path, lessons: list[dict[str, Any]], settings: dict[str, Any]) -> None:
    """Write what a model is pretrained on, and with which settings.

    Args:
        run: the run folder.
        lessons: one each: `env` with `env_args`, or `captions` with the source of the pictures; and `share`, of the steps.
        settings: of the pretraining.
    """
    write_json(run / PRETRAINED, {LESSONS: lessons, SETTINGS: settings})


def pretrained_on(folder: Path) -> list[dict[str, Any]]:
    """Return the lessons of the pretraining that a run, or a checkpoint of one, comes from; none where there was none.

    Args:
        folder: a run folder or a checkpoint in one; a run that started from another comes from what that comes from.
    """
    run = folder.parent.parent if folder.parent.name == "checkpoints" else folder
    if (run / PRETRAINED).is_file():
        with read_from(run):
            return list(json.loads((run / PRETRAINED).read_text())[LESSONS])
    if not (run / START).is_file():
        return []
    with read_from(run):
        before = Path(json.loads((run / START).read_text())["checkpoint"])
    return pretrained_on(before) if before != folder else []


def is_pretrained(run: Path) -> bool:
    """Return whether a run folder was left by a pretraining."""
    return (run / PRETRAINED).is_file()
