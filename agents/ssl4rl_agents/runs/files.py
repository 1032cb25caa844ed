"""Files and folders that are either whole or not there, whenever the machine stops, and that one process writes at a time."""

from __future__ import annotations

import fcntl
import json
import math
import os
import platform
import shutil
import time
import warnings
import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Self

LOCK = ".lock.json"
POLL = 0.05  # seconds


def aside_of(path: Path) -> Path:
    """Return where a file or folder is written before it goes to its place: hidden, beside it."""
    return path.with_name(f".{path.name}.partial")


def write_text(path: Path, text: str) -> None:
    """Write a file."""
    if path.is_dir():
        raise IsADirectoryError(f"{path} is a folder, and a file is to be written; name one in it")
    aside = aside_of(path)
    try:
        aside.write_text(text)
        _flush(aside)
        aside.replace(path)
    except BaseException:
        aside.unlink(missing_ok=True)
        raise
    _flush(path.parent)


def write_json(path: Path, data: Any) -> None:
    """Write a file of JSON; it knows no NaN and no infinity, which become null."""
    write_text(path, json.dumps(finite(data), indent=2, allow_nan=False) + "\n")


def finite(data: Any) -> Any:
    """Return plain data with None for every number that is not finite, since JSON has none and its readers differ."""
    if isinstance(data, dict):
        return {name: finite(value) for name, value in data.items()}
    if isinstance(data, (list, tuple)):
        return [finite(value) for value in data]
    return None if isinstance(data, float) and not math.isfinite(data) else data


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


def require_place(folder: Path) -> None:
    """Check that there is a folder, or can be one, before anything is done whose results are to go there.

    Raises:
        NotADirectoryError: a file stands in the way.
        PermissionError: it may not be written to.
    """
    there = folder
    while not there.exists() and there != there.parent:
        there = there.parent
    if not there.is_dir():
        raise NotADirectoryError(f"{there} is a file, and {folder} is to be a folder; choose another place")
    if not os.access(there, os.W_OK | os.X_OK):
        raise PermissionError(f"{there} may not be written to, and {folder} is to be a folder in it; choose another place")


@contextmanager
def read_from(folder: Path) -> Iterator[None]:
    """Name the folder in errors about what is read there: readers tell what they miss, and not always where.

    Raises:
        ValueError: what is read is damaged, or not whole.
    """
    try:
        yield
    except Exception as error:
        # By its name, since safetensors is a package that is not always there.
        damage = isinstance(error, (ValueError, OSError, TypeError, KeyError)) or type(error).__name__ == "SafetensorError"
        if not damage or str(folder) in str(error):
            raise
        raise ValueError(f"what is in {folder} cannot be read, or is not whole: {type(error).__name__}: {error}") from error


class InUseError(BlockingIOError):
    """Another process holds the lock of a folder."""


class FolderLock:
    """A lock of a folder, for one process at a time; whoever holds it may take it several times over.

    It is one of the operating system (flock) on a file in the folder, so that a process lets go of it however it ends. The
    file says who holds it, and is gone when nobody does.

    Args:
        folder: which must be there when the lock is taken.
        who: how errors call the one that holds it, e.g. "a trainer".
        active: whether there is anything to lock for; if not, all of this does nothing.
    """

    def __init__(self, folder: Path, who: str, *, active: bool = True) -> None:
        self._folder, self._who, self._active = folder, who, active
        self._handle: int | None = None
        self._letting_go: weakref.finalize[Any, FolderLock] | None = None
        self._holds = 0

    def acquire(self, patience: float = 0.0) -> None:
        """Take the lock.

        Args:
            patience: seconds to wait for another process that holds it.

        Raises:
            InUseError: another process, or another object of this one, holds it; the message says which one, and since when.
        """
        if not self._active:
            return
        if self._holds == 0:
            deadline = time.monotonic() + patience
            while not self._try():
                if time.monotonic() >= deadline:
                    raise InUseError(f"{self._folder} is in use: {self._who} has been at work there {self._holder()}")
                time.sleep(POLL)
        self._holds += 1

    def release(self) -> None:
        """Let go of the lock once; nothing happens where it is not held."""
        self._holds = max(0, self._holds - 1)
        if self._holds == 0 and self._letting_go is not None:
            self._letting_go()
            self._handle = self._letting_go = None

    def require(self) -> None:
        """Check that the folder is still the one that was locked.

        Raises:
            InUseError: it was deleted, moved or put in another's place since.
        """
        if self._handle is not None and not self._is_there(self._handle):
            raise InUseError(
                f"{self._folder} was deleted or replaced while {self._who} was at work there; nothing more is written"
            )

    def __enter__(self) -> Self:
        self.acquire()
        return self

    def __exit__(self, *_: object) -> None:
        self.release()

    @property
    def _file(self) -> Path:
        return self._folder / LOCK

    def _try(self) -> bool:
        handle = os.open(self._file, os.O_RDWR | os.O_CREAT, 0o644)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(handle)
            return False
        except OSError as error:  # some file systems over networks know no locks
            warnings.warn(f"{self._folder} cannot be locked ({error}); let no other trainer write there", stacklevel=4)
        if not self._is_there(handle):  # the one that held it has deleted the file
            os.close(handle)
            return self._try()
        os.ftruncate(handle, 0)
        since = time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime())
        os.write(handle, json.dumps({"pid": os.getpid(), "host": platform.node(), "since": since}).encode())
        self._handle = handle
        # Also where nobody lets go of it: at the end of the process this is done while there is still an interpreter.
        self._letting_go = weakref.finalize(self, _let_go, handle, self._file, os.getpid())
        return True

    def _is_there(self, handle: int) -> bool:
        return same_file(handle, self._file)

    def _holder(self) -> str:
        try:
            held = json.loads(self._file.read_text())
            return f"since {held['since']}, as process {held['pid']} on {held['host']}"
        except (OSError, ValueError, KeyError, TypeError):
            return "since a moment ago"


def same_file(handle: int, file: Path) -> bool:
    """Return whether a file is still the one that was opened."""
    try:
        return os.path.samestat(os.fstat(handle), file.stat())
    except FileNotFoundError:
        return False


def _let_go(handle: int, file: Path, holder: int) -> None:
    if os.getpid() == holder and same_file(handle, file):  # a fork of the holder holds nothing
        file.unlink()  # while it is held, or somebody else's might be deleted
    os.close(handle)
