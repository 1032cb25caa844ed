"""Counter-based randomness, vectorised over instances.

An instance must be the same bits in any process, batch size and worker, so no generator state is carried from one
instance to the next. Every number is a hash of (split, seed, index, task, redraw, draw), chained key by key: nothing is ever
summed into a seed, so neighbouring seeds and indices share nothing, nor do two tasks with one seed.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import lru_cache
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ssl4rl_envs.arguments import one_of
from ssl4rl_envs.briefly import briefly
from ssl4rl_envs.kernels import stream

Split = Literal["train", "validation", "test"]
SPLITS: tuple[str, ...] = get_args(Split)

_GOLDEN = 0x9E3779B97F4A7C15
_MASK_64 = (1 << 64) - 1
_WIDTH = "need low < high and high - low < 2**32, got low={low!r}, high={high!r}"


def check_split(split: str) -> str:
    """Return `split` if it is one of `SPLITS`.

    Raises:
        ValueError: it is not.
    """
    return one_of("split", split, SPLITS)


def hash_rows(columns: NDArray[np.uint64], role: str) -> NDArray[np.uint64]:
    """Return a hash of each row of uint64 words (n, k), (n,), by the name of its use."""
    return stream.fold(np.full(len(columns), hash_seed("rows", role), np.uint64), columns)


def as_words(values: ArrayLike, what: str) -> NDArray[np.uint64]:
    """Return non-negative integers below 2**64 as a one-dimensional uint64 array.

    Raises:
        ValueError: a value is not an integer, is negative or does not fit 64 bits.
    """
    if isinstance(values, np.ndarray) and values.ndim == 1 and values.dtype in (np.uint64, np.int64):
        if values.dtype == np.int64 and values.size and int(values.min()) < 0:
            raise _no_words(what, values)
        return values.astype(np.uint64)
    array = np.atleast_1d(values if isinstance(values, np.ndarray) else np.asarray(values, dtype=object))
    if array.dtype == object:
        if not all(map(_is_word, array.flat)):
            raise _no_words(what, array)
    elif not np.issubdtype(array.dtype, np.integer) or (array.size and int(array.min()) < 0):
        raise _no_words(what, array)
    if array.ndim != 1:
        raise ValueError(f"{what} must be one-dimensional, got shape {array.shape}")
    return array.astype(np.uint64)


def _is_word(value: Any) -> bool:
    return isinstance(value, int | np.integer) and not isinstance(value, bool) and 0 <= int(value) <= _MASK_64


def _no_words(what: str, values: NDArray[Any]) -> ValueError:
    """Return the error that names the first value that is none."""
    wrong = [value.item() if isinstance(value, np.generic) else value for value in values.flat if not _is_word(value)]
    return ValueError(f"{what} must be integers in [0, 2**64), got {briefly(wrong[0] if wrong else values)}")


@lru_cache(maxsize=4096)
def hash_seed(*parts: int | str) -> int:
    """Derive a seed in [0, 2**63) from a run seed and the roles it is used for, e.g. ``hash_seed(0, "rollout", 17)``.

    Distinct parts give unrelated seeds; counting seeds up (0, 1, 2, ...) is never needed.

    Raises:
        TypeError: a part is something else, 1.5 or True for example, which would give the seed of another.
    """
    key = 0
    for part in parts:
        if isinstance(part, (bool, np.bool_)) or not isinstance(part, (int, np.integer, str)):
            raise TypeError(f"seeds are derived from whole numbers and words, got {briefly(part)}")
        data = (f"str:{part}" if isinstance(part, str) else f"int:{int(part)}").encode()
        key = _chain(key, len(data))
        for start in range(0, len(data), 8):
            key = _chain(key, int.from_bytes(data[start : start + 8], "little"))
    return key >> 1


def _word(*parts: int | str) -> NDArray[np.uint64]:
    """Return a hash as an array of one."""
    return np.array([hash_seed(*parts)], np.uint64)


def _chain(key: int, value: int) -> int:
    """Hash one more word into a key, as `kernels.reference.stream.chain` does with arrays."""
    return _mix(_mix((key + _GOLDEN) & _MASK_64) ^ _mix((value * _GOLDEN + 1) & _MASK_64))


def _mix(z: int) -> int:
    z ^= z >> 30
    z = (z * 0xBF58476D1CE4E5B9) & _MASK_64
    z ^= z >> 27
    z = (z * 0x94D049BB133111EB) & _MASK_64
    return z ^ (z >> 31)


class Stream:
    """The random numbers of n instances, one row an instance.

    Args:
        split: "train", "validation" or "test".
        seeds: (n,) integers in [0, 2**64).
        indices: (n,) integers in [0, 2**64): the numbers of the instances in the endless stream of (split, seed).

    Every method draws a fresh batch of numbers with the instances in front: shape (n, *size). The numbers of a row depend
    on its own (split, seed, index) and on how many draws came before, never on the other rows.
    """

    def __init__(self, split: str, seeds: ArrayLike, indices: ArrayLike) -> None:
        self.split = check_split(split)
        self.seeds = as_words(seeds, "seeds")
        self.indices = as_words(indices, "indices")
        if self.seeds.shape != self.indices.shape:
            raise ValueError(f"seeds and indices must be of equal length, got {self.seeds.size} and {self.indices.size}")
        self._keys = stream.begin(hash_seed("split", split), self.seeds, self.indices)
        self._draws = 0

    @classmethod
    def span(cls, split: str, seed: int, first: int, count: int) -> Stream:
        """Return the instances `first` ... `first + count - 1` of the endless stream of (split, seed), one a row.

        `task.sample(Stream.span("test", 0, 0, 8))` asks the first eight test questions of seed 0.

        Raises:
            ValueError: a number is negative, or the split unknown.
        """
        if count < 0:
            raise ValueError(f"count must not be negative, got {count}")
        far = first + count >= 1 << 63  # where NumPy would go over to floats
        indices = as_words(np.array(range(first, first + count), object), "index") if far else np.arange(first, first + count)
        return cls(split, np.full(count, as_words([seed], "seed")[0]), indices)

    def __len__(self) -> int:
        return int(self.seeds.size)

    def redraw(self, rows: NDArray[np.bool_] | NDArray[np.integer], attempt: int | NDArray[np.integer]) -> Stream:
        """Return a stream of the chosen rows with further counters of the same indices.

        Args:
            rows: mask or positions of the rows to draw again; one may be chosen several times.
            attempt: number of this redraw, from 1, one for all or one for each chosen row; every attempt has counters of its
                own.
        """
        attempts = np.atleast_1d(attempt)
        if attempts.size and attempts.min() < 1:
            raise ValueError(f"attempt counts from 1, got {attempt}")
        known = [hash_seed("redraw", number) for number in range(1, int(attempts.max(initial=0)) + 1)]
        return self._derived(rows, np.array(known, np.uint64)[attempts - 1])

    def keyed(self, key: int) -> Stream:
        """Return a stream of the same rows for whoever has this key in [0, 2**63): streams of two keys share nothing."""
        return self._derived(slice(None), _word("keyed", key))

    def branch(self, role: str) -> Stream:
        """Return a stream of the same rows whose numbers have nothing to do with this one's, by the name of their use."""
        return self._derived(slice(None), _word("branch", role))

    def rows(self, rows: NDArray[np.bool_] | NDArray[np.integer]) -> Stream:
        """Return the chosen rows as a stream of their own, as if they had been asked for alone."""
        return Stream(self.split, self.seeds[rows], self.indices[rows])

    def _derived(self, rows: NDArray[np.bool_] | NDArray[np.integer] | slice, words: NDArray[np.uint64]) -> Stream:
        other = Stream.__new__(Stream)
        other.split, other.seeds, other.indices = self.split, self.seeds[rows], self.indices[rows]
        other._keys = stream.derive(self._keys[rows], words)
        other._draws = 0
        return other

    def words(self, size: Sequence[int] = ()) -> NDArray[np.uint64]:
        """Return uniform 64-bit words, shape (n, *size)."""
        return stream.words(self._keys, self._call(), math.prod(size)).reshape(len(self), *size)

    def several(self, draws: int) -> NDArray[np.uint64]:
        """Return what `words` would in so many calls, one after the other, a column each: (n, draws)."""
        self._draws += draws
        return stream.several(self._keys, self._draws - draws, draws)

    def reserve(self, draws: int) -> tuple[NDArray[np.uint64], int]:
        """Return what the next draws are hashed from, for kernels that do it themselves: keys (n,), number of the first."""
        first = self._draws
        self._draws += draws
        return self._keys, first

    def uniform(self, size: Sequence[int] = ()) -> NDArray[np.float64]:
        """Return floats in [0, 1) with 53 random bits, shape (n, *size)."""
        return stream.uniform(self._keys, self._call(), math.prod(size)).reshape(len(self), *size)

    def below(self, bounds: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return an integer in [0, bound) for every bound of (n, ...), each below 2**32; 0 where a bound is below 1."""
        width = np.ascontiguousarray(bounds, np.int64).reshape(len(self), math.prod(bounds.shape[1:]))
        return stream.bounded(self._keys, self._call(), np.zeros(width.shape, np.int64), width).reshape(bounds.shape)

    def integers(self, low: ArrayLike, high: ArrayLike, size: Sequence[int] = ()) -> NDArray[np.int64]:
        """Return integers in [low, high), shape (n, *size).

        The bounds broadcast against `size`; with an empty size they may be (n,), one a row.

        The width of a range is below 2**32; by multiply-shift (Lemire 2019) no value is off by more than width / 2**32.

        Raises:
            ValueError: an empty range, or one as wide as 2**32.
        """
        if isinstance(low, (int, np.integer)) and isinstance(high, (int, np.integer)):
            first, width = int(low), int(high) - int(low)
            if not 1 <= width < 1 << 32:
                raise ValueError(_WIDTH.format(low=low, high=high))
            drawn = stream.integers(self._keys, self._call(), math.prod(size), first, width)
            return drawn.reshape(len(self), *size)
        lows, highs = np.asarray(low, np.int64), np.asarray(high, np.int64)
        widths = highs - lows
        if widths.size and not 1 <= int(widths.min()) <= int(widths.max()) < 1 << 32:
            raise ValueError(_WIDTH.format(low=low, high=high))
        each = [np.broadcast_to(array, (len(self), *size)).reshape(len(self), math.prod(size)) for array in (lows, widths)]
        drawn = stream.bounded(self._keys, self._call(), *map(np.ascontiguousarray, each))
        return drawn.reshape(len(self), *size)

    def normal(self, size: Sequence[int] = ()) -> NDArray[np.float64]:
        """Return standard normals by Box and Muller's transform, shape (n, *size).

        Logarithm and cosine may differ in the last bit between machines: use it for what is rounded afterwards.
        """
        radius = np.sqrt(-2.0 * np.log1p(-self.uniform(size)))
        return np.asarray(radius * np.cos(2.0 * np.pi * self.uniform(size)), np.float64)

    def permutation(self, count: int) -> NDArray[np.int64]:
        """Return a uniform permutation of 0..count-1 for each row, shape (n, count)."""
        return stream.permutation(self._keys, self._call(), count)

    def choice(self, count: int, size: int) -> NDArray[np.int64]:
        """Return `size` distinct numbers of 0..count-1 in random order for each row, shape (n, size).

        Raises:
            ValueError: `size` is larger than `count`.
        """
        if not 0 <= size <= count:
            raise ValueError(f"cannot choose {size} distinct values of {count}")
        return self.permutation(count)[:, :size]

    def _call(self) -> int:
        """Return the number of a draw, and count it."""
        self._draws += 1
        return self._draws - 1
