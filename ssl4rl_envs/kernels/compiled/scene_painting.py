"""Shapes of scenes painted on a canvas, compiled, row by row; equal to `kernels.reference.scenes` bit for bit.

A canvas holds words (`scene_colours`). Of every row of a shape's box, the pixels that the shape cannot touch are left out: a
mixture with weight 0 is the pixel itself. Those that it fills are painted without measuring their distance from the edge.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ssl4rl_envs.kernels.compiled import part
from ssl4rl_envs.kernels.compiled.scene_colours import middle_of, mixed, weight_of
from ssl4rl_envs.kernels.compiled.scene_spans import (
    disc_of,
    disc_rows,
    disc_span,
    in_lanes,
    narrowed,
    pixels_of,
    polygon_bounds,
    polygon_spans,
    reach,
    slack,
    within_lanes,
)

_ZERO, _HALF, _ONE = np.float32(0.0), np.float32(0.5), np.float32(1.0)
_TINY = np.float32(1e-6)
_RUN = 8
"""Filled pixels in a row that are worth a loop of their own."""


@part
def weighed(distance: Any, opacity: Any) -> Any:
    """Return a weight, 0 to 256, from a pixel's signed distance from an edge."""
    return np.int64(min(max(distance + _HALF, _ZERO), _ONE) * opacity + _HALF)


@part
def fill(canvas: NDArray[np.int64], row: int, start: int, stop: int, shade: Any, colours: Any) -> None:
    """Paint pixels of a row that are covered wholly."""
    (a, t), (opacity, dark, bright), middle = shade, colours, middle_of(canvas)
    weight = weighed(_ONE, opacity)
    if dark == bright and weight == 256:
        for c in range(np.uint64(start), np.uint64(stop)):
            canvas[row, c] = dark
    elif dark == bright:
        for c in range(np.uint64(start), np.uint64(stop)):
            canvas[row, c] = mixed(canvas[row, c], dark, weight)
    elif weight == 256:
        for c in range(np.uint64(start), np.uint64(stop)):
            canvas[row, c] = mixed(dark, bright, weight_of(a * (np.float32(c) - middle) + t))
    else:
        for c in range(np.uint64(start), np.uint64(stop)):
            colour = mixed(dark, bright, weight_of(a * (np.float32(c) - middle) + t))
            canvas[row, c] = mixed(canvas[row, c], colour, weight)


@part
def on_row(forms: NDArray[np.float32], k: int, y: Any) -> Any:
    """Return an affine form of x and y as one of x, (a, t) of a x + t."""
    return forms[k, 0], forms[k, 1] * y + forms[k, 2]


@part
def polygon_edge(canvas: NDArray[np.int64], row: int, start: int, stop: int, sides: Any, shade: Any, colours: Any) -> None:
    """Paint pixels of a row of a polygon."""
    (a0, t0), (a1, t1), (a2, t2), (a3, t3) = sides
    (a, t), (opacity, dark, bright), middle = shade, colours, middle_of(canvas)
    for c in range(np.uint64(start), np.uint64(stop)):
        x = np.float32(c) - middle
        distance = min(min(min(a0 * x + t0, a1 * x + t1), a2 * x + t2), a3 * x + t3)
        colour = mixed(dark, bright, weight_of(a * x + t))
        canvas[row, c] = mixed(canvas[row, c], colour, weighed(distance, opacity))


@part
def polygon(
    canvas: NDArray[np.int64], box: Any, forms: NDArray[np.float32], colours: Any, bounds: NDArray[np.float64]
) -> None:
    """Paint a polygon."""
    (top, left, height, width), middle = box, middle_of(canvas)
    half = np.float64(middle)
    rows = polygon_bounds(forms, len(canvas), bounds)
    top, bottom = pixels_of(rows[0], rows[1], half, top, top + height)
    for row in range(top, bottom):
        y = np.float32(row) - middle
        low, high, inner_low, inner_high = polygon_spans(bounds, np.float64(y))
        start, stop = in_lanes(pixels_of(low, high, half, left, left + width), left, left + width)
        if start == stop:
            continue
        first, last = within_lanes(pixels_of(inner_low, inner_high, half, start, stop), start, stop)
        sides, shade = (
            (on_row(forms, 0, y), on_row(forms, 1, y), on_row(forms, 2, y), on_row(forms, 3, y)),
            on_row(forms, 4, y),
        )
        if last - first < _RUN:
            polygon_edge(canvas, row, start, stop, sides, shade, colours)
        else:
            polygon_edge(canvas, row, start, first, sides, shade, colours)
            fill(canvas, row, first, last, shade, colours)
            polygon_edge(canvas, row, last, stop, sides, shade, colours)


