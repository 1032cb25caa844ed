"""Sets of questions as a policy is asked them: from files, and from the environments of the suite."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from functools import partial
from itertools import pairwise
from typing import Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from ssl4rl_agents.choosing.altering import HOW, deranged, shuffled
from ssl4rl_agents.choosing.asking import SHOWN, Asked, drawn, obstacle
from ssl4rl_agents.choosing.questions import Question, Wording
from ssl4rl_agents.policies.policy import Policy
from ssl4rl_envs import Stream, Task, hash_seed
from ssl4rl_envs.interface import Interface

AT_ONCE = 64
"""Questions that are shown at a time."""

HELD = 256
"""Most pictures of unlike sizes that wait for others of their size."""

GREY = 127


class Part(NamedTuple):
    """Some questions of a set as a policy takes them.

    Args:
        questions: without their pictures where those are among the observations alone.
        observations: what is shown of them.
        offered: what may be answered, words or actions, for each option of each question.
    """

    questions: list[Question]
    observations: dict[str, Any]
    offered: list[tuple[Any, ...]]


class Questions(Protocol):
    """A set of questions."""

    name: str

    def __len__(self) -> int:
        """Return how many there are, rotations counted."""
        ...

    def ways(self, policy: Policy, /) -> tuple[str, ...]:
        """Return how what the questions show a policy can be altered, of `asking.ALTERED`; empty if not at all."""
        ...

    def parts(self, policy: Policy, how: str | None = None) -> Iterator[Part]:
        """Give all questions in parts, those of equal sizes together; with `how`, those that show something, altered.

        How pictures and graphs are altered, `asking.Asked.seen` says; None leaves them as they are.

        Raises:
            NothingToSwapError: how is "swapped", and nearly all questions are about one picture.
        """
        ...


class FileSet:
    """Questions that were read from a file.

    Args:
        name: of the set.
        questions: all of them.
        wording: how they are put.
        seed: of swapping and of noise.
        side: most pixels of a picture's longer side; None shows pictures as they are.
    """

    def __init__(
        self,
        name: str,
        questions: Sequence[Question],
        wording: Wording | None = None,
        *,
        seed: int = 0,
        side: int | None = None,
    ) -> None:
        self.name, self.questions, self.wording = name, list(questions), wording or Wording()
        self._seed, self._side = seed, side

    def __len__(self) -> int:
        return len(self.questions)

    def ways(self, _: Policy, /) -> tuple[str, ...]:
        """Return all ways where any question has a picture."""
        return HOW if any(question.pictures for question in self.questions) else ()

    def parts(self, policy: Policy, how: str | None = None) -> Iterator[Part]:
        """Give questions whose pictures are equally many and of equal sizes together; with `how`, those that have any.

        Raises:
            TypeError: the policy reads no words.
            ValueError: a picture cannot be read.
        """
        if policy.interface != "text":
            raise TypeError(f"{self.name} asks in words, and {type(policy).__name__} reads arrays alone")
        rng = np.random.default_rng(hash_seed(self._seed, "downstream", how or "shown"))
        waiting: dict[tuple[tuple[int, ...], ...], list[tuple[Question, list[NDArray[np.uint8]]]]] = {}
        held = 0
        for question, source in zip(self.questions, self._sources(how, rng), strict=True):
            if how is not None and not source:
                continue
            shown = [self._altered(picture.pixels(self._side), how, rng) for picture in source]
            group = waiting.setdefault(tuple(picture.shape for picture in shown), [])
            group.append((question, shown))
            held += len(shown)
            if len(group) == AT_ONCE or held > HELD:
                fullest = max(waiting, key=lambda sizes: len(waiting[sizes]))
                ready = waiting.pop(fullest)
                held -= sum(len(pictures) for _, pictures in ready)
                yield self._part(ready)
        for ready in waiting.values():
            yield self._part(ready)

    def _sources(self, how: str | None, rng: np.random.Generator) -> list[tuple[Any, ...]]:
        """Return the pictures of each question, or those of another, as many as its own."""
        own = [question.pictures for question in self.questions]
        if how != "swapped":
            return own
        rows = [row for row, pictures in enumerate(own) if pictures]
        order = deranged([self.questions[row].picture for row in rows], rng)
        swapped = list(own)
        for row, other in zip(rows, order.tolist(), strict=True):
            theirs = own[rows[other]]
            swapped[row] = tuple(theirs[place % len(theirs)] for place in range(len(own[row])))
        return swapped

    @staticmethod
    def _altered(pixels: NDArray[np.uint8], how: str | None, rng: np.random.Generator) -> NDArray[np.uint8]:
        if how == "blank":
            return np.full_like(pixels, GREY)
        changed: NDArray[np.uint8] = shuffled(pixels[None], rng)[0] if how == "noise" else pixels
        return changed

    def _part(self, ready: Sequence[tuple[Question, list[NDArray[np.uint8]]]]) -> Part:
        questions = [question for question, _ in ready]
        pictures = zip(*(shown for _, shown in ready), strict=True)
        observations: dict[str, Any] = {f"image_{number:03d}": np.stack(each) for number, each in enumerate(pictures)}
        observations["prompt"] = tuple(self.wording.prompt(question) for question in questions)
        return Part(questions, observations, [self.wording.offered(question) for question in questions])


def some_of(questions: Sequence[Question], most: int | None, seed: int = 0) -> list[Question]:
    """Return at most so many questions, drawn at random, in their order; a group stays together.

    None returns all.
    """
    if most is None or len(questions) <= most:
        return list(questions)
    names = [question.key if question.group is None else question.group for question in questions]
    distinct = list(dict.fromkeys(names))
    sizes = Counter(names)
    kept: set[str] = set()
    room = most
    for place in np.random.default_rng(hash_seed(seed, "some")).permutation(len(distinct)).tolist():
        if sizes[distinct[place]] <= room:
            kept.add(distinct[place])
            room -= sizes[distinct[place]]
    return [question for question, name in zip(questions, names, strict=True) if name in kept]


class EnvSet:
    """Held-out questions of an environment that offer answers which can be listed.

    Args:
        name: of the set.
        task: of the environment.
        count: how many questions.
        split: whose items are asked about.
        seed: of the questions.
        style: "direct" or "think", how they are asked.

    Raises:
        ValueError: a question takes several decisions, or its answers cannot be listed.
    """

    def __init__(
        self, name: str, task: Task, count: int, *, split: str = "test", seed: int = 0, style: str = "direct"
    ) -> None:
        self.name, self._task, self._count, self._split, self._style = name, task, count, split, style
        self._seed = hash_seed(seed, "downstream")
        if count < 1:
            raise ValueError(f"there must be at least one question, got {count}")
        why = obstacle(task, task.sample(self._stream(0, 1)), words=task.has_text)
        if why:
            raise ValueError(f"{name} {why}, so there is nothing to choose from; choose another")

    def __len__(self) -> int:
        return self._count

    def _stream(self, first: int, count: int) -> Stream:
        return Stream.span(self._split, self._seed, first, count)

    def _drawn(self, policy: Policy, first: int, count: int) -> Asked:
        return drawn(Interface(self._task, policy.interface, self._style), self._stream(first, count))

    def _luck(self, first: int, how: str) -> np.random.Generator:
        return np.random.default_rng(hash_seed(self._seed, how, first))

    def ways(self, policy: Policy, /) -> tuple[str, ...]:
        """Return the ways of `asking.Asked`."""
        return self._drawn(policy, 0, 1).ways

    def parts(self, policy: Policy, how: str | None = None) -> Iterator[Part]:
        """Give all questions, `AT_ONCE` or fewer at a time."""
        starts = np.linspace(0, self._count, -(-self._count // AT_ONCE) + 1).astype(int).tolist()  # none has one row alone
        for first, end in pairwise(starts):
            asked = self._drawn(policy, first, end - first)
            (observations,) = asked.seen(policy, (how or SHOWN,), partial(self._luck, first)).values()
            yield Part(_questions(asked, first), observations, list(asked.options))


def _questions(asked: Asked, first: int) -> list[Question]:
    """Return questions of a task as those of a file are, the first of them under this number."""
    items, favoured = asked.items.tolist(), [None] * len(asked.items) if asked.favoured is None else asked.favoured.tolist()
    return [
        Question(
            key=str(first + row),
            pictures=(),
            prompt="",
            options=asked.labels[row],
            truth=int(asked.truth[row]),
            kind=asked.kinds[row],
            picture=str(items[row]) if items[row] >= 0 else f"question {first + row}",
            favoured=favoured[row],
        )
        for row in range(len(items))
    ]
