"""The hash that streams draw by, compiled: what other kernels hash words with. See `stream._chain`."""

from __future__ import annotations

from typing import Any

import numpy as np

from ssl4rl_envs.kernels.compiled import jit

GOLDEN = np.uint64(0x9E3779B97F4A7C15)
FIRST, SECOND = np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB)
ONE = np.uint64(1)
HALF = np.uint64(32)


@jit
def mix(word: Any) -> Any:
    """Scramble one word, uint64."""
    word ^= word >> np.uint64(30)
    word *= FIRST
    word ^= word >> np.uint64(27)
    word *= SECOND
    return word ^ (word >> np.uint64(31))


@jit
def chain(key: Any, value: Any) -> Any:
    """Hash one more value into a key, both uint64."""
    return mix(mix(key + GOLDEN) ^ mix(value * GOLDEN + ONE))


@jit
def below(word: Any, bound: Any) -> Any:
    """Return the number in [0, bound) that a word draws, int64; as `Stream.below`."""
    return np.int64(((word >> HALF) * np.uint64(bound)) >> HALF)
