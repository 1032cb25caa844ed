"""Which files of a folder are pictures."""

from __future__ import annotations

import os
import sys
from array import array
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from ssl4rl_envs.sources.collection import Files, stamp_of

# fmt: off
OF_PILLOW = frozenset({
    ".apng", ".avif", ".avifs", ".blp", ".bmp", ".bw", ".cur", ".dcx", ".dds", ".dib", ".eps", ".fit", ".fits", ".flc",
    ".fli", ".ftc", ".ftu", ".gbr", ".gif", ".icb", ".icns", ".ico", ".iim", ".im", ".j2c", ".j2k", ".jfif", ".jp2",
    ".jpc", ".jpe", ".jpeg", ".jpf", ".jpg", ".jpx", ".mpo", ".msp", ".pbm", ".pcd", ".pcx", ".pfm", ".pgm", ".png",
    ".pnm", ".ppm", ".ps", ".psd", ".pxr", ".qoi", ".ras", ".rgb", ".rgba", ".sgi", ".tga", ".tif", ".tiff", ".vda",
    ".vst", ".webp", ".xbm", ".xpm"
})
# fmt: on
"""How names of pictures end that Pillow reads without further packages. It says nothing of ``.mpo``: several JPEG pictures in
one file, which it opens as JPEG."""

NOT_PICTURES = frozenset({"BUFR", "GRIB", "HDF5", "MPEG", "WMF"})
"""Formats that Pillow knows by name alone."""


class Found(NamedTuple):
    """What a folder holds: its picture files by their names within it, and what looks like one and cannot be read."""

    files: Files
    left_out: dict[str, str]


def readable_endings() -> frozenset[str]:
    """Return how names of files end that Pillow can read, in lower case, each with its dot.

    Those that it knows by itself are written down here, so that who finds a folder in the cache does without Pillow; to ask
    would load all of its readers. What others plugged into it is asked for.
    """
    pillow: Any = sys.modules.get("PIL.Image")
    plugged = {} if pillow is None else pillow.EXTENSION
    return OF_PILLOW | {ending for ending, kind in plugged.items() if kind in pillow.OPEN and kind not in NOT_PICTURES}


def list_pictures(root: Path) -> Found:
    """Return the picture files of a folder at any depth, sorted, and what looks like one and cannot be read, with the reason.

    Links to files and folders are followed, and every real folder is read once, so that links in a circle end: under its own
    name where it lies in the folder itself, else under that of the first link to it. Names that begin with a dot are not
    looked at.
    """
    endings = readable_endings()
    files: list[str] = []
    stamps = array("q")  # rather than all that the system says of each file, which would take a kilobyte
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
                    stamps.extend(stamp_of(entry.stat()))
                    files.append(before + name)
            elif entry.is_symlink() and (ending in endings or not ending):
                left_out[before + name] = f"a link to {Path(entry.path).readlink()}, which is not there"
            elif ending in endings:
                left_out[before + name] = "not a file"
    order = sorted(range(len(files)), key=lambda number: files[number].replace("/", "\0"))  # folder by folder
    return Found(Files([files[number] for number in order], np.array(stamps, np.int64).reshape(-1, 3)[order]), left_out)


def _is(kind: Callable[[], bool]) -> bool:
    try:
        return kind()
    except OSError:  # a link in a circle
        return False


def _identity(folder: Path) -> tuple[int, int]:
    status = folder.stat()
    return status.st_dev, status.st_ino
