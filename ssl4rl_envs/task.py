"""The contract of a pretext task: what is asked, and what answers are worth; what is said of it is in `speech`.

A task is pure. It holds its configuration and its source, never a state or a generator; whatever is random comes from the
`Stream` it is handed. Environments, trainers and exporters all go through these methods and no others.
"""

from __future__ import annotations

import copy
from abc import abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple, Self

import numpy as np
from gymnasium import spaces
from numpy.typing import NDArray

from ssl4rl_envs import blind, identity
from ssl4rl_envs.actions import bounds, inside
from ssl4rl_envs.arguments import checked_constructor
from ssl4rl_envs.briefly import briefly
from ssl4rl_envs.kernels.tensors import joined
from ssl4rl_envs.memory import copy_of
from ssl4rl_envs.speech import Speech
from ssl4rl_envs.stream import Stream, hash_seed

if TYPE_CHECKING:
    from ssl4rl_envs.sources.named import SourceTable

Rows = NDArray[np.bool_] | NDArray[np.integer] | slice


@dataclass(frozen=True)
class Batch:
    """n instances: what is shown, and what is hidden.

    Args:
        observation: arrays (n, ...) by name, as in the task's `observation_space`.
        target: (n, ...) the hidden truth that answers are scored against.
        items: (n,) the items of the source the instances were made from, for statistics by item; -1 where there is none.
        memory: arrays (n, ...) by name: what the task remembers of the episode so far, or the drawer knows for `rationale`.
            Never shown; empty for most tasks.
    """

    observation: dict[str, NDArray[Any]]
    target: NDArray[Any]
    items: NDArray[np.int64]
    memory: dict[str, NDArray[Any]] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.target)

    def rows(self, rows: Rows) -> Batch:
        """Return the chosen rows as a new batch."""
        observation = {name: values[rows] for name, values in self.observation.items()}
        memory = {name: values[rows] for name, values in self.memory.items()}
        return Batch(observation, self.target[rows], self.items[rows], memory)

    def copy(self) -> Batch:
        """Return a batch of arrays of its own."""
        return self.replace(slice(0, 0), self.rows(slice(0, 0)))

    @staticmethod
    def concatenate(batches: Sequence[Batch]) -> Batch:
        """Return the rows of several batches of one task, one batch after the other, as a new batch.

        Raises:
            ValueError: there is no batch, or they do not show or remember the same things.
        """
        if not batches:
            raise ValueError("there must be at least one batch to concatenate")
        return Batch(
            _joined([batch.observation for batch in batches]),
            np.concatenate([batch.target for batch in batches]),
            np.concatenate([batch.items for batch in batches]),
            _joined([batch.memory for batch in batches]),
        )

    def put(self, rows: Rows, other: Batch) -> None:
        """Write the rows of `other` into these rows, for who owns the arrays."""
        self.target[rows], self.items[rows] = other.target, other.items
        for own, others in ((self.observation, other.observation), (self.memory, other.memory)):
            for name, values in own.items():
                values[rows] = others[name]

    def replace(self, rows: Rows, other: Batch) -> Batch:
        """Return a new batch in which `rows` are those of `other`."""
        return Batch(
            {name: _replaced(values, rows, other.observation[name]) for name, values in self.observation.items()},
            _replaced(self.target, rows, other.target),
            _replaced(self.items, rows, other.items),
            {name: _replaced(values, rows, other.memory[name]) for name, values in self.memory.items()},
        )


Completer = Callable[[Batch], dict[str, NDArray[Any]]]
"""Lays out anew what a batch lacks of what is shown, arrays (n, ...) by name."""


def nothing(batch: Batch) -> dict[str, NDArray[Any]]:
    """Lay out nothing, where batches lack nothing."""
    del batch
    return {}


def _replaced(values: NDArray[Any], rows: Rows, others: NDArray[Any]) -> NDArray[Any]:
    result = copy_of(values)
    result[rows] = others
    return result


def _joined(parts: Sequence[dict[str, NDArray[Any]]]) -> dict[str, NDArray[Any]]:
    if any(set(part) != set(parts[0]) for part in parts):
        raise ValueError(f"batches of one task hold the same arrays, got {[sorted(part) for part in parts]}")
    return {name: joined([part[name] for part in parts]) for name in parts[0]}


@dataclass(frozen=True)
class Level:
    """A degree of difficulty: its name, and the arguments of the task that make it."""

    name: str
    arguments: dict[str, Any]


class Score(NamedTuple):
    """How good n answers are: `reward` (n,) float32 in [0, 1], the thing to maximise, and `success` (n,) bool, a metric."""

    reward: NDArray[np.float32]
    success: NDArray[np.bool_]


class Step(NamedTuple):
    """What one decision led to: the next state, whose observation is what is seen next, its score, and which rows ended."""

    state: Batch
    score: Score
    terminated: NDArray[np.bool_]


