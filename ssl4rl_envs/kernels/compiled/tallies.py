"""What pictures hold, added up by compiled loops. The arguments are explained in `kernels.tallies`."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ssl4rl_envs.kernels.compiled import jit, part


@jit
def tally(out: NDArray[np.int64], pictures: NDArray[np.uint8]) -> Any:
    """See `kernels.tallies.tally`."""
    side, parts = pictures.shape[1], out.shape[1]
    width = side // parts
    for i in range(len(out)):
        for number in range(parts):
            left = 0 if number == 0 else side - width
            _add_up(out[i, number], pictures[i], left, left + width)


@part
def _add_up(out: NDArray[np.int64], picture: NDArray[np.uint8], left: int, right: int) -> Any:
    """Add up what lies in some columns of one picture."""
    side = len(picture)
    out[:] = 0
    for row in range(side):
        below = min(row + 1, side - 1)  # the last row is compared with itself
        red, green, blue, chroma, change = np.int32(0), np.int32(0), np.int32(0), np.int32(0), np.int32(0)
        for column in range(left, right):
            r, g, b = (
                np.int32(picture[row, column, 0]),
                np.int32(picture[row, column, 1]),
                np.int32(picture[row, column, 2]),
            )
            red, green, blue = np.int32(red + r), np.int32(green + g), np.int32(blue + b)
            chroma = np.int32(chroma + max(r, max(g, b)) - min(r, min(g, b)))
            beside = min(column + 1, right - 1)
            change = np.int32(
                change
                + abs(r - np.int32(picture[below, column, 0]))
                + abs(g - np.int32(picture[below, column, 1]))
                + abs(b - np.int32(picture[below, column, 2]))
                + abs(r - np.int32(picture[row, beside, 0]))
                + abs(g - np.int32(picture[row, beside, 1]))
                + abs(b - np.int32(picture[row, beside, 2]))
            )
        out[0] += red
        out[1] += green
        out[2] += blue
        out[3] += chroma
        out[4] += change


def warm() -> None:
    """Compile, or load what was compiled before."""
    tally(np.zeros((1, 1, 5), np.int64), np.zeros((1, 1, 1, 3), np.uint8))
