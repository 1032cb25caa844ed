"""Random numbers from keys, in NumPy. The arguments are explained in `kernels.stream`."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Words = NDArray[np.uint64]

GOLDEN = np.uint64(0x9E3779B97F4A7C15)
"""What words are multiplied by, and keys moved by, before they are scrambled: the golden ratio of 2**64."""


def _mix(values: Words) -> Words:
    """Scramble words by the finaliser of splitmix64 (Steele, Lea & Flood 2014, variant 13 of D. Stafford)."""
    z = values ^ (values >> np.uint64(30))
    z *= np.uint64(0xBF58476D1CE4E5B9)
    z ^= z >> np.uint64(27)
    z *= np.uint64(0x94D049BB133111EB)
    z ^= z >> np.uint64(31)
    return z


def chain(keys: Words, values: Words) -> Words:
    """Hash one more word into each key: two rounds, so that equal differences of key and word do not cancel."""
    return _mix(_mix(keys + GOLDEN) ^ _mix(values * GOLDEN + np.uint64(1)))


def begin(keys: Words, role: np.uint64, seeds: Words, indices: Words) -> None:
    """See `kernels.stream.begin`."""
    keys[:] = chain(chain(np.full(len(keys), role), seeds), indices)


def derive(derived: Words, keys: Words, others: Words) -> None:
    """See `kernels.stream.derive`."""
    derived[:] = chain(keys, others)


def fold(keys: Words, columns: Words) -> None:
    """See `kernels.stream.fold`."""
    for column in columns.T:
        keys[:] = chain(keys, column)


def words(out: Words, keys: Words, call: np.uint64) -> None:
    """See `kernels.stream.words`."""
    drawn = chain(keys, np.full(len(keys), call))
    out[:] = chain(drawn[:, None], np.arange(out.shape[1], dtype=np.uint64)[None, :])


def several(out: Words, keys: Words, call: np.uint64) -> None:
    """See `kernels.stream.several`."""
    drawn = chain(keys[:, None], call + np.arange(out.shape[1], dtype=np.uint64)[None, :])
    out[:] = chain(drawn, np.zeros(1, np.uint64))


def uniform(out: NDArray[np.float64], keys: Words, call: np.uint64) -> None:
    """See `kernels.stream.uniform`."""
    out[:] = (_drawn(out, keys, call) >> np.uint64(11)).astype(np.float64) * 2.0**-53


def integers(out: NDArray[np.int64], keys: Words, call: np.uint64, low: np.int64, width: np.uint64) -> None:
    """See `kernels.stream.integers`."""
    out[:] = low + (((_drawn(out, keys, call) >> np.uint64(32)) * width) >> np.uint64(32)).astype(np.int64)


def bounded(out: NDArray[np.int64], keys: Words, call: np.uint64, low: NDArray[np.int64], width: NDArray[np.int64]) -> None:
    """See `kernels.stream.bounded`."""
    high = (_drawn(out, keys, call) >> np.uint64(32)) * np.maximum(width, 1).astype(np.uint64)
    out[:] = low + (high >> np.uint64(32)).astype(np.int64)


def permutation(out: NDArray[np.int64], keys: Words, call: np.uint64) -> None:
    """See `kernels.stream.permutation`."""
    out[:] = np.argsort(_drawn(out, keys, call), axis=1, kind="stable")


def _drawn(out: NDArray[np.generic], keys: Words, call: np.uint64) -> Words:
    drawn = np.empty(out.shape, np.uint64)
    words(drawn, keys, call)
    return drawn
