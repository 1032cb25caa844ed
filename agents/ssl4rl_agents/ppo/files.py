"""Files and folders that are either whole or not there, whenever the machine stops: written aside, flushed, renamed."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path
from typing import Any


def aside_of(path: Path) -> Path:
    """Return where a file or folder is written before it goes to its place: hidden, beside it."""
    return path.with_name(f".{path.name}.partial")


def write_text(path: Path, text: str) -> None:
    """Write a file."""
    aside = aside_of(path)
    aside.write_text(text)
    _flush(aside)
    aside.replace(path)
    _flush(path.parent)


def write_json(path: Path, data: Any) -> None:
    """Write a file of JSON."""
    write_text(path, json.dumps(data, indent=2) + "\n")


def new_folder(target: Path) -> Path:
    """Return an empty folder that `publish` will put in the place of `target`."""
    aside = aside_of(target)
    shutil.rmtree(aside, ignore_errors=True)
    aside.mkdir(parents=True)
    return aside


def publish(aside: Path, target: Path) -> None:
    """Put a finished folder in its place, with all that it holds on the disk before its name is."""
    for path in (aside, *aside.rglob("*")):
        _flush(path)
    if target.exists():
        discard(target)
    aside.rename(target)
    _flush(target.parent)


def discard(folder: Path) -> None:
    """Delete a folder; it is hidden first, so that half of it is never taken for a whole one."""
    hidden = folder.with_name(f".{folder.name}.old")
    shutil.rmtree(hidden, ignore_errors=True)
    folder.rename(hidden)
    shutil.rmtree(hidden)


def _flush(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
