"""Random square views of a source's pictures, and which of them can be asked about."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from ssl4rl_envs.sources.base import UNIT, UNIT_BITS, PictureSource, Views
from ssl4rl_envs.stream import Stream

MAX_REDRAWS = 200
"""A row whose candidates are all rejected this often is an error; see `check_source` for why that does not happen."""

MIN_ACCEPTED = 0.1
"""Least share of candidates that a source must yield."""


def draw_views(stream: Stream, source: PictureSource, shrink: float = 1.0, margin: int = 0) -> Views:
    """Draw one view a row: any picture of the split, any place in it, any side from `source.min_zoom` to the largest.

    Args:
        stream: the rows' random numbers.
        source: where the pictures are from.
        shrink: largest side as a share of the picture's shorter one. 1 / sqrt(2) keeps the corners inside the picture
            however the view is turned.
        margin: how far views stay from the edges of their picture, in pixels.
    """
    items = source.draw(stream)
    heights, widths = ((sizes - 2 * margin) * UNIT for sizes in source.sizes(items))
    largest = (np.minimum(heights, widths) * round(shrink * UNIT)) >> UNIT_BITS
    smallest = (largest * round(source.min_zoom * UNIT)) >> UNIT_BITS
    side = stream.integers(smallest, largest + 1)
    # The half-width of what a view may touch: all of the largest square round a view that is turned by any angle.
    reach = side * np.minimum(heights, widths) // largest
    x = stream.integers(0, widths - reach + 1) + reach // 2 + margin * UNIT
    y = stream.integers(0, heights - reach + 1) + reach // 2 + margin * UNIT
    return Views(items, x, y, side)


def draw_askable(
    stream: Stream, draw: Callable[[Stream], Views], askable: Callable[[Views], NDArray[np.bool_]], source: PictureSource
) -> Views:
    """Draw views and draw those again that cannot be asked about, from further counters of the same rows.

    Raises:
        RuntimeError: a row found no view in `MAX_REDRAWS` attempts.
    """
    views = draw(stream)
    pending = np.flatnonzero(~askable(views))
    for attempt in range(1, MAX_REDRAWS + 1):
        if not len(pending):
            return views
        again = draw(stream.redraw(pending, attempt))
        for name in ("items", "x", "y", "side"):
            getattr(views, name)[pending] = getattr(again, name)
        pending = pending[~askable(again)]
    raise RuntimeError(f"source {source.name!r}: no view to ask about in {MAX_REDRAWS} draws of {len(pending)} instances")


def acceptance(split: str, draw: Callable[[Stream], Views], askable: Callable[[Views], NDArray[np.bool_]]) -> float:
    """Return the share of random views of a split that can be asked about, from 256 of them."""
    return float(askable(draw(Stream(split, np.zeros(256, np.uint64), np.arange(256)))).mean())


def turned_differs(
    views: Views, source: PictureSource, angles: NDArray[np.int64], threshold: float, size: int = 16
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
    result = np.ones(len(views.items), bool)
    for angle in angles:
        turned = source.pixels(views, size, int(angle)).astype(np.int64)
        result &= (np.abs(upright - turned) * disk).sum(axis=(1, 2, 3)) >= least
    return result
