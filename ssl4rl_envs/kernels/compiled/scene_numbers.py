"""The random numbers of scenes, compiled: those of `stream.Stream("train", 0, item)`, call by call, bit for bit."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ssl4rl_envs.kernels.compiled import part
from ssl4rl_envs.kernels.compiled.hashing import ONE, below, chain, mix
from ssl4rl_envs.kernels.reference.stream import GOLDEN
from ssl4rl_envs.stream import hash_seed

_SIZES = ((9,), (14, 3), (3, 5), (3, 8), (6, 3), (9, 3), (14, 3), (3,), (4, 7), ())
"""What is drawn by `uniform`, in the order of `sources.scenery`."""
_CALLS = np.array([2, 3, 4, 5, 6, 7, 8, 10, 13, 14])
"""The number of each of these draws; the others are the sky, the ground and three permutations."""
SKY, GROUND, STANDING, PRESENT, COLUMNS = 0, 1, 9, 11, 12

_COUNTS = np.array([int(np.prod(size)) for size in _SIZES])
_STARTS = np.cumsum(_COUNTS) - _COUNTS
TOTAL = int(_COUNTS.sum())
"""How many uniform numbers a scene takes."""
SETTING, STARS, CLOUDS, HILLS, BUSHES, GLITTER, MARKS, KINDS, THINGS, MIRROR = (int(start) for start in _STARTS)
"""Where the numbers of each draw begin."""

_ROLE = np.uint64(hash_seed("split", "train"))


@part
def key_of(item: int) -> Any:
    """Return the key of a scene's stream."""
    return chain(chain(_ROLE, np.uint64(0)), np.uint64(item))


@part
def whole(key: Any, call: int, bound: int) -> Any:
    """Return an integer in [0, bound)."""
    return below(chain(chain(key, np.uint64(call)), np.uint64(0)), bound)


@part
def permutation(key: Any, call: int, out: NDArray[np.int64]) -> None:
    """Write a permutation of 0..count-1."""
    inner, count = chain(key, np.uint64(call)), len(out)
    for i in range(count):
        mine, rank = chain(inner, np.uint64(i)), 0
        for j in range(count):
            other = chain(inner, np.uint64(j))
            rank += other < mine or (other == mine and j < i)
        out[rank] = i


@part
def uniform(key: Any, out: NDArray[np.float64]) -> None:
    """Write all `TOTAL` uniform numbers of a scene."""
    for draw in range(len(_CALLS)):
        inner, start = mix(chain(key, np.uint64(_CALLS[draw])) + GOLDEN), _STARTS[draw]
        for counter in range(_COUNTS[draw]):
            word = mix(inner ^ mix(np.uint64(counter) * GOLDEN + ONE))
            out[start + counter] = np.float64(np.int64(word >> np.uint64(11))) * 2.0**-53
