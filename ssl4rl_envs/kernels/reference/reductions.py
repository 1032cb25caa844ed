"""Reductions of pictures, in NumPy. The arguments are explained in `kernels.reductions`."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ssl4rl_envs.kernels.reductions import LEAST


def reduce(pixels: NDArray[np.uint8], height: int, width: int, channels: int) -> None:
    """See `kernels.reductions.reduce`."""
    end = height * width * channels
    picture = pixels[:end].reshape(height, width, channels)
    while min(picture.shape[:2]) >= LEAST:
        height, width = picture.shape[:2]
        padded = np.pad(picture, ((1, 1 + height % 2), (1, 1 + width % 2), (0, 0)), mode="edge").astype(np.uint32)
        rows = padded[0:-3:2] + 3 * padded[1:-2:2] + 3 * padded[2:-1:2] + padded[3::2]
        both = rows[:, 0:-3:2] + 3 * rows[:, 1:-2:2] + 3 * rows[:, 2:-1:2] + rows[:, 3::2]
        half = both.shape
        start, end = end, end + both.size
        picture = pixels[start:end].reshape(half)
        picture[...] = (both + 32) >> 6


def halve(out: NDArray[np.uint8], pictures: NDArray[np.uint8]) -> None:
    """See `kernels.reductions.halve`."""
    side = out.shape[1]
    rows = np.zeros((len(out), side, *pictures.shape[2:]), np.uint32)
    both = np.zeros(out.shape, np.uint32)
    for k, weight in enumerate((1, 5, 10, 10, 5, 1)):
        rows += np.uint32(weight) * pictures[:, k : k + 2 * side : 2]
    for k, weight in enumerate((1, 5, 10, 10, 5, 1)):
        both += np.uint32(weight) * rows[:, :, k : k + 2 * side : 2]
    out[...] = (both + np.uint32(512)) >> np.uint32(10)
