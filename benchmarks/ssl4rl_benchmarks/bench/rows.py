"""Raw results: one JSON line a run, appended when it ends, never changed."""

from __future__ import annotations

import importlib.metadata
import json
import os
import platform
import subprocess
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

from ssl4rl_agents.runs.files import FolderLock, InUseError, finite

Row = dict[str, Any]

FILE = "rows.jsonl"
PACKAGES = ("gymnasium", "numpy", "ssl4rl", "sb3-contrib", "stable-baselines3", "torch", "torch-geometric", "transformers")


class Rows:
    """The rows of a folder.

    A last line that a kill cut off does not count. Of several rows of a run the newest counts, and one that ended well more
    than one that failed.

    Args:
        folder: where they are; it is made if need be.

    Raises:
        ValueError: a line is no row.
    """

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.file = folder / FILE
        self.file.touch()
        self._rows = _newest(_read(self.file))

    def __len__(self) -> int:
        return len(self._rows)

    def all(self) -> list[Row]:
        """Return the row of each run."""
        return list(self._rows.values())

    def get(self, key: str) -> Row | None:
        """Return the row of a run."""
        return self._rows.get(key)

    def add(self, row: Row) -> None:
        """Append a row; it is on the disk when this returns, with None for numbers that are not finite."""
        row = finite(row)
        with self.file.open("a") as file:
            file.write(json.dumps(row, allow_nan=False) + "\n")
            file.flush()
            os.fsync(file.fileno())
        self._rows = _newest([*self._rows.values(), row])

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Keep other sweeps out of the folder; read what they left there, and cut away a last line that a kill cut off.

        Raises:
            ValueError: one is at work there.
        """
        lock = FolderLock(self.file.parent, "another sweep")
        try:
            lock.acquire()
        except InUseError as error:
            raise ValueError(f"{error}; wait for it, or choose another folder with --out") from error
        try:
            text = self.file.read_text()
            if text and not text.endswith("\n"):
                aside = self.file.with_suffix(".partial")
                aside.write_text(text[: text.rfind("\n") + 1])
                aside.replace(self.file)
            self._rows = _newest(_read(self.file))
            yield
        finally:
            lock.release()


def number_of(value: Any) -> float:
    """Return a number of a row; None, which JSON has in the place of NaN, and where scores cannot be normalised, is NaN."""
    return float("nan") if value is None else float(value)


def read_rows(files: Iterable[Path]) -> list[Row]:
    """Read rows from several files or folders, a row for each run."""
    paths = [path / FILE if path.is_dir() else path for path in files]
    return list(_newest([row for path in paths for row in _read(path)]).values())


def _read(file: Path) -> list[Row]:
    """Read the whole lines of a file; one that is cut off at the end is left out."""
    found = []
    text = file.read_text()
    for number, line in enumerate(text[: text.rfind("\n") + 1].splitlines(), start=1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
            found.append({**row, "key": row["key"], "status": row["status"]})
        except (json.JSONDecodeError, KeyError, TypeError) as error:
            raise ValueError(f"{file}, line {number}, is no row of a benchmark: {line[:60]!r}") from error
    return found


def _newest(rows: Iterable[Row]) -> dict[str, Row]:
    found: dict[str, Row] = {}
    for row in rows:
        before = found.get(row["key"])
        if before is None or row["status"] == "done" or before["status"] != "done":
            found[row["key"]] = row
    return found


@cache
def versions() -> dict[str, str]:
    """Return which versions of what matters are installed."""
    found = {"python": platform.python_version()}
    for name in PACKAGES:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found


@cache
def machine() -> dict[str, Any]:
    """Return what this machine is, in general terms."""
    import torch

    gpu = torch.cuda.get_device_name() if torch.cuda.is_available() else None
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return {"system": platform.system(), "processor": platform.machine(), "cores": cores, "gpu": gpu}


@cache
def commit() -> str | None:
    """Return the commit of this code, with "+" where files were changed since; None where it is not from a repository."""
    here = Path(__file__)
    try:
        _git(here.parent, "ls-files", "--error-unmatch", here.name)  # not a repository that it is merely installed in
        head = _git(here.parent, "rev-parse", "--short=12", "HEAD")
        return head + "+" * bool(_git(here.parent, "status", "--porcelain", "--untracked-files=no"))
    except (OSError, subprocess.CalledProcessError):
        return None


def _git(folder: Path, *arguments: str) -> str:
    command = ["git", "-C", str(folder), *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()  # noqa: S603 - fixed words
