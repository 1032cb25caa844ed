"""Differences of small pictures, compiled. The arguments are explained in `kernels.looks`."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ssl4rl_envs.kernels.compiled import jit
from ssl4rl_envs.kernels.tiles import MIRRORED, TRANSPOSED, UPENDED

_PIECE = 192  # numbers that are added up before the sum is looked at


@jit
def differ(out: NDArray[np.bool_], first: NDArray[np.uint8], second: NDArray[np.uint8], least: int) -> Any:
    """See `kernels.looks.differ`."""
    for i in range(len(out)):
        out[i] = _apart(first[i], second[i], least)


@jit
def _apart(first: NDArray[np.uint8], second: NDArray[np.uint8], least: int) -> Any:
    total: Any = 0
    start, count = 0, len(first)
    while start < count and total < least:
        stop = min(start + _PIECE, count)
        piece = np.int32(0)
        for k in range(start, stop):
            piece = np.int32(piece + abs(np.int32(first[k]) - np.int32(second[k])))
        total += piece
        start = stop
    return total >= least


@jit
def lie_apart(
    out: NDArray[np.bool_], pictures: NDArray[np.uint8], ways: NDArray[np.int64], inside: NDArray[np.int64], least: int
) -> Any:
    """See `kernels.looks.lie_apart`."""
    for i in range(len(out)):
        out[i] = True
        for way in ways:
            if not _lies_apart(pictures[i], way, inside, least):
                out[i] = False
                break


@jit
def _lies_apart(picture: NDArray[np.uint8], way: int, inside: NDArray[np.int64], least: int) -> Any:
    side = len(picture)
    total: Any = 0
    for row in range(side):
        if total >= least:
            break
        for column in range(inside[row], side - inside[row]):
            a, b = (column, row) if way & TRANSPOSED else (row, column)
            if way & UPENDED:
                a = side - 1 - a
            if way & MIRRORED:
                b = side - 1 - b
            for channel in range(3):
                total += abs(np.int64(picture[row, column, channel]) - np.int64(picture[a, b, channel]))
    return total >= least


def warm() -> None:
    """Compile, or load what was compiled before."""
    out = np.zeros(1, np.bool_)
    differ(out, np.zeros((1, 1), np.uint8), np.zeros((1, 1), np.uint8), 1)
    lie_apart(out, np.zeros((1, 1, 1, 3), np.uint8), np.zeros(1, np.int64), np.zeros(1, np.int64), 1)
