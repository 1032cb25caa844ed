"""Colours of scenes as words, and pixels of them, compiled; see `kernels.reference.scenes`, which these functions equal."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ssl4rl_envs.kernels.compiled import part

_MASK = sum(0xFFF << lane for lane in (0, 21, 42))
_HALF = sum(0x80 << lane for lane in (0, 21, 42))
_ROUND = sum(8 << lane for lane in (0, 21, 42))
_ZERO, _FULL = np.float32(0.0), np.float32(256.0)


@part
def mixed(first: Any, second: Any, weight: Any) -> Any:
    """Return first * (256 - weight) / 256 + second * weight / 256, rounded; a weight of 0 returns `first`."""
    return (((second - first) * weight + (first << 8) + _HALF) >> 8) & _MASK


@part
def weight_of(value: Any) -> Any:
    """Return a float32 clipped to 0..256 and rounded down."""
    return np.int64(min(max(value, _ZERO), _FULL))


@part
def lane_of(level: float) -> Any:
    """Return a channel from 0 to 255 in 1/16 of a grey level."""
    return np.int64(min(max(level, 0.0), 255.0) * 16.0 + 0.5)


@part
def word_of(colour: Any) -> Any:
    """Return a colour of three channels from 0 to 255 as a word."""
    return lane_of(colour[0]) | lane_of(colour[1]) << 21 | lane_of(colour[2]) << 42


@part
def middle_of(canvas: NDArray[np.int64]) -> Any:
    """Return the middle of a view, in pixels."""
    return np.float32((len(canvas) - 1) / 2)


@part
def unpack(out: NDArray[np.uint8], canvas: NDArray[np.int64], quarter: int) -> None:
    """Write a canvas as pixels, (size, size, 3), after some quarter turns counter-clockwise."""
    size, last = len(canvas), len(canvas) - 1
    for r in range(size):
        if quarter == 0:
            for c in range(size):
                put_pixel(out, r, c, canvas[r, c])
        elif quarter == 1:
            for c in range(size):
                put_pixel(out, r, c, canvas[c, last - r])
        elif quarter == 2:
            for c in range(size):
                put_pixel(out, r, c, canvas[last - r, last - c])
        else:
            for c in range(size):
                put_pixel(out, r, c, canvas[last - c, r])


@part
def put_pixel(out: NDArray[np.uint8], r: int, c: int, word: int) -> None:
    """Write a word as a pixel. Channels end at 255 * 16 in words, so that rounding takes none past 255."""
    rounded = word + _ROUND
    out[r, c, 0], out[r, c, 1], out[r, c, 2] = rounded >> 4, rounded >> 25, rounded >> 46