class Task(Speech):
    """One pretext task over one source.

    Subclasses set the attributes below in their constructor, whose keyword arguments are the arguments of the environment,
    and implement `make` and `score`, and of `Speech` `question` and `example`. All arrays are batch-first; n is the number of
    instances. What a task made of tasks passes on, `Composite` says.

    Attributes:
        observation_space: of one instance; a `Dict` of `Box`es (and `Discrete`s).
        action_space: of one answer; `Discrete`, `MultiDiscrete`, `MultiBinary` or `Box`.
        images, answer_format: as of `Speech`.
        horizon: most decisions of an episode.
    """

    levels: ClassVar[tuple[Level, ...]] = ()
    """Degrees of difficulty, from the easiest to the hardest; ``level=`` picks one by name."""

    legitimate: ClassVar[dict[str, str]] = {}
    """Solvers of `ssl4rl audit` that may beat chance without understanding the picture, by name, and why that is accepted."""

    sources: ClassVar[SourceTable[Any] | None] = None
    """What its source may be by name; None for a task without sources."""

    observation_space: spaces.Dict
    action_space: spaces.Discrete | spaces.MultiDiscrete | spaces.MultiBinary | spaces.Box
    horizon: int = 1
    _configuration: tuple[str, ...]
    _pairing: str | None

    def __new__(cls, *args: Any, **kwargs: Any) -> Self:
        """Note the arguments: they are a part of what questions are drawn from."""
        task = super().__new__(cls)
        task._configuration = identity.configuration(cls, args, kwargs)
        task._pairing = None
        return task

    def __init_subclass__(cls, **kwargs: Any) -> None:
        """Hold the arguments of every constructor against its hints, however a task is made."""
        super().__init_subclass__(**kwargs)
        if "__init__" in vars(cls):
            cls.__init__ = checked_constructor(cls)  # type: ignore[method-assign]

    @property
    def parts(self) -> tuple[Task, ...]:
        """The tasks that a mixture is made of; none for all others."""
        return ()

    @property
    def stream_key(self) -> int:
        """What questions are drawn from beside split, seed and index: class, arguments and the content of the source.

        So two tasks with one seed ask unrelated questions. Tasks that are `paired` by one word draw from the word alone.
        """
        if self._pairing is not None:
            return hash_seed("paired", self._pairing)
        source = getattr(getattr(self, "source", None), "fingerprint", "")
        return hash_seed("task", *self._configuration, source)

    def paired(self, word: str) -> Self:
        """Return a copy of the task whose random numbers are those of every task that is paired by this word.

        For ablations that ask the same under two arguments: what both draw alike is the same, targets above all.
        """
        if not isinstance(word, str) or not word:
            raise ValueError(f"tasks are paired by a word, e.g. pairing='my ablation', got {briefly(word)}")
        task = copy.copy(self)
        task._pairing = word
        return task

    def sample(self, stream: Stream) -> Batch:
        """Make the instances of a stream, one a row; a pure function of the task's configuration and the stream's keys."""
        return self.make(stream.keyed(self.stream_key))

    def compact(self, stream: Stream) -> Batch:
        """Make the same instances for who calls `complete` before anything is shown: what takes much memory may be left out.

        By default nothing is.
        """
        return self.sample(stream)

    def completer(self) -> Completer:
        """Return what lays out that part of the observation of `compact` batches that they lack; by default nothing.

        Whoever completes many batches asks for it once.
        """
        return nothing

    def complete(self, batch: Batch) -> Batch:
        """Return a batch whose observation is as in the `observation_space`, be it compact or not; what it has, it shares."""
        lacking = self.completer()(batch)
        if not lacking:
            return batch
        held = {name: values for name, values in batch.observation.items() if name in self.observation_space.spaces}
        return Batch({**held, **lacking}, batch.target, batch.items, batch.memory)

    @abstractmethod
    def make(self, stream: Stream) -> Batch:
        """Make the instances of a stream that is the task's own (see `stream_key`), one a row."""

    @abstractmethod
    def score(self, answers: NDArray[Any], batch: Batch) -> Score:
        """Score answers (n, ...) of the action space; those that are not `valid` get 0.

        For a task of several decisions, `answers` are the next ones, and the reward is what they gain.
        """

    @cached_property
    def chance(self) -> float:
        """Expected reward of an episode under the best policy that ignores the observation, in [0, 1].

        A task that knows it assigns it. By default it is searched for (`blind.chance_of`), which is for one decision.
        """
        return blind.chance_of(self, 1)

    def reason_for(self, shortcut: str) -> str | None:
        """Return why a solver of `ssl4rl audit` may beat chance with these arguments, None where it must not.

        By default what `legitimate` says of it; a task that has it at some levels alone says so here.
        """
        return self.legitimate.get(shortcut)

    @property
    def no_answer(self) -> NDArray[Any]:
        """What stands in the place of an answer that could not be read: outside the action space, so never valid."""
        low, _ = bounds(self.action_space)
        return np.asarray(low - 1, self.action_space.dtype)

    def random_answers(self, batch: Batch, stream: Stream) -> NDArray[Any]:
        """Return one valid answer a row (n, ...), uniform over what a question offers; nothing hidden is used.

        What is offered, `offered` says.
        """
        space = self.action_space
        if isinstance(space, spaces.Discrete):
            return keep_to(self.offered(batch), space, space.start + stream.integers(0, int(space.n)), stream)
        if isinstance(space, spaces.MultiDiscrete):
            if self.answer_format is not None and self.answer_format.distinct:
                return stream.choice(len(self.answer_format.labels), self.answer_format.slots)
            return space.start + stream.integers(0, space.nvec, space.shape)
        if isinstance(space, spaces.MultiBinary):
            return stream.integers(0, 2, space.shape).astype(space.dtype)
        return (space.low + stream.uniform(space.shape) * (space.high - space.low)).astype(space.dtype)

    @property
    def kind_names(self) -> tuple[str, ...]:
        """What the numbers stand for that `info` calls `kind`, where a task has kinds of questions: its levels."""
        return tuple(level.name for level in self.levels)

    @property
    def most_offered(self) -> int:
        """Most actions that a question offers; 0 where actions are not single numbers. See `offered`."""
        return int(self.action_space.n) if isinstance(self.action_space, spaces.Discrete) else 0

    def offered(self, batch: Batch) -> NDArray[np.bool_] | None:
        """Return which actions each of n questions offers, (n, actions); None where actions are not single numbers.

        That is what `action_mask` allows, or all; a mask that forbids everything forbids nothing.
        """
        space = self.action_space
        if not isinstance(space, spaces.Discrete):
            return None
        mask = self.info(batch).get("action_mask")
        if mask is None:
            return np.ones((len(batch), int(space.n)), bool)
        allowed = np.asarray(mask, bool)
        return allowed | ~allowed.any(axis=1, keepdims=True)

    def blind_answers(self) -> NDArray[Any]:
        """Return answers (m, ...) that may earn something from who does not look; see `ssl4rl_envs.blind`.

        It is asked where the answers are too many to list. By default random ones and, of numbers, their mean.
        """
        stream = Stream.span("train", 0, 0, blind.TRIED).branch("blind")
        batch = self.sample(stream)
        answers = self.random_answers(batch, stream)
        if not isinstance(self.action_space, spaces.Box):
            return answers
        right = self.oracle(batch)
        return np.concatenate([right.mean(axis=0, keepdims=True), right]).astype(self.action_space.dtype)

    def sample_parts(self, stream: Stream, chosen: NDArray[np.int64]) -> Batch:
        """Make the instances of a stream, each of the part of a mixture that `chosen` (n,) names.

        Raises:
            TypeError: the task is no mixture.
        """
        del stream, chosen
        raise TypeError(f"{type(self).__name__} is no mixture of tasks, so there is nothing to choose")

    def oracle(self, batch: Batch) -> NDArray[Any]:
        """Return the right answers (n, ...)."""
        return batch.target

    def demonstrate(self, batch: Batch) -> NDArray[Any]:
        """Return what a teacher decides next (n, ...), who knows the truth and shows how it is found; why, `rationale` says.

        By default the right answers. It differs from them where whoever knows the truth need not look, and others must.
        """
        return self.oracle(batch)

    def valid(self, answers: NDArray[Any]) -> NDArray[np.bool_]:
        """Return which answers (n, ...) lie in the action space and mean something, shape (n,)."""
        return inside(self.action_space, answers)

    def advance(self, state: Batch, actions: NDArray[Any]) -> Step:
        """Take one decision in each row; a one-step task scores it and ends. What is not `valid` is worth nothing."""
        ended = np.empty(len(state), bool)
        ended.fill(True)
        return Step(state, self.score(actions, state), ended)

    def info(self, batch: Batch) -> dict[str, NDArray[Any]]:
        """Return what everybody may know of the questions beside the observation, arrays (n, ...) by name.

        It stands in the environments' `info`. A task whose actions do not always have an effect gives `action_mask`,
        (n, actions) int8, 1 where they do.
        """
        del batch
        return {}

    def score_texts(self, texts: Sequence[str], batch: Batch, style: str = "direct", grammar: str = "strict") -> Score:
        """Score the replies to n questions; what is not exactly one valid answer gets 0."""
        return self.score(self.parse_all(texts, batch, style, grammar)[0], batch)


def keep_to(offered: NDArray[np.bool_] | None, space: spaces.Discrete, answers: NDArray[Any], stream: Stream) -> NDArray[Any]:
    """Return random answers (n,), those that are not offered drawn anew from those that are; see `Task.offered`."""
    if offered is None or offered.all():
        return answers
    rows = np.flatnonzero(~offered[np.arange(len(answers)), answers - space.start])
    places = stream.branch("offered").below(offered.sum(axis=1))[rows]
    ranks = np.cumsum(offered[rows], axis=1) - 1
    kept = answers.copy()
    kept[rows] = space.start + ((ranks == places[:, None]) & offered[rows]).argmax(axis=1)
    return kept


def exact_score(answers: NDArray[Any], target: NDArray[Any]) -> Score:
    """Score 1 where the whole answer equals the target, 0 elsewhere."""
    right = answers == target
    if right.ndim > 1:
        right = right.reshape(len(target), -1).all(axis=1)
    return Score(right.astype(np.float32), right)
