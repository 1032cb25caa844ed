"""Shapes of a scene as rows of numbers, compiled; equal to those of `sources.scene_shapes` bit for bit.

Every function that adds shapes to the rows takes how many there are and returns how many there are then. What would not be
seen is not added.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ssl4rl_envs.kernels.compiled import part
from ssl4rl_envs.sources.scene_models import ELLIPSE, EVERYWHERE, POLYGON

FORMS, BOX, SHADE, DARK, BRIGHT, OPACITY, SHAPE, RECORD = 0, 12, 16, 19, 22, 25, 26, 27
"""Where the numbers of a shape begin in its row, and how many a row holds: the fields of `sources.scene_shapes.Shapes`."""

NOT_CUT = 1e9
"""A height that cuts off nothing."""

_NOTHING_LEFT_OUT = EVERYWHERE

Row = NDArray[np.float64]


@part
def between(low: float, high: float, share: float) -> Any:
    """See `sources.scene_shapes.between`."""
    return low + (high - low) * share


@part
def blend(low: Any, high: Any, share: float) -> Any:
    """Return the colour at a share of the way from low to high, three numbers each."""
    return (low[0] + (high[0] - low[0]) * share, low[1] + (high[1] - low[1]) * share, low[2] + (high[2] - low[2]) * share)


@part
def times(colour: Any, factor: float) -> Any:
    """Return a colour made brighter or darker."""
    return colour[0] * factor, colour[1] * factor, colour[2] * factor


@part
def put(row: Row, start: int, a: float, b: float, c: float) -> None:
    """Write three numbers."""
    row[start], row[start + 1], row[start + 2] = a, b, c


@part
def painted(row: Row, shape: int, colour: Any, contrast: float, opacity: float) -> None:
    """Finish a shape that has its forms and its box; see `sources.scene_shapes.painted`."""
    x, y, half_x, half_y = row[BOX], row[BOX + 1], row[BOX + 2], row[BOX + 3]
    across, down = 0.42 / half_x, -0.3 / half_y
    put(row, SHADE, across, down, 0.5 - across * x - down * y)
    put(row, DARK, *times(colour, 1 - 0.34 * contrast))
    put(row, BRIGHT, *blend(colour, (255.0, 255.0, 255.0), 0.16 * contrast))
    row[OPACITY], row[SHAPE] = opacity, shape


@part
def ellipse(
    rows: Row,
    count: int,
    where: tuple[float, float, float, float],
    colour: Any,
    contrast: float,
    opacity: float,
    below: float = NOT_CUT,
    shape: int = ELLIPSE,
) -> Any:
    """Add an upright ellipse at x and y of half axes, cut off below a height; see `sources.scene_shapes.ellipses`."""
    if not opacity > 0:
        return count
    x, y, half_x, half_y = where
    row = rows[count]
    put(row, FORMS, 1 / half_x, 0.0, -x / half_x)
    put(row, FORMS + 3, 0.0, 1 / half_y, -y / half_y)
    put(row, FORMS + 9, *_NOTHING_LEFT_OUT)
    top, bottom = y - half_y, y + half_y
    if below == NOT_CUT:
        put(row, FORMS + 6, *_NOTHING_LEFT_OUT)
    else:
        put(row, FORMS + 6, 0.0, -1.0, below)
        bottom = min(bottom, below)
    row[BOX], row[BOX + 1], row[BOX + 2], row[BOX + 3] = x, (top + bottom) / 2, half_x, (bottom - top) / 2
    painted(row, shape, colour, contrast, opacity)
    return count + 1


@part
def peak(rows: Row, count: int, where: tuple[float, float, float, float], colour: Any) -> Any:
    """Add a mountain at x from its top to its bottom, and half as wide as the last; see `sources.scene_shapes.peaks`."""
    x, top, bottom, half = where
    row, height = rows[count], bottom - top
    put(row, FORMS, height, half, -height * x - half * top)
    put(row, FORMS + 3, -height, half, height * x - half * top)
    put(row, FORMS + 6, 0.0, -1.0, bottom)
    put(row, FORMS + 9, *_NOTHING_LEFT_OUT)
    row[BOX], row[BOX + 1], row[BOX + 2], row[BOX + 3] = x, (top + bottom) / 2, half, height / 2
    painted(row, POLYGON, colour, 0.7, 1.0)
    steep = 8 / half
    put(row, SHADE, steep, -0.5 * steep, 0.5 - steep * (x - 0.5 * top))
    return count + 1


@part
def mirror(rows: Row, count: int) -> None:
    """Exchange left and right; see `sources.scene_shapes.Shapes.mirrored`."""
    for k in range(count):
        row = rows[k]
        row[BOX] = 1.0 - row[BOX]
        for start in (FORMS, FORMS + 3, FORMS + 6, FORMS + 9, SHADE):
            row[start + 2] += row[start]
            row[start] *= -1.0
