"""What folders, tables and archives of pictures have in common: files that lie somewhere, and members that can be read.

A kind of collection says which files it is, which members (pictures) they hold, and how the bytes of one are read. All else
is the same for all: `reading` decodes, `building` puts together, `cache` keeps.
"""

from __future__ import annotations

import hashlib
import os
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import NamedTuple

import numpy as np

YOUNG = 2.0
"""Files that were changed less than so many seconds ago may change again without showing it in their times."""


class Stamp(NamedTuple):
    """A file, and by what it is known to be the one it was: size in bytes, times of its content and of its inode in ns."""

    name: str
    size: int
    mtime: int
    ctime: int

    @classmethod
    def of(cls, name: str, status: os.stat_result) -> Stamp:
        """Return the stamp of a file."""
        return cls(name, status.st_size, status.st_mtime_ns, status.st_ctime_ns)


class Members(NamedTuple):
    """The pictures of a collection.

    Attributes:
        names: of each picture, as errors and `files` call it.
        left_out: what looks like one and is none, with the reason.
    """

    names: list[str]
    left_out: dict[str, str]


class Collection(ABC):
    """Pictures that lie in files. It travels to the processes that decode, so it holds no open file.

    Attributes:
        name: of the source, e.g. "folder:/data/pictures".
        what: how to call it in messages, e.g. "/data/pictures".
        place: where it lies, the same for all names of it.
        stamps: its files, in an order of their own.
        trouble: what of its files cannot be read at all, with the reason.
    """

    name: str
    what: str
    place: str
    stamps: list[Stamp]
    trouble: Mapping[str, str] = {}  # noqa: RUF012 (never changed)

    @abstractmethod
    def members(self) -> Members:
        """Return what there is to decode; may open every file.

        Raises:
            ValueError: a file is not what its kind says; the message names it.
        """

    @abstractmethod
    def read(self, number: int) -> bytes:
        """Return the bytes of a member, counted as `members` counts them.

        Raises:
            Exception: it cannot be read.
        """

    @property
    def kind(self) -> str:
        """What besides the files says which pictures these are: the kind of collection, the column."""
        return type(self).__name__

    def where(self) -> Callable[[str], str | Path]:
        """Return what says how to call a member in `skipped`, `noted` and `files`."""
        return str

    def quick_key(self, settings: object) -> str:
        """Return a digest of names, sizes and times of all files, and of how they are kept."""
        return digest_of("quick", self.kind, settings, self.place, *self._files(4))

    def shape_key(self, settings: object) -> str:
        """Return a digest that stays when files are touched or copied elsewhere: of names and sizes alone."""
        return digest_of("shape", self.kind, settings, *self._files(2))

    def _files(self, columns: int) -> tuple[object, ...]:
        names, *numbers = zip(*self.stamps, strict=True) if self.stamps else [()] * 4
        return (*(np.array(column, np.int64).tobytes() for column in numbers[: columns - 1]), names, dict(self.trouble))

    def settled(self, now: float | None = None) -> bool:
        """Return whether every file is old enough that a change to it must show in its times."""
        before = int(((time.time() if now is None else now) - YOUNG) * 1e9)
        return all(max(stamp.mtime, stamp.ctime) < before for stamp in self.stamps)


def digest_of(*parts: object) -> str:
    """Return a hex digest of plain data."""
    digest = hashlib.blake2b(digest_size=16)
    for part in parts:
        digest.update((part if isinstance(part, bytes) else repr(part).encode()) + b"\0")
    return digest.hexdigest()


def stamps_of(files: Iterable[Path]) -> list[Stamp]:
    """Return the stamps of files, by their full names."""
    return [Stamp.of(str(file), file.stat()) for file in files]
