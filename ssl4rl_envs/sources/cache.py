"""Where decoded pictures are kept on the disk, for all processes of a machine: one entry a collection and its settings.

The folder holds `entries` (each under a digest of the names and bytes of all its members), `known` (digests of names, sizes
and times, and of names and sizes alone, each a file that says which entry they led to), `locks` (whoever builds holds one;
the system lets go of it however a process ends) and `building` (what is being written: locked while it is, and put in its
place by renaming once it is whole). So whatever is killed at whatever point leaves nothing that could be taken for an entry.

``SSL4RL_CACHE`` says where it lies, by default in ``$XDG_CACHE_HOME/ssl4rl`` or ``~/.cache/ssl4rl``; ``SSL4RL_CACHE_SIZE``
how large it may become, e.g. "50G", by default 20 GiB or a quarter of the disk, whatever is less. "0" keeps nothing.
"""

from __future__ import annotations

import os
import secrets
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO, NamedTuple

from ssl4rl_envs.sources.entry import DamagedError, Entry, facts_of, lock
from ssl4rl_envs.sources.notices import warn
from ssl4rl_envs.telling import tell

PLACE, SIZE = "SSL4RL_CACHE", "SSL4RL_CACHE_SIZE"

LARGEST = 20 << 30
"""Bytes that the cache may take where nothing else is said, and `SHARE` of the disk is no less."""

SHARE = 4

_UNITS = {"K": 10, "M": 20, "G": 30, "T": 40}
_POLL = 0.1


class Kept(NamedTuple):
    """An entry as it is listed: its digest, the name of its source, pictures, bytes, seconds since 1970 of its last use."""

    key: str
    name: str
    items: int
    size: int
    used: float


