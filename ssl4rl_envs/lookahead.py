"""LookAhead: the questions of one stream, sampled in blocks, since one at a time costs many times more."""

from __future__ import annotations

from typing import Any

from numpy.typing import NDArray

from ssl4rl_envs.interface import Interface
from ssl4rl_envs.stream import Stream
from ssl4rl_envs.task import Batch

LIMITS = ((64, 4 << 20), (256, 1 << 19))
"""Questions and bytes of the largest block: of small questions there are more, while caches hold them."""

SMALL = 1 << 13
"""Bytes that are shown of a question up to which those of a block are copied at once: who keeps one keeps the others."""

SHOWN = 2
"""How often a question of one decision is shown: when it is asked, and when it is answered."""


class RowByRow:
    """Rows of arrays by name: the views of all of them are made at once, which is sooner done.

    Args:
        arrays: (n, ...) by name.
    """

    def __init__(self, arrays: dict[str, NDArray[Any]]) -> None:
        self._columns = {name: list(values) for name, values in arrays.items()}

    def __getitem__(self, row: int) -> dict[str, Any]:
        return {name: values[row] for name, values in self._columns.items()}


class Rows:
    """The rows of a batch, each a batch of one."""

    def __init__(self, batch: Batch) -> None:
        self._shown, self._memory = (
            RowByRow({name: values[:, None] for name, values in arrays.items()})
            for arrays in (batch.observation, batch.memory)
        )
        self._targets, self._items = list(batch.target[:, None]), list(batch.items[:, None])

    def __getitem__(self, row: int) -> Batch:
        memory = {} if self._memory is None else self._memory[row]
        return Batch(self._shown[row], self._targets[row], self._items[row], memory)


class Copies:
    """Copies of what is shown of the questions of a block, each of which is given away once.

    Args:
        interface: says what is shown.
        block: the questions. Of large ones there are no copies: they are made when they are needed.
    """

    def __init__(self, interface: Interface, block: Batch) -> None:
        shown = sum(values.nbytes for name, values in block.observation.items() if name in interface.shown)
        times = SHOWN if shown <= SMALL * len(block) else 0
        self._held = [RowByRow(interface.held(block)) for _ in range(times)]
        self._left = [times] * len(block)
        self._complete = interface.completer()

    def give(self, row: int, question: Batch) -> dict[str, Any] | None:
        """Return a copy of what is shown of a row, arrays (...) by name, or None where there is none any more.

        Args:
            row: of the block.
            question: the row as a batch. What it lacks is laid out now.
        """
        left = self._left[row] - 1
        if left < 0:
            return None
        self._left[row] = left
        given = self._held[left][row]
        for name, values in self._complete(question).items():
            given[name] = values[0]
        return given


class LookAhead:
    """Questions in the order of their indices: the next 1, then the next 2, 4, 8, ... of a stream are sampled at once.

    An instance is a pure function of (seed, index), so blocks show in nothing but time. Whoever asks for something else than
    the next question begins again with one, so a single reset costs one question. A block that cannot be made is left, and
    its questions are made one by one: an error comes when its question is asked, or never.

    Args:
        interface: of the task, which says what is shown.
        split: what is asked about.
    """

    def __init__(self, interface: Interface, split: str) -> None:
        self._interface, self._split = interface, split
        self.forget()

    def __reduce__(self) -> tuple[type[LookAhead], tuple[Interface, str]]:
        return LookAhead, (self._interface, self._split)  # a copy samples ahead for itself

    def forget(self) -> None:
        """Let go of what was sampled."""
        self._most = 1
        self._seed = self._first = -1
        self.begin()

    def begin(self) -> None:
        """Begin again with one question, whatever is asked next."""
        self._rows: Rows | None = None
        self._copies: Copies | None = None
        self._taken: Batch | None = None
        self._stop = self._alone = -1

    def take(self, seed: int, index: int) -> Batch:
        """Return question `index` of the stream of `seed`, a batch of one row that is not to be written to."""
        if self._rows is None or seed != self._seed or not self._first <= index < self._stop:
            self._sample(seed, index)
        assert self._rows is not None
        self._place = index - self._first
        self._taken = self._rows[self._place]
        return self._taken

    def give(self, question: Batch) -> dict[str, Any] | None:
        """Return a copy of what is shown of the question that was taken last, (...) by name, which is whose who asks.

        None of anything else, and where there is none any more: then it is to be made.
        """
        return self._copies.give(self._place, question) if question is self._taken and self._copies is not None else None

    def _sample(self, seed: int, index: int) -> None:
        goes_on = self._rows is not None and seed == self._seed and index == self._stop
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
        block = self._interface.task.compact(Stream.span(self._split, seed, index, size))
        self._rows, self._copies = Rows(block), Copies(self._interface, block)
        self._seed, self._first, self._stop = seed, index, index + size
        if size == 1:
            self._most = most(size_of(block))


def most(size: int) -> int:
    """Return how many questions of so many bytes the largest block holds."""
    return max(1, *(min(questions, limit // max(1, size)) for questions, limit in LIMITS))


def size_of(batch: Batch) -> int:
    """Return the bytes of a batch's arrays."""
    arrays = (*batch.observation.values(), *batch.memory.values(), batch.target, batch.items)
    return sum(array.nbytes for array in arrays)
