"""Views that are turned by multiples of 90 degrees, compiled: blended along one axis of the output first, and then across.

Each line of the picture is blended once, at the same places as all others, and no position is computed twice.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ssl4rl_envs.kernels.compiled import part
from ssl4rl_envs.kernels.compiled.blending import READ, WRITTEN, blend_lines, blend_pixels, copy_pixel
from ssl4rl_envs.sources.base import UNIT, UNIT_BITS

Bytes = NDArray[np.uint8]
Words = NDArray[np.uint64]
Picture = tuple[Bytes, int, int, int]
"""Bytes, height, width and channels."""

# Unsigned constants: numba takes arithmetic on signed and unsigned numbers for one on floats, and looks behind the end of an
# array if an index is signed.
_BITS, _PART = np.uint64(UNIT_BITS), np.uint64(UNIT - 1)
_ZERO, _ONE, _TWO, _THREE = np.uint64(0), np.uint64(1), np.uint64(2), np.uint64(3)
_READ = np.uint64(READ)

_AHEAD = 8
"""So many rows' lines are blended before they are used: what has just been written piece by piece is slow to be read."""

_SLOTS = 2 * _AHEAD + 2


@part
def room(size: int) -> tuple[Words, NDArray[np.uint16], NDArray[np.uint32]]:
    """Return what views of a size are drawn in: places along both axes, weights, lines."""
    return np.empty((6, size), np.uint64), np.empty(2 * size, np.uint16), np.empty(_SLOTS * (3 * size + WRITTEN), np.uint32)


@part
def draw(out: Bytes, to: NDArray[np.int64], picture: Picture, x: int, y: int, steps: Any, quarters: int, room: Any) -> Any:
    """Draw a view that is turned by a number of quarters.

    Args:
        out: (size * size * 3,), which is written.
        to: (grid * grid, 2) where in it the tiles of the view lie.
        picture: what is drawn from.
        x, y: the view's middle, from the middle of the picture's first pixel.
        steps: (size,) places of the output's pixels from there.
        quarters: 0 to 3.
        room: of this size.
    """
    _, height, width, _ = picture
    axes, weights, _ = room
    size, aside, onward = len(steps), quarters % 2 == 1, quarters in (0, 3)
    first, beyond, line, weight = axes[0], axes[1], axes[2], axes[3]
    # A line of the picture, a row or, where the view lies on its side, a column, is what a row of the output is drawn from.
    along, across = (y, x) if aside else (x, y)
    length, count = (height, width) if aside else (width, height)
    _axis(first, beyond, along, steps, 1 if quarters < 2 else -1, length)
    _axis(line, weight, across, steps, 1 if onward else -1, count)
    begin = min(first[0], first[-1])
    many = min(max(first[0], first[-1]) + _TWO, np.uint64(length)) - begin
    for k in range(size):
        first[k] = (first[k] - begin) * _THREE
        weights[2 * k], weights[2 * k + 1] = np.uint64(UNIT) - beyond[k], beyond[k]
    _rows(out, to, picture, room, (begin, many, np.uint64(count - 1)), aside, onward)


@part
def _rows(out: Bytes, to: NDArray[np.int64], picture: Picture, room: Any, seen: Any, aside: bool, onward: bool) -> Any:
    """Draw all rows of a view, from places that are known.

    Args:
        seen: the first pixel of each line that is seen, how many are, and the last line of the picture.
        aside: whether lines are columns of the picture.
        onward: whether they follow one another as in the picture.
        out, to, picture, room: as of `draw`.
    """
    pixels, _, width, channels = picture
    axes, weights, lines = room
    first, line, weight, spots = axes[0], axes[2], axes[3], axes[4:]
    begin, many, last = seen
    size = len(first)
    pixel, row = np.uint64(channels), np.uint64(width * channels)
    stride, step = (pixel, row) if aside else (row, pixel)
    bytes_ = np.empty(_THREE * many + _READ, np.uint8)
    grid = grid_of(to)
    side, wide = size // grid, np.uint64(3 * size)
    tile = np.uint64(3 * side)
    slot, slots, apart = _ZERO, np.uint64(_SLOTS), wide + np.uint64(WRITTEN)
    one, other, one_is, other_is = _ZERO, _ZERO, last + _ONE, last + _ONE  # the last lines, and where; none yet
    top = inside = 0
    for ahead in range(0, size, _AHEAD):
        rows = range(ahead, min(ahead + _AHEAD, size))
        for r in rows:
            for k in range(2):
                below = k if onward else 1 - k  # the one first that the row before may have had
                wanted = min(line[r] + np.uint64(below), last)
                if wanted != one_is and wanted == other_is:
                    one, other, one_is, other_is = other, one, other_is, one_is
                elif wanted != one_is:
                    other, other_is, one, one_is, slot = one, one_is, slot * apart, wanted, (slot + _ONE) % slots
                    start = begin * step + wanted * stride
                    if channels == 3 and step == _THREE and start + _THREE * many + _READ <= np.uint64(len(pixels)):
                        _across(lines, one, pixels, start, first, weights)
                    else:
                        _load(bytes_, pixels, start, step, channels, many)
                        _across(lines, one, bytes_, _ZERO, first, weights)
                spots[below, r] = one
        for r in rows:
            past = _ZERO
            for column in range(top, top + grid):
                start = np.uint64(to[column, 0] + inside) * wide + np.uint64(to[column, 1]) * _THREE
                blend_lines(out, start, lines, spots[0, r] + past, spots[1, r] + past, np.uint32(weight[r]), tile)
                past += tile
            inside += 1
            if inside == side:
                top, inside = top + grid, 0


@part
def grid_of(to: NDArray[np.int64]) -> Any:
    """Return how many tiles a side there are, by the corners of all of them."""
    grid = 1
    while grid * grid < len(to):
        grid += 1
    return grid


@part
def _axis(first: Words, beyond: Words, middle: int, steps: NDArray[np.int64], sign: int, length: int) -> Any:
    """Write between which pixels positions along an axis lie, and how far from the first of them."""
    most = (length - 1) * UNIT
    for k in range(len(steps)):
        at = np.uint64(min(max(middle + sign * steps[k], 0), most))
        first[k], beyond[k] = at >> _BITS, at & _PART


@part
def _load(bytes_: Bytes, pixels: Bytes, start: np.uint64, step: np.uint64, channels: int, many: np.uint64) -> Any:
    """Write the colours of pixels that are `step` bytes apart, three bytes each."""
    if channels == 1:
        for k in range(many):
            grey = pixels[start + k * step]
            bytes_[k * _THREE] = grey
            bytes_[k * _THREE + _ONE] = grey
            bytes_[k * _THREE + _TWO] = grey
        return
    last = many - _ONE
    for k in range(last):
        copy_pixel(bytes_, k * _THREE, pixels, start + k * step)
    for k in range(_THREE):  # behind which there may be nothing to be read
        bytes_[last * _THREE + k] = pixels[start + last * step + k]


@part
def _across(
    lines: NDArray[np.uint32], to: np.uint64, pixels: Bytes, start: np.uint64, first: Words, weights: NDArray[np.uint16]
) -> Any:
    """Blend pixels that lie side by side; behind the last of them anything may follow, since it counts nothing."""
    for k in range(np.uint64(len(first))):
        blend_pixels(lines, to + k * _THREE, pixels, start + first[k], weights, k * _TWO)
