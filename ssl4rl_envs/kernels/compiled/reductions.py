"""Reductions of pictures, compiled. The arguments are explained in `kernels.reductions`."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ssl4rl_envs.kernels.compiled import jit
from ssl4rl_envs.kernels.reductions import LEAST


@jit
def reduce(pixels: NDArray[np.uint8], height: int, width: int, channels: int) -> Any:
    """See `kernels.reductions.reduce`."""
    blended = np.empty((width + 4) * channels, np.uint32)  # a row between two, with a pixel before it and some after it
    start = 0
    while min(height, width) >= LEAST:
        end = start + height * width * channels
        picture = pixels[start:end].reshape(height, width * channels)
        half = pixels[end:]
        length = width * channels
        across = (width + 1) // 2
        for r in range((height + 1) // 2):
            first, second = picture[max(2 * r - 1, 0)], picture[2 * r]
            third, fourth = picture[min(2 * r + 1, height - 1)], picture[min(2 * r + 2, height - 1)]
            row = blended[channels:]
            for c in range(length):
                row[c] = (
                    np.uint32(first[c]) + np.uint32(3) * (np.uint32(second[c]) + np.uint32(third[c])) + np.uint32(fourth[c])
                )
            for channel in range(channels):
                blended[channel] = blended[channels + channel]
                for beyond in range(2):
                    row[length + beyond * channels + channel] = row[length - channels + channel]
            out = half[r * across * channels : (r + 1) * across * channels]
            for c in range(across):
                for channel in range(channels):
                    at = 2 * c * channels + channel
                    middle = blended[at + channels] + blended[at + 2 * channels]
                    total = blended[at] + np.uint32(3) * middle + blended[at + 3 * channels]
                    out[c * channels + channel] = (total + np.uint32(32)) >> np.uint32(6)
        start, height, width = end, (height + 1) // 2, across


@jit
def halve(out: NDArray[np.uint8], pictures: NDArray[np.uint8]) -> Any:
    """See `kernels.reductions.halve`."""
    count, side = out.shape[0], out.shape[1]
    length = pictures.shape[2] * 3
    rows = np.empty(length, np.uint32)
    for i in range(count):
        picture = pictures[i].reshape(pictures.shape[1], length)
        for r in range(side):
            a, b, c = picture[2 * r], picture[2 * r + 1], picture[2 * r + 2]
            d, e, f = picture[2 * r + 3], picture[2 * r + 4], picture[2 * r + 5]
            for k in range(length):
                outer = np.uint32(a[k]) + np.uint32(f[k])
                between = np.uint32(b[k]) + np.uint32(e[k])
                rows[k] = outer + np.uint32(5) * between + np.uint32(10) * (np.uint32(c[k]) + np.uint32(d[k]))
            for column in range(side):
                for channel in range(3):
                    at = 6 * column + channel
                    outer = rows[at] + rows[at + 15]
                    between = rows[at + 3] + rows[at + 12]
                    total = outer + np.uint32(5) * between + np.uint32(10) * (rows[at + 6] + rows[at + 9])
                    out[i, r, column, channel] = (total + np.uint32(512)) >> np.uint32(10)


def warm() -> None:
    """Compile, or load what was compiled before."""
    reduce(np.zeros(1, np.uint8), 1, 1, 1)
    halve(np.zeros((1, 1, 1, 3), np.uint8), np.zeros((1, 6, 6, 3), np.uint8))
