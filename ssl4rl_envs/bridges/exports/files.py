"""Files that are either whole or not there."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

PARTIAL = ".partial"


@contextmanager
def whole(path: Path) -> Iterator[Path]:
    """Give a path to write to; what is there at the end goes to `path`, on the disk before its name is."""
    path.parent.mkdir(parents=True, exist_ok=True)
    aside = path.with_name(path.name + PARTIAL)
    yield aside
    with aside.open("rb") as file:
        os.fsync(file.fileno())
    aside.replace(path)


def write_text(path: Path, text: str) -> None:
    """Write a file of text."""
    with whole(path) as aside:
        aside.write_text(text, encoding="utf-8")


def folder_digest(folder: Path) -> str:
    """Return the SHA-256 of the names and contents of the files of a folder; that of nothing where it is not there."""
    found = hashlib.sha256()
    for path in sorted(folder.iterdir()) if folder.is_dir() else ():
        found.update(f"{path.name} {digest(path)}\n".encode())
    return found.hexdigest()


def read_object(path: Path) -> dict[str, Any]:
    """Return the object that a file holds as JSON.

    Raises:
        ValueError: it holds something else; the message names the file.
    """
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{path} was not written by an export, or has been changed: {error}") from error
    if not isinstance(found, dict):
        raise ValueError(f"{path} was not written by an export, or has been changed: it holds no object")
    return found


def digest(path: Path) -> str:
    """Return a file's SHA-256, in hexadecimal digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
