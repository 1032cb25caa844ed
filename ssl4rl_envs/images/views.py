"""Random square views of a source's pictures, and how different two pictures look. All in integers: exact in any batch."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ssl4rl_envs.kernels import looks
from ssl4rl_envs.sources.base import TURN, UNIT, UNIT_BITS, PictureSource, Views
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

    @property
    def room(self) -> Lengths:
        """How far apart the outermost pixels may be, in 1/4096 of a source pixel."""
        return self.side * UNIT - 2 * self.edge


def frame_of(shorter: Lengths, size: int, margin: int = 0) -> Frame:
    """Return the frame of the largest views that pictures have.

    Args:
        shorter: (n,) shorter sides, in source pixels.
        size: side at which views are drawn, in pixels, 2 or more.
        margin: least `edge`, in source pixels.
    """
    levels = max(1, math.ceil(math.log2(max(1.0, float(shorter.max(initial=1)) / size)))) + 1
    cells = np.int64(1) << np.arange(levels)[:, None]
    sides = shorter // cells * cells
    # A pixel of a reduction is clean if nothing of it is repeated, which is so one pixel from the edge.
    edges = np.maximum(np.where(cells == 1, UNIT // 2, 3 * cells * UNIT // 2), margin * UNIT)
    largest = np.minimum((sides * UNIT - 2 * edges) * size // (size - 1), size * cells * UNIT)
    best, rows = largest.argmax(axis=0), np.arange(len(shorter))
    return Frame(cells[best, 0], sides[best, rows], edges[best, 0], largest[best, rows])


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
    heights, widths = source.sizes(items)
    frame = frame_of(np.minimum(heights, widths), size, margin)
    return _placed(stream, items, (heights, widths), frame, (shrink, zoom))


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
    shapes = [source.sizes(each) for each in items]
    shorter = np.minimum(*(np.minimum(*shape) for shape in shapes))
    zoom = source.min_zoom if min_zoom is None else min_zoom
    frame = frame_of(shorter, size)
    first = _placed(stream, items[0], shapes[0], frame, (1.0, zoom))
    reach = _reach(first.side, frame, frame.largest)
    centres = []
    for centre, own, other in ((first.y, shapes[0][0], shapes[1][0]), (first.x, shapes[0][1], shapes[1][1])):
        low, high, end = frame.edge + reach // 2, _end(own, frame, reach), _end(other, frame, reach)
        wanted = low + (centre - low) * (end - low) // np.maximum(high - low, 1)
        step = frame.cell * UNIT
        cells = np.clip((wanted - centre) // step, -((centre - low) // step), (end - centre) // step)
        centres.append(centre + cells * step)
    return first, Views(items[1], centres[1], centres[0], first.side)


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


def differs(first: NDArray[Any], second: NDArray[Any], threshold: float) -> NDArray[np.bool_]:
    """Return where two batches of pictures (..., height, width, 3) differ by at least `threshold`, (...).

    The difference is the mean absolute one, in grey levels of 255. Both are uint8, or both int16.
    """
    shape = np.broadcast_shapes(first.shape, second.shape)
    each = math.prod(shape[-3:])
    rows = [np.ascontiguousarray(np.broadcast_to(one, shape)).reshape(-1, each) for one in (first, second)]
    return looks.differ(*rows, math.ceil(threshold * each)).reshape(shape[:-3])


def all_differ(pictures: NDArray[Any], threshold: float) -> NDArray[np.bool_]:
    """Return which rows (n,) of n x m pictures (n, m, height, width, 3) hold no two that differ by less than `threshold`."""
    each = math.prod(pictures.shape[2:])
    rows = np.ascontiguousarray(pictures).reshape(*pictures.shape[:2], each)
    return looks.all_differ(rows, math.ceil(threshold * each))


def turned_differs(
    views: Views, source: PictureSource, angles: NDArray[np.int64], threshold: float, size: int = LOOK
) -> NDArray[np.bool_]:
    """Return which views look different after each of the turns, (n,).

    Compared are `size` x `size` reductions, inside their inscribed disk, which every turn maps to itself. Turned by a multiple
    of 90 degrees a view is an exact transpose of the upright one, so only other turns are drawn.

    Args:
        views: the views.
        source: their source.
        angles: the turns, in 1/2880 of a full turn.
        threshold: least mean absolute difference, in grey levels of 255.
    """
    outside = _outside_disk(size)
    least = math.ceil(threshold * 3 * int((size - 2 * outside).sum()))
    upright = source.pixels(views, size)
    exact = tuple(looks.QUARTERS[angle * 4 // TURN % 4] for angle in angles.tolist() if angle * 4 % TURN == 0)
    result = looks.lie_apart(upright, exact, outside, least)
    for angle in angles[angles * 4 % TURN != 0].tolist():
        turned = [_within_disk(drawn, outside) for drawn in (upright, source.pixels(views, size, angle))]
        result &= looks.differ(*turned, least)
    return result


def different_pictures(
    source: PictureSource, first: NDArray[np.int64], second: NDArray[np.int64], threshold: float
) -> NDArray[np.bool_]:
    """Return which pairs of items (n,) are different photographs and do not look alike as a whole."""
    apart = source.photographs(first) != source.photographs(second)
    one, other = (source.pixels(source.whole(items), LOOK) for items in (first, second))
    return np.asarray(apart & differs(one, other, threshold), np.bool_)


def _outside_disk(size: int) -> NDArray[np.int64]:
    """Return how many pixels at either end of each row of a square lie outside its inscribed disk, (size,)."""
    centre = (np.arange(size) * 2 - (size - 1)) ** 2
    return (centre[:, None] + centre[None, :] > size * size).sum(axis=1) // 2


def _within_disk(pictures: NDArray[np.uint8], outside: NDArray[np.int64]) -> NDArray[np.uint8]:
    """Return the pixels of pictures (n, size, size, 3) that lie inside a disk, (n, numbers)."""
    column = np.arange(len(outside))
    inside = (column >= outside[:, None]) & (column < len(outside) - outside[:, None])
    return pictures[:, inside].reshape(len(pictures), -1)


def _placed(
    stream: Stream, items: NDArray[np.int64], shape: tuple[Lengths, Lengths], frame: Frame, sizes: tuple[float, float]
) -> Views:
    """Draw a side and a place: first within a square, which settles how the lattice lies, then by whole pixels anywhere."""
    shrink, zoom = sizes
    largest = (frame.largest * round(shrink * UNIT)) >> UNIT_BITS
    side = stream.integers((largest * round(zoom * UNIT)) >> UNIT_BITS, largest + 1)
    reach = _reach(side, frame, largest)
    low, step, centres = frame.edge + reach // 2, frame.cell * UNIT, []
    for length in shape:
        inside = stream.integers(low, frame.side * UNIT - low + 1)
        before, after = (inside - low) // step, (_end(length, frame, reach) - inside) // step
        centres.append(inside + step * stream.integers(-before, after + 1))
    return Views(items, centres[1], centres[0], side)


def _reach(side: Lengths, frame: Frame, largest: Lengths) -> Lengths:
    """Return how wide what a view may touch is: all of the largest square round a view that is turned by any angle."""
    return side * frame.room // largest // 2 * 2


def _end(length: Lengths, frame: Frame, reach: Lengths) -> Lengths:
    """Return the last place of a view's middle along a side of its picture."""
    return length // frame.cell * frame.cell * UNIT - frame.edge - reach // 2
