"""Views of pictures, compiled. The arguments are explained in `kernels.pictures`.

The red, green and blue of a pixel lie in one word, each in a lane of 21 bits: blended with a neighbour in 1/4096, a channel
takes 20. Turns by multiples of 90 degrees are blended along one axis of the output first, line by line of the picture, and
then across: along a line the same places are blended again and again, and no position is computed twice. Other turns are
drawn pixel by pixel. Since 255 * 4096 * 4096 fits 32 bits, all is exact, and both give what blending four pixels gives.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ssl4rl_envs.kernels.compiled import jit
from ssl4rl_envs.kernels.pictures import COSINES, ONE
from ssl4rl_envs.kernels.reductions import LEAST
from ssl4rl_envs.sources.base import TURN, UNIT, UNIT_BITS

Words = NDArray[np.uint64]
Picture = tuple[NDArray[np.uint8], int, int, int]
"""Bytes, height, width and channels."""

# Unsigned constants: numba takes arithmetic on signed and unsigned numbers for one on floats, and looks behind the end of an
# array if an index is signed.
_BITS = np.uint64(UNIT_BITS)
_PART = np.uint64(UNIT - 1)
_GREEN, _BLUE = np.uint64(21), np.uint64(42)
_LANE = np.uint64((1 << 21) - 1)
_HALF = np.uint32(1 << 2 * UNIT_BITS - 1)
_NARROW = np.uint32(UNIT_BITS)
_ROUND = np.uint32(2 * UNIT_BITS)
_TOP_OF_ONE, _TOP_OF_TWO, _HALF_WORD = np.uint64(24), np.uint64(56), np.uint64(32)
_HALF_OF_ONE, _HALF_OF_TWO = np.uint64(1 << 23), np.uint64(1 << 23 | 1 << 55)
_NEXT, _THREE = np.uint64(1), np.uint64(3)


@jit
def draw(out: NDArray[np.uint8], pixels: NDArray[np.uint8], table: NDArray[np.int64], where: NDArray[np.int64]) -> Any:
    """See `kernels.pictures.draw`."""
    size = out.shape[1]
    right, down = np.empty(size, np.int64), np.empty(size, np.int64)
    axes, taps = np.empty((4, size), np.uint64), np.empty((4, size), np.uint64)
    lines = np.empty((2, 3 * size), np.uint32)
    words = np.empty(256, np.uint64)
    for i in range(len(out)):
        if not 0 <= where[i, 0] < len(table):
            raise IndexError("a view is of a picture that there is not")
        start, height, width, channels, enlarged = table[where[i, 0]]
        x, y, side, angle = where[i, 1] << enlarged, where[i, 2] << enlarged, where[i, 3] << enlarged, where[i, 4] % TURN
        level = 0
        while side >> level > size * UNIT and min(height, width) >= LEAST:
            start += height * width * channels
            height, width, level = (height + 1) // 2, (width + 1) // 2, level + 1
        picture = (pixels[start : start + height * width * channels], height, width, channels)
        # Positions count from a picture's edge; interpolation counts from the centre of its first pixel.
        x, y = (x >> level) - UNIT // 2, (y >> level) - UNIT // 2
        if angle % (TURN // 4) == 0:
            _steps(right, side * ONE, level)
            if max(height, width) >= len(words):
                words = np.empty(max(height, width) + 1, np.uint64)
            _exact(out[i].reshape(size, 3 * size), picture, x, y, right, angle // (TURN // 4), axes, lines, words)
        else:
            _steps(right, side * COSINES[angle], level)
            _steps(down, side * COSINES[(angle - TURN // 4) % TURN], level)
            reach = abs(right[0]) + abs(down[0])
            room = (min(2 * reach // UNIT + 3, width) + 1) * (min(2 * reach // UNIT + 3, height) + 1)
            if room > len(words):
                words = np.empty(room, np.uint64)
            _turned(out[i].reshape(size, 3 * size), picture, x, y, right, down, words, axes, taps)


@jit
def _steps(steps: NDArray[np.int64], length: int, level: int) -> Any:
    """Write where the output's pixels are from its middle, rounded alike on both sides of 0."""
    size = len(steps)
    divisor = (2 * size * ONE) << level
    for k in range((size + 1) // 2):
        away = abs(length) * (size - 1 - 2 * k) // divisor
        if length < 0:
            away = -away
        steps[k], steps[size - 1 - k] = -away, away


@jit
def _exact(
    out: NDArray[np.uint8],
    picture: Picture,
    x: int,
    y: int,
    steps: NDArray[np.int64],
    quarters: int,
    axes: Words,
    lines: NDArray[np.uint32],
    words: Words,
) -> Any:
    """Draw a view that is turned by a number of quarters, (size, 3 * size).

    A line of the picture, a row or, where the view lies on its side, a column, is what a row of the output is drawn from.
    """
    pixels, height, width, channels = picture
    size = len(out)
    aside = quarters % 2 == 1
    first, part, line, below = axes
    along, across = (y, x) if aside else (x, y)
    length, count = (height, width) if aside else (width, height)
    _axis(first, part, along, steps, 1 if quarters < 2 else -1, length)
    _axis(line, below, across, steps, 1 if quarters in (0, 3) else -1, count)
    begin = min(first[0], first[-1])
    many = min(max(first[0], first[-1]) + np.uint64(2), np.uint64(length)) - begin
    for k in range(size):
        first[k] -= begin
    pixel, row, last = np.uint64(channels), np.uint64(width * channels), np.uint64(count - 1)
    stride, step = (pixel, row) if aside else (row, pixel)
    origin = begin * step
    one, other = np.uint64(0), _NEXT
    one_is, other_is = last + _NEXT, last + _NEXT  # which lines are blended; none yet
    for r in range(size):
        upper, lower = line[r], min(line[r] + _NEXT, last)
        if one_is != upper and (other_is == upper or one_is == lower):
            one, other, one_is, other_is = other, one, other_is, one_is
        if one_is != upper:
            _load(words, pixels, origin + upper * stride, step, channels, many)
            _across(lines, one, words, first, part)
            one_is = upper
        if other_is != lower:
            _load(words, pixels, origin + lower * stride, step, channels, many)
            _across(lines, other, words, first, part)
            other_is = lower
        _down(out, r, lines, one, other, np.uint32(below[r]))


@jit
def _axis(first: Words, part: Words, middle: int, steps: NDArray[np.int64], sign: int, length: int) -> Any:
    """Write between which pixels positions along an axis lie, and how far from the first of them."""
    most = (length - 1) * UNIT
    for k in range(len(steps)):
        at = np.uint64(min(max(middle + sign * steps[k], 0), most))
        first[k], part[k] = at >> _BITS, at & _PART


@jit
def _load(words: Words, pixels: NDArray[np.uint8], start: np.uint64, step: np.uint64, channels: int, many: np.uint64) -> Any:
    """Write pixels that are `step` bytes apart as words, and the last of them once more."""
    if channels == 1:
        for k in range(many):
            grey = np.uint64(pixels[start + k * step])
            words[k] = grey | grey << _GREEN | grey << _BLUE
    elif step == _THREE:
        for k in range(many):  # the same loop once more, for the compiler to see that they lie side by side
            words[k] = _word(pixels, start + k * _THREE)
    else:
        for k in range(many):
            words[k] = _word(pixels, start + k * step)
    words[many] = words[many - _NEXT]


@jit
def _word(pixels: NDArray[np.uint8], at: np.uint64) -> Any:
    green, blue = np.uint64(pixels[at + _NEXT]), np.uint64(pixels[at + np.uint64(2)])
    return np.uint64(pixels[at]) | green << _GREEN | blue << _BLUE


@jit
def _across(lines: NDArray[np.uint32], one: np.uint64, words: Words, first: Words, part: Words) -> Any:
    """Blend the pixels of a line of the picture at given places, in 1/4096."""
    for k in range(len(first)):
        pixel = words[first[k]]
        both = (pixel << _BITS) + (words[first[k] + _NEXT] - pixel) * part[k]  # lanes that borrow here are paid back
        lines[one, 3 * k] = np.uint32(both & _LANE)
        lines[one, 3 * k + 1] = np.uint32((both >> _GREEN) & _LANE)
        lines[one, 3 * k + 2] = np.uint32(both >> _BLUE)


@jit
def _down(
    out: NDArray[np.uint8], r: int, lines: NDArray[np.uint32], one: np.uint64, other: np.uint64, weight: np.uint32
) -> Any:
    """Blend two lines."""
    for k in range(out.shape[1]):
        difference = lines[other, k] - lines[one, k]
        total = np.uint32((lines[one, k] << _NARROW) + difference * weight + _HALF)
        out[r, k] = total >> _ROUND


@jit
def _turned(
    out: NDArray[np.uint8],
    picture: Picture,
    x: int,
    y: int,
    right: NDArray[np.int64],
    down: NDArray[np.int64],
    block: Words,
    axes: Words,
    taps: Words,
) -> Any:
    """Draw a view that is turned by any angle, (size, 3 * size), from a block of the picture, as words, that holds it."""
    pixels, height, width, channels = picture
    size, reach = len(out), abs(right[0]) + abs(down[0])
    most = ((width - 1) * UNIT, (height - 1) * UNIT)
    left, top = _clipped(x - reach, most[0]) >> UNIT_BITS, _clipped(y - reach, most[1]) >> UNIT_BITS
    columns = min((_clipped(x + reach, most[0]) >> UNIT_BITS) + 2, width) - left
    rows = min((_clipped(y + reach, most[1]) >> UNIT_BITS) + 2, height) - top
    stride = np.uint64(columns + 1)
    for row in range(rows + 1):
        start = ((top + min(row, rows - 1)) * width + left) * channels
        _load(block[row * (columns + 1) :], pixels, np.uint64(start), np.uint64(channels), channels, np.uint64(columns))
    for r in range(size):
        # One pass each for positions, pixels and colours: the first and the last take wide instructions.
        _positions(axes, x - down[r] - left * UNIT, y + right[r] - top * UNIT, right, down, (left, top), most, stride)
        _taps(taps, block, axes[0], stride)
        _colours(out, r, taps, axes[1], axes[2])


@jit
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


@jit
def _taps(taps: Words, block: Words, places: Words, stride: Any) -> Any:
    """Write the four pixels round each place."""
    for c in range(len(places)):
        place = places[c]
        taps[0, c], taps[1, c] = block[place], block[place + _NEXT]
        taps[2, c], taps[3, c] = block[place + stride], block[place + stride + _NEXT]


@jit
def _colours(out: NDArray[np.uint8], r: int, taps: Words, beyonds: Words, belows: Words) -> Any:
    """Blend the four pixels round each place."""
    for c in range(len(beyonds)):
        beyond, below = beyonds[c], belows[c]
        upper = (taps[0, c] << _BITS) + (taps[1, c] - taps[0, c]) * beyond
        lower = (taps[2, c] << _BITS) + (taps[3, c] - taps[2, c]) * beyond
        # Each channel takes 32 bits now: two of them are blended in one word, and green in another.
        green, under = (upper >> _GREEN) & _LANE, (lower >> _GREEN) & _LANE
        green = (green << _BITS) + (under - green) * below + _HALF_OF_ONE
        upper, lower = _spread(upper), _spread(lower)
        both = (upper << _BITS) + (lower - upper) * below + _HALF_OF_TWO
        out[r, 3 * c] = np.uint8(both >> _TOP_OF_ONE)
        out[r, 3 * c + 1] = np.uint8(green >> _TOP_OF_ONE)
        out[r, 3 * c + 2] = np.uint8(both >> _TOP_OF_TWO)


@jit
def _clipped(at: int, most: int) -> Any:
    return min(max(at, 0), most)


@jit
def _spread(word: Any) -> Any:
    """Return red and blue of a word in 32 bits each."""
    return (word & _LANE) | ((word >> _BLUE) << _HALF_WORD)


def warm() -> None:
    """Compile, or load what was compiled before."""
    pixels, table = np.zeros(1, np.uint8), np.array([[0, 1, 1, 1, 0]])
    pixels.flags.writeable = table.flags.writeable = False
    draw(np.zeros((1, 1, 1, 3), np.uint8), pixels, table, np.zeros((1, 5), np.int64))
