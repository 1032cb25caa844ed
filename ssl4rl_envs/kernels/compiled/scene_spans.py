"""Which pixels of a row a shape of a scene can touch, and which it fills, compiled.

Spans are (low, high) in float64, in pixels from the middle of a view. They are found with a margin that is wider than the
rounding errors of the float32 numbers they bound, so painting by spans changes no bit: outside, a shape's weight would be 0,
and inside, its coverage would be 1.
"""

from __future__ import annotations

import math
from typing import Any

from ssl4rl_envs.kernels.compiled import jit

WHOLE = (-1e9, 1e9)
EMPTY = (1.0, -1.0)

_MARGIN = 0.01
"""Pixels, or radii, that a number may be off, at least."""
_ROUNDING = 1e-6
"""What the float32 value of an affine form may be off, relative to its terms: several times what it is."""


@jit
def slack(a: float, t: float, size: int) -> Any:
    """Return by how much a form a x + t may be off on a canvas of this size."""
    return _MARGIN + _ROUNDING * (abs(a) * size + abs(t))


@jit
def narrowed(span: Any, a: float, t: float, least: float) -> Any:
    """Return the part of a span of x where a x + t >= least."""
    low, high = span
    if a > 1e-9:
        return max(low, (least - t) / a), high
    if a < -1e-9:
        return low, min(high, (least - t) / a)
    return (low, high) if t >= least else EMPTY


@jit
def disc(a0: float, t0: float, a1: float, t1: float, radius: float) -> Any:
    """Return the span of x where (a0 x + t0)^2 + (a1 x + t1)^2 <= radius^2."""
    square, half, rest = a0 * a0 + a1 * a1, a0 * t0 + a1 * t1, t0 * t0 + t1 * t1 - radius * radius
    root = half * half - square * rest
    if radius <= 0 or root < 0 or square == 0:
        return EMPTY
    root = math.sqrt(root)
    return (-half - root) / square, (root - half) / square


@jit
def reach(slope: float, wide: float) -> Any:
    """Return radii: an ellipse has no weight beyond the first, and covers all within the second.

    With q the distance from its middle in radii and s the larger length of its axes' gradients, the measured distance from
    the edge is at most (1 - q) / s outside and at least that inside.

    Args:
        slope: s, in radii a pixel.
        wide: by how much q may be off.
    """
    half = 0.5005 * slope + 1e-5
    return 1.0 + half + wide, 1.0 - half - wide if slope < 0.9 else 0.0


@jit
def pixels_of(span: Any, middle: float, start: int, stop: int) -> Any:
    """Return the pixels of a row, of start..stop, that lie in a span: the first and one past the last."""
    low, high = span[0] + middle, span[1] + middle
    if not (low < stop and high >= start and low <= high):
        return start, start
    first = start if low <= start else math.ceil(low)
    last = stop if high >= stop - 1 else math.floor(high) + 1
    return first, max(first, last)
