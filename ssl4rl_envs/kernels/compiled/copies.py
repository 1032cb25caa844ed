"""Which pictures may be copies, compiled. The arguments are explained in `kernels.copies`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

import numpy as np
from numba import types
from numba.extending import intrinsic
from numpy.typing import NDArray

from ssl4rl_envs.kernels.compiled import jit


def _count_ones(_context: Any, _word: Any) -> Any:
    """Return how many bits of a word of 64 are set: one instruction, or a few for several words at once."""
    return types.uint64(types.uint64), lambda _context, builder, _signature, words: builder.ctpop(words[0])


_ones = cast(Callable[[Any], Any], intrinsic(_count_ones))


@jit
def close_pairs(
    hashes: NDArray[np.uint64],
    tones: NDArray[np.int16],
    ends: NDArray[np.int64],
    least: NDArray[np.int64],
    start: int,
    stop: int,
) -> NDArray[np.int64]:
    """Return the pairs whose earlier picture is one of `start` to `stop` - 1."""
    most, length = np.uint64(len(least) - 1), tones.shape[1]
    found = np.empty((64, 3), np.int64)
    filled = 0
    bits = np.empty(hashes.shape[1], np.uint64)
    for one in range(start, stop):
        first, second, third, fourth = hashes[0, one], hashes[1, one], hashes[2, one], hashes[3, one]
        for other in range(one + 1, ends[one]):
            bits[other] = (
                _ones(hashes[0, other] ^ first)
                + _ones(hashes[1, other] ^ second)
                + _ones(hashes[2, other] ^ third)
                + _ones(hashes[3, other] ^ fourth)
            )
        for other in range(one + 1, ends[one]):
            if bits[other] > most:
                continue
            total = np.int64(0)
            for k in range(length):
                total += np.int64(tones[one, k]) * np.int64(tones[other, k])
            if total < least[np.int64(bits[other])]:
                continue
            if filled == len(found):
                longer = np.empty((2 * filled, 3), np.int64)
                longer[:filled] = found
                found = longer
            found[filled, 0], found[filled, 1], found[filled, 2] = one, other, np.int64(bits[other])
            filled += 1
    return found[:filled]


def warm() -> None:
    """Compile, or load what was compiled before."""
    close_pairs(np.zeros((4, 2), np.uint64), np.zeros((2, 1), np.int16), np.full(2, 2), np.zeros(1, np.int64), 0, 1)
