"""Squares that look alike or do not, in NumPy. The arguments are explained in `kernels.likeness`."""

from __future__ import annotations

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from ssl4rl_envs.kernels.reference.tiles import squares, turned

Bytes = NDArray[np.uint8]
Whole = NDArray[np.int64]


def differ(
    result: NDArray[np.bool_], first: Bytes, at: Whole, second: Bytes, there: Whole, side: int, how: Bytes, least: int
) -> None:
    """See `kernels.likeness.differ`."""
    one, other = squares(first, at, side), turned(squares(second, there, side), how)
    apart = np.abs(one.astype(np.int16) - other.astype(np.int16)).sum(axis=(2, 3, 4), dtype=np.int64)
    result[:] = (apart >= least).all(axis=1)


def coloured(result: NDArray[np.bool_], pictures: Bytes, least: int) -> None:
    """See `kernels.likeness.coloured`."""
    values = pictures.astype(np.int64)
    apart = np.abs(values - np.roll(values, 1, axis=-1)).sum(axis=(1, 2))
    result[:] = (apart >= least).all(axis=1)


def first_distinct(chosen: Whole, pictures: Bytes, at: Whole, side: int, least: int, clear: int, centred: bool) -> None:
    """See `kernels.likeness.first_distinct`."""
    chosen[:] = -1
    for s in range(at.shape[1]):
        apart = np.abs(at[:, s, 1 : clear + 1] - at[:, s, :1]).max(axis=2) >= side
        rows = np.flatnonzero((chosen < 0) & apart.all(axis=1))
        values = squares(pictures[rows], at[:, s] if len(at) == 1 else at[rows, s], side).astype(np.int16)
        if centred:
            mean = (values.sum(axis=(2, 3), keepdims=True, dtype=np.int64) + side * side // 2) // (side * side)
            values = (values - mean).astype(np.int16)
        good = np.ones(len(rows), bool)
        for j in range(values.shape[1] - 1):
            apart = np.abs(values[:, j : j + 1] - values[:, j + 1 :]).sum(axis=(2, 3, 4), dtype=np.int64)
            good &= (apart >= least).all(axis=1)
        chosen[rows[good]] = s


def first_rich(chosen: Whole, pictures: Bytes, at: Whole, side: int, least: int) -> None:
    """See `kernels.likeness.first_rich`."""
    values = squares(pictures, at, side).astype(np.int64)
    total, squared = values.sum(axis=(2, 3)), (values**2).sum(axis=(2, 3))
    rich = np.asarray((side * side * squared - total**2).sum(axis=2) >= least)
    chosen[:] = np.where(rich.any(axis=1), rich.argmax(axis=1), -1)


def first_lonely(chosen: Whole, looks: Bytes, order: Whole, grid: int, side: int, least: int) -> None:
    """See `kernels.likeness.first_lonely`."""
    cell = looks.shape[1] // grid
    spots = cell - side + 1
    windows = sliding_window_view(looks, (side, side), axis=(1, 2)).astype(np.int16)
    # Doubled coordinates of middles are whole.
    cells = np.minimum((2 * np.arange(windows.shape[1]) + side) // (2 * cell), grid - 1)
    lonely = np.empty((len(looks), grid * grid, spots * spots), bool)
    for number in range(grid * grid):
        row, column = divmod(number, grid)
        elsewhere = (cells[:, None] != row) | (cells[None, :] != column)
        for spot in range(spots * spots):
            square = windows[:, row * cell + spot // spots, column * cell + spot % spots]
            apart = np.abs(windows - square[:, None, None]).sum(axis=(3, 4, 5), dtype=np.int64)
            lonely[:, number, spot] = (apart[:, elsewhere] >= least).all(axis=1)
    tried = np.take_along_axis(lonely, order[:, None], axis=2)
    first = np.take_along_axis(order, tried.argmax(axis=2), axis=1)
    found = np.asarray(tried.any(axis=2))
    chosen[:] = np.where(found.all(axis=1, keepdims=True), first, -1)
