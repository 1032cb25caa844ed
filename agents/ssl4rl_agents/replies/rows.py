"""One reply to one question: a line of JSON, with the keys that its question is made again from."""

from __future__ import annotations

import hashlib
import inspect
import json
import time
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field, fields
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike

from ssl4rl_agents.runs.files import finite
from ssl4rl_envs.answers import check_style
from ssl4rl_envs.bridges.questions import as_json
from ssl4rl_envs.interface import Interface
from ssl4rl_envs.registration import load_class, registered_task, task_arguments
from ssl4rl_envs.stream import check_split
from ssl4rl_envs.task import Batch

VERSION = 1
KINDS: tuple[str, ...] = ("model", "person", "agent")
"""Who replies: a language model, a person, or an agent of the registry (rules, chance, the oracle, trained runs)."""

_TEXTS = ("env_id", "args", "split", "prompt_style", "model", "kind")
_MAYBE = ("reply", "error", "finish_reason", "question")
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
        for name in (*_TEXTS, "time", *_MAYBE):
            self._check_text(name, getattr(self, name))
        for name in _WHOLE:
            if not _is_count(getattr(self, name)):
                raise ValueError(f"{name} must be a whole number from 0, got {getattr(self, name)!r}")
        if max(self.seed, self.index) >= 1 << 64:
            raise ValueError(f"seed and index must be below 2**64, got {self.seed} and {self.index}")
        if not isinstance(self.settings, dict):
            raise ValueError(f"settings must be an object, got {self.settings!r}")
        if self.usage is not None and not (
            isinstance(self.usage, dict) and all(_is_count(self.usage.get(each)) for each in _USAGE)
        ):
            raise ValueError(f"usage must be counts of {' and '.join(_USAGE)}, got {self.usage!r}")
        if self.latency is not None and not (type(self.latency) in (int, float) and 0 <= self.latency < np.inf):
            raise ValueError(f"latency must be seconds from 0, got {self.latency!r}")
        if self.version != VERSION:
            raise ValueError(f"it is written in format {self.version}, and this version of ssl4rl knows {VERSION}")
        if self.kind not in KINDS:
            raise ValueError(f"kind must be one of {', '.join(KINDS)}, got {self.kind!r}")
        if (self.reply is None) == (self.error is None):
            raise ValueError("a row has either a reply or an error")
        check_split(self.split)
        check_style(self.prompt_style)
        if not isinstance(parsed(self.args), dict):
            raise ValueError(f"args must be an object of JSON, got {self.args[:60]!r}")

    def _check_text(self, name: str, value: Any) -> None:
        if value is None and name in _MAYBE:
            return
        if not isinstance(value, str):
            raise ValueError(f"{name} must be a str, got {value!r}")
        if name in _TEXTS and not (value and value.isprintable()):  # what a model replies may be anything
            raise ValueError(f"{name} must be some printable words, got {value!r}")

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
        data = parsed(line)
        if not isinstance(data, dict):
            raise ValueError(f"it is no object, but {data!r:.60}")
        known = {each.name for each in fields(cls)}
        missing = {"env_id", "args", "split", "seed", "index", "prompt_style", "model", "kind"} - data.keys()
        if missing or data.keys() - known:
            raise ValueError(f"fields are missing: {sorted(missing)}; or unknown: {sorted(data.keys() - known)}")
        return cls(**data)


def parsed(text: str) -> Any:
    """Return what JSON says; raises `ValueError` where it is none, or nested deeper than can be read."""
    try:
        return json.loads(text)
    except RecursionError as error:
        raise ValueError("it is nested too deeply") from error


def _is_count(value: Any) -> bool:
    return type(value) is int and value >= 0


def written_arguments(env_id: str, arguments: dict[str, Any]) -> str:
    """Return the arguments of an environment's task as rows keep them: JSON, by name, defaults included.

    So one environment is written in one way, however it was named, and stays itself where a later version changes a default.

    Raises:
        TypeError: an argument is unknown to the task, or of another type.
        ValueError: there is no such level, or an argument is nothing that JSON can keep, such as a source that is an object
            and not a name.
    """
    path, registered = registered_task(env_id)
    given = task_arguments(path, {**registered, **arguments})
    parameters = inspect.signature(load_class(path)).parameters
    defaults = {name: each.default for name, each in parameters.items() if each.default is not each.empty}
    return as_json(task_arguments(path, {**defaults, **given}))


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


def digests_of(shown: Interface, batch: Batch) -> list[str]:
    """Return the digest of each question of a batch, see `question_digest`."""
    arrays = shown.arrays(batch)
    return [
        question_digest(prompt, [arrays[name][row] for name in shown.task.images])
        for row, prompt in enumerate(shown.prompts(batch))
    ]
