"""Hashes of random numbers, compiled: what all kernels are built from that draw as streams do."""

from __future__ import annotations

from typing import Any

import numpy as np

from ssl4rl_envs.kernels.compiled import part
from ssl4rl_envs.kernels.reference.stream import GOLDEN

ONE, HALF = np.uint64(1), np.uint64(32)


@part
def mix(z: Any) -> Any:
    """Scramble a word; see `kernels.reference.stream`."""
    z = z ^ (z >> np.uint64(30))
    z = z * np.uint64(0xBF58476D1CE4E5B9)
    z = z ^ (z >> np.uint64(27))
    z = z * np.uint64(0x94D049BB133111EB)
    return z ^ (z >> np.uint64(31))


@part
def chain(key: Any, value: Any) -> Any:
    """Hash one more value into a key; see `kernels.reference.stream`."""
    return mix(mix(key + GOLDEN) ^ mix(value * GOLDEN + ONE))


@part
def below(word: Any, bound: Any) -> Any:
    """Return the number in [0, bound) that a word draws, int64; as `Stream.below`."""
    return np.int64(((word >> HALF) * np.uint64(bound)) >> HALF)
