"""Views of pictures, compiled. The arguments are explained in `kernels.pictures`."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ssl4rl_envs.kernels.compiled import jit
from ssl4rl_envs.kernels.pictures import COSINES, ONE
from ssl4rl_envs.kernels.reductions import LEAST
from ssl4rl_envs.sources.base import TURN, UNIT, UNIT_BITS


@jit
def draw(out: NDArray[np.uint8], pixels: NDArray[np.uint8], table: NDArray[np.int64], where: NDArray[np.int64]) -> Any:
    """See `kernels.pictures.draw`."""
    size = out.shape[1]
    right, down = np.empty(size, np.int64), np.empty(size, np.int64)
    for i in range(len(out)):
        start, height, width, channels, enlarged = table[where[i, 0]]
        x, y, side, angle = where[i, 1] << enlarged, where[i, 2] << enlarged, where[i, 3] << enlarged, where[i, 4]
        level = 0
        while side >> level > size * UNIT and min(height, width) >= LEAST:
            start += height * width * channels
            height, width, level = (height + 1) // 2, (width + 1) // 2, level + 1
        _steps(right, side * COSINES[angle % TURN], level)
        _steps(down, side * COSINES[(angle - TURN // 4) % TURN], level)
        picture = pixels[start : start + height * width * channels]
        _turned(out[i], picture, height, width, channels, (x >> level) - UNIT // 2, (y >> level) - UNIT // 2, right, down)


@jit
def _steps(steps: NDArray[np.int64], length: int, level: int) -> Any:
    size = len(steps)
    for k in range(size):
        exact = length * (2 * k - (size - 1))
        rounded = abs(exact) // ((2 * size * ONE) << level)
        steps[k] = rounded if exact > 0 else -rounded


@jit
def _turned(
    out: NDArray[np.uint8],
    pixels: NDArray[np.uint8],
    height: int,
    width: int,
    channels: int,
    x: int,
    y: int,
    right: NDArray[np.int64],
    down: NDArray[np.int64],
) -> Any:
    size = len(out)
    for r in range(size):
        for c in range(size):
            column = min(max(x + right[c] - down[r], 0), (width - 1) * UNIT)
            row = min(max(y + right[r] + down[c], 0), (height - 1) * UNIT)
            left, top, beyond, below = column >> UNIT_BITS, row >> UNIT_BITS, column & (UNIT - 1), row & (UNIT - 1)
            corner = (top * width + left) * channels
            beside = channels if left < width - 1 else 0
            under = width * channels if top < height - 1 else 0
            for channel in range(3):
                at = corner + min(channel, channels - 1)
                upper = pixels[at] * (UNIT - beyond) + pixels[at + beside] * beyond
                lower = pixels[at + under] * (UNIT - beyond) + pixels[at + under + beside] * beyond
                out[r, c, channel] = (upper * (UNIT - below) + lower * below + (1 << 2 * UNIT_BITS - 1)) >> 2 * UNIT_BITS


def warm() -> None:
    """Compile, or load what was compiled before."""
    pixels, table = np.zeros(1, np.uint8), np.array([[0, 1, 1, 1, 0]])
    pixels.flags.writeable = table.flags.writeable = False
    draw(np.zeros((1, 1, 1, 3), np.uint8), pixels, table, np.zeros((1, 5), np.int64))
