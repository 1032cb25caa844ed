"""Random square views of a source's pictures, and how different two pictures look. All in integers: exact in any batch."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray

from ssl4rl_envs.kernels import looks, places
from ssl4rl_envs.kernels.tiles import QUARTERS
from ssl4rl_envs.sources.base import TURN, UNIT, PictureSource, Views
from ssl4rl_envs.stream import Stream

LOOK = 16
"""Side in pixels of the reductions by which pictures are compared."""

MAX_RATIO = 2
"""Pictures are shown at one scale only if the shorter side of one is at most so many times the other's."""

Lengths = NDArray[np.int64]


@dataclass(frozen=True)
class Frame:
    """Where views may lie so that neither the edges nor the lattice of the pixels tell how pictures lie; all (n,) int64.

    What is drawn near the edge of a picture is drawn with repeated pixels, and a view that is nearly as high as its picture
    has its lattice always at one height. On pictures that are not square both would tell up from left. So views keep clear
    of what is repeated, and their lattice lies along the longer side as it does along the shorter.

    Args:
        cell: side of the coarsest pixel that is drawn from, in source pixels: 1, 2, 4, ... as the reductions have them.
        side: of the square, a multiple of `cell`, in source pixels.
        edge: how far the outermost pixel that is drawn stays from the square's edges, in 1/4096 of a source pixel.
        largest: side of the largest view, in 1/4096 of a source pixel.
    """

    cell: Lengths
    side: Lengths
    edge: Lengths
    largest: Lengths


def frame_of(shorter: Lengths, size: int, margin: int = 0) -> Frame:
    """Return the frame of the largest views that pictures have.

    Args:
        shorter: (n,) shorter sides, in source pixels.
        size: side at which views are drawn, in pixels, 2 or more.
        margin: least `edge`, in source pixels.
    """
    return Frame(*places.frames(np.ascontiguousarray(shorter), size, margin).T)


def draw_views(
    stream: Stream,
    source: PictureSource,
    size: int,
    *,
    items: NDArray[np.int64] | None = None,
    shrink: float = 1.0,
    margin: int = 0,
    min_zoom: float | None = None,
) -> Views:
    """Draw one view a row: any picture of the split, any place in it, any side from the smallest to the largest.

    Args:
        stream: the rows' random numbers.
        source: where the pictures are from.
        size: the side at which views are drawn, in pixels.
        items: (n,) of which pictures; drawn if not given.
        shrink: largest side as a share of what the picture has room for. 1 / sqrt(2) keeps the corners inside the picture
            however the view is turned.
        margin: how far views stay from the edges of their picture at least, in source pixels.
        min_zoom: smallest side as a share of the largest; the source's own if not given.
    """
    items = source.draw(stream) if items is None else items
    zoom = source.min_zoom if min_zoom is None else min_zoom
    shape = _shape(source, items)
    frames = places.frames(np.minimum(*shape), size, margin)
    (x, y, side), _ = places.place(stream.several(places.DRAWS), frames, shape, (round(shrink * UNIT), round(zoom * UNIT)))
    return Views(items, x, y, side)


def draw_alike(
    stream: Stream,
    source: PictureSource,
    size: int,
    items: tuple[NDArray[np.int64], NDArray[np.int64]],
    min_zoom: float | None = None,
) -> tuple[Views, Views]:
    """Draw two views a row, of two pictures: of one side, at the same place, with the lattice of their pixels alike.

    So a part of one can be put into the other, or be shown in its place, without a trace of how it was drawn. Which of the
    two is which, nothing but their content tells. See `draw_views`.
    """
    shapes = [_shape(source, each) for each in items]
    zoom = source.min_zoom if min_zoom is None else min_zoom
    frames = places.frames(np.minimum.reduce([*shapes[0], *shapes[1]]), size, 0)
    placed, reach = places.place(stream.several(places.DRAWS), frames, shapes[0], (UNIT, round(zoom * UNIT)))
    (x, y, side), (other_x, other_y) = placed, places.beside(placed, reach, frames, *shapes)
    return Views(items[0], x, y, side), Views(items[1], other_x, other_y, side)


