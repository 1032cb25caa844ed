"""Kernels that draw views of pictures in memory."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from ssl4rl_envs import kernels
from ssl4rl_envs.kernels import threads
from ssl4rl_envs.kernels.tensors import over_tensors
from ssl4rl_envs.kernels.tiles import WHOLE, part
from ssl4rl_envs.sources.base import TURN

ONE = 1 << 14
"""Cosines are integers in 1/2**14."""

COSINES = np.array([round(math.cos(2 * math.pi * k / TURN) * ONE) for k in range(TURN)], np.int64)
"""The cosine of every angle."""

NOWHERE, NOHOW = np.empty((0, 1, 1, 3), np.uint8), np.empty(0, np.uint8)
"""No second picture."""

_PIXELS = 1 << 14
"""Output pixels that are worth a thread."""


@over_tensors
def draw(
    out: NDArray[np.uint8],
    pixels: NDArray[np.uint8],
    table: NDArray[np.int64],
    where: NDArray[np.int64],
    to: NDArray[np.int64] = WHOLE,
    again: NDArray[np.uint8] = NOWHERE,
    how: NDArray[np.uint8] = NOHOW,
) -> None:
    """Draw turned square views of pictures, blending the four pixels round each position with one rounding.

    Of a picture and its reductions, which it is followed by, that one is drawn from which is the finest whose pixels are no
    smaller than the output's, so that nothing aliases; or the coarsest. With its pixels as units, the view's middle at (x, y)
    and u, v the output's position from the view's middle, rounded alike on both sides of 0, output pixel (v, u) shows what is
    at x + u cos a - v sin a, y + v cos a + u sin a. Outside a picture its edge pixels are repeated.

    Args:
        out: (n, size, size, 3), which is written.
        pixels: (bytes,) of all pictures with their reductions, read-only.
        table: (items, 5) of them, read-only; see `sources.stored.Stored`.
        where: (n, 5), a row a view: the number of its picture, x and y of its middle from the picture's left and upper edge
            and its side, in 1/4096 of a pixel of the picture before it was enlarged, and its angle.
        to: (n or 1, m, 2) where the tiles of a view are to lie that is cut into a square grid of m: their upper left corners,
            rows and columns, tile by tile from left to right, top to bottom. By default the view is one tile.
        again: (n, size, size, 3), in which each view is written once more, while it is at hand; by default none is.
        how: (n,) how it is turned there; see `kernels.tiles`.

    Raises:
        IndexError: there is no picture of such a number.
    """
    drawn = kernels.area("pictures").draw
    least = _PIXELS // max(1, out.shape[1] ** 2)

    def work(rows: slice) -> None:
        drawn(out[rows], pixels, table, where[rows], part(to, rows), again[rows], how[rows])

    threads.share(len(out), work, least)
