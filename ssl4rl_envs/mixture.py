"""Mixture: several tasks in one, over one padded observation and the union of their actions."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from functools import cached_property
from typing import Any, Self, cast

import numpy as np
from gymnasium import spaces
from numpy.typing import NDArray

from ssl4rl_envs.composite import Composite
from ssl4rl_envs.kernels.tensors import room_beside
from ssl4rl_envs.stream import Stream, hash_seed
from ssl4rl_envs.taken import Taken
from ssl4rl_envs.task import Batch, Rows, Score, Step, Task

TASK = "task"


class Parts(Composite):
    """Tasks side by side: every instance is one of `parts`, drawn by `weights` or chosen by a schedule.

    An observation holds the pictures of the part that is asked in the order of showing, as `image` where no part has more
    than one and as `image_1`, `image_2`, ... otherwise; what a part shows beside them, by its own name; and `task`, the
    number of the part. Where the part has fewer or smaller ones, there are zeros. Actions are the union of the parts': what
    a part has no use for is ignored. Instance i of a part is instance i of that task on its own; which part is asked is drawn
    from the mixture's own numbers.

    Args:
        parts: the tasks; they show pictures, and beside them what zeros can stand for; their actions are all Discrete or
            MultiDiscrete, or all the same.
        weights: how likely each part is, in proportion to one another; parts of weight 0 are never drawn.

    Raises:
        ValueError: there is no part, the weights do not fit, or the parts do not fit together.
    """

    asks = "what one of several tasks asks"
    answer_format = None

    def __init__(self, parts: Sequence[Task], weights: Sequence[float] = ()) -> None:
        if not parts:
            raise ValueError("a mixture needs at least one task")
        if weights and len(weights) != len(parts):
            raise ValueError(f"need one weight a task: {len(parts)} tasks, {len(weights)} weights")
        shares = np.array(weights or [1.0] * len(parts), np.float64)
        if not np.isfinite(shares).all() or (shares < 0).any() or not shares.any():
            raise ValueError(f"weights must be numbers from 0, one of them above it, got {list(weights)}")
        self.tasks, self.weights = tuple(parts), shares / shares.sum()
        self._ones: list[Batch] | None = None
        self._shapes: list[tuple[int, ...]] = []
        self.action_space = _union([part.action_space for part in parts])
        self.horizon = max(part.horizon for part in parts)
        most = max(len(part.images) for part in parts)
        self.images = ("image",) if most == 1 else tuple(f"image_{i + 1}" for i in range(most))
        shown: dict[str, spaces.Space[Any]] = {}
        for place, name in enumerate(self.images):
            sides = [part.observation_space[part.images[place]].shape or () for part in parts if place < len(part.images)]
            shown[name] = spaces.Box(0, 255, (*np.max(sides, axis=0)[:2].tolist(), 3), np.uint8)
        self._beside = _beside_pictures(parts)
        self._places = [  # the names of what a part shows, and those under which it stands here
            [
                *zip(part.images, self.images, strict=False),
                *((name, name) for name in self._beside if name in part.observation_space.spaces),
            ]
            for part in parts
        ]
        self.observation_space = spaces.Dict({**shown, **self._beside, TASK: spaces.Discrete(len(parts))})

    @cached_property
    def chance(self) -> float:
        """The weighted mean of the parts'."""
        return float(sum(w * part.chance for w, part in zip(self.weights, self.tasks, strict=True)))

    @property
    def parts(self) -> tuple[Task, ...]:
        """The tasks side by side."""
        return self.tasks

    @property
    def stream_key(self) -> int:
        """What it is drawn from which part is asked: the parts and their weights."""
        return hash_seed("parts", *(part.stream_key for part in self.tasks), *self.weights.tobytes())

    def make(self, stream: Stream) -> Batch:
        """Draw a part for each row, and make its instance."""
        edges = np.cumsum(self.weights)
        return self.sample_parts(stream, np.searchsorted(edges / edges[-1], stream.branch("mixture").uniform(), side="right"))

    def sample_parts(self, stream: Stream, chosen: NDArray[np.int64]) -> Batch:
        """Make the instances of a stream, each of the part that `chosen` (n,) names."""
        count = len(stream)
        ones = self._one_of_each(stream.split)
        beside = ones[0].observation[self.tasks[0].images[0]]
        observation: dict[str, NDArray[Any]] = {
            name: room_beside(beside, (count, *(self.observation_space[name].shape or ())), 0) for name in self.images
        }
        for name, space in self._beside.items():
            observation[name] = np.zeros((count, *space.shape), space.dtype)
        observation[TASK] = np.asarray(chosen, np.int64).copy()
        shapes = {one.target.shape[1:] for one in ones}
        shape = shapes.pop() if len(shapes) == 1 else (max(one.target.size for one in ones),)
        target = np.zeros((count, *shape), np.result_type(*(one.target for one in ones)))
        memory = {
            f"{number}.{name}": np.zeros((count, *values.shape[1:]), values.dtype)
            for number, one in enumerate(ones)
            for name, values in one.memory.items()
        }
        mixed = Batch(observation, target, np.full(count, -1, np.int64), memory)
        for number, part in enumerate(self.tasks):
            rows = np.flatnonzero(chosen == number)
            if len(rows):
                self._put(mixed, number, rows, part.sample(stream.rows(rows)))
        return mixed

    def around(self, tasks: tuple[Task, ...]) -> Self:
        """Return a mixture of other tasks of the same kinds."""
        mixture = super().around(tasks)
        mixture._ones = None  # theirs may lie elsewhere
        return mixture

    def advance(self, state: Batch, actions: NDArray[Any]) -> Step:
        """Take one decision as the parts do."""
        after = state
        reward, (success, terminated) = np.zeros(len(state), np.float32), np.zeros((2, len(state)), bool)
        for number, rows, part in self.asked(state):
            step = self.tasks[number].advance(part, self.narrow(actions[rows], number))
            if step.state is not part:
                after = state.copy() if after is state else after
                self._put(after, number, rows, step.state)
            reward[rows], success[rows], terminated[rows] = step.score.reward, step.score.success, step.terminated
        return Step(after, Score(reward, success), terminated)

    def example(self) -> Any:
        """Return an answer that is valid in every part: 0, or 0, 1, 2, ... where there are several slots."""
        space = self.action_space
        if isinstance(space, spaces.MultiDiscrete):
            return np.minimum(np.arange(len(space.nvec)), space.nvec - 1)
        return 0 if isinstance(space, spaces.Discrete) else self.tasks[0].example()

    def info(self, batch: Batch) -> dict[str, NDArray[Any]]:
        """Return `task`, and `action_mask` where a part has one."""
        facts: dict[str, NDArray[Any]] = {TASK: batch.observation[TASK].copy()}
        masks = {number: self.tasks[number].info(part).get("action_mask") for number, _, part in self.asked(batch)}
        if isinstance(self.action_space, spaces.Discrete) and self._masked():
            mask = np.zeros((len(batch), int(self.action_space.n)), np.int8)
            for number, rows, _ in self.asked(batch):
                part_mask, space = masks[number], self.tasks[number].action_space
                width = int(space.n) if isinstance(space, spaces.Discrete) else 0
                mask[rows, :width] = 1 if part_mask is None else part_mask
            facts["action_mask"] = mask
        return facts

    def valid(self, answers: NDArray[Any]) -> NDArray[np.bool_]:
        """Return which answers lie in the union of actions; what of it is valid depends on what was asked."""
        return Task.valid(self, answers)

    def asked(self, batch: Batch) -> Iterator[tuple[int, NDArray[np.int64], Batch]]:
        """Go through the parts that are asked: number, rows, and the instances as the part itself made them."""
        for number in np.unique(batch.observation[TASK]).tolist():
            rows = np.flatnonzero(batch.observation[TASK] == number)
            yield number, rows, self._take(batch, number, rows)

    def _take(self, batch: Batch, number: int, rows: NDArray[np.int64]) -> Batch:
        part = self.tasks[number]
        every: Rows = slice(None) if len(rows) == len(batch) else rows
        shown = {}
        for name, place in self._places[number]:
            room = tuple(slice(side) for side in part.observation_space[name].shape or ())
            shown[name] = batch.observation[place][:, *room]
        memory = {
            name.removeprefix(f"{number}."): values[rows]
            for name, values in batch.memory.items()
            if name.startswith(f"{number}.")
        }
        shape = self._shapes[number]
        target = batch.target[rows].reshape(len(rows), -1)[:, : math.prod(shape)].reshape(len(rows), *shape)
        taken = cast("dict[str, NDArray[Any]]", Taken(shown, every))  # it is only read
        return Batch(taken, target, batch.items[rows], memory)

    def _put(self, mixed: Batch, number: int, rows: NDArray[np.int64], part: Batch) -> None:
        for name, place in self._places[number]:
            values = part.observation[name]
            sides: tuple[Any, ...] = tuple(slice(side) for side in values.shape[1:])
            mixed.observation[place][rows, *sides] = values
        mixed.items[rows] = part.items
        flat = part.target.reshape(len(rows), -1)
        mixed.target.reshape(len(mixed), -1)[rows, : flat.shape[1]] = flat
        for name, values in part.memory.items():
            mixed.memory[f"{number}.{name}"][rows] = values

    def _masked(self) -> bool:
        """Return whether some actions of some part may have no effect."""
        parts = zip(self.tasks, self._one_of_each("train"), strict=True)
        return any(part.horizon > 1 or "action_mask" in part.info(one) for part, one in parts)

    def _one_of_each(self, split: str) -> list[Batch]:
        """Return one instance of each part, for the shapes of what is hidden; they are the same for all instances."""
        if self._ones is None:
            self._ones = [part.sample(Stream(split, [0], [0])) for part in self.tasks]
            self._shapes = [one.target.shape[1:] for one in self._ones]
        return self._ones

    def narrow(self, answers: NDArray[Any], number: int) -> NDArray[Any]:
        """Return what a part takes of answers (n, ...) of the union."""
        space = self.tasks[number].action_space
        if space == self.action_space:
            return answers
        if isinstance(space, spaces.Discrete):
            return answers if answers.ndim == 1 else answers[:, 0]
        return answers[:, : int(np.prod(space.shape or (1,)))]

    def widen(self, answers: NDArray[Any], rows: NDArray[np.int64], part: NDArray[Any]) -> None:
        """Write a part's answers into rows of answers of the union."""
        if not len(rows):
            return
        if answers.ndim == 1 or part.shape[1:] == answers.shape[1:]:
            answers[rows] = part
        else:
            answers[rows, : part.shape[1] if part.ndim > 1 else 1] = part.reshape(len(rows), -1)


