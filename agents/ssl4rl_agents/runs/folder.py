"""Run folders: what is one, the settings it was made with, and whose it is while it is being written."""

from __future__ import annotations

import json
import shutil
from dataclasses import asdict, is_dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ssl4rl_agents.runs.files import LOCK, FolderLock, require_place, write_json
from ssl4rl_agents.settings import TrainConfig

if TYPE_CHECKING:
    from ssl4rl_agents.runtime.processes import Processes

CONFIG = "config.json"

SAME = ("env", "env_args", "prompt_style", "grammar", "algorithm", "seed", "control")
"""Settings of a run that stay what they are when it is resumed: another value would make it another run."""


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


def claim(folder: Path, processes: Processes, *, resume: bool, overwrite: bool) -> FolderLock:
    """Return the lock of a run folder, held by the main process if the folder is there already; all must call this.

    Raises:
        InUseError: another trainer holds it.
        FileExistsError: the folder holds a run that is neither resumed nor overwritten.
        NotADirectoryError, PermissionError: there can be no such folder.
    """
    lock = FolderLock(folder, "a trainer", active=processes.is_main)
    problem: OSError | None = None
    if processes.is_main:
        try:
            require_place(folder)
            if folder.exists():
                lock.acquire()
                _require_free(folder, resume=resume, overwrite=overwrite)
        except OSError as error:
            problem = error
    _raise_together(folder, problem, lock, processes)
    return lock


def settle(
    folder: Path, lock: FolderLock, config: TrainConfig, processes: Processes, *, resume: bool, overwrite: bool
) -> None:
    """Make a claimed folder that of this run, now that everything it needs has been built; all must call this.

    Raises:
        InUseError: another trainer was quicker.
        FileExistsError: it holds a run that is not to be overwritten, or something else.
        ValueError: a run would go on as another one, see `SAME`, or begin from what it overwrites.
    """
    problem: Exception | None = None
    if processes.is_main:
        try:
            if not folder.exists():
                folder.mkdir(parents=True, exist_ok=True)
                lock.acquire()
            lock.require()
            _require_free(folder, resume=resume, overwrite=overwrite)
            if resume and (folder / CONFIG).exists():
                _require_same_run(read_config(folder), config, folder)
            if overwrite and not resume:
                _require_apart(folder, config)
                clear_run(folder)
            write_json(folder / CONFIG, config.to_json())
        except (OSError, ValueError) as error:
            problem = error
    _raise_together(folder, problem, lock, processes)


def _require_same_run(before: TrainConfig, now: TrainConfig, folder: Path) -> None:
    """Refuse to go on with another run's questions or another way of learning.

    Raises:
        ValueError: they differ; the message names what, and both values.
    """
    for name in SAME:
        was, wanted = (_compared(getattr(config, name)) for config in (before, now))
        if was != wanted:
            raise ValueError(
                f"the run in {folder} has {name} {was!r} and would go on with {wanted!r}; resume it with its own settings, "
                "or start a new run"
            )


def require_iterations(folder: Path, done: int, wanted: int) -> None:
    """Refuse to go on to where a run is past already.

    Raises:
        ValueError: fewer iterations are wanted than are done.
    """
    if wanted < done:
        raise ValueError(
            f"the run in {folder} has done {done} iterations already, and would end after {wanted}; ask for more"
        )


def _require_free(folder: Path, *, resume: bool, overwrite: bool) -> None:
    if (folder / CONFIG).exists() and not resume and not overwrite:
        raise FileExistsError(f"{folder} holds a run already; resume it, overwrite it or choose another folder")


def _require_apart(folder: Path, config: TrainConfig) -> None:
    """Refuse to delete what a run begins from.

    Raises:
        ValueError: a model, or a run to start from, lies in the folder that is to be overwritten.
    """
    for name in ("start", "model"):
        given = getattr(config.policy, name)
        if given and Path(given).exists() and Path(given).resolve().is_relative_to(folder.resolve()):
            raise ValueError(
                f"policy.{name}, {given}, lies in {folder}, which would be overwritten; write the new run to another folder"
            )


def _compared(value: Any) -> Any:
    """Return a setting as JSON has it, without the name of the source, whose content is compared (`runs.content`)."""
    plain = json.loads(json.dumps(asdict(value) if is_dataclass(value) and not isinstance(value, type) else value))
    return {name: each for name, each in plain.items() if name != "source"} if isinstance(plain, dict) else plain


def _raise_together(folder: Path, problem: Exception | None, lock: FolderLock, processes: Processes) -> None:
    if processes.anywhere(problem is not None):
        lock.release()
        raise problem or OSError(f"the main process could not begin a run in {folder}")


def clear_run(folder: Path) -> None:
    """Delete what is in a run folder, if there is one; its lock stays.

    Raises:
        FileExistsError: the folder holds files and is not a run.
    """
    held = [path for path in folder.iterdir() if path.name != LOCK] if folder.exists() else []
    if held and not is_run(folder):
        raise FileExistsError(
            f"{folder} is not a run folder (it has no config.json of the trainer); only run folders are overwritten"
        )
    for path in sorted(held, key=lambda path: path.name != CONFIG):  # half of a run is no run
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink()