@part
def ellipse_edge(
    canvas: NDArray[np.int64],
    row: int,
    start: int,
    stop: int,
    axes: Any,
    slopes: NDArray[np.float32],
    shade: Any,
    colours: Any,
) -> None:
    """Paint pixels of a row of an ellipse."""
    (a0, t0), (a1, t1), (a2, t2) = axes
    (a, t), (opacity, dark, bright), middle, s0, s1 = shade, colours, middle_of(canvas), slopes[0], slopes[1]
    for c in range(np.uint64(start), np.uint64(stop)):
        x = np.float32(c) - middle
        across, down = a0 * x + t0, a1 * x + t1
        across, down = across * across, down * down
        radius = np.sqrt(across + down)
        gradient = np.sqrt(across * s0 + down * s1) + _TINY
        distance = min((_ONE - radius) * (radius + _TINY) / gradient, a2 * x + t2)
        colour = mixed(dark, bright, weight_of(a * x + t))
        canvas[row, c] = mixed(canvas[row, c], colour, weighed(distance, opacity))


@part
def ellipse(
    canvas: NDArray[np.int64], box: Any, forms: NDArray[np.float32], slopes: NDArray[np.float32], colours: Any
) -> None:
    """Paint an ellipse that may be cut by a line."""
    size, (top, left, height, width), middle = len(canvas), box, middle_of(canvas)
    half, disc, (beyond, within) = np.float64(middle), disc_of(forms), reach(forms, slopes, size)
    cut, wide, rows = np.float64(forms[2, 0]), slack(forms[2], size), disc_rows(disc, beyond)
    top, bottom = pixels_of(rows[0], rows[1], half, top, top + height)
    for row in range(top, bottom):
        y = np.float32(row) - middle
        axes, shade = (on_row(forms, 0, y), on_row(forms, 1, y), on_row(forms, 2, y)), on_row(forms, 4, y)
        level = np.float64(axes[2][1])
        low, high = narrowed(disc_span(disc, beyond, np.float64(y)), cut, level + 0.5 + wide)
        start, stop = in_lanes(pixels_of(low, high, half, left, left + width), left, left + width)
        if start == stop:
            continue
        inner_low, inner_high = narrowed(disc_span(disc, within, np.float64(y)), cut, level - 0.5 - wide)
        first, last = within_lanes(pixels_of(inner_low, inner_high, half, start, stop), start, stop)
        if last - first < _RUN:
            ellipse_edge(canvas, row, start, stop, axes, slopes, shade, colours)
        else:
            ellipse_edge(canvas, row, start, first, axes, slopes, shade, colours)
            fill(canvas, row, first, last, shade, colours)
            ellipse_edge(canvas, row, last, stop, axes, slopes, shade, colours)


@part
def glow(canvas: NDArray[np.int64], box: Any, forms: NDArray[np.float32], colours: Any) -> None:
    """Paint an ellipse that fades outward."""
    size, (top, left, height, width), middle = len(canvas), box, middle_of(canvas)
    half, disc, (opacity, dark, bright) = np.float64(middle), disc_of(forms), colours
    beyond = 1.0 + slack(forms[0], size) + slack(forms[1], size)
    rows = disc_rows(disc, beyond)
    top, bottom = pixels_of(rows[0], rows[1], half, top, top + height)
    for row in range(top, bottom):
        y = np.float32(row) - middle
        (a0, t0), (a1, t1), (a, t) = on_row(forms, 0, y), on_row(forms, 1, y), on_row(forms, 4, y)
        low, high = disc_span(disc, beyond, np.float64(y))
        start, stop = in_lanes(pixels_of(low, high, half, left, left + width), left, left + width)
        for c in range(np.uint64(start), np.uint64(stop)):
            x = np.float32(c) - middle
            across, down = a0 * x + t0, a1 * x + t1
            share = max(_ONE - (across * across + down * down), _ZERO)
            colour = mixed(dark, bright, weight_of(a * x + t))
            canvas[row, c] = mixed(canvas[row, c], colour, np.int64(share * share * opacity + _HALF))
