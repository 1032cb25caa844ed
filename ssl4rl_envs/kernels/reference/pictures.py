"""Views of pictures, in NumPy. The arguments are explained in `kernels.pictures`."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ssl4rl_envs.sources.base import UNIT, UNIT_BITS


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
) -> None:
    """See `kernels.pictures.interpolate`."""
    columns = x[:, None, None] + along[:, None, :] - across[:, :, None]
    rows = y[:, None, None] + along[:, :, None] + across[:, None, :]
    last_column = (widths.astype(np.int32) - 1)[:, None, None]
    last_row = (heights.astype(np.int32) - 1)[:, None, None]
    columns = np.clip(columns, 0, last_column * UNIT)
    rows = np.clip(rows, 0, last_row * UNIT)
    left, top = columns >> UNIT_BITS, rows >> UNIT_BITS
    right, below = (columns & (UNIT - 1)).astype(np.uint32), (rows & (UNIT - 1)).astype(np.uint32)
    step_right = (left < last_column).astype(np.int32)
    step_down = np.where(top < last_row, last_column + 1, 0)
    corner = starts[:, None, None] + (top * (last_column + 1) + left)
    taps = [pixels.take(corner), pixels.take(corner + step_right)]
    corner += step_down
    taps += [pixels.take(corner), pixels.take(corner + step_right)]
    one = np.uint32(UNIT)
    weights = [(one - below) * (one - right), (one - below) * right, below * (one - right), below * right]
    for channel in range(3):
        total = np.full(columns.shape, 1 << 2 * UNIT_BITS - 1, np.uint32)
        for tap, weight in zip(taps, weights, strict=True):
            total += ((tap >> np.uint32(8 * channel)) & np.uint32(255)) * weight
        out[..., channel] = total >> np.uint32(2 * UNIT_BITS)
