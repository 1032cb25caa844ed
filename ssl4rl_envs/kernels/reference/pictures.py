"""Views of pictures, in NumPy. The arguments are explained in `kernels.pictures`."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ssl4rl_envs.kernels.pictures import COSINES, ONE
from ssl4rl_envs.kernels.reductions import LEAST
from ssl4rl_envs.kernels.reference import tiles
from ssl4rl_envs.kernels.tiles import AS_IT_IS, WHOLE, lattice, part
from ssl4rl_envs.sources.base import TURN, UNIT, UNIT_BITS

_CHUNK = 1 << 16  # output pixels worked on at once: what fits a core's cache

Bytes = NDArray[np.uint8]
Ints = NDArray[np.int64]


def draw(out: Bytes, pixels: Bytes, table: Ints, where: Ints, to: Ints, again: Bytes, how: Bytes) -> None:
    """See `kernels.pictures.draw`."""
    if ((where[:, 0] < 0) | (where[:, 0] >= len(table))).any():
        raise IndexError("a view is of a picture that there is not")
    size = out.shape[1]
    chunk = max(1, _CHUNK // max(1, size * size))
    for start in range(0, len(out), chunk):
        rows = slice(start, start + chunk)
        _draw(out[rows], pixels, table[where[rows, 0]].T, where[rows].T)
        if to.shape[1] > 1:
            tiles.place(out[rows], part(to, rows), out[rows].copy(), *lattice(size, to.shape[1]), AS_IT_IS)
    if len(again):
        tiles.place(again, WHOLE, out, WHOLE, size, how[:, None])


def _draw(out: Bytes, pixels: Bytes, pictures: Ints, views: Ints) -> None:
    size = out.shape[1]
    enlarged, angle = pictures[4], views[4]
    x, y, side = (values << enlarged for values in views[1:4])
    level, (start, height, width, channels) = _levels(pictures[:4], side, size)
    # Doubled coordinates of output pixels from the centre: -(size - 1), ..., size - 1, symmetric about 0.
    along = 2 * np.arange(size, dtype=np.int64) - (size - 1)
    divisor = (2 * size * ONE) << level[:, None]

    def steps(factor: Ints) -> Ints:
        exact = (side * factor)[:, None] * along[None, :]
        return np.asarray(np.sign(exact) * (np.abs(exact) // divisor))  # alike on both sides of 0

    right, down = steps(COSINES[angle % TURN]), steps(COSINES[(angle - TURN // 4) % TURN])
    # Positions count from a picture's edge; interpolation counts from the centre of its first pixel.
    x, y = ((c >> level) - UNIT // 2 for c in (x, y))
    columns = x[:, None, None] + right[:, None, :] - down[:, :, None]
    rows = y[:, None, None] + right[:, :, None] + down[:, None, :]
    _interpolate(out, pixels, (start, height, width, channels), (rows, columns))


def _levels(pictures: Ints, side: Ints, size: int) -> tuple[Ints, Ints]:
    """Return which reductions are drawn from, (n,), and where they begin, their heights, widths and channels, (4, n)."""
    level, pictures = np.zeros_like(side), pictures.copy()
    start, height, width, channels = pictures
    while np.any(coarser := (side >> level > size * UNIT) & (np.minimum(height, width) >= LEAST)):
        start += coarser * height * width * channels
        height += coarser * ((height + 1) // 2 - height)
        width += coarser * ((width + 1) // 2 - width)
        level += coarser
    return level, pictures


def _interpolate(out: Bytes, pixels: Bytes, pictures: tuple[Ints, ...], positions: tuple[Ints, Ints]) -> None:
    """Blend what is round positions, (n, size, size) rows and columns in 1/4096 of a pixel from the middle of the first."""
    start, height, width, channels = (values[:, None, None] for values in pictures)
    rows, columns = (np.clip(at, 0, (count - 1) * UNIT) for at, count in zip(positions, (height, width), strict=True))
    left, top = columns >> UNIT_BITS, rows >> UNIT_BITS
    right, below = (columns & (UNIT - 1)).astype(np.uint32), (rows & (UNIT - 1)).astype(np.uint32)
    corner = start + (top * width + left) * channels
    beside, under = np.where(left < width - 1, channels, 0), np.where(top < height - 1, width * channels, 0)
    one = np.uint32(UNIT)
    weights = [(one - below) * (one - right), (one - below) * right, below * (one - right), below * right]
    for channel in range(3):
        place = np.add(corner, np.minimum(channel, channels - 1), dtype=np.int64)
        total = np.full(columns.shape, 1 << 2 * UNIT_BITS - 1, np.uint32)
        for tap, weight in zip((place, place + beside, place + under, place + under + beside), weights, strict=True):
            total += pixels.take(tap).astype(np.uint32) * weight
        out[..., channel] = total >> np.uint32(2 * UNIT_BITS)