def _shape(source: PictureSource, items: NDArray[np.int64]) -> tuple[Lengths, Lengths]:
    """Return heights and widths of pictures, (n,) each, as arrays of the caller's own."""
    heights, widths = np.array(source.sizes(items), np.int64)
    return heights, widths


def comparable(source: PictureSource, first: NDArray[np.int64], second: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Return which pairs of items (n,) are of sizes that can be shown at one scale, (n,)."""
    one, other = (np.minimum(*source.sizes(items)) for items in (first, second))
    return np.asarray(np.maximum(one, other) <= MAX_RATIO * np.minimum(one, other), np.bool_)


def parts_of(views: Views, middle_x: NDArray[np.int64], middle_y: NDArray[np.int64], part: int, whole: int) -> Views:
    """Return square parts of views as views.

    Args:
        views: n views.
        middle_x, middle_y: (n, ...) of the parts, from the middle of their view, in halves of 1 / whole of its side.
        part: side of the parts, in 1 / whole of the view's.
        whole: see there.

    Returns:
        Views with all axes flattened to one.
    """

    def spread(values: NDArray[np.int64]) -> NDArray[np.int64]:
        return np.broadcast_to(values.reshape(-1, *[1] * (middle_x.ndim - 1)), middle_x.shape)

    def moved(centre: NDArray[np.int64], middle: NDArray[np.int64]) -> NDArray[np.int64]:
        away = side * np.abs(middle) // (2 * whole)  # rounded alike on both sides of the middle
        return spread(centre) + np.where(middle < 0, -away, away)

    side = spread(views.side)
    parts = (spread(views.items), moved(views.x, middle_x), moved(views.y, middle_y), side * part // whole)
    return Views(*(values.reshape(-1) for values in parts))


def turned_differs(
    views: Views, source: PictureSource, angles: NDArray[np.int64], threshold: float, size: int = LOOK
) -> NDArray[np.bool_]:
    """Return which views look different after each of the turns, (n,).

    Compared are `size` x `size` reductions, inside their inscribed disk, which every turn maps to itself. Turned by a
    multiple of 90 degrees a view is an exact transpose of the upright one, so only other turns are drawn.

    Args:
        views: the views.
        source: their source.
        angles: the turns, in 1/2880 of a full turn.
        threshold: least mean absolute difference, in grey levels of 255.
    """
    outside = _outside_disk(size)
    least = math.ceil(threshold * 3 * int((size - 2 * outside).sum()))
    upright = source.pixels(views, size)
    exact = tuple(int(QUARTERS[angle * 4 // TURN % 4]) for angle in angles.tolist() if angle * 4 % TURN == 0)
    result = looks.lie_apart(upright, exact, outside, least)
    for angle in angles[angles * 4 % TURN != 0].tolist():
        one, other = (_within_disk(drawn, outside) for drawn in (upright, source.pixels(views, size, angle)))
        result &= looks.differ(one, other, least)
    return result


def different_pictures(
    source: PictureSource, first: NDArray[np.int64], second: NDArray[np.int64], threshold: float
) -> NDArray[np.bool_]:
    """Return which pairs of items (n,) are different photographs and do not look alike as a whole."""
    apart = source.photographs(first) != source.photographs(second)
    one, other = (source.pixels(source.whole(items), LOOK) for items in (first, second))
    numbers = LOOK * LOOK * 3
    unlike = looks.differ(one.reshape(-1, numbers), other.reshape(-1, numbers), math.ceil(threshold * numbers))
    return np.asarray(apart & unlike, np.bool_)


@cache
def _outside_disk(size: int) -> NDArray[np.int64]:
    """Return how many pixels at either end of each row of a square lie outside its inscribed disk, (size,)."""
    centre = (np.arange(size) * 2 - (size - 1)) ** 2
    return np.asarray((centre[:, None] + centre[None, :] > size * size).sum(axis=1) // 2, np.int64)


def _within_disk(pictures: NDArray[np.uint8], outside: NDArray[np.int64]) -> NDArray[np.uint8]:
    """Return the pixels of pictures (n, size, size, 3) that lie inside a disk, (n, numbers)."""
    column = np.arange(len(outside))
    inside = (column >= outside[:, None]) & (column < len(outside) - outside[:, None])
    return pictures[:, inside].reshape(len(pictures), -1)
