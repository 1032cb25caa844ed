"""Views of pictures, compiled, pixel by pixel. The arguments are explained in `kernels.pictures`."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ssl4rl_envs.kernels.compiled import jit
from ssl4rl_envs.sources.base import UNIT, UNIT_BITS


@jit
def interpolate(
    out: NDArray[np.uint8],
    pixels: NDArray[np.uint32],
    starts: NDArray[np.int64],
    widths: NDArray[np.int64],
    heights: NDArray[np.int64],
    x: NDArray[np.int32],
    y: NDArray[np.int32],
    along: NDArray[np.int32],
    across: NDArray[np.int32],
) -> Any:
    """See `kernels.pictures.interpolate`."""
    count, size = along.shape
    for i in range(count):
        width, last_column, last_row = widths[i], widths[i] - 1, heights[i] - 1
        for r in range(size):
            for c in range(size):
                column = min(max(x[i] + along[i, c] - across[i, r], 0), last_column * UNIT)
                row = min(max(y[i] + along[i, r] + across[i, c], 0), last_row * UNIT)
                left, top, right, below = column >> UNIT_BITS, row >> UNIT_BITS, column & (UNIT - 1), row & (UNIT - 1)
                corner = starts[i] + top * width + left
                beside = 1 if left < last_column else 0
                under = width if top < last_row else 0
                first, second = pixels[corner], pixels[corner + beside]
                third, fourth = pixels[corner + under], pixels[corner + under + beside]
                for channel in range(3):
                    shift = 8 * channel
                    upper = ((first >> shift) & 255) * (UNIT - right) + ((second >> shift) & 255) * right
                    lower = ((third >> shift) & 255) * (UNIT - right) + ((fourth >> shift) & 255) * right
                    total = upper * (UNIT - below) + lower * below + (1 << 2 * UNIT_BITS - 1)
                    out[i, r, c, channel] = total >> 2 * UNIT_BITS


def warm() -> None:
    """Compile, or load what was compiled before."""
    one, half, step = np.ones(1, np.int64), np.zeros(1, np.int32), np.zeros((1, 1), np.int32)
    interpolate(np.zeros((1, 1, 1, 3), np.uint8), np.zeros(1, np.uint32), one - 1, one, one, half, half, step, step)
