"""Random square views of a source's pictures, and how different two pictures look. All in integers: exact in any batch."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from ssl4rl_envs.sources.base import UNIT, UNIT_BITS, PictureSource, Views
from ssl4rl_envs.stream import Stream

LOOK = 16
"""Side in pixels of the reductions by which pictures are compared."""


def draw_views(
    stream: Stream,
    source: PictureSource,
    shrink: float = 1.0,
    margin: int = 0,
    items: NDArray[np.int64] | None = None,
    min_zoom: float | None = None,
) -> Views:
    """Draw one view a row: any picture of the split, any place in it, any side from the smallest to the largest.

    Args:
        stream: the rows' random numbers.
        source: where the pictures are from.
        shrink: largest side as a share of the picture's shorter one. 1 / sqrt(2) keeps the corners inside the picture
            however the view is turned.
        margin: how far views stay from the edges of their picture, in pixels.
        items: (n,) of which pictures; drawn if not given.
        min_zoom: smallest side as a share of the largest; the source's own if not given.
    """
    items = source.draw(stream) if items is None else items
    heights, widths = ((sizes - 2 * margin) * UNIT for sizes in source.sizes(items))
    largest = (np.minimum(heights, widths) * round(shrink * UNIT)) >> UNIT_BITS
    smallest = (largest * round((source.min_zoom if min_zoom is None else min_zoom) * UNIT)) >> UNIT_BITS
    side = stream.integers(smallest, largest + 1)
    # The half-width of what a view may touch: all of the largest square round a view that is turned by any angle.
    reach = side * np.minimum(heights, widths) // largest
    x = stream.integers(0, widths - reach + 1) + reach // 2 + margin * UNIT
    y = stream.integers(0, heights - reach + 1) + reach // 2 + margin * UNIT
    return Views(items, x, y, side)


def differs(first: NDArray[np.uint8], second: NDArray[np.uint8], threshold: float) -> NDArray[np.bool_]:
    """Return where two batches of pictures (..., height, width, 3) differ by at least `threshold`, (...).

    The difference is the mean absolute one, in grey levels of 255.
    """
    least = math.ceil(threshold * math.prod(first.shape[-3:]))
    apart = np.abs(first.astype(np.int16) - second.astype(np.int16))
    return np.asarray(apart.sum(axis=(-3, -2, -1), dtype=np.int64) >= least, np.bool_)


def all_differ(pictures: NDArray[np.uint8], threshold: float) -> NDArray[np.bool_]:
    """Return which rows (n,) of n x m pictures (n, m, height, width, 3) hold no two that differ by less than `threshold`."""
    result = np.ones(len(pictures), bool)
    for i in range(pictures.shape[1] - 1):
        result &= differs(pictures[:, i : i + 1], pictures[:, i + 1 :], threshold).all(axis=1)
    return result


def turned_differs(
    views: Views, source: PictureSource, angles: NDArray[np.int64], threshold: float, size: int = LOOK
) -> NDArray[np.bool_]:
    """Return which views look different after each of the turns, (n,).

    Compared are `size` x `size` reductions, inside their inscribed disk, which every turn maps to itself.

    Args:
        views: the views.
        source: their source.
        angles: the turns, in 1/2880 of a full turn.
        threshold: least mean absolute difference, in grey levels of 255.
    """
    centre = (np.arange(size) * 2 - (size - 1)) ** 2
    disk = (centre[:, None] + centre[None, :] <= size * size).astype(np.int64)[None, :, :, None]
    upright = source.pixels(views, size).astype(np.int64)
    least = math.ceil(threshold * 3 * int(disk.sum()))
    result = np.ones(len(views), bool)
    for angle in angles:
        turned = source.pixels(views, size, int(angle)).astype(np.int64)
        result &= (np.abs(upright - turned) * disk).sum(axis=(1, 2, 3)) >= least
    return result


def different_pictures(
    source: PictureSource, first: NDArray[np.int64], second: NDArray[np.int64], threshold: float
) -> NDArray[np.bool_]:
    """Return which pairs of items (n,) are different photographs and do not look alike as a whole."""
    apart = source.photographs(first) != source.photographs(second)
    looks = [source.pixels(source.whole(items), LOOK) for items in (first, second)]
    return np.asarray(apart & differs(looks[0], looks[1], threshold), np.bool_)
