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
from numpy.typing import NDArray

YOUNG = 2.0
"""Files that were changed less than so many seconds ago may change again without showing it in their times."""


class Files(NamedTuple):
    """Files, and by what they are known to be the ones they were.

    Attributes:
        names: as the collection calls them.
        stamps: (files, 3) int64: sizes in bytes, times of the content and of the inode in nanoseconds.
    """

    names: list[str]
    stamps: NDArray[np.int64]

    @classmethod
    def of(cls, paths: Iterable[str | Path]) -> Files:
        """Return files by their full names."""
        names = [str(path) for path in paths]
        return cls(names, np.array([stamp_of(Path(name).stat()) for name in names], np.int64).reshape(-1, 3))


def stamp_of(state: os.stat_result) -> tuple[int, int, int]:
    """Return the stamp of a file; see `Files`."""
    return state.st_size, state.st_mtime_ns, state.st_ctime_ns


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
        files: in which its pictures lie.
        trouble: what of its files cannot be read at all, with the reason.
    """

    name: str
    what: str
    place: str
    files: Files
    trouble: Mapping[str, str] = {}

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
        return digest_of("quick", self.kind, settings, self.place, dict(self.trouble), *self._files(3))

    def shape_key(self, settings: object) -> str:
        """Return a digest that stays when files are touched or copied elsewhere: of names and sizes alone."""
        return digest_of("shape", self.kind, settings, dict(self.trouble), *self._files(1))

    def own_names(self) -> list[str]:
        """Return the names of the files as they are wherever the collection lies."""
        return self.files.names

    def _files(self, columns: int) -> tuple[bytes, bytes]:
        names = "\0".join(self.files.names if columns > 1 else self.own_names()).encode("utf-8", "surrogateescape")
        return names, self.files.stamps[:, :columns].tobytes()

    def settled(self) -> bool:
        """Return whether every file is old enough that a change to it must show in its times."""
        return bool((self.files.stamps[:, 1:] < (time.time() - YOUNG) * 1e9).all())


def digest_of(*parts: object) -> str:
    """Return a hex digest of plain data."""
    digest = hashlib.blake2b(digest_size=16)
    for part in parts:
        digest.update((part if isinstance(part, bytes) else repr(part).encode()) + b"\0")
    return digest.hexdigest()
