"""Which files of a folder are pictures."""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import NamedTuple

from ssl4rl_envs.sources.collection import Files, stamps_of

_NOT_PICTURES = {"BUFR", "GRIB", "HDF5", "MPEG", "WMF"}  # formats that Pillow knows by name alone


class Found(NamedTuple):
    """What a folder holds: its picture files by their names within it, and what looks like one and cannot be read."""

    files: Files
    left_out: dict[str, str]


@cache
def readable_endings() -> frozenset[str]:
    """Return how names of files end that Pillow can read, in lower case, each with its dot."""
    from PIL import Image

    known = (
        ending for ending, kind in Image.registered_extensions().items() if kind in Image.OPEN and kind not in _NOT_PICTURES
    )
    return frozenset({".mpo", *known})  # several JPEG pictures in one file, which Pillow opens as JPEG


def list_pictures(root: Path) -> Found:
    """Return the picture files of a folder at any depth, sorted, and what looks like one and cannot be read, with the reason.

    Links to files and folders are followed, and every real folder is read once, so that links in a circle end: under its own
    name where it lies in the folder itself, else under that of the first link to it. Names that begin with a dot are not
    looked at.
    """
    endings = readable_endings()
    files: dict[str, os.stat_result] = {}
    left_out: dict[str, str] = {}
    seen: set[tuple[int, int]] = set()
    folders: list[str] = [""]
    links: list[str] = []
    while folders or links:
        folder = folders.pop() if folders else links.pop(0)
        try:
            if (identity := _identity(root / folder)) in seen:
                continue
            with os.scandir(root / folder) as scan:
                entries = sorted(scan, key=lambda entry: entry.name)
        except OSError as error:
            left_out[folder or "."] = f"the folder cannot be read: {error.strerror}"
            continue
        seen.add(identity)
        before = f"{folder}/" if folder else ""
        for entry in entries:
            name = entry.name
            if name[0] == ".":
                continue
            ending = "." + name.rpartition(".")[2].lower() if "." in name else ""
            if _is(entry.is_dir):
                (links if entry.is_symlink() else folders).append(before + name)
            elif _is(entry.is_file):
                if ending in endings:
                    files[before + name] = entry.stat()
            elif entry.is_symlink() and (ending in endings or not ending):
                left_out[before + name] = f"a link to {Path(entry.path).readlink()}, which is not there"
            elif ending in endings:
                left_out[before + name] = "not a file"
    names = sorted(files, key=lambda name: name.replace("/", "\0"))  # folder by folder
    return Found(Files(names, stamps_of([files[name] for name in names])), left_out)


def _is(kind: Callable[[], bool]) -> bool:
    try:
        return kind()
    except OSError:  # a link in a circle
        return False


def _identity(folder: Path) -> tuple[int, int]:
    status = folder.stat()
    return status.st_dev, status.st_ino
