"""Kernels that draw views of pictures in memory."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ssl4rl_envs import kernels
from ssl4rl_envs.kernels import threads

Arrays = tuple[NDArray[np.integer], ...]

_PIXELS = 1 << 15
"""Output pixels that are worth a thread."""


def interpolate(
    out: NDArray[np.uint8],
    pixels: NDArray[np.uint32],
    pictures: Arrays,
    middle: Arrays,
    steps: Arrays,
) -> None:
    """Draw turned squares of pictures, blending the four pixels round each position with one rounding.

    Args:
        out: (n, size, size, 3), which is written.
        pixels: (m,) of all pictures, row by row; red in the lowest byte, then green and blue.
        pictures: where the pixels of each of n pictures begin, their widths and their heights, (n,) int64 each.
        middle: x and y of the middles of the squares, (n,) int32 each, in 1/4096 of a pixel from the middle of the first.
        steps: along and across, (n, size) int32 each, in the same unit: output pixel (r, c) is drawn from
            x + along[c] - across[r], y + along[r] + across[c]. Outside a picture its edge pixels are repeated.
    """
    draw = kernels.area("pictures").interpolate
    arrays = (*pictures, *middle, *steps)
    threads.share(
        len(out), lambda rows: draw(out[rows], pixels, *(array[rows] for array in arrays)), _PIXELS // out.shape[1] ** 2
    )
