"""Stored replies: one JSON line a reply, with the keys that its question is made again from.

What was replied and what it is worth are two things. A row holds no score and no truth; `ssl4rl_agents.scoring` makes the
question again from the keys and scores the reply, today by one grammar and tomorrow by another. Models behind an endpoint,
models of transformers, people and rules all leave such rows, so that they stand in one table.

    with ReplyFile(Path("replies.jsonl")) as file:
        file.append(ReplyRow(env_id="SSL4RL/Rotation-v0", args='{"source": "digits"}', split="test", seed=0, index=7,
                             prompt_style="direct", model="ann", kind="person", reply="<answer>90</answer>"))
"""

from __future__ import annotations

import fcntl
import hashlib
import inspect
import json
import os
import threading
import time
import warnings
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike

from ssl4rl_agents.runs.files import InUseError, finite
from ssl4rl_envs.registration import load_class, registered_task, task_arguments

VERSION = 1
KINDS: tuple[str, ...] = ("model", "person", "agent")
"""Who replies: a language model, a person, or an agent of the registry (rules, chance, the oracle, trained runs)."""

_TEXTS = ("env_id", "args", "split", "prompt_style", "model", "kind")
_WHOLE = ("seed", "index", "sample", "attempts", "version")
_USAGE = ("prompt_tokens", "completion_tokens")


@dataclass(frozen=True)
class ReplyRow:
    """One reply to one question.

    Args:
        env_id, args, split, seed, index: where the question is from; `args` is JSON, see `written_arguments`.
        prompt_style: how it was asked to reply: "direct", "think" or "tool".
        model: who replied, e.g. "gpt-4o", "ann" or "rule".
        kind: "model", "person" or "agent".
        reply: what was replied, to the letter; of a tool call its arguments, as JSON. None where no reply came.
        error: why no reply came; None where one did.
        sample: which of several replies to the question, from 0.
        settings: how it was sampled, e.g. {"temperature": 0.0, "max_tokens": 64}; another temperature is another run.
        finish_reason: why the reply ends, as the endpoint says it; "length" for one that was cut off.
        usage: "prompt_tokens" and "completion_tokens", where they are known.
        latency: seconds from the request that was answered to its reply.
        attempts: requests until it came.
        question: digest of what was shown, see `question_digest`; None where nobody noted it.
        time: when it came, in ISO 8601, UTC.
        version: of this format.

    Raises:
        ValueError: a field has a value that it cannot have.
    """

    env_id: str
    args: str
    split: str
    seed: int
    index: int
    prompt_style: str
    model: str
    kind: str
    reply: str | None = None
    error: str | None = None
    sample: int = 0
    settings: dict[str, Any] = field(default_factory=dict)
    finish_reason: str | None = None
    usage: dict[str, int] | None = None
    latency: float | None = None
    attempts: int = 1
    question: str | None = None
    time: str = field(default_factory=lambda: time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()))
    version: int = VERSION

    def __post_init__(self) -> None:
        for name in _TEXTS:
            if not isinstance(getattr(self, name), str):
                raise ValueError(f"{name} must be a str, got {getattr(self, name)!r}")
        for name in _WHOLE:
            if not _is_count(getattr(self, name)):
                raise ValueError(f"{name} must be a whole number from 0, got {getattr(self, name)!r}")
        if not isinstance(self.settings, dict):
            raise ValueError(f"settings must be an object, got {self.settings!r}")
        if self.usage is not None and not (
            isinstance(self.usage, dict) and all(_is_count(self.usage.get(each)) for each in _USAGE)
        ):
            raise ValueError(f"usage must be counts of {' and '.join(_USAGE)}, got {self.usage!r}")
        if self.version > VERSION:
            raise ValueError(f"it is written in format {self.version}, and this version of ssl4rl knows {VERSION}")
        if self.kind not in KINDS:
            raise ValueError(f"kind must be one of {', '.join(KINDS)}, got {self.kind!r}")
        if (self.reply is None) == (self.error is None):
            raise ValueError("a row has either a reply or an error")
        if self.reply is not None and not isinstance(self.reply, str):
            raise ValueError(f"reply must be a str, got {self.reply!r}")

    @property
    def run(self) -> tuple[str, ...]:
        """What the replies of one measurement share: who replied, how, and of which environment and split."""
        settings = json.dumps(self.settings, sort_keys=True)
        return (self.env_id, self.args, self.split, self.prompt_style, self.model, self.kind, settings)

    @property
    def key(self) -> tuple[Any, ...]:
        """What there is one reply of."""
        return (*self.run, self.seed, self.index, self.sample)

    def to_json(self) -> str:
        """Return the row as a line, without its end."""
        return json.dumps(finite(asdict(self)), allow_nan=False)

    @classmethod
    def from_json(cls, line: str) -> Self:
        """Read a line.

        Raises:
            ValueError: it is no row; the message says why.
        """
        data = json.loads(line)
        if not isinstance(data, dict):
            raise ValueError(f"it is no object, but {data!r:.60}")
        known = {each.name for each in fields(cls)}
        missing = {"env_id", "args", "split", "seed", "index", "prompt_style", "model", "kind"} - data.keys()
        if missing or data.keys() - known:
            raise ValueError(f"fields are missing: {sorted(missing)}; or unknown: {sorted(data.keys() - known)}")
        return cls(**data)


