"""Marks: small numbers in white squares that say which thing of a picture is meant."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from ssl4rl_envs.images.tiles import stacked
from ssl4rl_envs.kernels import tiles as kernels
from ssl4rl_envs.kernels.tensors import beside

_GLYPHS = {"1": "010110010010111", "2": "110001010100111", "3": "110001010001110"}
"""Digits of 3 x 5 pixels, row by row."""

MIN_SIZE = 36
"""On smaller pictures marks would hide what they mark."""

_SIDE = 7
_LARGER = 72
"""Marks grow with the picture: by their side for every so many pixels of its."""


def side_of(image_size: int) -> int:
    """Return the side of a mark on a picture, in pixels."""
    return _SIDE * max(1, image_size // _LARGER)


@lru_cache(maxsize=32)
def squares(count: int, side: int) -> NDArray[np.uint8]:
    """Return marks 1 to `count`, black digits on white, (1, count, side, side, 3); not to be written."""
    result = np.full((1, count, _SIDE, _SIDE, 3), 255, np.uint8)
    for number in range(count):
        digit = np.array(list(_GLYPHS[str(number + 1)])).reshape(5, 3) == "1"
        result[0, number, 1:6, 2:5][digit] = 0
    larger = side // _SIDE
    return result.repeat(larger, axis=2).repeat(larger, axis=3)


def corners(middles: NDArray[np.float64], image_size: int) -> NDArray[np.int64]:
    """Return the upper left corners, row and column, of marks with these middles on a picture; see `mark`."""
    side = side_of(image_size)
    return np.clip(np.floor(middles[..., ::-1] * image_size).astype(np.int64) - side // 2, 0, image_size - side)


def mark(pictures: NDArray[np.uint8], middles: NDArray[np.float64]) -> None:
    """Draw marks 1, 2, ... on pictures (n, size, size, 3), which are written.

    Args:
        pictures: what is marked.
        middles: (n, marks, 2) where the middles of the marks are, right and down, as shares of the picture; at its edges
            they are moved inside.
    """
    count, size = len(pictures), pictures.shape[1]
    if not count:
        return
    side = side_of(size)
    drawn = stacked(beside(pictures, np.repeat(squares(middles.shape[1], side), count, axis=0)))
    kernels.place(pictures, corners(middles, size), drawn.pictures, drawn.at, side)
