"""Which files of a folder are pictures."""

from __future__ import annotations

import os
from pathlib import Path

from PIL import Image

_NOT_PICTURES = {"BUFR", "GRIB", "HDF5", "MPEG", "WMF"}  # formats that Pillow knows by name alone
_READABLE = {".mpo"} | frozenset(  # several JPEG pictures in one file, which Pillow opens as JPEG
    ending for ending, kind in Image.registered_extensions().items() if kind in Image.OPEN and kind not in _NOT_PICTURES
)


def list_pictures(root: Path) -> tuple[list[Path], dict[Path, str]]:
    """Return the picture files of a folder at any depth, sorted, and what looks like one and cannot be read, with the reason.

    Links to files and folders are followed, and every real folder is read once, so that links in a circle end: under its own
    name where it lies in the folder itself, else under that of the first link to it. Names that begin with a dot are not
    looked at.
    """
    files: list[Path] = []
    left_out: dict[Path, str] = {}
    seen: set[tuple[int, int]] = set()
    folders: list[Path] = [root]
    links: list[Path] = []
    while folders or links:
        folder = folders.pop() if folders else links.pop(0)
        try:
            if (identity := _identity(folder)) in seen:
                continue
            with os.scandir(folder) as scan:
                entries = sorted(scan, key=lambda entry: entry.name)
        except OSError as error:
            left_out[folder] = f"the folder cannot be read: {error.strerror}"
            continue
        seen.add(identity)
        for entry in entries:
            path = folder / entry.name
            looks_like_one = path.suffix.lower() in _READABLE
            if entry.name.startswith("."):
                continue
            if path.is_dir():
                (links if entry.is_symlink() else folders).append(path)
            elif path.is_file():
                files += [path] * looks_like_one
            elif entry.is_symlink() and (looks_like_one or not path.suffix):
                left_out[path] = f"a link to {path.readlink()}, which is not there"
            elif looks_like_one:
                left_out[path] = "not a file"
    return sorted(files), left_out


def _identity(folder: Path) -> tuple[int, int]:
    status = folder.stat()
    return status.st_dev, status.st_ino
