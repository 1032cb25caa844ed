"""Run folders: what is one, and the settings it was made with."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

from ssl4rl_agents.ppo.config import TrainConfig

CONFIG = "config.json"


def is_run(folder: str | Path) -> bool:
    """Return whether a folder holds a run of the trainer: its config.json must hold the trainer's settings."""
    try:
        read_config(Path(folder))
    except (OSError, ValueError):
        return False
    return True


def read_config(run: Path) -> TrainConfig:
    """Return the settings of a run folder.

    Raises:
        FileNotFoundError: it has none.
        ValueError: they are not settings of the trainer; the message names the file.
    """
    file = run / CONFIG
    try:
        return TrainConfig.from_json(json.loads(file.read_text()))
    except (ValueError, TypeError) as error:
        raise ValueError(f"{file} holds no settings of the trainer: {error}") from error


def clear_run(folder: Path) -> None:
    """Delete a run folder, if there is one.

    Raises:
        FileExistsError: the folder holds files and is not a run.
    """
    if not folder.exists():
        return
    if any(folder.iterdir()) and not is_run(folder):
        raise FileExistsError(
            f"{folder} is not a run folder (it has no config.json of the trainer); only run folders are overwritten"
        )
    shutil.rmtree(folder)
