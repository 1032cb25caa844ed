"""Counter-based randomness, vectorised over instances.

An instance must be the same bits in any process, batch size and worker, so no generator state is carried from one
instance to the next. Every number is a hash of (split, seed, index, task, redraw, draw), chained key by key: nothing is ever
summed into a seed, so neighbouring seeds and indices share nothing, nor do two tasks with one seed.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import numpy as np
from numpy.typing import ArrayLike, NDArray

SPLITS: tuple[str, ...] = ("train", "validation", "test")

_GOLDEN = np.uint64(0x9E3779B97F4A7C15)
_MASK_64 = (1 << 64) - 1


def check_split(split: str) -> str:
    """Return `split` if it is one of `SPLITS`.

    Raises:
        ValueError: it is not.
    """
    if split not in SPLITS:
        raise ValueError(f"split must be one of {', '.join(SPLITS)}, got {split!r}")
    return split


def _mix(values: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """Scramble 64-bit words by the finaliser of splitmix64 (Steele, Lea & Flood 2014, variant 13 of D. Stafford)."""
    z = values ^ (values >> np.uint64(30))
    z *= np.uint64(0xBF58476D1CE4E5B9)
    z ^= z >> np.uint64(27)
    z *= np.uint64(0x94D049BB133111EB)
    z ^= z >> np.uint64(31)
    return z


def _chain(keys: NDArray[np.uint64], values: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """Hash one more value into each key: two rounds, so that equal differences of key and value do not cancel."""
    return _mix(_mix(keys + _GOLDEN) ^ _mix(values * _GOLDEN + np.uint64(1)))


def hash_rows(columns: NDArray[np.uint64], role: str) -> NDArray[np.uint64]:
    """Return a hash of each row of uint64 words (n, k), (n,), by the name of its use."""
    keys = np.full(len(columns), hash_seed("rows", role), np.uint64)
    for column in columns.T:
        keys = _chain(keys, column)
    return keys


def as_words(values: ArrayLike, what: str) -> NDArray[np.uint64]:
    """Return non-negative integers below 2**64 as a one-dimensional uint64 array.

    Raises:
        ValueError: a value is not an integer, is negative or does not fit 64 bits.
    """
    array = np.atleast_1d(values if isinstance(values, np.ndarray) else np.asarray(values, dtype=object))
    if array.dtype == object:
        if not all(
            isinstance(value, int | np.integer) and value is not True and value is not False and 0 <= int(value) <= _MASK_64
            for value in array.flat
        ):
            raise ValueError(f"{what} must be integers in [0, 2**64), got {values!r}")
    elif not np.issubdtype(array.dtype, np.integer) or (array.size and int(array.min()) < 0):
        raise ValueError(f"{what} must be integers in [0, 2**64), got {values!r}")
    if array.ndim != 1:
        raise ValueError(f"{what} must be one-dimensional, got shape {array.shape}")
    return array.astype(np.uint64)


@lru_cache(maxsize=4096)
def hash_seed(*parts: int | str) -> int:
    """Derive a seed in [0, 2**63) from a run seed and the roles it is used for, e.g. ``hash_seed(0, "rollout", 17)``.

    Distinct parts give unrelated seeds; counting seeds up (0, 1, 2, ...) is never needed.

    Raises:
        TypeError: a part is something else, 1.5 or True for example, which would give the seed of another.
    """
    key = np.zeros(1, np.uint64)
    for part in parts:
        if isinstance(part, (bool, np.bool_)) or not isinstance(part, (int, np.integer, str)):
            raise TypeError(f"seeds are derived from whole numbers and words, got {part!r}")
        data = (f"str:{part}" if isinstance(part, str) else f"int:{int(part)}").encode()
        key = _chain(key, np.array([len(data)], np.uint64))
        for word in np.frombuffer(data + b"\0" * (-len(data) % 8), "<u8"):
            key = _chain(key, np.array([word], np.uint64))
    return int(key[0] >> np.uint64(1))


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
        role = np.full(self.seeds.shape, hash_seed("split", split), np.uint64)
        self._keys = _chain(_chain(role, self.seeds), self.indices)
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
        return cls(split, np.full(count, as_words([seed], "seed")[0]), np.arange(first, first + count))

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
        if (attempts < 1).any():
            raise ValueError(f"attempt counts from 1, got {attempt}")
        words = np.array([hash_seed("redraw", number) for number in attempts.tolist()], np.uint64)
        return self._derived(rows, words)

    def keyed(self, key: int) -> Stream:
        """Return a stream of the same rows for whoever has this key in [0, 2**63): streams of two keys share nothing."""
        return self._derived(slice(None), hash_seed("keyed", key))

    def branch(self, role: str) -> Stream:
        """Return a stream of the same rows whose numbers have nothing to do with this one's, by the name of their use."""
        return self._derived(slice(None), hash_seed("branch", role))

    def rows(self, rows: NDArray[np.bool_] | NDArray[np.integer]) -> Stream:
        """Return the chosen rows as a stream of their own, as if they had been asked for alone."""
        return Stream(self.split, self.seeds[rows], self.indices[rows])

    def _derived(self, rows: NDArray[np.bool_] | NDArray[np.integer] | slice, words: int | NDArray[np.uint64]) -> Stream:
        other = Stream.__new__(Stream)
        other.split, other.seeds, other.indices = self.split, self.seeds[rows], self.indices[rows]
        keys = self._keys[rows]
        other._keys = _chain(keys, np.broadcast_to(np.asarray(words, np.uint64), keys.shape))
        other._draws = 0
        return other

    def words(self, size: Sequence[int] = ()) -> NDArray[np.uint64]:
        """Return uniform 64-bit words, shape (n, *size)."""
        count = int(np.prod(size, dtype=np.int64))
        call = np.full(self._keys.shape, self._draws, np.uint64)
        self._draws += 1
        keys = _chain(self._keys, call)
        counters = np.arange(count, dtype=np.uint64)
        return _chain(keys[:, None], counters[None, :]).reshape(len(self), *size)

    def uniform(self, size: Sequence[int] = ()) -> NDArray[np.float64]:
        """Return floats in [0, 1) with 53 random bits, shape (n, *size)."""
        return (self.words(size) >> np.uint64(11)).astype(np.float64) * 2.0**-53

    def below(self, bounds: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return an integer in [0, bound) for every bound of (n, ...), each below 2**32; 0 where a bound is below 1."""
        high_bits = self.words(bounds.shape[1:]) >> np.uint64(32)
        return ((high_bits * np.maximum(bounds, 1).astype(np.uint64)) >> np.uint64(32)).astype(np.int64)

    def integers(self, low: ArrayLike, high: ArrayLike, size: Sequence[int] = ()) -> NDArray[np.int64]:
        """Return integers in [low, high), shape (n, *size).

        The bounds broadcast against `size`; with an empty size they may be (n,), one a row.

        The width of a range is below 2**32; by multiply-shift (Lemire 2019) no value is off by more than width / 2**32.

        Raises:
            ValueError: an empty range, or one as wide as 2**32.
        """
        low_array, high_array = np.asarray(low, np.int64), np.asarray(high, np.int64)
        width = high_array - low_array
        if np.any(width < 1) or np.any(width >= 1 << 32):
            raise ValueError(f"need low < high and high - low < 2**32, got low={low!r}, high={high!r}")
        high_bits = self.words(size) >> np.uint64(32)
        return low_array + ((high_bits * width.astype(np.uint64)) >> np.uint64(32)).astype(np.int64)

    def normal(self, size: Sequence[int] = ()) -> NDArray[np.float64]:
        """Return standard normals by Box and Muller's transform, shape (n, *size).

        Logarithm and cosine may differ in the last bit between machines: use it for what is rounded afterwards.
        """
        radius = np.sqrt(-2.0 * np.log1p(-self.uniform(size)))
        return np.asarray(radius * np.cos(2.0 * np.pi * self.uniform(size)), np.float64)

    def permutation(self, count: int) -> NDArray[np.int64]:
        """Return a uniform permutation of 0..count-1 for each row, shape (n, count)."""
        return np.argsort(self.words((count,)), axis=1, kind="stable").astype(np.int64)

    def choice(self, count: int, size: int) -> NDArray[np.int64]:
        """Return `size` distinct numbers of 0..count-1 in random order for each row, shape (n, size).

        Raises:
            ValueError: `size` is larger than `count`.
        """
        if not 0 <= size <= count:
            raise ValueError(f"cannot choose {size} distinct values of {count}")
        return self.permutation(count)[:, :size]
