"""Kernels that say whether squares of pictures look alike, and choose the first that do not.

Two squares differ if the sum of the absolute differences of their bytes is at least `least`. Corners are named as in `tiles`.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from ssl4rl_envs import kernels
from ssl4rl_envs.kernels import threads
from ssl4rl_envs.kernels.tensors import over_tensors
from ssl4rl_envs.kernels.tiles import part

Bytes = NDArray[np.uint8]
Whole = NDArray[np.int64]
Truths = NDArray[np.bool_]

_BYTES = 1 << 16
"""What is worth a thread."""


@over_tensors
def differ(first: Bytes, at: Whole, second: Bytes, there: Whole, side: int, how: Bytes, least: int) -> Truths:
    """Return for which rows (n,) every square of a picture differs from one of another picture.

    Args:
        first: (n, h, w, 3).
        at: corners of m squares in it, (n or 1, m, 2).
        second: (n, height, width, 3).
        there: corners of as many squares in it.
        side: of all squares, in pixels.
        how: (n or 1, m or 1), how each of the second is turned; see `tiles.place`.
        least: see the module.
    """
    compare = kernels.area("likeness").differ
    first, second = np.ascontiguousarray(first), np.ascontiguousarray(second)
    result = np.empty(len(first), np.bool_)

    def work(rows: slice) -> None:
        places = (part(at, rows), second[rows], part(there, rows), side, part(how, rows))
        compare(result[rows], first[rows], *places, least)

    _share(len(result), 3 * side * side * at.shape[1], work)
    return result


@over_tensors
def coloured(pictures: Bytes, least: int) -> Truths:
    """Return which pictures (n, h, w, 3) have three channels of which no two differ by less than `least` in sum, (n,)."""
    compare = kernels.area("likeness").coloured
    result = np.empty(len(pictures), np.bool_)
    _share(len(result), pictures[:1].size, lambda rows: compare(result[rows], pictures[rows], least))
    return result


@over_tensors
def first_distinct(pictures: Bytes, at: Whole, side: int, least: int, *, clear: int = 0, centred: bool = False) -> Whole:
    """Return the first of several sets of squares, no two of which look alike, by row, (n,); -1 where there is none.

    Args:
        pictures: (n, h, w, 3).
        at: corners, (n or 1, sets, m, 2).
        side: of all squares, in pixels.
        least: see the module.
        clear: so many squares after the first must not overlap it.
        centred: compare them apart from their mean colours, which are rounded.
    """
    choose, pictures = kernels.area("likeness").first_distinct, np.ascontiguousarray(pictures)
    chosen = np.empty(len(pictures), np.int64)
    _share(
        len(chosen),
        3 * side * side * at.shape[2] ** 2 // 2,
        lambda rows: choose(chosen[rows], pictures[rows], part(at, rows), side, least, clear, centred),
    )
    return chosen


@over_tensors
def first_rich(pictures: Bytes, at: Whole, side: int, least: int) -> Whole:
    """Return the first of several squares whose colours spread enough, by row, (n,); -1 where there is none.

    Args:
        pictures: (n, h, w, 3).
        at: their corners, (n, m, 2).
        side: of all squares, in pixels.
        least: of the sum of variances of red, green and blue, multiplied by side**4.
    """
    choose = kernels.area("likeness").first_rich
    chosen = np.empty(len(pictures), np.int64)
    _share(len(chosen), 6 * side * side, lambda rows: choose(chosen[rows], pictures[rows], at[rows], side, least))
    return chosen


@over_tensors
def first_lonely(looks: Bytes, order: Whole, grid: int, side: int, least: int) -> Whole:
    """Return for each cell of a picture the first place in it whose square looks like none in another cell, (n, grid**2).

    A row where some cell has no such place holds -1 in every cell.

    Args:
        looks: (n, grid * cell, grid * cell, 3) pictures.
        order: (n, m) numbers of the m = (cell - side + 1)**2 places of a square in a cell, line by line, in the order in
            which they are tried; that of all cells.
        grid: cells a side.
        side: of a square, in pixels.
        least: see the module.

    A square that touches several cells belongs to the one that holds its middle, and to the lower right one of those that it
    is between.
    """
    choose = kernels.area("likeness").first_lonely
    chosen = np.empty((len(looks), grid * grid), np.int64)
    _share(
        len(chosen),
        64 * looks[:1].size,
        lambda rows: choose(chosen[rows], looks[rows], order[rows], grid, side, least),
    )
    return chosen


def least(threshold: float, side: int) -> int:
    """Return `least` of squares that differ by a threshold on average, in grey levels of 255."""
    return math.ceil(threshold * 3 * side * side)


def _share(rows: int, size: int, work: Callable[[slice], None]) -> None:
    if rows:
        threads.share(rows, work, max(1, _BYTES // max(1, size)))
