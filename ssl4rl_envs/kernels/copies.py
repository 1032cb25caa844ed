"""Kernels that find which of many pictures may be copies of each other."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np
from numpy.typing import NDArray

from ssl4rl_envs import kernels
from ssl4rl_envs.kernels import threads

_BLOCK = 64
"""Pictures that are compared with all others at a time."""

_RUN = 64
"""Blocks that the threads share at a time."""


def close_pairs(
    hashes: NDArray[np.uint64], tones: NDArray[np.int16], ends: NDArray[np.int64], least: NDArray[np.int64]
) -> NDArray[np.int64]:
    """Return the pairs of pictures whose hashes differ in few bits and whose tones agree.

    Every picture is compared with those behind it up to its end. That takes two nanoseconds a pair, and its time grows with
    the square of the pictures where the ends set no limit.

    Args:
        hashes: (4, n).
        tones: (n, k), what is compared of the pictures whose hashes are near.
        ends: (n,), before which picture the comparison of each one ends.
        least: (most bits + 1,), by how many bits differ, the least sum of products of tones.

    Returns:
        (pairs, 3): the earlier picture, the later one, and in how many bits they differ; in order.
    """
    count = hashes.shape[1]
    blocks = range(0, count, _BLOCK)
    found: list[NDArray[np.int64]] = [np.zeros((0, 3), np.int64)] * len(blocks)
    search = kernels.area("copies").close_pairs

    def work(part: slice) -> None:
        for number in range(part.start, part.stop):
            found[number] = search(hashes, tones, ends, least, blocks[number], min(blocks[number] + _BLOCK, count))

    # Early blocks are compared with more pictures than late ones, so the threads share short runs of them.
    for first in range(0, len(blocks), _RUN):
        run = min(_RUN, len(blocks) - first)
        threads.share(run, partial(_shifted, work, first), _RUN // 16)
    return np.concatenate(found) if found else np.zeros((0, 3), np.int64)


def _shifted(work: Callable[[slice], None], first: int, part: slice) -> None:
    work(slice(first + part.start, first + part.stop))
