"""Kernels that take the lattice of their pixels out of pictures, for turns by any angle; see `sources.smoothing`."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from ssl4rl_envs import kernels

_SIGMA = 1.2  # in source pixels; leaves less than 0.1 % of the contrast at the source's highest frequency
RADIUS = math.ceil(4 * _SIGMA)
BITS = 12


def _weights() -> NDArray[np.uint32]:
    shape = [math.exp(-0.5 * (k / _SIGMA) ** 2) for k in range(-RADIUS, RADIUS + 1)]
    weights = np.array([round((1 << BITS) * w / sum(shape)) for w in shape], np.int64)
    weights[RADIUS] += (1 << BITS) - weights.sum()
    return weights.astype(np.uint32)


WEIGHTS = _weights()
"""A Gaussian, in 1/2**12."""


def blur(picture: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return a picture (height, width, channels) blurred by `WEIGHTS` along both axes, with its edge pixels repeated."""
    result = np.empty(picture.shape, np.uint8)
    kernels.area("smoothing").blur(result, np.ascontiguousarray(picture))
    return result


def double(picture: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return a picture (height, width, channels) at twice the size, its edge pixels repeated.

    It subdivides a B-spline of degree 4, whose mask (1, 5, 10, 10, 5, 1) / 16 is symmetric.
    """
    height, width, channels = picture.shape
    result = np.empty((2 * height, 2 * width, channels), np.uint8)
    kernels.area("smoothing").double(result, np.ascontiguousarray(picture))
    return result
