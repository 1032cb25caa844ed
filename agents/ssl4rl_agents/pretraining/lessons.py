"""Lessons: pictures with prompts, and the reply to each that is to be learned. All of them are of the train split."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Generator, Sequence
from contextlib import closing
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from ssl4rl_agents.ppo.supervised import random_replies, written
from ssl4rl_agents.pretraining.captions import asked, scene_captions
from ssl4rl_envs import Stream, Task
from ssl4rl_envs.ahead import Ahead
from ssl4rl_envs.interface import Interface
from ssl4rl_envs.sources import PictureSource

PICTURE = "image"
"""What the picture of a caption is called; tasks of one picture call theirs so too."""

TOGETHER = 16
"""Most steps whose rows are made together: tasks that look for pictures which fit look for many at once for little more."""

FORESEEN = 2
"""Blocks that are made ahead: two kinds of lessons may both need new rows from one step to the next."""


@dataclass(frozen=True)
class Rows:
    """What one step shows.

    Args:
        observations: pictures (n, height, width, 3) by name and `prompt`, n strings.
        replies: n whole replies.
    """

    observations: dict[str, Any]
    replies: list[str]

    def __len__(self) -> int:
        return len(self.replies)

    def part(self, rows: slice) -> Rows:
        """Return some of the rows."""
        return Rows({name: values[rows] for name, values in self.observations.items()}, self.replies[rows])

    def unrelated(self, share: float) -> Rows:
        """Return the rows with the pictures of the first of them, a share of all, each passed on to the next one of these."""
        count = round(share * len(self))
        if count < 2:
            return self
        order = np.arange(len(self))
        order[:count] = np.roll(order[:count], 1)
        pictures = {name: values[order] for name, values in self.observations.items() if name != "prompt"}
        return Rows({**self.observations, **pictures}, self.replies)


class Lessons(Protocol):
    """Lessons of one kind, without end."""

    def rows(self, first: int, count: int) -> Rows:
        """Return rows `first` ... `first + count - 1`."""
        ...


@dataclass(frozen=True)
class Answers:
    """Questions of a task with their right answers.

    Args:
        task: what is asked.
        seed: of the questions.
    """

    task: Task
    seed: int

    def rows(self, first: int, count: int) -> Rows:
        """Return questions and answers."""
        interface = Interface(self.task, "text", "direct")
        batch = self.task.sample(Stream.span("train", self.seed, first, count))
        return Rows(interface.observe(batch), written(interface, self.task.oracle(batch), batch))


@dataclass(frozen=True)
class Practice:
    """Questions of a task with random valid answers, which know nothing of them: how its answers are written, and no more.

    Args:
        task: what is asked.
        seed: of questions and answers.
    """

    task: Task
    seed: int

    def rows(self, first: int, count: int) -> Rows:
        """Return questions and random answers."""
        interface = Interface(self.task, "text", "direct")
        stream = Stream.span("train", self.seed, first, count)
        batch = self.task.sample(stream)
        return Rows(interface.observe(batch), random_replies(interface, batch, stream.branch("random answers")))


@dataclass(frozen=True)
class SceneCaptions:
    """Captions of drawn scenes.

    Args:
        source: the scenes, with `labels`.
        image_size: side of the pictures in pixels.
        aspects: what they tell of, names of `captions.ASPECTS`.
        seed: of the scenes and the wordings.
    """

    source: Any
    image_size: int
    aspects: tuple[str, ...]
    seed: int

    def rows(self, first: int, count: int) -> Rows:
        """Return whole scenes and captions."""
        stream = Stream.span("train", self.seed, first, count).branch("captions")
        items = self.source.draw(stream)
        replies = scene_captions(self.source.labels(items), stream, self.aspects)
        return Rows(_shown(self.source, items, self.image_size, stream), replies)


@dataclass(frozen=True)
class NamedCaptions:
    """Captions of pictures whose names say what is seen; see `named_pictures`.

    Args:
        source: the pictures.
        names: what each is, in the order of the items.
        image_size: side of the pictures in pixels.
        seed: of which pictures are shown.
    """

    source: PictureSource
    names: list[str]
    image_size: int
    seed: int

    def rows(self, first: int, count: int) -> Rows:
        """Return whole pictures, their largest square, and captions."""
        stream = Stream.span("train", self.seed, first, count).branch("named captions")
        items = self.source.draw(stream)
        return Rows(_shown(self.source, items, self.image_size, stream), [self.names[item] for item in items])


class Block(NamedTuple):
    """Consecutive steps of one kind of lessons, whose rows are made together.

    Args:
        which: of several kinds of lessons.
        first: the first of its steps, counted among those of its kind.
        steps: how many.
    """

    which: int
    first: int
    steps: int


def blocks_of(order: Sequence[int], most: int = TOGETHER) -> list[Block]:
    """Return whose rows are made together, as they are needed: up to `most` steps, and none that is not shown.

    Args:
        order: which kind of lessons each step shows.
        most: steps of a block.
    """
    totals, begun = Counter(order), Counter[int]()
    blocks = []
    for which in order:
        if begun[which] % most == 0:
            blocks.append(Block(which, begun[which], min(most, totals[which] - begun[which])))
        begun[which] += 1
    return blocks


def steps_of(lessons: Sequence[Lessons], order: Sequence[int], batch: int) -> Generator[Rows]:
    """Yield what each step shows, the next rows of its kind of lessons.

    A thread makes what comes next while the caller learns; it ends with the steps, or when this iterator is closed.

    Args:
        lessons: of each kind.
        order: which kind each step shows.
        batch: rows of a step.
    """
    blocks = blocks_of(order)
    left: list[deque[Rows]] = [deque() for _ in lessons]
    begun = 0

    def made(number: int) -> Rows:
        block = blocks[number]
        return lessons[block.which].rows(block.first * batch, block.steps * batch)

    with closing(Ahead(made)) as ahead:
        for which in order:
            if not left[which]:
                rows = ahead.ask(begun, range(begun + 1, min(begun + 1 + FORESEEN, len(blocks))))
                left[which].extend(rows.part(slice(start, start + batch)) for start in range(0, len(rows), batch))
                begun += 1
            yield left[which].popleft()


def _shown(source: PictureSource, items: NDArray[np.int64], size: int, stream: Stream) -> dict[str, Any]:
    return {PICTURE: source.pixels(source.whole(items), size), "prompt": tuple(asked(stream))}
