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
from ssl4rl_envs.kernels.pictures import COSINES, ONE, TURN
from ssl4rl_envs.kernels.reductions import LEAST
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
_HALF = np.uint32(1 << 2 * UNIT_BITS - 1)
_NARROW = np.uint32(UNIT_BITS)
_ROUND = np.uint32(2 * UNIT_BITS)
_NEXT, _THREE = np.uint64(1), np.uint64(3)


@jit
def draw(out: NDArray[np.uint8], pixels: NDArray[np.uint8], table: NDArray[np.int64], where: NDArray[np.int64]) -> Any:
    """See `kernels.pictures.draw`."""
    size = out.shape[1]
    right, down = np.empty(size, np.int64), np.empty(size, np.int64)
    axes = np.empty((4, size), np.uint64)
    lines = np.empty((2, 3 * size), np.uint32)
    words = np.empty(256, np.uint64)
    for i in range(len(out)):
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
            _turned(out[i], picture, x, y, right, down)


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
def _across(lines: NDArray[np.uint32], one: int, words: Words, first: Words, part: Words) -> Any:
    """Blend the pixels of a line of the picture at given places, in 1/4096."""
    for k in range(len(first)):
        pixel = words[first[k]]
        both = (pixel << _BITS) + (words[first[k] + _NEXT] - pixel) * part[k]  # lanes that borrow here are paid back
        lines[one, 3 * k] = np.uint32(both & _LANE)
        lines[one, 3 * k + 1] = np.uint32((both >> _GREEN) & _LANE)
        lines[one, 3 * k + 2] = np.uint32(both >> _BLUE)


@jit
def _down(out: NDArray[np.uint8], r: int, lines: NDArray[np.uint32], one: int, other: int, weight: np.uint32) -> Any:
    """Blend two lines."""
    for k in range(out.shape[1]):
        difference = lines[other, k] - lines[one, k]
        total = np.uint32((lines[one, k] << _NARROW) + difference * weight + _HALF)
        out[r, k] = total >> _ROUND


@jit
def _turned(
    out: NDArray[np.uint8], picture: Picture, x: int, y: int, right: NDArray[np.int64], down: NDArray[np.int64]
) -> Any:
    """Draw a view that is turned by any angle, (size, size, 3)."""
    pixels, height, width, channels = picture
    size = len(out)
    for r in range(size):
        for c in range(size):
            column = min(max(x + right[c] - down[r], 0), (width - 1) * UNIT)
            row = min(max(y + right[r] + down[c], 0), (height - 1) * UNIT)
            left, top, beyond, below = column >> UNIT_BITS, row >> UNIT_BITS, column & (UNIT - 1), row & (UNIT - 1)
            corner = (top * width + left) * channels
            beside = channels if left < width - 1 else 0
            under = width * channels if top < height - 1 else 0
            for channel in range(3):
                at = corner + min(channel, channels - 1)
                upper = pixels[at] * (UNIT - beyond) + pixels[at + beside] * beyond
                lower = pixels[at + under] * (UNIT - beyond) + pixels[at + under + beside] * beyond
                out[r, c, channel] = (upper * (UNIT - below) + lower * below + (1 << 2 * UNIT_BITS - 1)) >> 2 * UNIT_BITS


def warm() -> None:
    """Compile, or load what was compiled before."""
    pixels, table = np.zeros(1, np.uint8), np.array([[0, 1, 1, 1, 0]])
    pixels.flags.writeable = table.flags.writeable = False
    draw(np.zeros((1, 1, 1, 3), np.uint8), pixels, table, np.zeros((1, 5), np.int64))
