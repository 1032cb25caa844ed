"""Views of pictures, compiled. The arguments are explained in `kernels.pictures`.

Turns by multiples of 90 degrees are drawn line by line (`quarters`), other turns pixel by pixel (`turns`). Since
255 * 4096 * 4096 fits 32 bits, all is exact, and both give what blending four pixels gives.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ssl4rl_envs.kernels.compiled import jit, part, quarters, turns
from ssl4rl_envs.kernels.compiled.tiles import place_square
from ssl4rl_envs.kernels.pictures import COSINES, ONE
from ssl4rl_envs.kernels.reductions import LEAST
from ssl4rl_envs.sources.base import TURN, UNIT


@jit
def draw(
    out: NDArray[np.uint8],
    pixels: NDArray[np.uint8],
    table: NDArray[np.int64],
    where: NDArray[np.int64],
    to: NDArray[np.int64],
    again: NDArray[np.uint8],
    how: NDArray[np.uint8],
) -> Any:
    """See `kernels.pictures.draw`."""
    size = out.shape[1]
    right, down = np.empty(size, np.int64), np.empty(size, np.int64)
    axes, taps = np.empty((4, size), np.uint64), np.empty((4, size), np.uint64)
    room = quarters.room(size)
    words = np.empty(256, np.uint64)
    for i in range(len(out)):
        if not 0 <= where[i, 0] < len(table):
            raise IndexError("a view is of a picture that there is not")
        start, height, width, channels, enlarged = table[where[i, 0]]
        x, y, side, angle = where[i, 1] << enlarged, where[i, 2] << enlarged, where[i, 3] << enlarged, where[i, 4] % TURN
        level = 0
        while side >> level > size * UNIT and min(height, width) >= LEAST:
            start += height * width * channels
            height, width, level = (height + 1) // 2, (width + 1) // 2, level + 1
        picture = (pixels[start : start + height * width * channels], height, width, channels)
        # Positions count from a picture's edge; interpolation counts from the centre of its first pixel.
        x, y = (x >> level) - UNIT // 2, (y >> level) - UNIT // 2
        view, tiles = out[i].reshape(-1), to[min(i, len(to) - 1)]
        if angle % (TURN // 4) == 0:
            _steps(right, side * ONE, level)
            quarters.draw(view, tiles, picture, x, y, right, angle // (TURN // 4), room)
        else:
            _steps(right, side * COSINES[angle], level)
            _steps(down, side * COSINES[(angle - TURN // 4) % TURN], level)
            reach = 2 * (abs(right[0]) + abs(down[0])) // UNIT + 3
            block = (min(reach, width) + 1) * (min(reach, height) + 1)
            if block > len(words):
                words = np.empty(block, np.uint64)
            turns.draw(view, tiles, picture, x, y, right, down, words, axes, taps)
        if len(again):
            place_square(again[i].reshape(-1), 0, 3 * size, view, 0, 3 * size, size, how[i])


@part
def _steps(steps: NDArray[np.int64], length: int, level: int) -> Any:
    """Write where the output's pixels are from its middle, rounded alike on both sides of 0."""
    size = len(steps)
    divisor = (2 * size * ONE) << level
    for k in range((size + 1) // 2):
        away = abs(length) * (size - 1 - 2 * k) // divisor
        if length < 0:
            away = -away
        steps[k], steps[size - 1 - k] = -away, away


def warm() -> None:
    """Compile, or load what was compiled before."""
    pixels, table = np.zeros(1, np.uint8), np.array([[0, 1, 1, 1, 0]])
    pixels.flags.writeable = table.flags.writeable = False
    out, where, to = np.zeros((1, 1, 1, 3), np.uint8), np.zeros((1, 5), np.int64), np.zeros((1, 1, 2), np.int64)
    draw(out, pixels, table, where, to, out.copy(), np.zeros(1, np.uint8))
