"""Pictures and their reductions in one flat array, and square views drawn from them.

All arithmetic is on integers, pixel by pixel, so that a view is the same bits in every batch and on every machine. It is also
symmetric: left and right, up and down, rows and columns are treated alike to the last bit, so that a view that is turned by a
multiple of 90 degrees is an exact transpose of the upright one and carries no trace of which it is.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ssl4rl_envs.kernels import pictures as kernels
from ssl4rl_envs.kernels import reductions
from ssl4rl_envs.sources.base import UNIT, Views
from ssl4rl_envs.sources.stored import Stored, store

SMOOTH_SIDE = 128
"""Smoothed pictures are enlarged until their shorter side has at least this many pixels."""

_CHUNK = 1 << 22  # pixels that are drawn to be reduced at once: little memory, and enough for the threads
_SMOOTH_SIGMA = 1.2  # in source pixels; leaves less than 0.1 % of the contrast at the source's highest frequency


class Pyramid:
    """Pictures of any sizes with their reductions by 2, 4, 8, ..., as what views are drawn from.

    Args:
        stored: the pictures; nothing is copied.
    """

    def __init__(self, stored: Stored) -> None:
        self.stored = stored
        self._pixels, self._table = (_read_only(array) for array in (stored.pixels, stored.table))

    def pixels(self, views: Views, size: int, angle: NDArray[np.int64] | int) -> NDArray[np.uint8]:
        """Draw views, turned by `angle`, (n,) or one for all; see `PictureSource.pixels`."""
        where = _where(views, angle)
        result = np.empty((len(views), size, size, 3), np.uint8)
        kernels.draw(result, self._pixels, self._table, where)
        return result

    def halved(self, views: Views, size: int, angle: NDArray[np.int64] | int) -> NDArray[np.uint8]:
        """Draw views at twice the size, with a border that is left out when they are reduced to it; angles as in `pixels`."""
        where, large = _where(views, angle), 2 * size + 4
        result = np.empty((len(views), size, size, 3), np.uint8)
        chunk = max(1, _CHUNK // (large * large))
        drawn = np.empty((min(chunk, len(views)), large, large, 3), np.uint8)
        for start in range(0, len(views), chunk):
            part = result[start : start + chunk]
            kernels.draw(drawn[: len(part)], self._pixels, self._table, where[start : start + chunk])
            reductions.halve(part, drawn[: len(part)])
        return result

    def picture(self, item: int) -> NDArray[np.uint8]:
        """Return a picture as it was given, or enlarged, uint8 RGB (height, width, 3)."""
        return np.ascontiguousarray(np.broadcast_to(picture := self.stored.picture(item), (*picture.shape[:2], 3)))


def _where(views: Views, angle: NDArray[np.int64] | int) -> NDArray[np.int64]:
    """Return views and angles as one array, (n, 5); see `kernels.pictures.draw`."""
    where = np.empty((len(views), 5), np.int64)
    for column, values in enumerate((views.items, views.x, views.y, views.side, angle)):
        where[:, column] = values
    return where


def _read_only(array: NDArray[Any]) -> NDArray[Any]:
    """Return the same array, of one type for the kernels: no memory map, and not to be written."""
    plain = np.asarray(array).view()
    plain.flags.writeable = False
    return plain


def smoothed(images: Sequence[NDArray[np.uint8]]) -> Pyramid:
    """Return a pyramid whose pictures show no direction of their pixel lattice, for turns by any angle.

    They are blurred by a Gaussian, which knows no direction, until little is left at the lattice's own frequencies, and small
    ones are enlarged by B-spline subdivision so that interpolation between far pixels leaves no pattern.
    """
    smooth, enlarged = [], []
    for image in images:
        picture, doublings = _blur(image), 0
        while min(picture.shape[:2]) < SMOOTH_SIDE:
            picture, doublings = _double(picture), doublings + 1
        smooth.append(picture)
        enlarged.append(doublings)
    return Pyramid(store(smooth, enlarged))


def _blur(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Blur by a Gaussian, in integers whose weights sum to 2**12 along each axis."""
    radius = math.ceil(4 * _SMOOTH_SIGMA)
    shape = [math.exp(-0.5 * (k / _SMOOTH_SIGMA) ** 2) for k in range(-radius, radius + 1)]
    weights = np.array([round(UNIT * w / sum(shape)) for w in shape], np.int64)
    weights[radius] += UNIT - weights.sum()
    padded = np.pad(image, ((radius, radius), (radius, radius), (0, 0)), mode="edge").astype(np.int64)
    height, width = image.shape[:2]
    rows = sum((w * padded[k : k + height] for k, w in enumerate(weights)), np.zeros((), np.int64))
    both = sum((w * rows[:, k : k + width] for k, w in enumerate(weights)), np.zeros((), np.int64))
    return np.asarray((both + (1 << 23)) >> 24, np.uint8)


def _double(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Enlarge to double size by subdividing a B-spline of degree 4, whose mask (1, 5, 10, 10, 5, 1) / 16 is symmetric."""
    result = image.astype(np.int64)
    for axis in (0, 1):
        padded = np.pad(result, [(1, 1) if a == axis else (0, 0) for a in range(3)], mode="edge")
        before, here, after = (np.take(padded, np.arange(result.shape[axis]) + k, axis) for k in (0, 1, 2))
        pair = np.stack([5 * before + 10 * here + after, before + 10 * here + 5 * after], axis=axis + 1)
        result = pair.reshape([-1 if a == axis else n for a, n in enumerate(result.shape)])
    return np.asarray((result + 128) >> 8, np.uint8)
