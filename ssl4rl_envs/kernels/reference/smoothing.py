"""Smoothing of pictures, in NumPy. The arguments are explained in `kernels.smoothing`."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ssl4rl_envs.kernels.smoothing import BITS, RADIUS, WEIGHTS

Picture = NDArray[np.uint8]


def blur(out: Picture, picture: Picture) -> None:
    """See `kernels.smoothing.blur`."""
    height, width = picture.shape[:2]
    padded = np.pad(picture, ((RADIUS, RADIUS), (RADIUS, RADIUS), (0, 0)), mode="edge").astype(np.uint32)
    rows = sum((w * padded[k : k + height] for k, w in enumerate(WEIGHTS)), np.zeros((), np.uint32))
    both = sum((w * rows[:, k : k + width] for k, w in enumerate(WEIGHTS)), np.zeros((), np.uint32))
    out[...] = (both + np.uint32(1 << 2 * BITS - 1)) >> np.uint32(2 * BITS)


def double(out: Picture, picture: Picture) -> None:
    """See `kernels.smoothing.double`."""
    result = picture.astype(np.uint32)
    for axis in (0, 1):
        padded = np.pad(result, [(1, 1) if a == axis else (0, 0) for a in range(3)], mode="edge")
        before, here, after = (np.take(padded, np.arange(result.shape[axis]) + k, axis) for k in (0, 1, 2))
        pair = np.stack([5 * before + 10 * here + after, before + 10 * here + 5 * after], axis=axis + 1)
        result = pair.reshape([-1 if a == axis else n for a, n in enumerate(result.shape)])
    out[...] = (result + 128) >> 8
