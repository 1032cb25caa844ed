"""Places of views, compiled. The arguments are explained in `kernels.places`."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ssl4rl_envs.kernels.compiled import jit
from ssl4rl_envs.kernels.places import CELL, DRAWS, EDGE, LARGEST, SIDE
from ssl4rl_envs.sources.base import UNIT, UNIT_BITS

Lengths = NDArray[np.int64]
Words = NDArray[np.uint64]


@jit
def frames(out: Lengths, shorter: Lengths, size: int, margin: int) -> Any:
    """See `kernels.places.frames`."""
    for i in range(len(out)):
        cell, found = 1, False
        while True:
            side = shorter[i] // cell * cell
            # A pixel of a reduction is clean if nothing of it is repeated, which is so one pixel from the edge.
            edge = max(UNIT // 2 if cell == 1 else 3 * cell * UNIT // 2, margin * UNIT)
            largest = min((side * UNIT - 2 * edge) * size // (size - 1), size * cell * UNIT)
            if not found or largest > out[i, LARGEST]:
                out[i, CELL], out[i, SIDE], out[i, EDGE], out[i, LARGEST] = cell, side, edge, largest
            if found and size * cell >= shorter[i]:
                break
            found, cell = True, 2 * cell


@jit
def place(
    out: Lengths,
    reach: Lengths,
    words: Words,
    frames: Lengths,
    heights: Lengths,
    widths: Lengths,
    shrink: int,
    zoom: int,
) -> Any:
    """See `kernels.places.place`."""
    for i in range(len(reach)):
        cell, square, edge, widest = frames[i]
        largest = (widest * shrink) >> UNIT_BITS
        least = (largest * zoom) >> UNIT_BITS
        room = square * UNIT - 2 * edge
        if largest < 1 or room < 0:
            return False
        side = least + _below(words[i, 0], largest + 1 - least)
        reach[i] = side * room // largest // 2 * 2
        low = edge + reach[i] // 2
        out[1, i] = _along(words[i, 1], words[i, 2], low, square, cell, heights[i])
        out[0, i] = _along(words[i, 3], words[i, 4], low, square, cell, widths[i])
        out[2, i] = side
    return True


@jit
def _along(word: Any, other: Any, low: int, square: int, cell: int, length: int) -> Any:
    """Return the place along one side: anywhere in a square, and a whole number of cells from there."""
    step = cell * UNIT
    inside = low + _below(word, square * UNIT - 2 * low + 1)
    before, after = (inside - low) // step, (length // cell * cell * UNIT - low - inside) // step
    return inside + step * (_below(other, before + after + 1) - before)


@jit
def _below(word: Any, bound: int) -> Any:
    return np.int64(((word >> np.uint64(32)) * np.uint64(bound)) >> np.uint64(32))


@jit
def beside(
    out: Lengths,
    places: Lengths,
    reach: Lengths,
    frames: Lengths,
    heights: Lengths,
    widths: Lengths,
    other_heights: Lengths,
    other_widths: Lengths,
) -> Any:
    """See `kernels.places.beside`."""
    for i in range(len(reach)):
        cell, low = frames[i, CELL], frames[i, EDGE] + reach[i] // 2
        step = cell * UNIT
        for axis in range(2):
            own, other = (widths[i], other_widths[i]) if axis == 0 else (heights[i], other_heights[i])
            centre, high, end = places[axis, i], own // cell * cell * UNIT - low, other // cell * cell * UNIT - low
            wanted = low + (centre - low) * (end - low) // max(high - low, 1)
            cells = min(max((wanted - centre) // step, -((centre - low) // step)), (end - centre) // step)
            out[axis, i] = centre + cells * step


def warm() -> None:
    """Compile, or load what was compiled before."""
    length, framed, placed = np.full(1, 8), np.zeros((1, 4), np.int64), np.zeros((3, 1), np.int64)
    frames(framed, length, 4, 0)
    place(placed, length.copy(), np.zeros((1, DRAWS), np.uint64), framed, length, length, UNIT, UNIT)
    beside(np.zeros((2, 1), np.int64), placed, length.copy(), framed, length, length, length, length)
