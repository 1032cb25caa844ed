"""Views that are turned by any angle, compiled: pixel by pixel.

The red, green and blue of a pixel lie in one word, each in a lane of 21 bits: blended with a neighbour in 1/4096, a channel
takes 20.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ssl4rl_envs.kernels.compiled import part
from ssl4rl_envs.kernels.compiled.quarters import grid_of
from ssl4rl_envs.sources.base import UNIT, UNIT_BITS

Words = NDArray[np.uint64]
Picture = tuple[NDArray[np.uint8], int, int, int]
"""Bytes, height, width and channels."""

# Unsigned constants: numba takes arithmetic on signed and unsigned numbers for one on floats, and looks behind the end of an
# array if an index is signed.
_BITS = np.uint64(UNIT_BITS)
_PART = np.uint64(UNIT - 1)
_GREEN, _BLUE = np.uint64(21), np.uint64(42)
_LANE = np.uint64((1 << 21) - 1)
_TOP_OF_ONE, _TOP_OF_TWO, _HALF_WORD = np.uint64(24), np.uint64(56), np.uint64(32)
_HALF_OF_ONE, _HALF_OF_TWO = np.uint64(1 << 23), np.uint64(1 << 23 | 1 << 55)
_NEXT, _THREE = np.uint64(1), np.uint64(3)


@part
def draw(
    out: NDArray[np.uint8],
    to: NDArray[np.int64],
    picture: Picture,
    x: int,
    y: int,
    right: NDArray[np.int64],
    down: NDArray[np.int64],
    block: Words,
    axes: Words,
    taps: Words,
) -> Any:
    """Draw a view that is turned by any angle.

    Args:
        out: (size * size * 3,), which is written.
        to: (grid * grid, 2) where in it the tiles of the view lie.
        picture: what is drawn from.
        x, y: the view's middle, from the middle of the picture's first pixel.
        right, down: (size,) how far the output's pixels are from there, along the turned axes.
        block: room for the part of the picture that holds the view, as words.
        axes, taps: (4, size), room.
    """
    pixels, height, width, channels = picture
    size, reach = len(right), abs(right[0]) + abs(down[0])
    most = ((width - 1) * UNIT, (height - 1) * UNIT)
    left, top = _clipped(x - reach, most[0]) >> UNIT_BITS, _clipped(y - reach, most[1]) >> UNIT_BITS
    columns = min((_clipped(x + reach, most[0]) >> UNIT_BITS) + 2, width) - left
    rows = min((_clipped(y + reach, most[1]) >> UNIT_BITS) + 2, height) - top
    stride = np.uint64(columns + 1)
    for row in range(rows + 1):
        start = ((top + min(row, rows - 1)) * width + left) * channels
        _load(block[row * (columns + 1) :], pixels, np.uint64(start), channels, np.uint64(columns))
    grid = grid_of(to)
    side = size // grid
    for r in range(size):
        # One pass each for positions, pixels and colours: the first and the last take wide instructions.
        _positions(axes, x - down[r] - left * UNIT, y + right[r] - top * UNIT, right, down, (left, top), most, stride)
        _taps(taps, block, axes[0], stride)
        for column in range(grid):
            start = _start_of(to, r, column, side, size)
            _colours(out[start : start + 3 * side], taps, axes[1], axes[2], column * side, side)


@part
def _load(words: Words, pixels: NDArray[np.uint8], start: np.uint64, channels: int, many: np.uint64) -> Any:
    """Write pixels as words, and the last of them once more."""
    if channels == 1:
        for k in range(many):
            grey = np.uint64(pixels[start + k])
            words[k] = grey | grey << _GREEN | grey << _BLUE
    else:
        for k in range(many):
            at = start + k * _THREE
            green, blue = np.uint64(pixels[at + _NEXT]), np.uint64(pixels[at + np.uint64(2)])
            words[k] = np.uint64(pixels[at]) | green << _GREEN | blue << _BLUE
    words[many] = words[many - _NEXT]


@part
def _positions(
    axes: Words, x: int, y: int, right: NDArray[np.int64], down: NDArray[np.int64], corner: Any, most: Any, stride: Any
) -> Any:
    """Write where in the block what a row of the output shows begins, and how far from there it is, right and down."""
    least_x, least_y = -corner[0] * UNIT, -corner[1] * UNIT
    for c in range(len(right)):
        column = np.uint64(min(max(x + right[c], least_x), most[0] + least_x))
        line = np.uint64(min(max(y + down[c], least_y), most[1] + least_y))
        axes[0, c] = (line >> _BITS) * stride + (column >> _BITS)
        axes[1, c], axes[2, c] = column & _PART, line & _PART


@part
def _taps(taps: Words, block: Words, places: Words, stride: Any) -> Any:
    """Write the four pixels round each place."""
    for c in range(len(places)):
        place = places[c]
        taps[0, c], taps[1, c] = block[place], block[place + _NEXT]
        taps[2, c], taps[3, c] = block[place + stride], block[place + stride + _NEXT]


@part
def _colours(out: NDArray[np.uint8], taps: Words, beyonds: Words, belows: Words, first: int, many: int) -> Any:
    """Blend the four pixels round each of many places."""
    for k in range(np.uint64(many)):
        c = np.uint64(first) + k
        beyond, below = beyonds[c], belows[c]
        upper = (taps[0, c] << _BITS) + (taps[1, c] - taps[0, c]) * beyond
        lower = (taps[2, c] << _BITS) + (taps[3, c] - taps[2, c]) * beyond
        # Each channel takes 32 bits now: two of them are blended in one word, and green in another.
        green, under = (upper >> _GREEN) & _LANE, (lower >> _GREEN) & _LANE
        green = (green << _BITS) + (under - green) * below + _HALF_OF_ONE
        upper, lower = _spread(upper), _spread(lower)
        both = (upper << _BITS) + (lower - upper) * below + _HALF_OF_TWO
        out[_THREE * k] = np.uint8(both >> _TOP_OF_ONE)
        out[_THREE * k + _NEXT] = np.uint8(green >> _TOP_OF_ONE)
        out[_THREE * k + np.uint64(2)] = np.uint8(both >> _TOP_OF_TWO)


@part
def _clipped(at: int, most: int) -> Any:
    return min(max(at, 0), most)


@part
def _spread(word: Any) -> Any:
    """Return red and blue of a word in 32 bits each."""
    return (word & _LANE) | ((word >> _BLUE) << _HALF_WORD)


@part
def _start_of(to: NDArray[np.int64], row: int, column: int, side: int, size: int) -> Any:
    """Return the first byte of what a row of a view shows in a column of tiles.

    Args:
        to: (grid * grid, 2) corners of the tiles, rows and columns.
        row: of the view.
        column: of tiles.
        side: of a tile, in pixels.
        size: of the view.
    """
    corner = to[row // side * (size // side) + column]
    return 3 * ((corner[0] + row % side) * size + corner[1])
