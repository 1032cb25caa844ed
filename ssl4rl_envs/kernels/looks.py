"""Kernels that tell whether small pictures look different: sums of absolute differences, given up when they are enough."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ssl4rl_envs import kernels
from ssl4rl_envs.kernels import threads
from ssl4rl_envs.kernels.tensors import over_tensors

_NUMBERS = 1 << 15
"""Numbers to be compared that are worth a thread."""


@over_tensors
def differ(first: NDArray[np.uint8], second: NDArray[np.uint8], least: int) -> NDArray[np.bool_]:
    """Return which rows of two arrays (n, numbers), uint8, differ by `least` in sum, (n,)."""
    result = np.empty(len(first), np.bool_)
    work = kernels.area("looks").differ
    least_rows = _NUMBERS // max(1, first.shape[1])
    threads.share(len(first), lambda rows: work(result[rows], first[rows], second[rows], least), least_rows)
    return result


@over_tensors
def lie_apart(pictures: NDArray[np.uint8], ways: tuple[int, ...], inside: NDArray[np.int64], least: int) -> NDArray[np.bool_]:
    """Return which pictures (n, side, side, 3) differ by `least` in sum from themselves in every of some ways to lie, (n,).

    Args:
        pictures: uint8.
        ways: of `MIRRORED`, `UPENDED` and `TRANSPOSED`; see `kernels.tiles`.
        inside: (side,) how many pixels at either end of each row do not count; the same figure after each of the ways.
        least: see above.
    """
    result = np.empty(len(pictures), np.bool_)
    work, chosen = kernels.area("looks").lie_apart, np.array(ways, np.int64)
    least_rows = _NUMBERS // max(1, pictures.shape[1] ** 2 * 3)
    threads.share(len(pictures), lambda rows: work(result[rows], pictures[rows], chosen, inside, least), least_rows)
    return result
