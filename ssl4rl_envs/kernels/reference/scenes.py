"""Scenes painted in NumPy, many views at once. The arguments are explained in `kernels.scenes`.

Nothing but additions, multiplications, divisions, square roots, comparisons and integer arithmetic, pixel by pixel, touches a
picture, so that a view is the same bits in every batch and on every machine.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ssl4rl_envs.sources.base import TURN, UNIT
from ssl4rl_envs.sources.scene_models import GLOW, NOTHING, POLYGON
from ssl4rl_envs.sources.scene_shapes import Shapes
from ssl4rl_envs.sources.scenery import SIDE, Scene, compose

_QUARTER = TURN // 4
_ONE = 1 << 30
COSINES = np.array([round(math.cos(2 * math.pi * k / TURN) * _ONE) / _ONE for k in range(TURN)])
"""Rounded, so that no machine's library of functions matters."""

_CANVAS = 1 << 20  # pixels drawn at once
_PATCH = 1 << 14  # pixels worked on at once: what fits a core's cache


def draw(
    out: NDArray[np.uint8],
    items: NDArray[np.int64],
    x: NDArray[np.int64],
    y: NDArray[np.int64],
    side: NDArray[np.int64],
    angles: NDArray[np.int64],
) -> None:
    """See `kernels.scenes.draw`."""
    size, quarters = out.shape[1], (angles + _QUARTER // 2) // _QUARTER
    tilts = angles - quarters * _QUARTER
    chunk = max(1, _CANVAS // (size * size))
    for start in range(0, len(out), chunk):
        rows = slice(start, start + chunk)
        frame = view_frame(x[rows], y[rows], side[rows], tilts[rows], size)
        scene = compose(items[rows])
        canvas = backdrop(scene, frame, size)
        paint_shapes(canvas, scene.shapes, frame)
        out[rows] = unpacked(canvas)
    for quarter in range(1, 4):
        turned = quarters % 4 == quarter
        out[turned] = np.rot90(out[turned], quarter, axes=(1, 2))


# ------------------------------------------------------------------------------------------------- coordinates

Frame = tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]
"""Where n views see a scene: (n, 2) its points in the middle of the view, one pixel right of that, and one pixel down,
the latter two as differences."""


def view_frame(
    x: NDArray[np.int64], y: NDArray[np.int64], side: NDArray[np.int64], tilt: NDArray[np.int64], size: int
) -> Frame:
    """Return the frames of views that are turned by less than 45 degrees, tilt in 1/2880 of a full turn; all (n,)."""
    middle = np.stack([x, y], axis=-1) / (UNIT * SIDE)
    pixel = side / (UNIT * SIDE * size)
    cosine, sine = COSINES[tilt % TURN] * pixel, COSINES[(tilt - _QUARTER) % TURN] * pixel
    return middle, np.stack([cosine, sine], axis=-1), np.stack([-sine, cosine], axis=-1)


def seen(forms: NDArray[np.float64], frame: Frame) -> NDArray[np.float64]:
    """Return affine forms (n, ..., 3) of a scene's points as forms of pixel numbers right and down of a view's middle."""
    middle, right, down = (vectors.reshape(len(forms), *[1] * (forms.ndim - 2), 2) for vectors in frame)
    a, b, c = forms[..., 0], forms[..., 1], forms[..., 2]
    return np.stack(
        [*(a * v[..., 0] + b * v[..., 1] for v in (right, down)), a * middle[..., 0] + b * middle[..., 1] + c], -1
    )


# ----------------------------------------------------------------------------------------------------- colours
# A colour is one integer: three lanes of 21 bits, each holding a channel in 1/16 of a grey level. So a mixture of two
# colours costs one multiplication.

Words = NDArray[np.int64]

_LANES = (0, 21, 42)
_MASK = sum(0xFFF << lane for lane in _LANES)
_HALF = sum(0x80 << lane for lane in _LANES)


def packed(colours: NDArray[np.float64]) -> Words:
    """Return colours (..., 3) from 0 to 255 as words."""
    channels = (np.clip(colours, 0.0, 255.0) * 16.0 + 0.5).astype(np.int64)
    return np.asarray(channels[..., 0] | channels[..., 1] << _LANES[1] | channels[..., 2] << _LANES[2])


def unpacked(words: Words) -> NDArray[np.uint8]:
    """Return words as colours, uint8 (..., 3)."""
    result = np.empty((*words.shape, 3), np.uint8)
    for channel, lane in enumerate(_LANES):
        level = (words >> lane) & 0xFFF
        result[..., channel] = np.minimum((level + 8) >> 4, 255)
    return result


def mixed(first: Words, second: Words, weight: Words) -> Words:
    """Return first * (256 - weight) / 256 + second * weight / 256, rounded; weights from 0 to 256."""
    result = (second - first) * weight  # lanes borrow from each other here; the sum below pays it back
    result += (first << 8) + _HALF
    result >>= 8
    result &= _MASK
    return result


# ---------------------------------------------------------------------------------------------------- painting

SIZE_CLASSES = (12, 24, 48, 96, 192, 384, 768, 1536)
"""Sides of boxes of pixels. Finer ones touch fewer pixels in vain, coarser ones leave more to be painted at once."""


@dataclass(frozen=True)
class Strokes:
    """m shapes to paint, as the views see them.

    Attributes:
        view: (m,) which view each is in; those of one view stand together, in painter's order.
        shape: (m,) ELLIPSE, POLYGON or GLOW.
        forms: (m, 5, 3) the four forms of `Shapes`, in pixels wherever they are distances, and one for the share of the
            bright colour, from 0 to 256.
        slopes: (m, 2) squared lengths of the gradients of the first two forms.
        opacity: (m,) from 0 to 256.
        dark, bright: (m,) words.
        corner, sides: (m, 2) the box of pixels it may touch: upper left corner and sides, as (down, right) each.
    """

    view: Words
    shape: Words
    forms: NDArray[np.float32]
    slopes: NDArray[np.float32]
    opacity: NDArray[np.float32]
    dark: Words
    bright: Words
    corner: Words
    sides: Words


def strokes(shapes: Shapes, frame: Frame, size: int) -> Strokes:
    """Return what of the shapes of n scenes is in sight."""
    corners, sides = boxes(shapes.box, frame, size)
    there = (shapes.shape != NOTHING) & (sides[..., 0] > 0) & (sides[..., 1] > 0)
    view, _ = np.nonzero(there)
    here: Frame = (frame[0][view], frame[1][view], frame[2][view])
    shape, forms = shapes.shape[there], seen(shapes.forms[there], here)
    squares = forms[..., 0] * forms[..., 0] + forms[..., 1] * forms[..., 1]
    # Half planes count pixels, and so does the line that cuts an ellipse. What has no gradient is a constant.
    unit = np.where(squares > 0, np.sqrt(squares), 1.0)
    unit[:, :2][shape != POLYGON] = 1.0
    share = seen(shapes.shade[there], here) * 256.0
    share[:, 2] += 0.5
    return Strokes(
        view,
        shape,
        np.concatenate([forms / unit[..., None], share[:, None]], axis=1).astype(np.float32),
        squares[:, :2].astype(np.float32),
        (shapes.opacity[there] * 256.0).astype(np.float32),
        packed(shapes.dark[there]),
        packed(shapes.bright[there]),
        corners[there],
        sides[there],
    )


def boxes(box: NDArray[np.float64], frame: Frame, size: int) -> tuple[Words, Words]:
    """Return the boxes of pixels that shapes may touch: upper left corners and sides, (n, p, 2) as (down, right) each.

    Sides are rounded up to a few classes, so that many boxes can be worked on at once. A shape out of sight has a side of 0.
    """
    middle, right, down = (vectors[:, None] for vectors in frame)
    x, y, half_x, half_y = np.moveaxis(box, -1, 0)
    x, y = x - middle[..., 0], y - middle[..., 1]
    classes = np.array([*(k for k in SIZE_CLASSES if k < size), size])
    corners, sides = np.empty((*x.shape, 2), np.int64), np.empty((*x.shape, 2), np.int64)
    for k, axis in enumerate((down, right)):
        a, b = axis[..., 0], axis[..., 1]
        area = a * a + b * b
        centre = (x * a + y * b) / area + (size - 1) / 2
        half = (half_x * np.abs(a) + half_y * np.abs(b)) / area + 0.5
        start = np.floor(np.clip(centre - half, 0, size)).astype(np.int64)
        stop = np.ceil(np.clip(centre + half + 1, 0, size)).astype(np.int64)
        sides[..., k] = np.where(stop > start, classes[np.searchsorted(classes, stop - start)], 0)
        corners[..., k] = np.minimum(start, size - sides[..., k])
    return corners, sides


def layers(marks: Strokes) -> Words:
    """Return in which layer each stroke is painted, (m,).

    Strokes whose boxes do not touch may be painted in any order, so all of a layer are painted at once: a stroke is one layer
    above the highest of the earlier ones of its view that its box touches.
    """
    counts = np.bincount(marks.view)
    number = np.arange(len(marks.view)) - (np.cumsum(counts) - counts)[marks.view]
    # Padded to the longest list; a box that ends where it begins touches nothing.
    views, longest = len(counts), int(counts.max())
    edges = np.zeros((4, views, longest), np.int16)
    edges[:, marks.view, number] = np.concatenate([marks.corner, marks.corner + marks.sides], axis=1).T
    top, left, bottom, right = edges
    layer = np.zeros((views, longest), np.int16)
    for p in range(1, longest):
        here, earlier = slice(p, p + 1), slice(p)
        touched = (top[:, here] < bottom[:, earlier]) & (top[:, earlier] < bottom[:, here])
        touched &= (left[:, here] < right[:, earlier]) & (left[:, earlier] < right[:, here])
        layer[:, p] = (touched * (layer[:, earlier] + np.int16(1))).max(axis=1)
    return layer[marks.view, number].astype(np.int64)


def paint_shapes(canvas: Words, shapes: Shapes, frame: Frame) -> None:
    """Paint the shapes of n scenes over what n views show, (n, size, size) words."""
    marks = strokes(shapes, frame, canvas.shape[2])
    if not len(marks.view):
        return
    # What is painted at once is of one layer, one shape and one size of box.
    keys = ((layers(marks) * 4 + marks.shape) << 32) | marks.sides[:, 0] << 16 | marks.sides[:, 1]
    order = np.argsort(keys, kind="stable")
    starts = np.flatnonzero(np.diff(keys[order], prepend=-1)).tolist()
    for start, stop in zip(starts, [*starts[1:], len(order)], strict=True):
        height, width = marks.sides[order[start]].tolist()
        most = max(1, _PATCH // (height * width))
        for first in range(start, stop, most):
            stroke(canvas, marks, order[first : min(first + most, stop)], height, width)


def stroke(canvas: Words, marks: Strokes, chosen: Words, height: int, width: int) -> None:
    """Paint strokes of one shape, with boxes of one size that do not touch each other."""
    top, left = marks.corner[chosen, 0], marks.corner[chosen, 1]
    x, y = grid(left, width, canvas.shape[2])[:, None, :], grid(top, height, canvas.shape[1])[:, :, None]
    forms = marks.forms[chosen]
    cover = coverage(int(marks.shape[chosen[0]]), forms, marks.slopes[chosen], x, y)
    cover *= marks.opacity[chosen][:, None, None]
    cover += np.float32(0.5)
    dark, bright = marks.dark[chosen][:, None, None], marks.bright[chosen][:, None, None]
    colour = mixed(dark, bright, weights(affine(forms[:, 4], x, y)))
    windows = windows_of(canvas, height, width)
    place = (marks.view[chosen], top, left)
    windows[place] = mixed(windows[place], colour, cover.astype(np.int64))


def windows_of(canvas: Words, height: int, width: int) -> Words:
    """Return a view of all windows of a size: (n, top, left, height, width), writable."""
    count, size, _ = canvas.shape
    item, row, pixel = canvas.strides
    shape = (count, size - height + 1, size - width + 1, height, width)
    return np.lib.stride_tricks.as_strided(canvas, shape, (item, row, pixel, row, pixel))


def grid(start: Words, count: int, size: int) -> NDArray[np.float32]:
    """Return the numbers of `count` pixels from each start on, counted from the middle of a view, (n, count)."""
    return (start[:, None] + np.arange(count)).astype(np.float32) - np.float32((size - 1) / 2)


def affine(form: NDArray[np.float32], x: NDArray[np.float32], y: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the values of affine forms (n, 3) on grids, (n, height, width)."""
    a, b, c = form[:, :1, None], form[:, 1:2, None], form[:, 2:, None]
    return np.asarray(a * x + (b * y + c))


def weights(values: NDArray[np.float32]) -> Words:
    """Return numbers clipped to 0..256 and rounded down; overwrites its argument."""
    np.maximum(values, np.float32(0.0), out=values)
    np.minimum(values, np.float32(256.0), out=values)
    return values.astype(np.int64)


def coverage(
    shape: int, forms: NDArray[np.float32], slopes: NDArray[np.float32], x: NDArray[np.float32], y: NDArray[np.float32]
) -> NDArray[np.float32]:
    """Return which share of each pixel is covered by shapes of one kind, (n, height, width).

    It is the signed distance of the pixel's middle from the edge, in pixels, plus a half.
    """
    if shape == POLYGON:
        distance = affine(forms[:, 0], x, y)
        for side in range(1, 4):
            np.minimum(distance, affine(forms[:, side], x, y), out=distance)
    else:
        across, down = affine(forms[:, 0], x, y), affine(forms[:, 1], x, y)
        across *= across
        down *= down
        squares = across + down
        if shape == GLOW:
            distance = np.maximum(np.float32(1.0) - squares, np.float32(0.0))
            return np.asarray(distance * distance)
        # With q^2 = u^2 + v^2, (1 - q) over the length of q's gradient: exact for circles, and for ellipses at the edge.
        across *= slopes[:, :1, None]
        down *= slopes[:, 1:, None]
        across += down
        gradient = np.sqrt(across, out=across)
        gradient += np.float32(1e-6)
        radius = np.sqrt(squares, out=squares)
        distance = np.float32(1.0) - radius
        radius += np.float32(1e-6)
        distance *= radius
        distance /= gradient
        np.minimum(distance, affine(forms[:, 2], x, y), out=distance)
    distance += np.float32(0.5)
    np.maximum(distance, np.float32(0.0), out=distance)
    return np.minimum(distance, np.float32(1.0), out=distance)


def backdrop(scene: Scene, frame: Frame, size: int) -> Words:
    """Paint sky and ground, (n, size, size) words; in upright views all pixels of a row are alike."""
    horizon, down = scene.horizon, frame[2]
    upright = not frame[1][:, 1].any()
    place = np.zeros(len(horizon), np.int64)
    x, y = grid(place, 1 if upright else size, size)[:, None, :], grid(place, size, size)[:, :, None]
    pixel = np.sqrt(down[:, 0] * down[:, 0] + down[:, 1] * down[:, 1])

    def share(slope: NDArray[np.float64]) -> Words:
        """Return 256ths of a share that is 0 at the horizon and grows downward."""
        form = np.stack([0.0 * slope, slope, -slope * horizon], axis=-1) * 256.0
        form[:, 2] += 0.5
        return weights(affine(seen(form, frame).astype(np.float32), x, y))

    up, near, below = share(-1 / horizon), share(1 / (1 - horizon)), share(1 / pixel)
    sky, ground = packed(scene.sky)[:, :, None, None], packed(scene.ground)[:, :, None, None]
    air = mixed(mixed(sky[:, 2], sky[:, 1], np.minimum(2 * up, 256)), sky[:, 0], np.maximum(2 * up - 256, 0))
    canvas = mixed(air, mixed(ground[:, 0], ground[:, 1], near), below)
    return np.broadcast_to(canvas, (len(horizon), size, size)).copy()
