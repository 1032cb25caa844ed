"""Changes of pictures, compiled, picture by picture. The arguments are explained in `kernels.augmentations`."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ssl4rl_envs.kernels.compiled import jit, part

Bytes = NDArray[np.uint8]
Floats = NDArray[np.float32]
Flags = NDArray[np.bool_]
Whole = NDArray[np.int64]

_ZERO, _ONE, _TOP = np.float32(0), np.float32(1), np.float32(255)
_RED, _GREEN, _BLUE = np.int32(19595), np.int32(38470), np.int32(7471)
_SIXTH, _RAMP = np.float32(85), np.float32(42.5)
_SCALE, _HALF = np.float32(85 * 255), np.float32(85 * 255 // 2)


@jit
def change(
    pictures: Bytes,
    mirrored: Flags,
    upended: Flags,
    brightness: Floats,
    contrast: Floats,
    saturation: Floats,
    hue: Floats,
    grey: Flags,
    reaches: Whole,
    kinds: Whole,
    taps: NDArray[np.int32],
    threshold: Floats,
) -> Any:
    """See `kernels.augmentations.change`."""
    count, height, width = pictures.shape[:3]
    most = taps.shape[1] // 2
    blurred = np.empty((height, 3 * width), np.uint8)
    line, total = np.empty(3 * (width + 2 * most), np.int32), np.empty(3 * width, np.int32)
    for i in range(count):
        picture = pictures[i]
        if mirrored[i]:
            _mirror(picture)
        if upended[i]:
            _upend(picture)
        if brightness[i] != _ONE or contrast[i] != _ONE:
            _light(picture, brightness[i], contrast[i])
        if saturation[i] != _ONE:
            _saturate(picture, saturation[i])
        if hue[i] != _ZERO:
            _turn_hues(picture, hue[i])
        if grey[i]:
            _grey(picture)
        if reaches[i] > 0:
            weights = taps[kinds[i], most - reaches[i] : most + reaches[i] + 1]
            _blur(picture.reshape(height, 3 * width), weights, blurred, line, total)
        if threshold[i] < 256:
            _solarise(picture, threshold[i])


@part
def _mirror(picture: Bytes) -> Any:
    height, width = picture.shape[:2]
    for r in range(height):
        for c in range(width // 2):
            for channel in range(3):
                value = picture[r, c, channel]
                picture[r, c, channel] = picture[r, width - 1 - c, channel]
                picture[r, width - 1 - c, channel] = value


@part
def _upend(picture: Bytes) -> Any:
    height, width = picture.shape[:2]
    for r in range(height // 2):
        for c in range(width):
            for channel in range(3):
                value = picture[r, c, channel]
                picture[r, c, channel] = picture[height - 1 - r, c, channel]
                picture[height - 1 - r, c, channel] = value


@part
def _luma(red: Any, green: Any, blue: Any) -> Any:
    weighted = np.int32(red) * _RED + np.int32(green) * _GREEN + np.int32(blue) * _BLUE
    return (weighted + np.int32(1 << 15)) >> np.int32(16)


@part
def _blended(value: Any, ground: Any, share: Any) -> Any:
    """Go from `ground` (0) to `value` (1) and beyond, in float32."""
    return np.int32(min(max((value - ground) * share + ground, _ZERO), _TOP))


@part
def _light(picture: Bytes, brightness: Any, contrast: Any) -> Any:
    """Brighten, then move away from the mean luma."""
    height, width = picture.shape[:2]
    values, count = picture.reshape(height * width * 3), height * width
    for b in range(len(values)):
        values[b] = _blended(np.float32(values[b]), _ZERO, brightness)
    luma: Any = 0
    for r in range(height):
        line, of_line = values[3 * r * width : 3 * (r + 1) * width], np.int32(0)
        for c in range(width):
            # With numbers that cannot be negative the loop is compiled into wide instructions.
            here = np.uint64(3 * c)
            of_line += _luma(line[here], line[here + np.uint64(1)], line[here + np.uint64(2)])
        luma += of_line
    mean = np.float32((2 * luma + count) // (2 * count))
    for b in range(len(values)):
        values[b] = _blended(np.float32(values[b]), mean, contrast)


@part
def _look_up(picture: Bytes, table: Bytes) -> Any:
    for r in range(picture.shape[0]):
        for c in range(picture.shape[1]):
            for channel in range(3):
                picture[r, c, channel] = table[picture[r, c, channel]]


@part
def _saturate(picture: Bytes, share: Any) -> Any:
    values = picture.reshape(picture.size)
    one, two = np.uint64(1), np.uint64(2)
    for pixel in range(picture.shape[0] * picture.shape[1]):
        here = np.uint64(3 * pixel)
        red, green, blue = values[here], values[here + one], values[here + two]
        ground = np.float32(_luma(red, green, blue))
        values[here] = _blended(np.float32(red), ground, share)
        values[here + one] = _blended(np.float32(green), ground, share)
        values[here + two] = _blended(np.float32(blue), ground, share)


@part
def _turn_hues(picture: Bytes, steps: Any) -> Any:
    """See `reference.augmentations.turn_hues`; whole numbers throughout, so exact."""
    values = picture.reshape(picture.size)
    one, two = np.uint64(1), np.uint64(2)
    for pixel in range(picture.shape[0] * picture.shape[1]):
        # With numbers that cannot be negative, and without branches, the loop is compiled into wide instructions.
        here = np.uint64(3 * pixel)
        red, green, blue = np.float32(values[here]), np.float32(values[here + one]), np.float32(values[here + two])
        value = max(max(red, green), blue)
        chroma = value - min(min(red, green), blue)
        twice = chroma + chroma
        sixths = blue - red + twice if green == value else red - green + (twice + twice)
        sixths = green - blue if red == value else sixths
        lacking = value * np.floor(_TOP * chroma / max(value, _ONE))
        hue = np.floor(_RAMP * sixths / max(chroma, _ONE)) + steps
        hue = hue + _TOP if hue < _ZERO else hue
        hue = hue - _TOP if hue >= _TOP else hue
        hue += hue
        values[here] = _without(value, lacking, np.float32(170) - abs(hue - np.float32(255)))
        values[here + one] = _without(value, lacking, abs(hue - np.float32(170)) - _SIXTH)
        values[here + two] = _without(value, lacking, abs(hue - np.float32(340)) - _SIXTH)


@part
def _without(value: Any, lacking: Any, ramp: Any) -> Any:
    return np.int32(value - np.floor((lacking * min(max(ramp, _ZERO), _SIXTH) + _HALF) / _SCALE))


@part
def _grey(picture: Bytes) -> Any:
    for r in range(picture.shape[0]):
        for c in range(picture.shape[1]):
            luma = np.uint8(_luma(picture[r, c, 0], picture[r, c, 1], picture[r, c, 2]))
            picture[r, c, 0], picture[r, c, 1], picture[r, c, 2] = luma, luma, luma


@part
def _blur(picture: Bytes, weights: NDArray[np.int32], half: Bytes, line: NDArray[np.int32], total: NDArray[np.int32]) -> Any:
    """Replace columns, then rows, by weighted sums of them, rounded after each; the edges are repeated."""
    height, wide = picture.shape
    reach = len(weights) // 2
    for r in range(height):
        for b in range(3 * reach):
            line[b], line[3 * reach + wide + b] = picture[r, b % 3], picture[r, wide - 3 + b % 3]
        for b in range(wide):
            line[3 * reach + b], total[b] = picture[r, b], 32768
        for k in range(len(weights)):
            weight, shift = weights[k], 3 * k
            for b in range(wide):
                total[b] += weight * line[shift + b]
        for b in range(wide):
            half[r, b] = total[b] >> 16
    for r in range(height):
        for b in range(wide):
            total[b] = 32768
        for k in range(len(weights)):
            weight, near = weights[k], min(max(r + k - reach, 0), height - 1)
            for b in range(wide):
                total[b] += weight * half[near, b]
        for b in range(wide):
            picture[r, b] = total[b] >> 16


@part
def _solarise(picture: Bytes, threshold: Any) -> Any:
    table = np.empty(256, np.uint8)
    for value in range(256):
        table[value] = 255 - value if np.float32(value) >= threshold else value
    _look_up(picture, table)


def warm() -> None:
    """Compile, or load what was compiled before."""
    no, one, whole = np.zeros(1, np.bool_), np.ones(1, np.float32), np.zeros(1, np.int64)
    picture, taps = np.zeros((1, 1, 1, 3), np.uint8), np.ones((1, 1), np.int32)
    change(picture, no, no, one, one, one, one, no, whole, whole, taps, one)
