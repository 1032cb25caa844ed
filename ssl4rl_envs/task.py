"""The contract of a pretext task: sample instances, score answers, write prompts and read replies.

A task is pure. It holds its configuration and its source, never a state or a generator; whatever is random comes from the
`Stream` it is handed. Environments, trainers and exporters all go through these methods and no others.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from gymnasium import spaces
from numpy.typing import NDArray

from ssl4rl_envs import answers
from ssl4rl_envs.answers import AnswerFormat
from ssl4rl_envs.stream import Stream

MAX_PROMPT = 16_384
"""Longest prompt, in characters."""

MAX_REPLY = 16_384
"""Longest reply that can score, in characters."""

Rows = NDArray[np.bool_] | NDArray[np.integer] | slice


@dataclass(frozen=True)
class Batch:
    """n instances: what is shown, and what is hidden.

    Args:
        observation: arrays (n, ...) by name, as in the task's `observation_space`.
        target: (n, ...) the hidden truth that answers are scored against.
        items: (n,) the items of the source the instances were made from, for statistics by item; -1 where there is none.
    """

    observation: dict[str, NDArray[Any]]
    target: NDArray[Any]
    items: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.target)

    def rows(self, rows: Rows) -> Batch:
        """Return the chosen rows as a new batch."""
        observation = {name: values[rows] for name, values in self.observation.items()}
        return Batch(observation, self.target[rows], self.items[rows])

    def replace(self, rows: Rows, other: Batch) -> Batch:
        """Return a new batch in which `rows` are those of `other`."""
        observation = {name: values.copy() for name, values in self.observation.items()}
        target, items = self.target.copy(), self.items.copy()
        for name, values in other.observation.items():
            observation[name][rows] = values
        target[rows], items[rows] = other.target, other.items
        return Batch(observation, target, items)


@dataclass(frozen=True)
class Score:
    """How good n answers are: `reward` (n,) float32 in [0, 1], the thing to maximise, and `success` (n,) bool, a metric."""

    reward: NDArray[np.float32]
    success: NDArray[np.bool_]


@dataclass(frozen=True)
class Step:
    """What one decision led to: the next state, whose observation is what is seen next, its score, and which rows ended."""

    state: Batch
    score: Score
    terminated: NDArray[np.bool_]


class Task(ABC):
    """One pretext task over one source.

    Subclasses set the attributes below in their constructor, whose keyword arguments are the arguments of the environment,
    and implement `sample`, `score` and `question`. All arrays are batch-first; n is the number of instances.

    Attributes:
        observation_space: of one instance; a `Dict` of `Box`es.
        action_space: of one answer; `Discrete`, `MultiDiscrete`, `MultiBinary` or `Box`.
        images: the keys of the observation that are uint8 RGB pictures (height, width, 3), in the order of showing,
            which is alphabetical, because that is how Gymnasium orders the keys of a Dict space.
        answer_format: how an answer is written, or None for a task that has no text interface.
        chance: expected reward of the best policy that ignores the observation.
        horizon: most decisions of an episode.
    """

    asks: ClassVar[str]
    """What the task asks, in a few words."""

    observation_space: spaces.Dict
    action_space: spaces.Discrete | spaces.MultiDiscrete | spaces.MultiBinary | spaces.Box
    images: tuple[str, ...]
    answer_format: AnswerFormat | None
    chance: float
    horizon: int = 1

    @abstractmethod
    def sample(self, stream: Stream) -> Batch:
        """Make the instances of a stream, one a row; a pure function of the task's configuration and the stream's keys."""

    @abstractmethod
    def score(self, answers: NDArray[Any], batch: Batch) -> Score:
        """Score answers (n, ...) of the action space; those that are not `valid` get 0."""

    @abstractmethod
    def question(self, batch: Batch) -> list[str]:
        """Put the question in words, one string an instance, printable ASCII, without the instructions how to reply."""

    @abstractmethod
    def example(self) -> Any:
        """Return a valid answer for the instructions to show; the same for all instances."""

    def random_answers(self, stream: Stream) -> NDArray[Any]:
        """Return one valid answer a row (n, ...), uniform over all that there are."""
        space = self.action_space
        if isinstance(space, spaces.Discrete):
            return space.start + stream.integers(0, int(space.n))
        if isinstance(space, spaces.MultiDiscrete):
            if self.answer_format is not None and self.answer_format.distinct:
                return stream.choice(len(self.answer_format.labels), self.answer_format.slots)
            return space.start + stream.integers(0, space.nvec, space.shape)
        if isinstance(space, spaces.MultiBinary):
            return stream.integers(0, 2, space.shape).astype(space.dtype)
        return (space.low + stream.uniform(space.shape) * (space.high - space.low)).astype(space.dtype)

    def oracle(self, batch: Batch) -> NDArray[Any]:
        """Return the right answers (n, ...)."""
        return batch.target

    def valid(self, answers: NDArray[Any]) -> NDArray[np.bool_]:
        """Return which answers (n, ...) lie in the action space and mean something, shape (n,)."""
        return inside(self.action_space, answers)

    def advance(self, state: Batch, actions: NDArray[Any]) -> Step:
        """Take one decision in each row; a one-step task scores it and ends."""
        return Step(state, self.score(actions, state), np.ones(len(state), bool))

    def prompts(self, batch: Batch, style: str = "direct") -> list[str]:
        """Return the whole prompts: each question with the instructions of `style` ("direct" or "think")."""
        how = answers.instructions(style, self.format(self.example()))
        prompts = [f"{question} {how}" for question in self.question(batch)]
        answers.check_ascii(prompts)
        return prompts

    def parse(self, text: str, style: str = "direct") -> NDArray[Any] | None:
        """Read a reply; None where it is not exactly one valid answer in the grammar of `style` (see `answers`)."""
        if not isinstance(text, str):
            raise TypeError(f"a reply must be a str, got {type(text).__name__}: {text!r}")
        if self.answer_format is None:
            raise ValueError(f"{type(self).__name__} has no text answers")
        if len(text) > MAX_REPLY:
            return None
        answer = answers.parse(text, self.answer_format, style)
        return answer if answer is not None and self.valid(answer[None])[0] else None

    def format(self, answer: Any) -> str:
        """Write an answer in words, without tags; `parse` reads it back when it stands between them.

        Raises:
            ValueError: the task has no text answers.
        """
        if self.answer_format is None:
            raise ValueError(f"{type(self).__name__} has no text answers")
        return self.answer_format.format(answer)

    def parse_all(self, texts: Sequence[str], style: str) -> tuple[NDArray[Any], NDArray[np.bool_]]:
        """Read n replies: answers (n, ...) with zeros where there is none, and which were answers (n,)."""
        parsed = [self.parse(text, style) for text in texts]
        answered = np.array([answer is not None for answer in parsed], bool)
        array = np.zeros((len(parsed), *(self.action_space.shape or ())), self.action_space.dtype)
        for row in np.flatnonzero(answered):
            array[row] = parsed[row]
        return array, answered

    def score_texts(self, texts: Sequence[str], batch: Batch, style: str = "direct") -> Score:
        """Score n replies; what is not exactly one valid answer gets 0."""
        array, answered = self.parse_all(texts, style)
        score = self.score(array, batch)
        return Score(np.where(answered, score.reward, np.float32(0)), score.success & answered)


def inside(space: spaces.Space[Any], values: NDArray[Any]) -> NDArray[np.bool_]:
    """Return which of n values (n, ...) lie in an action space, (n,); any integer type will do for integers."""
    if isinstance(space, spaces.Discrete):
        low, high = np.asarray(space.start), np.asarray(space.start + space.n - 1)
    elif isinstance(space, spaces.MultiDiscrete):
        low, high = space.start, space.start + space.nvec - 1
    elif isinstance(space, spaces.MultiBinary):
        low, high = np.zeros(space.shape, np.int8), np.ones(space.shape, np.int8)
    elif isinstance(space, spaces.Box):
        low, high = space.low, space.high
    else:
        raise TypeError(f"actions of tasks are Discrete, MultiDiscrete, MultiBinary or Box, got {space}")
    whole = isinstance(space, spaces.Box) or values.dtype.kind in "iu"
    if not whole or values.dtype.kind not in "iuf" or values.shape[1:] != low.shape:
        return np.zeros(len(values), bool)
    within: NDArray[np.bool_] = ((values >= low) & (values <= high)).reshape(len(values), -1)
    return np.asarray(within.all(axis=1), np.bool_)


def exact_score(answers: NDArray[Any], target: NDArray[Any]) -> Score:
    """Score 1 where the whole answer equals the target, 0 elsewhere."""
    right = (answers == target).reshape(len(target), -1).all(axis=1)
    return Score(right.astype(np.float32), right)
