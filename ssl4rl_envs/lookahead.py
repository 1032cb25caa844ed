"""LookAhead: the questions of one stream, sampled in blocks, since one at a time costs many times more."""

from __future__ import annotations

from ssl4rl_envs.stream import Stream
from ssl4rl_envs.task import Batch, Task

MOST = 64
"""Questions of the largest block."""

MOST_BYTES = 4 << 20
"""Bytes of the largest block, or one question."""


class LookAhead:
    """Questions in the order of their indices: the next 1, then the next 2, 4, 8, ... of a stream are sampled at once.

    An instance is a pure function of (seed, index), so blocks show in nothing but time. Whoever asks for something else than
    the next question begins again with one, so a single reset costs one question. A block that cannot be made is left, and
    its questions are made one by one: an error comes when its question is asked, or never.

    Args:
        task, split: what is asked.
    """

    def __init__(self, task: Task, split: str) -> None:
        self._task, self._split = task, split
        self.forget()

    def forget(self) -> None:
        """Let go of what was sampled."""
        self._block: Batch | None = None
        self._seed = self._first = self._stop = -1
        self._alone = -1
        self._most = MOST

    def begin(self) -> None:
        """Begin again with one question, whatever is asked next."""
        self._block, self._stop, self._alone = None, -1, -1

    def take(self, seed: int, index: int) -> Batch:
        """Return question `index` of the stream of `seed`, a batch of one row that is not to be written to."""
        if self._block is None or seed != self._seed or not self._first <= index < self._stop:
            self._sample(seed, index)
        assert self._block is not None
        place = index - self._first
        return self._block.rows(slice(place, place + 1))

    def _sample(self, seed: int, index: int) -> None:
        goes_on = self._block is not None and seed == self._seed and index == self._stop
        size = min(2 * (self._stop - self._first), self._most) if goes_on else 1
        if size > 1 and index >= self._alone:
            try:
                self._hold(seed, index, size)
            except Exception:  # raised again when the question is asked that it comes from
                self._alone = index + size
            else:
                return
        self._hold(seed, index, 1)

    def _hold(self, seed: int, index: int, size: int) -> None:
        block = self._task.compact(Stream.span(self._split, seed, index, size))
        self._block, self._seed, self._first, self._stop = block, seed, index, index + size
        if size == 1:
            self._most = max(1, min(MOST, MOST_BYTES // max(1, size_of(block))))


def size_of(batch: Batch) -> int:
    """Return the bytes of a batch's arrays."""
    arrays = (*batch.observation.values(), *batch.memory.values(), batch.target, batch.items)
    return sum(array.nbytes for array in arrays)
