"""Squares that look alike or do not, compiled. The arguments are explained in `kernels.likeness`."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ssl4rl_envs.kernels.compiled import jit, part

Bytes = NDArray[np.uint8]
Whole = NDArray[np.int64]


@jit
def differ(
    result: NDArray[np.bool_], first: Bytes, at: Whole, second: Bytes, there: Whole, side: int, how: Bytes, least: int
) -> Any:
    """See `kernels.likeness.differ`."""
    count, many = len(first), at.shape[1]
    width, wide = 3 * first.shape[2], 3 * second.shape[2]
    one, other = first.reshape(count, -1), second.reshape(count, -1)
    for i in range(count):
        ai, bi, hi = min(i, len(at) - 1), min(i, len(there) - 1), min(i, len(how) - 1)
        result[i] = True
        for j in range(many):
            turn = how[hi, min(j, how.shape[1] - 1)]
            start, origin = at[ai, j, 0] * width + 3 * at[ai, j, 1], there[bi, j, 0] * wide + 3 * there[bi, j, 1]
            down, step = (3, wide) if turn & 4 else (wide, 3)
            if turn & 2:
                origin += (side - 1) * wide
                down, step = (down, -step) if turn & 4 else (-down, step)
            if turn & 1:
                origin += (side - 1) * 3
                down, step = (-down, step) if turn & 4 else (down, -step)
            apart: Any = 0
            for r in range(side):
                here, across = start + r * width, origin + r * down
                for c in range(side):
                    for channel in range(3):
                        apart += abs(
                            np.int32(one[i, here + 3 * c + channel]) - np.int32(other[i, across + c * step + channel])
                        )
                if apart >= least:
                    break
            if apart < least:
                result[i] = False
                break


@jit
def coloured(result: NDArray[np.bool_], pictures: Bytes, least: int) -> Any:
    """See `kernels.likeness.coloured`."""
    for i in range(len(pictures)):
        first: Any = 0
        second: Any = 0
        third: Any = 0
        for r in range(pictures.shape[1]):
            for c in range(pictures.shape[2]):
                red, green, blue = (
                    np.int32(pictures[i, r, c, 0]),
                    np.int32(pictures[i, r, c, 1]),
                    np.int32(pictures[i, r, c, 2]),
                )
                first += abs(red - green)
                second += abs(green - blue)
                third += abs(blue - red)
        result[i] = first >= least and second >= least and third >= least


@jit
def first_distinct(chosen: Whole, pictures: Bytes, at: Whole, side: int, least: int, clear: int, centred: bool) -> Any:
    """See `kernels.likeness.first_distinct`."""
    count, (sets, many) = len(pictures), at.shape[1:3]
    wide, half = 3 * pictures.shape[2], side * side // 2
    flat = pictures.reshape(count, -1)
    starts, means = np.zeros(many, np.int64), np.zeros((many, 3), np.int32)
    for i in range(count):
        ai = min(i, len(at) - 1)
        chosen[i] = -1
        for s in range(sets):
            alike = False
            for j in range(1, clear + 1):
                down, right = at[ai, s, j, 0] - at[ai, s, 0, 0], at[ai, s, j, 1] - at[ai, s, 0, 1]
                alike = alike or max(abs(down), abs(right)) < side
            if alike:
                continue
            for j in range(many):
                starts[j] = at[ai, s, j, 0] * wide + 3 * at[ai, s, j, 1]
                if centred:
                    for channel in range(3):
                        total = half
                        for r in range(side):
                            for c in range(side):
                                total += flat[i, starts[j] + r * wide + 3 * c + channel]
                        means[j, channel] = total // (side * side)
            for j in range(many - 1):
                for k in range(j + 1, many):
                    if _alike(flat[i], starts[j], starts[k], wide, side, means, j, k, least):
                        alike = True
                        break
                if alike:
                    break
            if not alike:
                chosen[i] = s
                break


@part
def _alike(
    flat: Bytes, one: int, other: int, wide: int, side: int, means: NDArray[np.int32], j: int, k: int, least: int
) -> bool:
    """Return whether two squares differ by less than `least`, apart from their mean colours j and k."""
    apart: Any = 0
    red, green, blue = means[j, 0] - means[k, 0], means[j, 1] - means[k, 1], means[j, 2] - means[k, 2]
    for r in range(side):
        for c in range(side):
            a, b = one + r * wide + 3 * c, other + r * wide + 3 * c
            apart += abs(np.int32(flat[a]) - np.int32(flat[b]) - red)
            apart += abs(np.int32(flat[a + 1]) - np.int32(flat[b + 1]) - green)
            apart += abs(np.int32(flat[a + 2]) - np.int32(flat[b + 2]) - blue)
        if apart >= least:
            return False
    return True


@jit
def first_rich(chosen: Whole, pictures: Bytes, at: Whole, side: int, least: int) -> Any:
    """See `kernels.likeness.first_rich`."""
    for i in range(len(pictures)):
        chosen[i] = -1
        for s in range(at.shape[1]):
            spread = 0
            for channel in range(3):
                total: Any = 0
                squares: Any = 0
                for r in range(at[i, s, 0], at[i, s, 0] + side):
                    for c in range(at[i, s, 1], at[i, s, 1] + side):
                        value = np.int64(pictures[i, r, c, channel])
                        total += value
                        squares += value * value
                spread += side * side * squares - total * total
            if spread >= least:
                chosen[i] = s
                break


@jit
def first_lonely(chosen: Whole, looks: Bytes, order: Whole, grid: int, side: int, least: int) -> Any:
    """See `kernels.likeness.first_lonely`."""
    count, whole = looks.shape[:2]
    cell, wide = whole // grid, 3 * whole
    spots = cell - side + 1
    flat = looks.reshape(count, -1)
    for i in range(count):
        for number in range(grid * grid):
            row, column = number // grid, number % grid
            found = -1
            for spot in order[i]:
                start = (row * cell + spot // spots) * wide + 3 * (column * cell + spot % spots)
                if _lonely(flat[i], start, row, column, wide, grid, cell, side, least):
                    found = spot
                    break
            if found < 0:
                chosen[i] = -1
                break
            chosen[i, number] = found


@part
def _lonely(flat: Bytes, start: int, row: int, column: int, wide: int, grid: int, cell: int, side: int, least: int) -> bool:
    """Return whether a square looks like none that belongs to another cell."""
    last = grid * cell - side
    for top in range(last + 1):
        elsewhere = min((2 * top + side) // (2 * cell), grid - 1) != row
        for left in range(last + 1):
            if not elsewhere and min((2 * left + side) // (2 * cell), grid - 1) == column:
                continue
            apart: Any = 0
            other = top * wide + 3 * left
            for r in range(side):
                for b in range(3 * side):
                    apart += abs(np.int32(flat[start + r * wide + b]) - np.int32(flat[other + r * wide + b]))
                if apart >= least:
                    break
            if apart < least:
                return False
    return True


def warm() -> None:
    """Compile, or load what was compiled before."""
    picture, corner, chosen = np.zeros((1, 1, 1, 3), np.uint8), np.zeros((1, 1, 2), np.int64), np.zeros(1, np.int64)
    differ(np.zeros(1, np.bool_), picture, corner, picture, corner, 1, np.zeros((1, 1), np.uint8), 1)
    coloured(np.zeros(1, np.bool_), picture, 1)
    first_distinct(chosen, picture, corner[None], 1, 1, 0, False)
    first_rich(chosen, picture, corner, 1, 0)
    first_lonely(chosen[None], picture, chosen[None] * 0, 1, 1, 1)
