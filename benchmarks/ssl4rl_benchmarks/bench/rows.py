"""Raw results: one JSON line a run, appended when it ends, never changed."""

from __future__ import annotations

import importlib.metadata
import json
import os
import platform
import subprocess
from functools import cache
from pathlib import Path
from typing import Any

Row = dict[str, Any]

FILE = "rows.jsonl"
PACKAGES = ("gymnasium", "numpy", "ssl4rl", "sb3-contrib", "stable-baselines3", "torch", "torch-geometric", "transformers")


class Rows:
    """The rows of a folder.

    A line that a kill cut off is cut away. Only the newest row of a run counts: one that failed may have been tried again.

    Args:
        folder: where they are; it is made if need be.
    """

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.file = folder / FILE
        self.file.touch()
        kept, whole = [], True
        for line in self.file.read_text().splitlines(keepends=True):
            whole = line.endswith("\n") and _reads(line)
            if not whole:
                break
            kept.append(line)
        if not whole:
            aside = self.file.with_suffix(".partial")
            aside.write_text("".join(kept))
            aside.replace(self.file)
        self._rows: dict[str, Row] = {row["key"]: row for row in map(json.loads, kept)}

    def __len__(self) -> int:
        return len(self._rows)

    def all(self) -> list[Row]:
        """Return the newest row of each run."""
        return list(self._rows.values())

    def get(self, key: str) -> Row | None:
        """Return the newest row of a run."""
        return self._rows.get(key)

    def add(self, row: Row) -> None:
        """Append a row; it is on the disk when this returns."""
        with self.file.open("a") as file:
            file.write(json.dumps(row) + "\n")
            file.flush()
            os.fsync(file.fileno())
        self._rows[row["key"]] = row


def read_rows(files: list[Path]) -> list[Row]:
    """Read rows from several files or folders; the newest of a run counts."""
    found: dict[str, Row] = {}
    for path in files:
        file = path / FILE if path.is_dir() else path
        for line in file.read_text().splitlines():
            row = json.loads(line)
            found[row["key"]] = row
    return list(found.values())


def _reads(line: str) -> bool:
    try:
        return isinstance(json.loads(line), dict)
    except json.JSONDecodeError:
        return False


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
    """Return the commit of the code, with "+" where files were changed since; None where it is not in a repository."""
    here = Path(__file__).parent
    try:
        head = _git(here, "rev-parse", "--short=12", "HEAD")
        return head + "+" * bool(_git(here, "status", "--porcelain", "--untracked-files=no"))
    except (OSError, subprocess.CalledProcessError):
        return None


def _git(folder: Path, *arguments: str) -> str:
    command = ["git", "-C", str(folder), *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()  # noqa: S603 - fixed words
