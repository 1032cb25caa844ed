"""Which rows of a view, and which pixels of a row, a shape of a scene can touch, and which pixels it fills, compiled.

Spans are (low, high) in float64, in pixels from the middle of a view. They are found with a margin that is wider than the
rounding errors of the float32 numbers they bound, so painting by spans changes no bit: outside, a shape's weight would be 0,
and inside, its coverage would be 1.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ssl4rl_envs.kernels.compiled import part

WHOLE = (-1e9, 1e9)
EMPTY = (1.0, -1.0)

LANES = 4
"""Pixels that processors work on at once."""

_MARGIN = 0.01
"""Pixels, or radii, that a number may be off, at least."""
_ROUNDING = 1e-6
"""What the float32 value of an affine form may be off, relative to its terms: several times what it is."""
_FLAT = 1e-9


@part
def slack(form: NDArray[np.float32], size: int) -> Any:
    """Return by how much a form (a, b, c) may be off on a canvas of this size."""
    a, b, c = np.float64(form[0]), np.float64(form[1]), np.float64(form[2])
    return _MARGIN + _ROUNDING * ((abs(a) + abs(b)) * size + abs(c))


@part
def narrowed(span: Any, a: float, t: float) -> Any:
    """Return the part of a span of x where a x + t >= 0."""
    low, high = span
    if a > _FLAT:
        return max(low, -t / a), high
    if a < -_FLAT:
        return low, min(high, -t / a)
    return (low, high) if t >= 0 else EMPTY


@part
def pixels_of(low: float, high: float, middle: float, start: int, stop: int) -> Any:
    """Return the pixels, of start..stop, that lie in a span: the first and one past the last."""
    first = math.ceil(min(max(low + middle, float(start)), float(stop)))
    return first, max(first, math.floor(min(high + middle, stop - 1.0)) + 1)


@part
def in_lanes(pixels: Any, start: int, stop: int) -> Any:
    """Return a run of pixels lengthened to whole groups of LANES, where start..stop has room: they cost no more."""
    first, last = pixels
    more = (first - last) & (LANES - 1)
    right = min(more, stop - last)
    return first - min(more - right, first - start), last + right


@part
def within_lanes(pixels: Any, start: int, stop: int) -> Any:
    """Return a run of pixels shortened so that what it leaves of start..stop on either side is whole groups of LANES."""
    first, last = pixels
    return first + ((start - first) & (LANES - 1)), last - ((last - stop) & (LANES - 1))


# ---------------------------------------------------------------------------------------------------- polygons


@part
def polygon_bounds(forms: NDArray[np.float32], size: int, bounds: NDArray[np.float64]) -> Any:
    """Write by what lines a polygon is bounded, and return the span of rows it can touch.

    Args:
        forms: (4, 3) its sides: distances from them, in pixels.
        size: of the canvas.
        bounds: (4, 4), which is written, (p, q, r, where) a side. A left (1) or right (-1) one: what lies beyond x = p y + q
            cannot be touched, what lies within x = p y + r is covered, as far as this side goes. A level one (0): rows
            with p y + r >= 0 are covered.
    """
    rows = WHOLE
    for k in range(4):
        a, b, c = np.float64(forms[k, 0]), np.float64(forms[k, 1]), np.float64(forms[k, 2])
        beyond = 0.5 + slack(forms[k], size)
        if abs(a) > _FLAT:
            bounds[k, 0], bounds[k, 1], bounds[k, 2] = -b / a, -(c + beyond) / a, (beyond - c) / a
            bounds[k, 3] = 1.0 if a > 0 else -1.0
        else:
            rows = narrowed(rows, b, c + beyond)
            bounds[k, 0], bounds[k, 2], bounds[k, 3] = b, c - beyond, 0.0
    for i in range(4):
        for j in range(4):
            if bounds[i, 3] > 0 and bounds[j, 3] < 0:
                rows = narrowed(rows, bounds[j, 0] - bounds[i, 0], bounds[j, 1] - bounds[i, 1])
    return rows


@part
def polygon_spans(bounds: NDArray[np.float64], y: float) -> Any:
    """Return the span of x that a polygon can touch in a row, and the one that it fills."""
    low, high, first, last = -1e9, 1e9, -1e9, 1e9
    for k in range(4):
        if bounds[k, 3] > 0:
            low, first = max(low, bounds[k, 0] * y + bounds[k, 1]), max(first, bounds[k, 0] * y + bounds[k, 2])
        elif bounds[k, 3] < 0:
            high, last = min(high, bounds[k, 0] * y + bounds[k, 1]), min(last, bounds[k, 0] * y + bounds[k, 2])
        elif bounds[k, 0] * y + bounds[k, 2] < 0:
            last = -1e9
    return low, high, first, last


# ---------------------------------------------------------------------------------------------------- ellipses


@part
def disc_of(forms: NDArray[np.float32]) -> Any:
    """Return what `disc_rows` and `disc_span` need of the first two forms, u and v.

    In a row, u^2 + v^2 = s x^2 + 2 h x + ..., where s is constant and h affine in y, and it is at most radius^2 where
    |s x + h| <= sqrt(s radius^2 - w^2) with another affine w, by Lagrange's identity.
    """
    a0, b0, c0 = np.float64(forms[0, 0]), np.float64(forms[0, 1]), np.float64(forms[0, 2])
    a1, b1, c1 = np.float64(forms[1, 0]), np.float64(forms[1, 1]), np.float64(forms[1, 2])
    square = a0 * a0 + a1 * a1
    return square, 1 / square, a0 * b0 + a1 * b1, a0 * c0 + a1 * c1, a0 * b1 - a1 * b0, a0 * c1 - a1 * c0


@part
def disc_rows(disc: Any, radius: float) -> Any:
    """Return the span of y of what lies within a radius."""
    square, _, _, _, w1, w0 = disc
    middle, half = -w0 / w1, math.sqrt(square) * radius / abs(w1)
    return middle - half, middle + half


@part
def disc_span(disc: Any, radius: float, y: float) -> Any:
    """Return the span of x of what lies within a radius in a row."""
    square, inverse, h1, h0, w1, w0 = disc
    across = w1 * y + w0
    rest = square * radius * radius - across * across
    if rest < 0 or radius <= 0:
        return EMPTY
    root, half = math.sqrt(rest), h1 * y + h0
    return (-half - root) * inverse, (root - half) * inverse


@part
def reach(forms: NDArray[np.float32], slopes: NDArray[np.float32], size: int) -> Any:
    """Return two radii: an ellipse has no weight beyond the first, and covers all within the second.

    With q the distance from its middle in radii and s the larger length of its forms' gradients, the measured distance from
    the edge is at most (1 - q) / s outside, which is negative, and at least that inside.
    """
    half = 0.5005 * math.sqrt(np.float64(max(slopes[0], slopes[1]))) + 1e-5
    wide = slack(forms[0], size) + slack(forms[1], size)
    return 1.0 + half + wide, 1.0 - half - wide if half < 0.45 else 0.0