def _beside_pictures(parts: Sequence[Task]) -> dict[str, spaces.Box]:
    """Return boxes that hold what each part shows beside its pictures, by name.

    Raises:
        ValueError: a part shows no pictures, or something beside them that zeros cannot stand for.
    """
    found: dict[str, spaces.Box] = {}
    for part in parts:
        if not part.images or not set(part.images) <= set(part.observation_space):
            raise ValueError(
                f"{type(part).__name__} shows no pictures; only tasks over pictures can stand side by side, in a mixture "
                "or as the levels of a curriculum"
            )
        for name in set(part.observation_space) - set(part.images):
            space = part.observation_space[name]
            if not isinstance(space, spaces.Box) or (space.low > 0).any() or (space.high < 0).any():
                raise ValueError(
                    f"{type(part).__name__} shows {name!r} beside its pictures, {space}; only a Box that holds 0 can stand "
                    "beside those of other tasks"
                )
            known = found.setdefault(name, space)
            if known.dtype != space.dtype or len(known.shape) != len(space.shape):
                raise ValueError(f"{name!r} of {type(part).__name__} is {space}, that of a task beside it {known}")
            shape = tuple(int(side) for side in np.maximum(known.shape, space.shape))
            low, high = min(known.low.min(), space.low.min()), max(known.high.max(), space.high.max())
            found[name] = spaces.Box(low, high, shape, space.dtype.type)
    return dict(sorted(found.items()))


def _union(actions: Sequence[spaces.Space[Any]]) -> Any:
    """Return the space that holds the actions of all."""
    if all(space == actions[0] for space in actions):
        return actions[0]
    lengths = []
    for space in actions:
        if isinstance(space, spaces.Discrete) and space.start == 0:
            lengths.append(np.array([space.n]))
        elif isinstance(space, spaces.MultiDiscrete) and space.nvec.ndim == 1 and not space.start.any():
            lengths.append(space.nvec)
        else:
            raise ValueError(
                f"actions {', '.join(map(str, actions))} have no union; a mixture takes Discrete and MultiDiscrete ones that "
                "count from 0, or equal ones"
            )
    slots = max(len(counts) for counts in lengths)
    most = np.max([np.pad(counts, (0, slots - len(counts)), constant_values=1) for counts in lengths], axis=0)
    return spaces.Discrete(int(most[0])) if slots == 1 else spaces.MultiDiscrete(most)
