"""Smoothing of pictures, compiled. The arguments are explained in `kernels.smoothing`."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ssl4rl_envs.kernels.compiled import jit
from ssl4rl_envs.kernels.smoothing import BITS, RADIUS, WEIGHTS

Picture = NDArray[np.uint8]

_HALF, _ALL = np.uint32(1 << 2 * BITS - 1), np.uint32(2 * BITS)
_FIVE, _TEN = np.uint32(5), np.uint32(10)


@jit
def blur(out: Picture, picture: Picture) -> Any:
    """See `kernels.smoothing.blur`."""
    height, width, channels = picture.shape
    length, beyond = width * channels, RADIUS * channels
    rows, results = picture.reshape(height, length), out.reshape(height, length)
    blended = np.empty(length + 2 * beyond, np.uint32)
    total = np.empty(length, np.uint32)
    for r in range(height):
        total[:] = 0
        for k in range(2 * RADIUS + 1):
            weight, row = WEIGHTS[k], min(max(r + k - RADIUS, 0), height - 1)
            for c in range(length):
                total[c] = np.uint32(total[c] + weight * rows[row, c])
        blended[beyond : beyond + length] = total
        for c in range(beyond):
            blended[c] = total[c % channels]
            blended[beyond + length + c] = total[length - channels + c % channels]
        total[:] = _HALF
        for k in range(2 * RADIUS + 1):
            weight = WEIGHTS[k]
            for c in range(length):
                total[c] = np.uint32(total[c] + weight * blended[k * channels + c])
        for c in range(length):
            results[r, c] = total[c] >> _ALL


@jit
def double(out: Picture, picture: Picture) -> Any:
    """See `kernels.smoothing.double`."""
    height, width, channels = picture.shape
    length = width * channels
    rows = picture.reshape(height, length)
    line = np.empty(length + 2 * channels, np.uint32)  # with a pixel at either end
    for r in range(2 * height):
        here = r // 2
        before, after = max(here - 1, 0), min(here + 1, height - 1)
        first, last = (_FIVE, np.uint32(1)) if r % 2 == 0 else (np.uint32(1), _FIVE)
        for c in range(length):
            line[c + channels] = np.uint32(first * rows[before, c] + _TEN * rows[here, c] + last * rows[after, c])
        for c in range(channels):
            line[c], line[length + channels + c] = line[channels + c], line[length + c]
        for c in range(width):
            for channel in range(channels):
                at = c * channels + channel
                middle = _TEN * line[at + channels] + np.uint32(128)
                left, right = line[at], line[at + 2 * channels]
                out[r, 2 * c, channel] = np.uint32(_FIVE * left + middle + right) >> np.uint32(8)
                out[r, 2 * c + 1, channel] = np.uint32(left + middle + _FIVE * right) >> np.uint32(8)


def warm() -> None:
    """Compile, or load what was compiled before."""
    picture = np.zeros((1, 1, 1), np.uint8)
    blur(picture.copy(), picture)
    double(np.zeros((2, 2, 1), np.uint8), picture)
