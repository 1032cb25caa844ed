"""Files of replies, one line a reply: written by one process at a time, gone on with after a kill, read by who scores them.

with ReplyFile(Path("replies.jsonl")) as file:
    file.append(ReplyRow(env_id="SSL4RL/Rotation-v0", args='{"source": "digits"}', split="test", seed=0, index=7,
                         prompt_style="direct", model="ann", kind="person", reply="<answer>90</answer>"))
"""

from __future__ import annotations

import fcntl
import os
import threading
import warnings
from collections.abc import Iterable, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from ssl4rl_agents.replies.rows import ReplyRow, parsed
from ssl4rl_agents.runs.files import InUseError, same_file


class ReplyFile:
    """A file of replies that one process writes at a time, row by row, and goes on with after a kill.

    Each row is one write of a whole line, so that a kill cuts off the last line at most. That line is cut away when the file
    is opened again, with a warning; its question counts as not asked. A row of which the disk takes but a part is taken back.
    Threads may append at the same time.

    Args:
        path: ends in .jsonl; it is made if need be, with its folder.

    Raises:
        InUseError: another process writes it.
        ValueError: it is called otherwise, or a line is no row; the message names file and line, and the file is as it was.
    """

    def __init__(self, path: Path) -> None:
        if path.suffix != ".jsonl" or path.is_dir():
            raise ValueError(
                f"replies are stored in a file *.jsonl, e.g. {path.with_suffix('') / 'replies.jsonl'}, got {path}"
            )
        self.path = path
        self._handle: int | None = None
        self._writing = threading.Lock()
        self._rows: dict[tuple[Any, ...], ReplyRow] = {}

    def __enter__(self) -> Self:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        handle = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o644)
        try:
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as error:
                raise InUseError(f"{self.path} is in use: another process writes its replies there") from error
            text = self.path.read_bytes()
            rows, torn = _rows_of(self.path, text)
            if torn:
                warnings.warn(
                    f"{self.path}: the last line was cut off, {len(torn)} bytes of a row that was not finished; "
                    "it is cut away, and its question counts as not asked",
                    stacklevel=2,
                )
                os.ftruncate(handle, len(text) - len(torn))
            elif text and not text.endswith(b"\n"):
                os.write(handle, b"\n")
            self._rows = newest(rows)
        except BaseException:
            os.close(handle)
            raise
        self._handle = handle
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if self._handle is not None:
            os.fsync(self._handle)
            os.close(self._handle)  # which lets go of the lock
        self._handle = None

    @property
    def rows(self) -> list[ReplyRow]:
        """The row of each key, see `newest`."""
        with self._writing:
            return list(self._rows.values())

    def replied(self, key: tuple[Any, ...]) -> bool:
        """Return whether there is a reply by a key (`ReplyRow.key`), not counting errors."""
        row = self._rows.get(key)
        return row is not None and row.reply is not None

    def append(self, row: ReplyRow) -> None:
        """Add a row; a kill after this returns does not lose it.

        Raises:
            OSError: the row is not stored: the disk is full, say, or the file was deleted or replaced since it was opened.
            ValueError: the file is not open.
        """
        line = (row.to_json() + "\n").encode()
        with self._writing:
            if self._handle is None:
                raise ValueError(f"{self.path} is not open; use `with ReplyFile(path) as file`")
            if not same_file(self._handle, self.path):
                raise FileNotFoundError(
                    f"{self.path} was deleted or replaced while replies were stored in it; nothing more is stored"
                )
            size = os.fstat(self._handle).st_size
            try:
                while line:
                    line = line[os.write(self._handle, line) :]
            except OSError as error:
                os.ftruncate(self._handle, size)  # or the next row would stand behind half of this one
                raise OSError(error.errno, error.strerror, str(self.path)) from error
            self._rows = _joined(self._rows, row)


def read_replies(paths: Sequence[Path]) -> list[ReplyRow]:
    """Read the replies of files, and of the files *.jsonl of folders; the row of each key, see `newest`.

    A last line that is cut off is left out with a warning: it is still being written, or was when its writer was killed.

    Raises:
        OSError: there is no such file.
        ValueError: a line is no row, a folder has no files of replies, or there is no row at all; the message names it.
    """
    found: list[ReplyRow] = []
    for path in paths:
        files = sorted(path.glob("*.jsonl")) if path.is_dir() else [path]
        if not files:
            raise ValueError(f"the folder {path} has no files of replies, *.jsonl")
        for file in files:
            rows, torn = _rows_of(file, file.read_bytes())
            if torn:
                warnings.warn(f"{file}: the last line is cut off and left out", stacklevel=2)
            found += rows
    if not found:
        raise ValueError(f"there are no replies in {', '.join(map(str, paths))} yet")
    return list(newest(found).values())


def newest(rows: Iterable[ReplyRow]) -> dict[tuple[Any, ...], ReplyRow]:
    """Return the row that counts of each key: the newest, and a reply more than an error."""
    found: dict[tuple[Any, ...], ReplyRow] = {}
    for row in rows:
        found = _joined(found, row)
    return found


def _joined(rows: dict[tuple[Any, ...], ReplyRow], row: ReplyRow) -> dict[tuple[Any, ...], ReplyRow]:
    before = rows.get(row.key)
    if before is None or before.reply is None or row.reply is not None:
        rows[row.key] = row
    return rows


def _rows_of(file: Path, text: bytes) -> tuple[list[ReplyRow], bytes]:
    """Return the rows that a file holds, and what there is of one that was not finished.

    A last line that lacks nothing but its end is whole: editors leave that out.

    Raises:
        ValueError: a line is no row.
    """
    end = text.rfind(b"\n") + 1
    if text[end:].startswith(b"{"):
        try:
            parsed(text[end:].decode())
        except ValueError:
            return _read(file, text[:end]), text[end:]
    return _read(file, text), b""


def _read(file: Path, whole: bytes) -> list[ReplyRow]:
    found = []
    for number, line in enumerate(whole.split(b"\n"), start=1):
        if not line.strip():
            continue
        try:
            found.append(ReplyRow.from_json(line.decode()))
        except (ValueError, TypeError) as error:
            raise ValueError(f"{file}, line {number}, is no stored reply: {error}") from error
    return found
