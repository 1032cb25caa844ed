"""Kernels that reduce pictures by 2, 4, 8, ... when they are taken in, and drawn ones to half their side."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ssl4rl_envs import kernels
from ssl4rl_envs.kernels import threads
from ssl4rl_envs.kernels.tensors import over_tensors

LEAST = 8
"""Pictures whose shorter side has at least this many pixels have a further reduction."""

_PIXELS = 1 << 15
"""Pixels that are worth a thread."""


def room(height: int, width: int, channels: int) -> int:
    """Return how many bytes a picture takes with its reductions."""
    total = height * width
    while min(height, width) >= LEAST:
        height, width = (height + 1) // 2, (width + 1) // 2
        total += height * width
    return total * channels


def reduce(pixels: NDArray[np.uint8], height: int, width: int, channels: int) -> None:
    """Reduce a picture by the binomial filter (1, 3, 3, 1) / 8 along both axes, and the reduction again, down to `LEAST`.

    Args:
        pixels: (`room`,), which begin with the picture, row by row; the reductions are written behind it, largest first.
        height, width: of the picture.
        channels: bytes a pixel.
    """
    kernels.area("reductions").reduce(pixels, height, width, channels)


@over_tensors
def halve(out: NDArray[np.uint8], pictures: NDArray[np.uint8]) -> None:
    """Reduce pictures (n, 2k, 2k, 3) to half, without their border, by the filter (1, 5, 10, 10, 5, 1) / 32 along both axes.

    Args:
        out: (n, k - 2, k - 2, 3), which is written: a pixel at the border of the half is left out.
        pictures: (n, 2k, 2k, 3).
    """
    halved = kernels.area("reductions").halve
    threads.share(len(out), lambda rows: halved(out[rows], pictures[rows]), _PIXELS // max(1, out.shape[1] ** 2))
