"""Squares that look alike or do not, by torch. The arguments are explained in `kernels.likeness`; answers are arrays."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ssl4rl_envs.kernels.device.tiles import squares

Whole = NDArray[np.int64]
Truths = NDArray[np.bool_]


def differ(first: Tensor, at: Whole, second: Tensor, there: Whole, side: int, how: NDArray[np.uint8], least: int) -> Truths:
    """See `kernels.likeness.differ`."""
    apart = _apart(squares(first, at, side).short(), squares(second, there, side, how).short())
    return _array((apart >= least).all(dim=1))


def coloured(pictures: Tensor, least: int) -> Truths:
    """See `kernels.likeness.coloured`."""
    values = pictures.long()
    apart = (values - values.roll(1, dims=-1)).abs().sum(dim=(1, 2))
    return _array((apart >= least).all(dim=1))


def first_distinct(pictures: Tensor, at: Whole, side: int, least: int, *, clear: int = 0, centred: bool = False) -> Whole:
    """See `kernels.likeness.first_distinct`."""
    chosen = np.full(len(pictures), -1, np.int64)
    for s in range(at.shape[1]):
        away = (np.abs(at[:, s, 1 : clear + 1] - at[:, s, :1]).max(axis=2) >= side).all(axis=1)
        rows = np.flatnonzero((chosen < 0) & away)
        if not len(rows):
            continue
        some = pictures[torch.as_tensor(rows, device=pictures.device)]
        values = squares(some, at[:, s] if len(at) == 1 else at[rows, s], side).int()
        if centred:
            total = values.sum(dim=(2, 3), keepdim=True)
            values = values - torch.div(total + side * side // 2, side * side, rounding_mode="floor").int()
        good = np.ones(len(rows), bool)
        for j in range(values.shape[1] - 1):
            good &= _array((_apart(values[:, j : j + 1], values[:, j + 1 :]) >= least).all(dim=1))
        chosen[rows[good]] = s
    return chosen


def first_rich(pictures: Tensor, at: Whole, side: int, least: int) -> Whole:
    """See `kernels.likeness.first_rich`."""
    values = squares(pictures, at, side).long()
    total, squared = values.sum(dim=(2, 3)), (values**2).sum(dim=(2, 3))
    rich = _array((side * side * squared - total**2).sum(dim=2) >= least)
    return np.where(rich.any(axis=1), rich.argmax(axis=1), -1)


def first_lonely(looks: Tensor, order: Whole, grid: int, side: int, least: int) -> Whole:
    """See `kernels.likeness.first_lonely`."""
    cell = looks.shape[1] // grid
    spots = cell - side + 1
    windows = looks.short().unfold(1, side, 1).unfold(2, side, 1)  # (n, rows, columns, 3, side, side)
    cells = np.minimum((2 * np.arange(windows.shape[1]) + side) // (2 * cell), grid - 1)
    lonely = np.empty((len(looks), grid * grid, spots * spots), bool)
    for number in range(grid * grid):
        row, column = divmod(number, grid)
        elsewhere = torch.as_tensor((cells[:, None] != row) | (cells[None, :] != column), device=looks.device)
        for spot in range(spots * spots):
            square = windows[:, row * cell + spot // spots, column * cell + spot % spots]
            lonely[:, number, spot] = _array((_apart(windows, square[:, None, None])[:, elsewhere] >= least).all(dim=1))
    tried = np.take_along_axis(lonely, order[:, None], axis=2)
    first = np.take_along_axis(order, tried.argmax(axis=2), axis=1)
    found = np.asarray(tried.any(axis=2))
    return np.where(found.all(axis=1, keepdims=True), first, -1)


def _apart(first: Tensor, second: Tensor) -> Tensor:
    return (first - second).abs().sum(dim=(-3, -2, -1), dtype=torch.int64)


def _array(values: Any) -> Truths:
    return np.asarray(values.cpu().numpy(), np.bool_)
