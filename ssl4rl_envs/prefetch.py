"""Prefetch: the next questions of many environments are made in a thread while their agent acts."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ssl4rl_envs.ahead import Ahead
from ssl4rl_envs.stream import Stream
from ssl4rl_envs.task import Batch, Task


@dataclass(frozen=True, eq=False)
class Keys:
    """What names n questions: their seeds and indices, (n,) each."""

    seeds: NDArray[np.uint64]
    indices: NDArray[np.int64]

    def __eq__(self, other: object) -> bool:
        """Return whether the other names the same questions in the same order."""
        if not isinstance(other, Keys):
            return NotImplemented
        return np.array_equal(self.seeds, other.seeds) and np.array_equal(self.indices, other.indices)

    def __hash__(self) -> int:
        """Return a number that equal keys have in common."""
        return hash((self.seeds.tobytes(), self.indices.tobytes()))


@dataclass(frozen=True)
class Sampler:
    """Makes questions by their keys: a task and a split, and what to make of the questions beside, ahead of its use."""

    task: Task
    split: str
    show: Callable[[Batch], dict[str, Any]] | None = None

    def __call__(self, keys: Keys) -> tuple[Batch, dict[str, Any] | None]:
        """Return the questions, and what is shown of them."""
        batch = self.task.compact(Stream(self.split, keys.seeds, keys.indices))
        return batch, None if self.show is None else self.show(batch)


class Prefetch:
    """Gives the questions of `count` environments, and makes those that follow in a thread.

    Where episodes have one decision all environments move on together: then whole batches are made ahead, as many as are
    foreseen. Where they have several, only those move on whose episodes end: then one question an environment is made ahead,
    and whichever are asked for are taken from these. Whatever was not foreseen is made when it is asked for, so nothing of
    this shows in what is asked.

    Args:
        task, split: what is asked.
        show: gives what an agent is shown of a batch, its own copy; called in the thread where whole batches are made.
        count: how many environments.
    """

    def __init__(self, task: Task, split: str, show: Callable[[Batch], dict[str, Any]], count: int) -> None:
        self._together = task.horizon == 1
        self._ahead = Ahead(Sampler(task, split, show if self._together else None))
        self._count = count
        self._forget()

    def take(self, rows: NDArray[np.bool_], keys: Keys, following: list[Keys]) -> tuple[Batch, dict[str, Any] | None]:
        """Return questions, and what is shown of them where that was made too.

        Args:
            rows: (count,) the environments that move on, m of them.
            keys: (m,) those that are asked.
            following: the keys of the questions that these are likely to ask afterwards, (m,) each.
        """
        if self._together:
            return self._ahead.ask(keys, following if rows.all() else ())
        return self._from_spares(np.flatnonzero(rows), keys, following[0]), None

    def close(self) -> None:
        """Let go of what was made ahead, and end the thread."""
        self._ahead.close()
        self._forget()

    def _forget(self) -> None:
        self._spares: Batch | None = None
        self._seeds, self._indices = np.zeros(self._count, np.uint64), np.full(self._count, -1, np.int64)
        self._coming: tuple[NDArray[np.int64], Keys] | None = None

    def _from_spares(self, rows: NDArray[np.int64], keys: Keys, following: Keys) -> Batch:
        """Take the questions of some rows out of the spare ones, and have theirs replaced by those that follow."""
        self._settle()
        every = len(rows) == self._count
        spares = self._spares
        if every:
            self._spares = None
        if every or spares is not None:
            self._coming = rows, following
            self._ahead.foresee([following])
        if spares is None or keys != Keys(self._seeds[rows], self._indices[rows]):
            return self._ahead.make(keys)[0]
        return spares if every else spares.rows(rows)

    def _settle(self) -> None:
        """Put what was made ahead among the spare questions, waiting for it."""
        if self._coming is None:
            return
        (rows, keys), self._coming = self._coming, None
        self._seeds[rows], self._indices[rows] = keys.seeds, keys.indices
        try:
            fresh, _ = self._ahead.ask(keys)
        except Exception:  # raised again when the question is asked that it comes from
            self._indices[rows] = -1
            return
        if self._spares is None:
            self._spares = fresh
        else:
            self._spares.put(rows, fresh)