class Cache:
    """A cache in a folder, which need not exist yet.

    Args:
        root: the folder.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self.entries, self.known, self.locks, self.building = (
            root / name for name in ("entries", "known", "locks", "building")
        )

    def prepare(self) -> None:
        """Make the folders.

        Raises:
            OSError: they cannot be made, or nothing can be written there.
        """
        for folder in (self.entries, self.known, self.locks, self.building):
            folder.mkdir(parents=True, exist_ok=True)
        if not os.access(self.building, os.W_OK):
            raise PermissionError(f"{self.building} cannot be written to")

    def find(self, known_by: str) -> Entry | None:
        """Return the entry that a digest led to; None if there is none, or it is damaged, of which is warned."""
        try:
            content = (self.known / known_by).read_text()
        except OSError:
            return None
        return self.open(content)

    def open(self, content: str) -> Entry | None:
        """Return an entry, which counts as used now; None if there is none, or it is damaged, of which is warned."""
        path = self.entries / content
        try:
            entry = Entry.open(path)
        except FileNotFoundError:
            return None
        except DamagedError as error:
            warn(f"{path} in the cache of pictures is damaged, and is made again: {error}")
            with suppress(OSError):
                path.unlink()
            return None
        except OSError as error:
            warn(f"{path} in the cache of pictures cannot be read: {error}")
            return None
        with suppress(OSError):
            os.utime(path)
        return entry

    def note(self, known_by: str, content: str) -> None:
        """Keep in mind which entry a digest leads to."""
        aside = self.building / f"{secrets.token_hex(8)}.note"
        aside.write_text(content)
        aside.replace(self.known / known_by)

    def leads_to(self, known_by: str) -> str | None:
        """Return the digest of the entry that another one led to, whether it is still there or not."""
        try:
            return (self.known / known_by).read_text()
        except OSError:
            return None

    @contextmanager
    def alone(self, key: str, what: str) -> Iterator[None]:
        """Hold the lock of a collection; wait for another process that does, with a word.

        Raises:
            OSError: the lock cannot be made.
        """
        handle = os.open(self.locks / key, os.O_RDWR | os.O_CREAT, 0o666)
        try:
            if not lock(handle, wait=False):
                tell(f"ssl4rl: waiting for another process, which is taking in {what} ...")
                lock(handle)
            yield
        finally:
            os.close(handle)

    @contextmanager
    def aside(self) -> Iterator[tuple[BinaryIO, Path]]:
        """Open a file for an entry to be written to; `keep` puts it in its place, else it is deleted."""
        while True:
            path = self.building / f"{secrets.token_hex(8)}.entry"
            with path.open("x+b") as file:
                lock(file.fileno())
                if not os.fstat(file.fileno()).st_nlink:  # somebody swept before it was locked
                    continue
                try:
                    yield file, path
                finally:
                    path.unlink(missing_ok=True)
                return

    def keep(self, file: BinaryIO, aside: Path, content: str) -> Entry:
        """Put what was written aside in its place, and return it open."""
        path = self.entries / content
        entry = Entry(file.fileno(), path)
        aside.replace(path)
        lock(file.fileno(), shared=True)
        return entry

    def sweep(self, spare: int | None = None) -> None:
        """Delete what dead processes left, and then the entries that were not used for longest, beyond the size limit.

        What is in use stays, in whatever process.

        Args:
            spare: bytes that the entries may take together; by default what `limit` says.
        """
        for path in _files(self.building):
            _unlink_unused(path, young=path.suffix == ".note")
        sizes = {path: path.stat() for path in _files(self.entries)}
        total = sum(status.st_size for status in sizes.values())
        most = limit(self.root) if spare is None else spare
        for path, status in sorted(sizes.items(), key=lambda item: item[1].st_mtime):
            if total > most and _unlink_unused(path):
                total -= status.st_size
        there = {path.name for path in _files(self.entries)}
        for path in _files(self.known):
            with suppress(OSError):
                if path.read_text() not in there:
                    path.unlink()

    def listed(self) -> list[Kept]:
        """Return what is kept, the last used first; damaged entries have no name."""
        found = []
        for path in _files(self.entries):
            with suppress(FileNotFoundError):
                status = path.stat()
                facts = facts_of(path)
                found.append(Kept(path.name, facts.get("name", ""), facts.get("items", 0), status.st_size, status.st_mtime))
        return sorted(found, key=lambda kept: -kept.used)

    def delete(self, content: str) -> bool:
        """Delete an entry unless it is in use; return whether it is gone."""
        return _unlink_unused(self.entries / content)


def cache() -> Cache | None:
    """Return the cache that the environment names; None where nothing is to be kept."""
    root = place()
    return Cache(root) if limit(root) > 0 else None


def place() -> Path:
    """Return the folder of the cache, whether it is there or not."""
    given = os.environ.get(PLACE)
    if given:
        return Path(given).expanduser()
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path("~/.cache").expanduser()) / "ssl4rl"


def limit(root: Path) -> int:
    """Return how many bytes the cache may take.

    Raises:
        ValueError: the variable holds no size.
    """
    given = os.environ.get(SIZE, "").strip().upper().removesuffix("B").removesuffix("I")
    if not given:
        there = next((path for path in (root, *root.parents) if path.is_dir()), Path("/"))
        return min(LARGEST, shutil.disk_usage(there).total // SHARE)
    number, unit = (given[:-1], given[-1]) if given[-1] in _UNITS else (given, "")
    try:
        size = float(number) * (1 << _UNITS.get(unit, 0))
    except ValueError:
        size = -1.0
    if not 0 <= size < float("inf"):
        raise ValueError(f"{SIZE} must be a size in bytes, e.g. 50G or 500M, or 0 to keep nothing, got {os.environ[SIZE]!r}")
    return int(size)


def _files(folder: Path) -> list[Path]:
    try:
        return sorted(folder.iterdir())
    except OSError:
        return []


def _unlink_unused(path: Path, *, young: bool = False) -> bool:
    """Delete a file that nobody has locked; return whether it is gone. With `young`, not in its first minute."""
    try:
        handle = os.open(path, os.O_RDONLY)
    except OSError:
        return not path.exists()
    try:
        if (young and time.time() - os.fstat(handle).st_mtime < 60) or not lock(handle, wait=False):
            return False
        path.unlink(missing_ok=True)
        return True
    except OSError:
        return False
    finally:
        os.close(handle)
