"""Simple shapes of n scenes at once: ellipses, convex polygons and glows, to be painted one after the other."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ssl4rl_envs.sources.scene_models import ELLIPSE, EVERYWHERE, NOTHING, POLYGON

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

# ------------------------------------------------------------------------------------------- shapes of a scene


@dataclass(frozen=True)
class Shapes:
    """p shapes of each of n scenes, in painter's order.

    Attributes:
        shape: (n, p) NOTHING, ELLIPSE, POLYGON or GLOW.
        forms: (n, p, 4, 3) affine forms (a, b, c) of a x + b y + c. An ellipse is where the squares of the first two add up
            to at most 1 and the third is not negative, a polygon where none is negative.
        box: (n, p, 4) centre x, y and half extents of what it can touch.
        shade: (n, p, 3) an affine form from 0, where the colour is `dark`, to 1, where it is `bright`.
        dark, bright: (n, p, 3) colours, 0 to 255.
        opacity: (n, p) from 0 to 1.
    """

    shape: Integers
    forms: Floats
    box: Floats
    shade: Floats
    dark: Floats
    bright: Floats
    opacity: Floats

    def mirrored(self, rows: NDArray[np.bool_]) -> Shapes:
        """Return the shapes with left and right exchanged in some scenes, (n,)."""
        box, forms, shade = self.box.copy(), self.forms.copy(), self.shade.copy()
        box[rows, :, 0] = 1.0 - box[rows, :, 0]
        for form in (forms, shade):
            form[rows, ..., 2] += form[rows, ..., 0]
            form[rows, ..., 0] *= -1.0
        return Shapes(self.shape, forms, box, shade, self.dark, self.bright, self.opacity)


def joined(layers: list[Shapes]) -> Shapes:
    """Return the shapes of all layers, those of the first one painted first."""
    return Shapes(*(np.concatenate([getattr(layer, field.name) for layer in layers], axis=1) for field in fields(Shapes)))


def between(low: ArrayLike, high: ArrayLike, share: ArrayLike) -> Floats:
    """Return the number, or the colour, that lies at a share of the way from low to high."""
    start = np.asarray(low, np.float64)
    return np.asarray(start + (np.asarray(high, np.float64) - start) * np.asarray(share, np.float64))


def column(values: NDArray[Any]) -> NDArray[Any]:
    """Return (n,) as (n, 1), to go with k shapes a scene."""
    return values[:, None]


def shown(condition: NDArray[np.bool_], opacity: float = 1.0) -> Floats:
    """Return an opacity where a condition holds, and 0 elsewhere."""
    return np.where(condition, opacity, 0.0)


def form(a: Floats, b: Floats, c: Floats) -> Floats:
    """Return affine forms (..., 3)."""
    result = np.empty((*c.shape, 3))
    result[..., 0], result[..., 1], result[..., 2] = a, b, c
    return result


def painted(
    shape: ArrayLike, forms: Floats, box: Floats, colour: Floats, contrast: ArrayLike, opacity: ArrayLike = 1.0
) -> Shapes:
    """Return shapes of a colour (n, k, 3), brighter where the light falls on them; contrast 0 leaves them flat.

    Where `shape` is NOTHING or `opacity` is 0 nothing is painted.
    """
    x, y, half_x, half_y = np.moveaxis(box, -1, 0)
    across, down = 0.42 / half_x, -0.3 / half_y  # the light comes from the right and from above
    strength = np.broadcast_to(np.asarray(contrast, np.float64), x.shape)[..., None]
    seen = np.broadcast_to(np.asarray(opacity, np.float64), x.shape)
    shade, kind = form(across, down, 0.5 - across * x - down * y), np.where(seen > 0, shape, NOTHING)
    return Shapes(kind, forms, box, shade, colour * (1 - 0.34 * strength), between(colour, 255.0, 0.16 * strength), seen)


def ellipses(
    x: Floats,
    y: Floats,
    half: tuple[ArrayLike, ArrayLike],
    colour: Floats,
    contrast: float = 0.0,
    opacity: ArrayLike = 1.0,
    below: Floats | None = None,
    shape: int = ELLIPSE,
) -> Shapes:
    """Return k upright ellipses a scene: (n, k) centres, half axes and opacities, cut off `below` a height (n, k)."""
    x, y, half_x, half_y = np.broadcast_arrays(x, y, *half)
    zero = np.zeros(x.shape)
    nowhere = np.broadcast_to(EVERYWHERE, (*x.shape, 3))
    cut = nowhere if below is None else form(zero, zero - 1.0, np.broadcast_to(below, x.shape))
    across, down = form(1 / half_x, zero, -x / half_x), form(zero, 1 / half_y, -y / half_y)
    top, bottom = y - half_y, y + half_y if below is None else np.minimum(y + half_y, below)
    box = np.stack([x, (top + bottom) / 2, half_x, (bottom - top) / 2], axis=-1)
    forms = np.stack([across, down, cut, nowhere], axis=-2)
    return painted(shape, forms, box, np.broadcast_to(colour, (*x.shape, 3)), contrast, opacity)


def peaks(x: Floats, top: Floats, bottom: Floats, half: Floats, colour: Floats, opacity: ArrayLike = 1.0) -> Shapes:
    """Return k mountains a scene: triangles with a bright side and a dark one, (n, k) each."""
    height, zero = bottom - top, np.zeros(x.shape)
    left, right = form(height, half, -height * x - half * top), form(-height, half, height * x - half * top)
    forms = np.stack([left, right, form(zero, zero - 1.0, bottom), np.broadcast_to(EVERYWHERE, left.shape)], axis=-2)
    box = np.stack([x, (top + bottom) / 2, half, height / 2], axis=-1)
    shapes = painted(POLYGON, forms, box, np.broadcast_to(colour, left.shape), 0.7, opacity)
    steep = 8 / half  # the ridge between them is sharp, and runs down to the right
    shapes.shade[...] = form(steep, -0.5 * steep, 0.5 - steep * (x - 0.5 * top))
    return shapes
