"""One file that holds a source as it is drawn from: arrays one behind the other, and at its end what they are.

It is written from front to end and mapped into memory, so that processes share what they read. A reader holds a lock on it
(shared), by which others see that it is in use. Sizes and checksums at its end tell a damaged one.
"""

from __future__ import annotations

import json
import mmap
import os
import struct
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

try:
    import fcntl
except ImportError:  # Windows: no locks, and deleting what is in use is refused by the system itself
    fcntl = None  # type: ignore[assignment]

FORMAT = 1
"""Counts up when files of before can no longer be read, or would be made otherwise."""

PIXELS = "pixels"
"""The one array that is written bit by bit, and whose checksum is looked at only when asked."""

_END = struct.Struct("<QI4x8s")  # length and checksum of the description, and a word to know the file by
_WORD = b"SSL4RL\0" + bytes([FORMAT])
_ALIGNED = 64


class DamagedError(ValueError):
    """A file is not what was written."""


class Writer:
    """Writes an entry: pixels first, then tables, then their description.

    Args:
        file: empty, open to be written and read.
    """

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._arrays: dict[str, list[Any]] = {}
        self._checksum = 0
        self.end = 0

    def pixels(self, data: bytes | memoryview) -> int:
        """Append bytes; return where they begin."""
        start = self.end
        self._checksum = zlib.crc32(data, self._checksum)
        self._write(data)
        return start

    def finish(self, tables: dict[str, NDArray[Any]], facts: dict[str, Any]) -> None:
        """Write everything else, down to the disk."""
        self._arrays[PIXELS] = ["|u1", [self.end], 0, self._checksum]
        for name, table in tables.items():
            data = np.ascontiguousarray(table)
            self._write(bytes(-self.end % _ALIGNED))
            raw = _raw(data)
            self._arrays[name] = [data.dtype.str, list(data.shape), self.end, zlib.crc32(raw)]
            self._write(raw)
        description = json.dumps({"arrays": self._arrays, "facts": facts}).encode()
        self._write(description)
        self._write(_END.pack(len(description), zlib.crc32(description), _WORD))
        self._file.flush()
        os.fsync(self._file.fileno())

    def _write(self, data: bytes | memoryview) -> None:
        self._file.write(data)
        self.end += len(data)


class Entry:
    """An entry that is open, as arrays that cannot be written.

    Args:
        handle: a descriptor of the file, open to be read. The map keeps a copy of it, and with it the lock, for as long as
            an array is in use; the descriptor itself may be closed.
        path: where it lies; None where it is in memory alone.

    Attributes:
        arrays: by name; the memory is that of the file, shared by all who map it.
        facts: plain data that were written with them.

    Raises:
        DamagedError: the file is not what was written; the message says how that shows.
    """

    def __init__(self, handle: int, path: Path | None) -> None:
        self.path = path
        self.size = os.fstat(handle).st_size
        if self.size < _END.size:
            raise DamagedError(f"it has {self.size} bytes, which is no whole entry")
        self._map = mmap.mmap(handle, 0, access=mmap.ACCESS_READ)
        whole = memoryview(self._map)
        known = _description(whole[-_END.size :], self.size, lambda start, stop: bytes(whole[start:stop]))
        self.facts: dict[str, Any] = known["facts"]
        self._checksums: dict[str, int] = {}
        self.arrays: dict[str, NDArray[Any]] = {}
        for name, (kind, shape, start, checksum) in known["arrays"].items():
            array = np.ndarray(shape, kind, whole, start)
            array.flags.writeable = False
            self.arrays[name], self._checksums[name] = array, checksum
            if name != PIXELS:
                self._check(name)

    @classmethod
    def open(cls, path: Path) -> Entry:
        """Open the entry at a path, and hold it against being deleted.

        Raises:
            FileNotFoundError: there is none, or it is being deleted.
            DamagedError: it is damaged.
        """
        handle = os.open(path, os.O_RDONLY | getattr(os, "O_BINARY", 0))
        try:
            lock(handle, shared=True)
            if not os.fstat(handle).st_nlink:
                raise FileNotFoundError(path)
            return cls(handle, path)
        finally:
            os.close(handle)

    def check(self) -> None:
        """Look at everything that has a checksum, pixels included.

        Raises:
            DamagedError: something is not what was written.
        """
        for name in self.arrays:
            self._check(name)

    def _check(self, name: str) -> None:
        array = self.arrays[name]
        if zlib.crc32(_raw(array)) != self._checksums[name]:
            raise DamagedError(f"its {name} have changed")


def facts_of(path: Path) -> dict[str, Any]:
    """Return the facts of an entry without looking at its arrays; none where it is damaged."""
    with path.open("rb") as file:
        size = os.fstat(file.fileno()).st_size
        file.seek(max(0, size - _END.size))
        end = file.read()

        def read(start: int, stop: int) -> bytes:
            file.seek(start)
            return file.read(stop - start)

        try:
            facts: dict[str, Any] = _description(end, size, read)["facts"]
        except DamagedError:
            return {}
    return facts


def _description(end: bytes | memoryview, size: int, read: Callable[[int, int], bytes]) -> dict[str, Any]:
    """Return the description of an entry, whose last bytes and size are given, and how to read bytes of it."""
    if size < _END.size:
        raise DamagedError(f"it has {size} bytes, which is no whole entry")
    length, checksum, word = _END.unpack(end)
    if word != _WORD or length > size - _END.size:
        raise DamagedError("its end is missing")
    description = read(size - _END.size - length, size - _END.size)
    if zlib.crc32(description) != checksum:
        raise DamagedError("its description has changed")
    known: dict[str, Any] = json.loads(description)
    return known


def _raw(array: NDArray[Any]) -> memoryview:
    """Return the bytes of an array that lies in one piece."""
    return memoryview(array.reshape(-1).view(np.uint8)) if array.size else memoryview(b"")  # type: ignore[arg-type]


def lock(handle: int, *, shared: bool = False, wait: bool = True) -> bool:
    """Lock an open file until it is closed, however that comes about; return whether nobody else has.

    Where a file system knows no locks, everybody has them.
    """
    if fcntl is None:
        return True
    try:
        fcntl.flock(handle, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | (0 if wait else fcntl.LOCK_NB))
    except BlockingIOError:
        return False
    except OSError:  # some over networks
        return True
    return True
