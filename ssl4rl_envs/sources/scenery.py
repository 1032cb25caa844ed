"""What a drawn scene shows: from the number of an item to a list of simple shapes, for n scenes at once.

A scene is a unit square; x counts from its left and y from its upper edge. It is composed with the light coming from the
right and half of the scenes are mirrored afterwards, so nothing in them tells left from right.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, fields
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ssl4rl_envs.stream import Stream

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

NOTHING, ELLIPSE, POLYGON, GLOW = range(4)
"""Shapes: an ellipse that may be cut by a line, a convex polygon of up to four sides, and an ellipse that fades outward."""

EVERYWHERE = (0.0, 0.0, 1e3)
"""A half plane that leaves nothing out."""

# ---------------------------------------------------------------------------------------------------------- colours

RGB = tuple[int, int, int]

COLOURS: dict[str, RGB] = {
    "red": (218, 46, 42),
    "orange": (244, 130, 26),
    "yellow": (248, 212, 66),
    "green": (72, 150, 78),
    "blue": (58, 110, 196),
    "purple": (140, 84, 172),
    "white": (244, 242, 234),
    "brown": (124, 82, 50),
}


@dataclass(frozen=True)
class Sky:
    """Colours of a sky from the top to the horizon, of its sun or moon, of its clouds, and what its light does to things."""

    top: RGB
    middle: RGB
    low: RGB
    sun: RGB
    cloud: RGB
    light: tuple[float, float, float]
    """Multiplies the colours of everything on the ground."""
    sun_height: tuple[float, float]
    """Range of the sun's height above the horizon, in shares of the sky's height."""
    disk: float
    """How well the disk of sun or moon is seen."""
    glow: float
    shadow: float
    stars: float


SKIES: dict[str, Sky] = {
    "clear": Sky(
        (58, 124, 208), (118, 178, 232), (216, 236, 246), (255, 248, 214), (255, 255, 255),
        (1.0, 1.0, 0.98), (0.55, 0.85), 1.0, 0.6, 0.42, 0.0,
    ),
    "dawn": Sky(
        (112, 148, 208), (216, 196, 212), (255, 226, 184), (255, 240, 200), (255, 234, 226),
        (1.0, 0.93, 0.88), (0.12, 0.4), 1.0, 0.75, 0.34, 0.0,
    ),
    "dusk": Sky(
        (66, 66, 128), (196, 112, 134), (255, 182, 106), (255, 214, 138), (232, 158, 146),
        (0.9, 0.74, 0.7), (0.05, 0.3), 1.0, 0.8, 0.34, 0.0,
    ),
    "overcast": Sky(
        (134, 147, 163), (168, 178, 188), (208, 212, 214), (240, 240, 234), (190, 196, 204),
        (0.83, 0.86, 0.89), (0.5, 0.8), 0.0, 0.35, 0.16, 0.0,
    ),
    "night": Sky(
        (12, 18, 48), (28, 40, 86), (74, 88, 136), (244, 242, 222), (66, 76, 114),
        (0.46, 0.52, 0.72), (0.5, 0.85), 1.0, 0.4, 0.26, 1.0,
    ),
}  # fmt: skip


@dataclass(frozen=True)
class Ground:
    """Colours of a ground from the horizon to the viewer, of the marks on it, and of the hills behind it."""

    far: RGB
    near: RGB
    mark: RGB
    bright_mark: RGB
    hill: RGB
    mark_size: tuple[float, float]
    """Width and height of the marks nearest to the viewer."""


GROUNDS: dict[str, Ground] = {
    "meadow": Ground((168, 196, 112), (86, 142, 66), (70, 122, 56), (150, 190, 96), (96, 142, 92), (0.075, 0.010)),
    "sand": Ground((240, 220, 172), (216, 176, 114), (196, 154, 98), (246, 220, 168), (190, 150, 112), (0.16, 0.008)),
    "snow": Ground((236, 242, 248), (206, 219, 238), (182, 200, 228), (248, 250, 252), (150, 172, 198), (0.15, 0.014)),
    "soil": Ground((188, 150, 110), (124, 86, 58), (102, 70, 48), (166, 126, 88), (122, 130, 88), (0.10, 0.012)),
    "water": Ground((206, 206, 140), (112, 154, 78), (88, 132, 62), (168, 194, 110), (100, 134, 116), (0.075, 0.010)),
}
LAKE: tuple[RGB, RGB] = ((126, 178, 208), (46, 104, 156))

ROLES = ("main", "shade", "bright", "accent", "trunk", "leaf", "dark", "pale", "glass")
"""What a part of a thing is coloured like."""

ROLE_COLOURS: dict[str, RGB] = {
    "trunk": (122, 86, 60), "leaf": (82, 142, 70), "dark": (74, 60, 58), "pale": (246, 240, 224), "glass": (120, 150, 176),
}  # fmt: skip

# ----------------------------------------------------------------------------------------------------------- things


@dataclass(frozen=True)
class Part:
    """A shape of a thing, in the thing's own units: its foot is at (0, 0), x to the right, y up, about 1 high.

    Attributes:
        shape: ELLIPSE or POLYGON.
        role: name of its colour.
        forms: four affine forms (a, b, c) of a x + b y + c; see `Shapes`.
        box: centre and half extents.
        middle: a point inside.
    """

    shape: int
    role: str
    forms: tuple[tuple[float, float, float], ...]
    box: tuple[float, float, float, float]
    middle: tuple[float, float]


def oval(role: str, x: float, y: float, rx: float, ry: float, above: float = -9.0, lean: float = 0.0) -> Part:
    """Return an ellipse turned counter-clockwise by `lean` degrees, of which only what is above a height is kept."""
    cosine, sine = (round(f(math.radians(lean)), 9) for f in (math.cos, math.sin))
    across, along = (cosine / rx, sine / rx), (-sine / ry, cosine / ry)
    forms = tuple((a, b, -a * x - b * y) for a, b in (across, along))
    half_x, half_y = abs(cosine) * rx + abs(sine) * ry, abs(sine) * rx + abs(cosine) * ry
    bottom = max(y - half_y, above)
    box = (x, (bottom + y + half_y) / 2, half_x, (y + half_y - bottom) / 2)
    return Part(ELLIPSE, role, (*forms, (0.0, 1.0, -above), EVERYWHERE), box, box[:2])


def plate(role: str, *points: tuple[float, float]) -> Part:
    """Return a convex polygon of three or four points, counter-clockwise."""
    forms = [
        (y1 - y2, x2 - x1, (x1 - x2) * y1 - (y1 - y2) * x1)
        for (x1, y1), (x2, y2) in zip(points, (*points[1:], points[0]), strict=True)
    ]
    (left, right), (bottom, top) = ((min(values), max(values)) for values in zip(*points, strict=True))
    box = ((left + right) / 2, (bottom + top) / 2, (right - left) / 2, (top - bottom) / 2)
    middle = (sum(x for x, _ in points) / len(points), sum(y for _, y in points) / len(points))
    return Part(POLYGON, role, (*forms, *[EVERYWHERE] * (4 - len(forms))), box, middle)


def block(role: str, left: float, bottom: float, right: float, top: float) -> Part:
    """Return an upright rectangle."""
    return plate(role, (left, bottom), (right, bottom), (right, top), (left, top))


def taper(role: str, bottom: float, top: float, half_bottom: float, half_top: float) -> Part:
    """Return a trapezoid that stands symmetric about x = 0; a triangle where `half_top` is 0."""
    corners = [(-half_bottom, bottom), (half_bottom, bottom), (half_top, top), (-half_top, top)]
    return plate(role, *(corners if half_top else [*corners[:2], (0.0, top)]))


MODELS: dict[str, tuple[Part, ...]] = {
    "house": (
        block("dark", 0.18, 0.7, 0.31, 1.04),
        block("main", -0.5, 0.0, 0.5, 0.6),
        plate("accent", (-0.6, 0.56), (0.6, 0.56), (0.36, 0.98), (-0.36, 0.98)),
        block("dark", 0.14, 0.0, 0.34, 0.37),
        block("glass", -0.38, 0.2, -0.16, 0.42),
    ),
    "tower": (
        taper("main", 0.0, 1.2, 0.27, 0.19),
        taper("pale", 0.24, 0.44, 0.256, 0.242),
        taper("pale", 0.74, 0.94, 0.222, 0.208),
        taper("dark", 1.17, 1.24, 0.26, 0.26),
        taper("glass", 1.24, 1.42, 0.13, 0.13),
        taper("accent", 1.40, 1.62, 0.2, 0.0),
        taper("dark", 0.0, 0.2, 0.07, 0.07),
    ),
    "windmill": (
        taper("main", 0.0, 0.95, 0.32, 0.19),
        oval("accent", 0.0, 0.93, 0.22, 0.22, above=0.9),
        plate("pale", (0.02, 0.9), (0.12, 0.9), (0.52, 1.38), (0.40, 1.42)),
        plate("pale", (-0.02, 0.94), (-0.02, 1.04), (-0.5, 1.42), (-0.54, 1.31)),
        plate("pale", (0.0, 0.96), (-0.1, 0.9), (-0.50, 0.44), (-0.38, 0.40)),
        plate("pale", (0.0, 0.9), (0.38, 0.44), (0.5, 0.5), (0.08, 0.96)),
        oval("dark", 0.0, 0.93, 0.07, 0.07),
        taper("dark", 0.0, 0.28, 0.08, 0.07),
    ),
    "broad tree": (
        taper("trunk", 0.0, 0.7, 0.1, 0.05),
        oval("shade", -0.28, 0.72, 0.3, 0.26),
        oval("shade", 0.28, 0.7, 0.3, 0.25),
        oval("main", 0.0, 0.88, 0.4, 0.36),
        oval("bright", 0.14, 1.06, 0.18, 0.13),
    ),
    "fir tree": (
        taper("trunk", 0.0, 0.26, 0.07, 0.06),
        taper("main", 0.18, 0.78, 0.44, 0.0),
        taper("shade", 0.5, 0.58, 0.22, 0.16),
        taper("main", 0.5, 1.06, 0.36, 0.0),
        taper("shade", 0.82, 0.88, 0.15, 0.1),
        taper("main", 0.82, 1.36, 0.26, 0.0),
    ),
    "boat": (
        block("trunk", -0.03, 0.2, 0.03, 1.2),
        plate("main", (0.05, 0.3), (0.58, 0.3), (0.05, 1.16)),
        plate("accent", (-0.06, 0.36), (-0.06, 1.02), (-0.42, 0.36)),
        plate("dark", (-0.42, 0.0), (0.42, 0.0), (0.62, 0.24), (-0.56, 0.24)),
        plate("pale", (-0.545, 0.19), (0.58, 0.19), (0.62, 0.24), (-0.56, 0.24)),
    ),
    "balloon": (
        block("trunk", -0.1, 0.2, -0.08, 0.6),
        block("trunk", 0.08, 0.2, 0.1, 0.6),
        taper("main", 0.5, 0.78, 0.11, 0.37),
        oval("main", 0.0, 0.98, 0.42, 0.42),
        oval("accent", 0.0, 0.98, 0.28, 0.42),
        taper("accent", 0.5, 0.66, 0.08, 0.19),
        oval("main", 0.0, 0.98, 0.13, 0.42),
        taper("main", 0.5, 0.66, 0.03, 0.1),
        taper("trunk", 0.12, 0.32, 0.1, 0.12),
    ),
    "kite": (
        plate("dark", (0.0, 0.16), (-0.015, 0.16), (-0.22, -0.3), (-0.2, -0.3)),
        plate("main", (0.0, 0.1), (0.36, 0.72), (0.0, 1.06), (-0.36, 0.72)),
        plate("shade", (0.03, 0.15), (0.36, 0.72), (0.03, 1.03)),
        plate("accent", (0.0, 0.1), (0.13, 0.33), (-0.13, 0.33)),
        oval("accent", -0.08, -0.02, 0.09, 0.045, lean=-30.0),
        oval("accent", -0.17, -0.2, 0.09, 0.045, lean=30.0),
    ),
    "bird": (
        plate("shade", (0.02, 0.5), (0.28, 0.5), (0.34, 0.98)),
        plate("shade", (-0.3, 0.42), (-0.28, 0.52), (-0.66, 0.66), (-0.6, 0.44)),
        oval("main", 0.0, 0.46, 0.36, 0.15, lean=6.0),
        oval("main", 0.36, 0.56, 0.13, 0.12),
        plate("accent", (0.46, 0.53), (0.64, 0.54), (0.46, 0.62)),
        plate("bright", (-0.12, 0.52), (0.2, 0.5), (-0.14, 1.08), (-0.26, 0.98)),
        oval("dark", 0.4, 0.59, 0.025, 0.025),
    ),
    "flower": (
        block("leaf", -0.03, 0.0, 0.03, 0.8),
        oval("leaf", 0.17, 0.26, 0.2, 0.07, lean=35.0),
        oval("leaf", -0.17, 0.2, 0.2, 0.07, lean=-35.0),
        *(oval("main", 0.22 * x, 0.8 + 0.22 * y, 0.15, 0.15) for x, y in ((0, 1), (0.95, 0.31), (0.59, -0.81))),
        *(oval("main", 0.22 * x, 0.8 + 0.22 * y, 0.15, 0.15) for x, y in ((-0.59, -0.81), (-0.95, 0.31))),
        oval("accent", 0.0, 0.8, 0.12, 0.12),
    ),
    "mushroom": (
        taper("pale", 0.0, 0.5, 0.16, 0.11),
        oval("shade", 0.0, 0.46, 0.45, 0.08),
        oval("main", 0.0, 0.45, 0.46, 0.46, above=0.45),
        oval("pale", -0.24, 0.6, 0.07, 0.06),
        oval("pale", 0.04, 0.82, 0.08, 0.05),
        oval("pale", 0.27, 0.58, 0.07, 0.07),
    ),
    "cactus": (
        oval("shade", -0.24, 0.42, 0.16, 0.07),
        oval("shade", 0.22, 0.56, 0.16, 0.07),
        oval("main", 0.0, 0.5, 0.17, 0.6, above=0.0),
        oval("main", -0.37, 0.56, 0.085, 0.22),
        oval("main", 0.34, 0.7, 0.08, 0.2),
        oval("bright", 0.05, 0.5, 0.03, 0.46, above=0.06),
        oval("accent", 0.0, 1.1, 0.09, 0.07),
        oval("accent", 0.34, 0.91, 0.06, 0.05),
    ),
}
"""A thing's parts in painter's order. The first part of role "main" is its body, whose middle no other role covers."""

KINDS = tuple(MODELS)

SLOTS = ("floating", "far", "near", "front")
"""The places for main things, from far to near."""

KINDS_OF_SLOT = {
    "floating": ("balloon", "kite", "bird"),
    "standing": ("house", "tower", "windmill", "broad tree", "fir tree"),  # far and near; on a lake the far thing is a boat
    "growing": ("flower", "mushroom", "cactus"),
}
COLOURS_OF_KIND = {
    "broad tree": ("green", "green", "orange", "yellow", "red", "white", "purple"),
    "fir tree": ("green", "green", "blue", "white", "brown"),
    "flower": ("red", "orange", "yellow", "blue", "purple", "white"),
    "mushroom": ("red", "orange", "yellow", "purple", "white", "brown"),
    "cactus": ("green", "green", "blue", "yellow", "purple"),
}
"""Main colours of the kinds that do not take all of them."""

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


# ---------------------------------------------------------------------------------------------- sky and ground


@cache
def of_sky(field: str) -> Floats:
    """Return an attribute of every sky as a table."""
    return np.array([getattr(sky, field) for sky in SKIES.values()], np.float64)


@cache
def of_ground(field: str) -> Floats:
    """Return an attribute of every ground as a table."""
    return np.array([getattr(ground, field) for ground in GROUNDS.values()], np.float64)


WATER = list(GROUNDS).index("water")
NIGHT, DUSK = (list(SKIES).index(name) for name in ("night", "dusk"))

_SKY_COLOURS = np.stack([of_sky(field) for field in ("top", "middle", "low")], axis=1)
_GROUND_COLOURS = np.stack([of_ground(field) for field in ("far", "near")], axis=1)
_MARK_COLOURS = np.stack([of_ground(field) for field in ("mark", "bright_mark")], axis=1)
_PUFFS = np.array([(-0.95, 0.02, 0.62, 0.4), (-0.3, -0.28, 0.66, 0.64), (0.42, -0.16, 0.66, 0.55), (1.05, 0.06, 0.55, 0.34)])
"""Centres and half axes of the four puffs of a cloud."""
_CRATERS = np.array([(-0.3, 0.3, -0.15), (-0.25, 0.1, 0.42), (0.26, 0.2, 0.16)])[:, None]
"""x, y and radii of three dark spots of the moon, in its own radii."""


@dataclass(frozen=True)
class Setting:
    """What all parts of n scenes share.

    Attributes:
        stream: their random numbers.
        sky, ground: (n,) positions in SKIES and GROUNDS.
        horizon: (n,) its height.
        bank: (n,) where dry ground begins: at the horizon, or at the shore of a lake.
        sun: (n, 2) where the light is.
        radius: (n,) of sun or moon.
        sky_colours: (n, 3, 3) at the top, in the middle, at the horizon.
        light: (n, 3) what the light does to colours.
    """

    stream: Stream
    sky: Integers
    ground: Integers
    horizon: Floats
    bank: Floats
    sun: Floats
    radius: Floats
    sky_colours: Floats
    light: Floats

    def lit(self, colours: ArrayLike, haze: ArrayLike = 0.0) -> Floats:
        """Return colours (n, k, 3) in this light, veiled by air: haze 1 leaves nothing but the sky at the horizon."""
        return between(np.asarray(colours) * self.light[:, None], self.sky_colours[:, 2:], np.asarray(haze)[..., None])


def new_setting(items: Integers) -> Setting:
    """Draw what all parts of a scene share."""
    stream = Stream("train", np.zeros(len(items), np.uint64), items)
    sky, ground = stream.integers(0, len(SKIES)), stream.integers(0, len(GROUNDS))
    numbers = stream.uniform((9,))
    horizon, across, up, shore, mood, radius = numbers[:, :6].T
    horizon = between(0.45, 0.62, horizon)
    bank = np.where(ground == WATER, between(horizon, 1.0, between(0.36, 0.48, shore)), horizon)
    low, high = of_sky("sun_height")[sky].T
    sun = np.stack([between(0.64, 0.94, across), horizon * (1 - between(low, high, up))], axis=-1)
    brightness, hue = column(between(0.93, 1.05, mood)), between(-9.0, 9.0, numbers[:, None, 6:])
    colours = np.clip(_SKY_COLOURS[sky] * brightness[..., None] + hue, 0, 255)
    light = of_sky("light")[sky] * brightness
    return Setting(stream, sky, ground, horizon, bank, sun, between(0.045, 0.065, radius), colours, light)


def heavens(setting: Setting) -> list[Shapes]:
    """Return stars, sun or moon, and clouds."""
    sky = setting.sky
    x, y, size = np.moveaxis(setting.stream.uniform((14, 3)), -1, 0)
    y, size = y * column(setting.horizon) * 0.85, between(0.003, 0.007, size)
    stars = ellipses(x, y, (size, size), np.full(3, 250.0), opacity=column(of_sky("stars")[sky]))
    x, y, radius = setting.sun[:, :1], setting.sun[:, 1:], column(setting.radius)
    colour = of_sky("sun")[sky][:, None]
    glow = ellipses(x, y, (6 * radius, 6 * radius), colour, opacity=column(of_sky("glow")[sky]), shape=GLOW)
    disk = ellipses(x, y, (radius, radius), colour, opacity=column(of_sky("disk")[sky]))
    dx, dy, size = radius * _CRATERS
    craters = ellipses(x + dx, y + dy, (size, size), colour * 0.8, opacity=column(shown(sky == NIGHT, 0.6)))
    return [stars, glow, disk, craters, clouds(setting)]


def clouds(setting: Setting) -> Shapes:
    """Return up to three clouds of four puffs each."""
    x, y, size, there, flip = np.moveaxis(setting.stream.uniform((3, 5)), -1, 0)
    y, size = between(0.07, column(setting.horizon) - 0.16, y), between(0.07, 0.125, size)
    there, side = shown(there < np.array([0.85, 0.65, 0.4]), 0.88), np.where(flip < 0.5, -1.0, 1.0)
    x, y, size, there, side = (np.repeat(values, len(_PUFFS), axis=1) for values in (x, y, size, there, side))
    dx, dy, half_x, half_y = np.tile(_PUFFS, (3, 1)).T
    colour, half = of_sky("cloud")[setting.sky][:, None], (size * half_x, size * half_y)
    return ellipses(x + side * size * dx, y + size * dy, half, colour, 0.45, there, below=y + 0.16 * size)


def hills(setting: Setting) -> list[Shapes]:
    """Return a far range of mountains or of round hills, a nearer one of hills, and bushes at the horizon."""
    stream, horizon = setting.stream, column(setting.horizon)
    colour = of_ground("hill")[setting.ground][:, None]
    numbers = stream.uniform((3, 8))
    x, height, width = np.moveaxis(numbers[..., :3], -1, 0)
    rugged = numbers[:, :1, 3] < 0.5
    x, level = between(-0.15, 1.15, (np.arange(3) + x) / 3), np.broadcast_to(horizon, x.shape)
    height, width = between(0.08, 0.19, height), between(0.2, 0.34, width)
    blue = setting.lit(between(colour, (112.0, 124.0, 160.0), 0.5), 0.42)
    snow = setting.lit(np.full((1, 1, 3), 246.0), 0.25)
    far = [
        peaks(x, level - height, level, width, blue, shown(rugged)),
        peaks(x, level - height, level - 0.68 * height, width * 0.32, snow, shown(rugged)),
        ellipses(x, level, (width * 1.2, height * 0.7), blue, 0.3, shown(~rugged), below=level),
    ]
    x, height, width, there = np.moveaxis(numbers[..., 4:], -1, 0)
    x, height, width = between(-0.2, 1.2, (np.arange(3) + x) / 3), between(0.03, 0.085, height), between(0.2, 0.36, width)
    near = ellipses(x, level, (width, height), setting.lit(colour, 0.2), 0.35, shown(there < 0.8), below=level)
    x, size, there = np.moveaxis(stream.uniform((6, 3)), -1, 0)
    size = between(0.012, 0.032, size)
    y, foot, half = horizon - 0.3 * size, horizon + 0.3 * size, (1.3 * size, size)
    bushes = ellipses(x, y, half, setting.lit(colour * 0.72, 0.12), 0.7, shown(there < 0.6), below=foot)
    return [*far, near, bushes]


def shore(setting: Setting) -> list[Shapes]:
    """Return glitter on a lake and the land on this side of it."""
    wet, horizon, bank = column(shown(setting.ground == WATER)), column(setting.horizon), column(setting.bank)
    x, y, size = np.moveaxis(setting.stream.uniform((9, 3)), -1, 0)
    y = (np.arange(9) + y) / 9
    beneath = np.arange(9) % 2 == 0  # every other one is beneath the sun and shows its colour
    x = np.where(beneath, setting.sun[:, :1] + between(-0.05, 0.05, x), x)
    light = between(setting.sky_colours[:, 2:], of_sky("sun")[setting.sky][:, None], shown(beneath, 0.8)[:, None])
    half = (between(0.03, 0.07, size) * (0.5 + y), between(0.0025, 0.006, y))
    y = between(horizon + 0.01, bank + 0.02, y)
    glitter = ellipses(x, y, half, light, opacity=wet * np.where(beneath, 0.75, 0.4))
    colours, middle = setting.lit(_GROUND_COLOURS[setting.ground]), np.full(bank.shape, 0.5)
    foam = ellipses(middle, bank + 0.692, (1.3, 0.7), setting.lit(np.full((1, 1, 3), 236.0)), opacity=0.5 * wet)
    land = ellipses(middle, bank + 0.7, (1.3, 0.7), colours[:, :1], opacity=wet)
    slope = 1 / (1 - bank)
    land.shade[...], land.dark[...] = form(0 * bank, -slope, 1 + slope * bank), colours[:, 1:]
    return [glitter, foam, land]


def marks(setting: Setting) -> Shapes:
    """Return flat spots on the ground, tufts or ripples, that grow toward the viewer."""
    count = 14
    x, y, size = np.moveaxis(setting.stream.uniform((count, 3)), -1, 0)
    nearness = (np.arange(count) + y) / count
    nearness = nearness * (0.4 + 0.6 * nearness)
    grown = (0.25 + 0.75 * nearness) * between(0.6, 1.3, size)
    width, height = np.moveaxis(of_ground("mark_size")[setting.ground][:, None], -1, 0)
    colours = setting.lit(_MARK_COLOURS[setting.ground])[:, np.arange(count) % 2]
    y = between(column(setting.bank) + 0.03, 1.0, nearness)
    return ellipses(x, y, (width * grown, height * grown), colours, opacity=0.6)


# ------------------------------------------------------------------------------------------------- main things

_NAMES = tuple(COLOURS)
_RGB = np.array(list(COLOURS.values()), np.float64)


def _padded(rows: list[list[Any]], filler: object) -> NDArray[Any]:
    """Return lists of unequal lengths as one table."""
    longest = max(len(row) for row in rows)
    return np.array([row + [filler] * (longest - len(row)) for row in rows])


def _parts(field: str, filler: object) -> NDArray[Any]:
    """Return an attribute of all parts of all kinds, (kinds, parts, ...)."""
    return _padded([[getattr(part, field) for part in parts] for parts in MODELS.values()], filler)


_SHAPE, _FORMS, _BOX = _parts("shape", NOTHING), _parts("forms", (EVERYWHERE,) * 4), _parts("box", (0.0, 0.0, 1.0, 1.0))
_ROLE = _padded([[ROLES.index(part.role) for part in parts] for parts in MODELS.values()], 0)
_MIDDLE = np.array([next(part.middle for part in parts if part.role == "main") for parts in MODELS.values()])
_FIXED_COLOURS = np.array([ROLE_COLOURS.get(role, (0, 0, 0)) for role in ROLES], np.float64)
_CHOICES = [[_NAMES.index(name) for name in COLOURS_OF_KIND.get(kind, _NAMES)] for kind in KINDS]
_ALLOWED, _ALLOWED_COUNT = _padded(_CHOICES, 0), np.array([len(row) for row in _CHOICES])
_OF_SLOT = {slot: np.array([KINDS.index(name) for name in names]) for slot, names in KINDS_OF_SLOT.items()}


@dataclass(frozen=True)
class Things:
    """The main things of n scenes, one a slot, each array (n, 4).

    Attributes:
        kind: position in KINDS, -1 where there is none.
        colour, accent: positions in COLOURS.
        x, y: where the foot is.
        scale: how high one unit of its model is.
        flip: 1.0, or -1.0 where the model is mirrored.
        shine: what its colour is multiplied by.
    """

    kind: Integers
    colour: Integers
    accent: Integers
    x: Floats
    y: Floats
    scale: Floats
    flip: Floats
    shine: Floats

    def middle(self) -> tuple[Floats, Floats]:
        """Return x and y of a point in the middle of each body."""
        offset = _MIDDLE[self.kind] * self.scale[..., None]
        return self.x + self.flip * offset[..., 0], self.y - offset[..., 1]


def choose_kinds(setting: Setting) -> Integers:
    """Draw the kind of the thing in each slot, (n, 4), -1 where it stays empty; always one is "near", 2 to 4 in all."""
    stream = setting.stream
    two = _OF_SLOT["standing"][stream.choice(len(_OF_SLOT["standing"]), 2)]
    above, front, more = stream.uniform((3,)).T
    floating, growing = (
        _OF_SLOT[slot][(share * len(_OF_SLOT[slot])).astype(np.int64)]
        for slot, share in (("floating", above), ("growing", front))
    )
    far = np.where(setting.ground == WATER, KINDS.index("boat"), two[:, 0])
    there = np.insert(stream.permutation(3) < column(1 + np.floor(3 * more)), SLOTS.index("near"), True, axis=1)
    return np.where(there, np.stack([floating, far, two[:, 1], growing], axis=1), -1)


def place_things(setting: Setting) -> Things:
    """Draw what the main things are and where: each in a column of its own, the smaller the nearer to the horizon."""
    horizon, bank, wet = setting.horizon, setting.bank, setting.ground == WATER
    kind = choose_kinds(setting)
    columns = setting.stream.permutation(len(SLOTS)) - 1.5
    across, along, size, side, shine, colour, accent = np.moveaxis(setting.stream.uniform((len(SLOTS), 7)), -1, 0)
    scale = between((0.2, 0.15, 0.27, 0.22), (0.27, 0.2, 0.36, 0.29), size)
    floating = between(0.2, horizon - 0.08, along[:, 0]) + 0.5 * scale[:, 0]
    afloat = between(horizon + 0.04, bank - 0.03, along[:, 1])
    ashore = between(horizon, 1.0, between(0.06, 0.18, along[:, 1]))
    near = between(bank, 1.0, between(np.where(wet, 0.17, 0.26), np.where(wet, 0.38, 0.5), along[:, 2]))
    front = between(bank, 1.0, between(0.66, 0.88, along[:, 3]))
    chosen = _ALLOWED[kind, (colour * _ALLOWED_COUNT[kind]).astype(np.int64)]
    return Things(
        kind=kind,
        colour=chosen,
        accent=(chosen + 1 + (accent * (len(COLOURS) - 1)).astype(np.int64)) % len(COLOURS),
        x=0.5 + 0.225 * columns + between(-0.05, 0.05, across),
        y=np.stack([floating, np.where(wet, afloat, ashore), near, front], axis=1),
        scale=scale,
        flip=np.where(side < 0.5, -1.0, 1.0),
        shine=between(0.95, 1.05, shine),
    )


def colours_of(things: Things, setting: Setting) -> Floats:
    """Return the colour of each part of each thing, (n, 4, parts, 3)."""
    main = _RGB[things.colour] * things.shine[..., None]
    roles = np.broadcast_to(_FIXED_COLOURS, (*things.kind.shape, len(ROLES), 3)).copy()
    roles[:, :, ROLES.index("main")] = main
    roles[:, :, ROLES.index("shade")] = main * 0.74
    roles[:, :, ROLES.index("bright")] = between(main, 255.0, 0.3)
    roles[:, :, ROLES.index("accent")] = _RGB[things.accent]
    haze = np.repeat([0.05, 0.12, 0.04, 0.0], len(ROLES))
    roles = setting.lit(roles.reshape(len(roles), len(haze), 3), haze).reshape(roles.shape)
    evening = (setting.sky == NIGHT) | (setting.sky == DUSK)
    roles[evening, :, ROLES.index("glass")] = (255.0, 216.0, 128.0)  # the lamps are lit
    return np.asarray(np.take_along_axis(roles, _ROLE[things.kind][..., None], axis=2))


def figures(things: Things, setting: Setting) -> Shapes:
    """Return the parts of the things."""
    x, y, scale, flip = (values[..., None] for values in (things.x, things.y, things.scale, things.flip))
    a, b, c = np.moveaxis(_FORMS[things.kind], -1, 0)
    a, b = a * (flip / scale)[..., None], b * (-1 / scale)[..., None]
    left, up, half_x, half_y = np.moveaxis(_BOX[things.kind], -1, 0) * scale
    shape = np.where(things.kind[..., None] < 0, NOTHING, _SHAPE[things.kind])
    values = (
        shape,
        form(a, b, c - a * x[..., None] - b * y[..., None]),
        np.stack([x + flip * left, y - up, half_x, half_y], axis=-1),
        colours_of(things, setting),
        np.where(shape == ELLIPSE, 1.0, 0.6),  # round things have a bright and a dark side, flat ones hardly
    )
    count, slots, parts = shape.shape
    return painted(*(value.reshape(count, slots * parts, *value.shape[3:]) for value in values))


def shadows(things: Things, setting: Setting) -> Shapes:
    """Return what the things on the ground throw on it, away from the light."""
    x, y, scale = (values[:, 1:] for values in (things.x, things.y, things.scale))
    strength = np.where(things.kind[:, 1:] < 0, 0.0, column(np.minimum(2.0 * of_sky("shadow")[setting.sky], 0.85)))
    colour = setting.lit(np.array([[[40.0, 44.0, 66.0]]]))
    return ellipses(x - 0.32 * scale, y, (0.75 * scale, 0.13 * scale), colour, opacity=strength, shape=GLOW)


# ------------------------------------------------------------------------------------------------ whole scenes


@dataclass(frozen=True)
class Scene:
    """n scenes: what is drawn, and what it is called.

    Attributes:
        horizon: (n,) height of the horizon from the upper edge.
        sky: (n, 3, 3) colours of the sky at the top, in the middle and at the horizon.
        ground: (n, 2, 3) colours of the ground at the horizon and nearest to the viewer.
        shapes: everything else.
        labels: see `Scenes.labels`.
    """

    horizon: Floats
    sky: Floats
    ground: Floats
    shapes: Shapes
    labels: dict[str, NDArray[Any]]


def compose(items: Integers) -> Scene:
    """Compose the scenes of these items, (n,)."""
    setting = new_setting(items)
    scenery = [*heavens(setting), *hills(setting), *shore(setting), marks(setting)]
    things = place_things(setting)
    shapes = joined([*scenery, shadows(things, setting), figures(things, setting)])
    mirrored = setting.stream.uniform() < 0.5
    there, (x, y) = things.kind >= 0, things.middle()
    labels = {
        "kind": things.kind,
        "colour": np.where(there, things.colour, -1),
        "x": np.where(there, np.where(column(mirrored), 1.0 - x, x), np.nan),
        "y": np.where(there, y, np.nan),
        "sky": setting.sky,
        "ground": setting.ground,
        "light": np.where(mirrored, 0, 1),
        "horizon": setting.horizon,
    }
    dry = setting.lit(_GROUND_COLOURS[setting.ground], np.array([0.2, 0.0]))
    lake = between(setting.lit(np.array([LAKE])), setting.sky_colours[:, :0:-1], 0.35)
    ground = np.where((setting.ground == WATER)[:, None, None], lake, dry)
    return Scene(setting.horizon, setting.sky_colours, ground, shapes.mirrored(mirrored), labels)
