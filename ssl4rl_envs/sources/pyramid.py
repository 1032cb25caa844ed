"""Pictures and their reductions in one flat array, and square views drawn from them.

All arithmetic is on integers, pixel by pixel, so that a view is the same bits in every batch and on every machine. It is also
symmetric: left and right, up and down, rows and columns are treated alike to the last bit, so that a view that is turned by a
multiple of 90 degrees is an exact transpose of the upright one and carries no trace of which it is.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from ssl4rl_envs.kernels import pictures as kernels
from ssl4rl_envs.sources.base import TURN, UNIT, Views

SMOOTH_SIDE = 128
"""Smoothed pictures are enlarged until their shorter side has at least this many pixels."""

_SMOOTH_SIGMA = 1.2  # in source pixels; leaves less than 0.1 % of the contrast at the source's highest frequency
_ONE = 1 << 14  # fixed-point 1.0 of sines and cosines
_CHUNK = 1 << 16  # output pixels worked on at once: what fits a core's cache
_COS = np.array([round(math.cos(2 * math.pi * k / TURN) * _ONE) for k in range(TURN)], np.int64)


class Pyramid:
    """Pictures of any sizes with their reductions by 2, 4, 8, ...

    Args:
        images: uint8 RGB arrays (height, width, 3), each at least 2 x 2.
        enlarged: how many times each of them has been doubled in size; positions count pixels before that.
    """

    def __init__(self, images: Sequence[NDArray[np.uint8]], enlarged: Sequence[int] | None = None) -> None:
        pyramids = [_reductions(image) for image in images]
        depth = max(len(levels) for levels in pyramids)
        self._enlarged = np.zeros(len(images), np.int64) if enlarged is None else np.array(enlarged, np.int64)
        self._depths = np.array([len(levels) for levels in pyramids], np.int64)
        self._offsets, self._heights, self._widths = (np.zeros((len(images), depth), np.int64) for _ in range(3))
        self._pixels = np.empty(sum(level.shape[0] * level.shape[1] for p in pyramids for level in p), np.uint32)
        end = 0
        for item, levels in enumerate(pyramids):
            for depth_index, level in enumerate(levels):
                height, width = level.shape[:2]
                place = (item, depth_index)
                self._offsets[place], self._heights[place], self._widths[place] = end, height, width
                words = level.astype(np.uint32)
                packed = words[..., 0] | words[..., 1] << np.uint32(8) | words[..., 2] << np.uint32(16)
                self._pixels[end : end + height * width] = packed.ravel()
                end += height * width

    def pixels(self, views: Views, size: int, angle: NDArray[np.int64]) -> NDArray[np.uint8]:
        """Draw views, turned by `angle` (n,); see `PictureSource.pixels`."""
        result = np.empty((len(views), size, size, 3), np.uint8)
        chunk = max(1, _CHUNK // (size * size))
        for start in range(0, len(views), chunk):
            rows = slice(start, start + chunk)
            items = views.items[rows]
            scale = self._enlarged[items]
            x, y, side = (values[rows] << scale for values in (views.x, views.y, views.side))
            self._draw(result[rows], items, x, y, side, angle[rows])
        return result

    def picture(self, item: int) -> NDArray[np.uint8]:
        """Return a picture as it was given, or enlarged."""
        start, height, width = self._offsets[item, 0], self._heights[item, 0], self._widths[item, 0]
        words = self._pixels[start : start + height * width]
        channels = [(words >> np.uint32(8 * channel)) & np.uint32(255) for channel in range(3)]
        return np.stack(channels, axis=-1).astype(np.uint8).reshape(height, width, 3)

    def _draw(
        self,
        out: NDArray[np.uint8],
        items: NDArray[np.int64],
        x: NDArray[np.int64],
        y: NDArray[np.int64],
        side: NDArray[np.int64],
        angle: NDArray[np.int64],
    ) -> None:
        """Interpolate in the finest reduction whose pixels are no smaller than the output's: nothing aliases."""
        size = out.shape[1]
        level = np.zeros(len(items), np.int64)
        while np.any(coarser := (side >> level > size * UNIT) & (level + 1 < self._depths[items])):
            level += coarser
        # Doubled coordinates of output pixels from the centre: -(size - 1), ..., size - 1, symmetric about 0.
        along = 2 * np.arange(size, dtype=np.int64) - (size - 1)
        cosine, sine = _COS[angle % TURN], _COS[(angle - TURN // 4) % TURN]
        divisor = (2 * size * _ONE) << level[:, None]

        def steps(factor: NDArray[np.int64]) -> NDArray[np.int32]:
            exact = (side * factor)[:, None] * along[None, :]
            rounded = np.sign(exact) * (np.abs(exact) // divisor)  # alike on both sides of 0
            return np.asarray(rounded, np.int32)

        # Positions count from a picture's edge; interpolation counts from the centre of its first pixel.
        middle = tuple(((c >> level) - UNIT // 2).astype(np.int32) for c in (x, y))
        pictures = tuple(of[items, level] for of in (self._offsets, self._widths, self._heights))
        kernels.interpolate(out, self._pixels, pictures, middle, (steps(cosine), steps(sine)))


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
    return Pyramid(smooth, enlarged)


def halve(images: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Reduce pictures (n, 2k, 2k, 3) to half by the binomial filter (1, 5, 10, 10, 5, 1) / 32 along both axes."""
    padded = np.pad(images, ((0, 0), (2, 2), (2, 2), (0, 0)), mode="edge").astype(np.uint32)
    half = images.shape[1] // 2
    rows = np.zeros((len(images), half, *padded.shape[2:]), np.uint32)
    both = np.zeros((len(images), half, half, 3), np.uint32)
    weights = np.array((1, 5, 10, 10, 5, 1), np.uint32)
    for k, weight in enumerate(weights):
        rows += weight * padded[:, k : k + 2 * half : 2]
    for k, weight in enumerate(weights):
        both += weight * rows[:, :, k : k + 2 * half : 2]
    return ((both + np.uint32(512)) >> np.uint32(10)).astype(np.uint8)


def _reductions(image: NDArray[np.uint8]) -> list[NDArray[np.uint8]]:
    """Return a picture and its reductions by the binomial filter (1, 3, 3, 1) / 8 along both axes."""
    levels = [image]
    while min(levels[-1].shape[:2]) >= 8:
        height, width = levels[-1].shape[:2]
        padded = np.pad(levels[-1], ((1, 1 + height % 2), (1, 1 + width % 2), (0, 0)), mode="edge").astype(np.uint32)
        rows = padded[0:-3:2] + 3 * padded[1:-2:2] + 3 * padded[2:-1:2] + padded[3::2]
        both = rows[:, 0:-3:2] + 3 * rows[:, 1:-2:2] + 3 * rows[:, 2:-1:2] + rows[:, 3::2]
        levels.append(((both + 32) >> 6).astype(np.uint8))
    return levels


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
