"""Colours of scenes as words, and pixels of them, compiled; see `kernels.reference.scenes`, which these functions equal."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ssl4rl_envs.kernels.compiled import jit

_MASK = sum(0xFFF << lane for lane in (0, 21, 42))
_HALF = sum(0x80 << lane for lane in (0, 21, 42))
_ZERO, _FULL = np.float32(0.0), np.float32(256.0)


@jit
def mixed(first: Any, second: Any, weight: Any) -> Any:
    """Return first * (256 - weight) / 256 + second * weight / 256, rounded; a weight of 0 returns `first`."""
    return (((second - first) * weight + (first << 8) + _HALF) >> 8) & _MASK


@jit
def weight_of(value: Any) -> Any:
    """Return a float32 clipped to 0..256 and rounded down."""
    return np.int64(min(max(value, _ZERO), _FULL))


@jit
def packed(colour: NDArray[np.float64]) -> Any:
    """Return a colour (3,) from 0 to 255 as a word."""
    word = np.int64(0)
    for channel in range(3):
        level = min(max(colour[channel], 0.0), 255.0) * 16.0 + 0.5
        word |= np.int64(level) << (21 * channel)
    return word


@jit
def unpack(out: NDArray[np.uint8], canvas: NDArray[np.int64], quarter: int) -> None:
    """Write a canvas as pixels, (size, size, 3), after some quarter turns counter-clockwise."""
    size = len(canvas)
    for r in range(size):
        for c in range(size):
            if quarter == 0:
                word = canvas[r, c]
            elif quarter == 1:
                word = canvas[c, size - 1 - r]
            elif quarter == 2:
                word = canvas[size - 1 - r, size - 1 - c]
            else:
                word = canvas[size - 1 - c, r]
            for channel in range(3):
                out[r, c, channel] = min((((word >> (21 * channel)) & 0xFFF) + 8) >> 4, 255)
