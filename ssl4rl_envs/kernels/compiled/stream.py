"""Random numbers from keys, compiled, word by word. The arguments are explained in `kernels.stream`."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ssl4rl_envs.kernels.compiled import jit
from ssl4rl_envs.kernels.compiled.hashing import chain, mix
from ssl4rl_envs.kernels.reference.stream import GOLDEN

Words = NDArray[np.uint64]


@jit
def begin(keys: Words, role: Any, seeds: Words, indices: Words) -> Any:
    """See `kernels.stream.begin`."""
    for i in range(len(keys)):
        keys[i] = chain(chain(role, seeds[i]), indices[i])


@jit
def derive(derived: Words, keys: Words, others: Words) -> Any:
    """See `kernels.stream.derive`."""
    for i in range(len(keys)):
        derived[i] = chain(keys[i], others[min(i, len(others) - 1)])


@jit
def fold(keys: Words, columns: Words) -> Any:
    """See `kernels.stream.fold`."""
    for i in range(len(keys)):
        for j in range(columns.shape[1]):
            keys[i] = chain(keys[i], columns[i, j])


@jit
def words(out: Words, keys: Words, call: Any) -> Any:
    """See `kernels.stream.words`."""
    for i in range(len(keys)):
        key = mix(chain(keys[i], call) + GOLDEN)
        for j in range(out.shape[1]):
            out[i, j] = mix(key ^ mix(np.uint64(j) * GOLDEN + np.uint64(1)))


@jit
def several(out: Words, keys: Words, call: Any) -> Any:
    """See `kernels.stream.several`."""
    for i in range(len(keys)):
        for j in range(out.shape[1]):
            out[i, j] = chain(chain(keys[i], call + np.uint64(j)), np.uint64(0))


@jit
def uniform(out: NDArray[np.float64], keys: Words, call: Any) -> Any:
    """See `kernels.stream.uniform`."""
    for i in range(len(keys)):
        key = chain(keys[i], call)
        for j in range(out.shape[1]):
            out[i, j] = np.float64(chain(key, np.uint64(j)) >> np.uint64(11)) * 2.0**-53


@jit
def integers(out: NDArray[np.int64], keys: Words, call: Any, low: Any, width: Any) -> Any:
    """See `kernels.stream.integers`."""
    for i in range(len(keys)):
        key = chain(keys[i], call)
        for j in range(out.shape[1]):
            high = chain(key, np.uint64(j)) >> np.uint64(32)
            out[i, j] = low + np.int64((high * width) >> np.uint64(32))


@jit
def bounded(out: NDArray[np.int64], keys: Words, call: Any, low: NDArray[np.int64], width: NDArray[np.int64]) -> Any:
    """See `kernels.stream.bounded`."""
    for i in range(len(keys)):
        key = chain(keys[i], call)
        for j in range(out.shape[1]):
            high = chain(key, np.uint64(j)) >> np.uint64(32)
            out[i, j] = low[i, j] + np.int64((high * np.uint64(max(width[i, j], 1))) >> np.uint64(32))


@jit
def permutation(out: NDArray[np.int64], keys: Words, call: Any) -> Any:
    """See `kernels.stream.permutation`: each number is put in its place among those before it."""
    count = out.shape[1]
    drawn = np.empty(count, np.uint64)
    for i in range(len(keys)):
        key = chain(keys[i], call)
        for j in range(count):
            word, place = chain(key, np.uint64(j)), j
            while place > 0 and drawn[place - 1] > word:
                drawn[place], out[i, place] = drawn[place - 1], out[i, place - 1]
                place -= 1
            drawn[place], out[i, place] = word, j


def warm() -> None:
    """Compile, or load what was compiled before."""
    keys, one, number = np.ones(1, np.uint64), np.uint64(1), np.ones((1, 1), np.int64)
    begin(keys, one, keys, keys)
    derive(keys.copy(), keys, keys)
    fold(keys, keys[:, None].copy())
    words(keys[:, None].copy(), keys, one)
    several(keys[:, None].copy(), keys, one)
    uniform(np.ones((1, 1)), keys, one)
    integers(number, keys, one, np.int64(0), one)
    bounded(number, keys, one, number, number)
    permutation(number, keys, one)
