"""Places of views, in NumPy. The arguments are explained in `kernels.places`."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from ssl4rl_envs.kernels.places import CELL, EDGE, LARGEST, SIDE
from ssl4rl_envs.sources.base import UNIT, UNIT_BITS

Lengths = NDArray[np.int64]
Words = NDArray[np.uint64]


def frames(out: Lengths, shorter: Lengths, size: int, margin: int) -> None:
    """See `kernels.places.frames`."""
    levels = max(1, math.ceil(math.log2(max(1.0, float(shorter.max(initial=1)) / size)))) + 1
    cells = np.int64(1) << np.arange(levels)[:, None]
    sides = shorter // cells * cells
    # A pixel of a reduction is clean if nothing of it is repeated, which is so one pixel from the edge.
    edges = np.maximum(np.where(cells == 1, UNIT // 2, 3 * cells * UNIT // 2), margin * UNIT)
    largest = np.minimum((sides * UNIT - 2 * edges) * size // (size - 1), size * cells * UNIT)
    best, rows = largest.argmax(axis=0), np.arange(len(shorter))
    out[:, CELL], out[:, SIDE] = cells[best, 0], sides[best, rows]
    out[:, EDGE], out[:, LARGEST] = edges[best, 0], largest[best, rows]


def place(
    out: Lengths,
    reach: Lengths,
    words: Words,
    frames: Lengths,
    heights: Lengths,
    widths: Lengths,
    shrink: int,
    zoom: int,
) -> bool:
    """See `kernels.places.place`."""
    cell, square, edge, widest = frames.T
    largest = (widest * shrink) >> UNIT_BITS
    least = (largest * zoom) >> UNIT_BITS
    room = square * UNIT - 2 * edge
    if (largest < 1).any() or (room < 0).any():
        return False
    side = least + _below(words[:, 0], largest + 1 - least)
    reach[...] = side * room // largest // 2 * 2
    low, step = edge + reach // 2, cell * UNIT
    for axis, length, first in ((1, heights, 1), (0, widths, 3)):
        inside = low + _below(words[:, first], square * UNIT - 2 * low + 1)
        before, after = (inside - low) // step, (_end(length, frames, reach) - inside) // step
        out[axis] = inside + step * (_below(words[:, first + 1], before + after + 1) - before)
    out[2] = side
    return True


def beside(
    out: Lengths,
    places: Lengths,
    reach: Lengths,
    frames: Lengths,
    heights: Lengths,
    widths: Lengths,
    other_heights: Lengths,
    other_widths: Lengths,
) -> None:
    """See `kernels.places.beside`."""
    low, step = frames[:, EDGE] + reach // 2, frames[:, CELL] * UNIT
    for axis, own, other in ((0, widths, other_widths), (1, heights, other_heights)):
        centre, high, end = places[axis], _end(own, frames, reach), _end(other, frames, reach)
        wanted = low + (centre - low) * (end - low) // np.maximum(high - low, 1)
        cells = np.clip((wanted - centre) // step, -((centre - low) // step), (end - centre) // step)
        out[axis] = centre + cells * step


def _end(length: Lengths, frames: Lengths, reach: Lengths) -> Lengths:
    """Return the last place of a view's middle along a side of its picture."""
    cell = frames[:, CELL]
    return length // cell * cell * UNIT - frames[:, EDGE] - reach // 2


def _below(words: Words, bounds: Lengths) -> Lengths:
    return ((words >> np.uint64(32)) * bounds.astype(np.uint64) >> np.uint64(32)).astype(np.int64)
