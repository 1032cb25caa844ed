"""Which files a path, a pattern or a folder in the name of a source means."""

from __future__ import annotations

import glob
import os
import re
from collections.abc import Sequence
from pathlib import Path

_BRACES = re.compile(r"\{([^{}]*)\}")
_RANGE = re.compile(r"(\d+)\.\.(\d+)")
_MANY = 1_000_000


def matching(pattern: str, endings: Sequence[str], what: str) -> list[str]:
    """Return the files of a pattern, sorted within each of its alternatives.

    Args:
        pattern: a file; a folder, whose files of these endings are meant, at any depth; or a pattern with ``*``, ``?`` and
            ``[...]`` as the shell has them (``**`` for folders at any depth), and with alternatives in braces, ``{a,b}`` or
            ``{000..127}``. A leading ``~`` is the home folder.
        endings: how names end, each with its dot.
        what: such files are called in errors.

    Raises:
        FileNotFoundError: there is none, or one that is listed in braces is missing.
        ValueError: the pattern is an address on the network, or stands for too many files.
    """
    if "://" in pattern:
        raise ValueError(f"{pattern!r} is an address; {what} files are read from the disk, so copy them there first")
    path = Path(pattern).expanduser()
    if path.is_dir():
        below = [Path(folder, name) for folder, _, names in os.walk(path, followlinks=True) for name in names]
        found = sorted(str(file) for file in below if file.name.endswith(tuple(endings)) and not file.name.startswith("."))
        if not found:
            wanted = ", ".join(endings)
            raise FileNotFoundError(f"the folder {path} holds no {what} file; looked for names ending in {wanted}")
        return found
    if path.exists():
        return [str(path)]
    files: list[str] = []
    for alternative in alternatives(str(path)):
        here = sorted(glob.glob(alternative, recursive=True)) if glob.has_magic(alternative) else [alternative]  # noqa: PTH207
        if not here or not Path(here[0]).exists():
            raise FileNotFoundError(f"there is no {what} file {alternative}")
        files += here
    return files


def absolute(pattern: str) -> str:
    """Return a pattern that means the same files from any folder."""
    return str(Path(pattern).expanduser().absolute())


def alternatives(pattern: str) -> list[str]:
    """Return what a pattern with braces stands for, in order: ``{a,b}`` for either, ``{08..11}`` for 08, 09, 10 and 11.

    Raises:
        ValueError: these are more than a million.
    """
    brace = _BRACES.search(pattern)
    if brace is None:
        return [pattern]
    span = _RANGE.fullmatch(brace[1])
    if span is None:
        words = brace[1].split(",")
    else:
        first, last = int(span[1]), int(span[2])
        if abs(last - first) >= _MANY:
            raise ValueError(f"{pattern!r} stands for more than {_MANY:,} files")
        step = 1 if last >= first else -1
        words = [str(number).zfill(len(span[1])) for number in range(first, last + step, step)]
    found = [whole for word in words for whole in alternatives(pattern[: brace.start()] + word + pattern[brace.end() :])]
    if len(found) > _MANY:
        raise ValueError(f"{pattern!r} stands for more than {_MANY:,} files")
    return found


def shortened(files: Sequence[str]) -> list[str]:
    """Return the names of files without the folder that all lie in, so that a copy of it elsewhere has the same ones."""
    whole = [Path(name).absolute() for name in files]
    folder = os.path.commonpath([path.parent for path in whole])
    return [path.relative_to(folder).as_posix() for path in whole]
