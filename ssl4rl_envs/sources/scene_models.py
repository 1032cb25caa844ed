"""What drawn scenes are made of: skies, grounds, and things as tables of simple parts in their colours."""

from __future__ import annotations

import math
from dataclasses import dataclass

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
