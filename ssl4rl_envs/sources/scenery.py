"""What a drawn scene shows: from the number of an item to a list of simple shapes, for n scenes at once.

A scene is a unit square; x counts from its left and y from its upper edge. It is composed with the light coming from the
right and half of the scenes are mirrored afterwards, so nothing in them tells left from right.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ssl4rl_envs.sources.scene_models import (
    COLOURS,
    GLOW,
    GROUNDS,
    KINDS,
    LAKE,
    ROLES,
    SKIES,
    SLOTS,
)
from ssl4rl_envs.sources.scene_parts import (
    ALLOWED,
    ALLOWED_COUNT,
    OF_SLOT,
    PARTS_MIDDLE,
    PARTS_SHAPE,
    of_parts,
    placed_parts,
    roles_of,
)
from ssl4rl_envs.sources.scene_shapes import (
    Floats,
    Integers,
    Shapes,
    between,
    column,
    ellipses,
    form,
    joined,
    peaks,
    shown,
)
from ssl4rl_envs.stream import Stream

SIDE = 128
"""A scene is this many pixels wide and high, in units of views: it is sharp at any size."""

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

SKY_COLOURS = np.stack([of_sky(field) for field in ("top", "middle", "low")], axis=1)
GROUND_COLOURS = np.stack([of_ground(field) for field in ("far", "near")], axis=1)
MARK_COLOURS = np.stack([of_ground(field) for field in ("mark", "bright_mark")], axis=1)
PUFFS = np.array([(-0.95, 0.02, 0.62, 0.4), (-0.3, -0.28, 0.66, 0.64), (0.42, -0.16, 0.66, 0.55), (1.05, 0.06, 0.55, 0.34)])
"""Centres and half axes of the four puffs of a cloud."""
CRATERS = np.array([(-0.3, 0.3, -0.15), (-0.25, 0.1, 0.42), (0.26, 0.2, 0.16)])
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
    colours = np.clip(SKY_COLOURS[sky] * brightness[..., None] + hue, 0, 255)
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
    dx, dy, size = radius * CRATERS[:, None]
    craters = ellipses(x + dx, y + dy, (size, size), colour * 0.8, opacity=column(shown(sky == NIGHT, 0.6)))
    return [stars, glow, disk, craters, clouds(setting)]


def clouds(setting: Setting) -> Shapes:
    """Return up to three clouds of four puffs each."""
    x, y, size, there, flip = np.moveaxis(setting.stream.uniform((3, 5)), -1, 0)
    y, size = between(0.07, column(setting.horizon) - 0.16, y), between(0.07, 0.125, size)
    there, side = shown(there < np.array([0.85, 0.65, 0.4]), 0.88), np.where(flip < 0.5, -1.0, 1.0)
    x, y, size, there, side = (np.repeat(values, len(PUFFS), axis=1) for values in (x, y, size, there, side))
    dx, dy, half_x, half_y = np.tile(PUFFS, (3, 1)).T
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
    colours, middle = setting.lit(GROUND_COLOURS[setting.ground]), np.full(bank.shape, 0.5)
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
    colours = setting.lit(MARK_COLOURS[setting.ground])[:, np.arange(count) % 2]
    y = between(column(setting.bank) + 0.03, 1.0, nearness)
    return ellipses(x, y, (width * grown, height * grown), colours, opacity=0.6)


# ------------------------------------------------------------------------------------------------- main things


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
        offset = PARTS_MIDDLE[self.kind] * self.scale[..., None]
        return self.x + self.flip * offset[..., 0], self.y - offset[..., 1]


def choose_kinds(setting: Setting) -> Integers:
    """Draw the kind of the thing in each slot, (n, 4), -1 where it stays empty; always one is "near", 2 to 4 in all."""
    stream = setting.stream
    two = OF_SLOT["standing"][stream.choice(len(OF_SLOT["standing"]), 2)]
    above, front, more = stream.uniform((3,)).T
    floating, growing = (
        OF_SLOT[slot][(share * len(OF_SLOT[slot])).astype(np.int64)]
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
    chosen = ALLOWED[kind, (colour * ALLOWED_COUNT[kind]).astype(np.int64)]
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
    roles = roles_of(things.colour, things.accent, things.shine)
    haze = np.repeat([0.05, 0.12, 0.04, 0.0], len(ROLES))
    roles = setting.lit(roles.reshape(len(roles), len(haze), 3), haze).reshape(roles.shape)
    evening = (setting.sky == NIGHT) | (setting.sky == DUSK)
    roles[evening, :, ROLES.index("glass")] = (255.0, 216.0, 128.0)  # the lamps are lit
    return of_parts(roles, things.kind)


def figures(things: Things, setting: Setting) -> Shapes:
    """Return the parts of the things."""
    return placed_parts(things.kind, (things.x, things.y, things.scale, things.flip), colours_of(things, setting))


def shadows(things: Things, setting: Setting) -> Shapes:
    """Return what the things on the ground throw on it, away from the light."""
    x, y, scale = (values[:, 1:] for values in (things.x, things.y, things.scale))
    strength = np.where(things.kind[:, 1:] < 0, 0.0, column(np.minimum(2.0 * of_sky("shadow")[setting.sky], 0.85)))
    colour = setting.lit(np.array([[[40.0, 44.0, 66.0]]]))
    return ellipses(x - 0.32 * scale, y, (0.75 * scale, 0.13 * scale), colour, opacity=strength, shape=GLOW)


# ------------------------------------------------------------------------------------------------ whole scenes

MOST_SHAPES = 14 + 1 + 1 + 3 + 12 + 9 + 3 + 6 + 9 + 2 + 14 + 3 + len(SLOTS) * PARTS_SHAPE.shape[1]
"""Shapes of a scene, seen or not, in the order of `compose`."""


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
    dry = setting.lit(GROUND_COLOURS[setting.ground], np.array([0.2, 0.0]))
    lake = between(setting.lit(np.array([LAKE])), setting.sky_colours[:, :0:-1], 0.35)
    ground = np.where((setting.ground == WATER)[:, None, None], lake, dry)
    return Scene(setting.horizon, setting.sky_colours, ground, shapes.mirrored(mirrored), labels)