def _is_count(value: Any) -> bool:
    return type(value) is int and value >= 0


def written_arguments(env_id: str, arguments: dict[str, Any]) -> str:
    """Return the arguments of an environment's task as rows keep them: JSON, by name, defaults included.

    So one environment is written in one way, however it was named, and stays itself where a later version changes a default.

    Raises:
        TypeError: an argument is unknown to the task, of another type, or nothing that JSON can keep, such as a source that
            is an object and not a name.
        ValueError: there is no such level.
    """
    path, registered = registered_task(env_id)
    given = task_arguments(path, {**registered, **arguments})
    parameters = inspect.signature(load_class(path)).parameters
    defaults = {name: each.default for name, each in parameters.items() if each.default is not each.empty}
    try:
        return json.dumps(task_arguments(path, {**defaults, **given}), sort_keys=True)
    except TypeError as error:
        raise TypeError(f"stored replies keep the arguments as JSON; name the source instead ({error})") from error


def question_digest(prompt: str, pictures: Iterable[ArrayLike]) -> str:
    """Return a digest of what was shown, by which a change of the question is noticed when a reply is scored later.

    Args:
        prompt: the words.
        pictures: in the order of showing, each (height, width, 3) uint8 or a Pillow picture.
    """
    digest = hashlib.blake2b(prompt.encode(), digest_size=12)
    for picture in pictures:
        array = np.ascontiguousarray(picture, np.uint8)
        digest.update(repr(array.shape).encode())
        digest.update(array.tobytes())
    return digest.hexdigest()


class ReplyFile:
    """A file of replies that one process writes at a time, row by row, and goes on with after a kill.

    Each row is one write of a whole line, so that a kill cuts off the last line at most. That line is cut away when the file
    is opened again, with a warning; its question counts as not asked. Threads may append at the same time.

    Args:
        path: ends in .jsonl; it is made if need be, with its folder.

    Raises:
        InUseError: another process writes it.
        ValueError: a line is no row; the message names file and line.
    """

    def __init__(self, path: Path) -> None:
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
            whole = text[: text.rfind(b"\n") + 1]
            if len(whole) < len(text):
                warnings.warn(
                    f"{self.path}: the last line was cut off, {len(text) - len(whole)} bytes of a row that was not finished; "
                    "it is cut away, and its question counts as not asked",
                    stacklevel=2,
                )
                os.ftruncate(handle, len(whole))
            self._rows = newest(_read(self.path, whole))
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
        """Add a row; a kill after this returns does not lose it."""
        line = (row.to_json() + "\n").encode()
        with self._writing:
            if self._handle is None:
                raise ValueError(f"{self.path} is not open; use `with ReplyFile(path) as file`")
            while line:
                line = line[os.write(self._handle, line) :]
            self._rows = _joined(self._rows, row)


def read_replies(paths: Sequence[Path]) -> list[ReplyRow]:
    """Read the replies of files, and of the files *.jsonl of folders; the row of each key, see `newest`.

    A last line that is cut off is left out with a warning: it is still being written, or was when its writer was killed.

    Raises:
        OSError: there is no such file.
        ValueError: a line is no row, or a folder has no files of replies; the message names it.
    """
    found: list[ReplyRow] = []
    for path in paths:
        files = sorted(path.glob("*.jsonl")) if path.is_dir() else [path]
        if not files:
            raise ValueError(f"the folder {path} has no files of replies, *.jsonl")
        for file in files:
            text = file.read_bytes()
            whole = text[: text.rfind(b"\n") + 1]
            if len(whole) < len(text):
                warnings.warn(f"{file}: the last line is cut off and left out", stacklevel=2)
            found += _read(file, whole)
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
