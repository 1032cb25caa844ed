"""Sky, hills and ground of a scene, compiled; equal to `sources.scenery` bit for bit."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ssl4rl_envs.kernels.compiled import part
from ssl4rl_envs.kernels.compiled import scene_numbers as numbers_of
from ssl4rl_envs.kernels.compiled.scene_records import DARK, SHADE, between, blend, ellipse, peak, put, times
from ssl4rl_envs.sources.scene_models import GLOW, GROUNDS, LAKE, SKIES
from ssl4rl_envs.sources.scenery import (
    CRATERS,
    GROUND_COLOURS,
    MARK_COLOURS,
    NIGHT,
    PUFFS,
    SKY_COLOURS,
    WATER,
    of_ground,
    of_sky,
)

Numbers = NDArray[np.float64]
Rows = NDArray[np.float64]
Triple = tuple[float, float, float]

_SUN_HEIGHT, _LIGHT, _SUN, _CLOUD = of_sky("sun_height"), of_sky("light"), of_sky("sun"), of_sky("cloud")
_STARS, _GLOW, _DISK = of_sky("stars"), of_sky("glow"), of_sky("disk")
_HILL, _MARK_SIZE = of_ground("hill"), of_ground("mark_size")
_LAKE = np.array(LAKE, np.float64)
_SKIES, _GROUNDS = len(SKIES), len(GROUNDS)
_CLOUD_SHARES = np.array([0.85, 0.65, 0.4])


class Setting(NamedTuple):
    """What all parts of a scene share; see `sources.scenery.Setting`."""

    sky: int
    ground: int
    horizon: float
    bank: float
    sun_x: float
    sun_y: float
    radius: float
    high: Triple
    middle: Triple
    low: Triple
    light: Triple


@part
def triple(table: NDArray[np.float64], row: int) -> Any:
    """Return a row of a table of colours."""
    return table[row, 0], table[row, 1], table[row, 2]


@part
def sky_colour(sky: int, height: int, brightness: float, numbers: Numbers) -> Any:
    """Return a colour of the sky; heights are 0 at the top, 1 in the middle and 2 at the horizon."""
    red, green, blue = triple(SKY_COLOURS[sky], height)
    first = numbers_of.SETTING + 6
    return (
        min(max(red * brightness + between(-9.0, 9.0, numbers[first]), 0.0), 255.0),
        min(max(green * brightness + between(-9.0, 9.0, numbers[first + 1]), 0.0), 255.0),
        min(max(blue * brightness + between(-9.0, 9.0, numbers[first + 2]), 0.0), 255.0),
    )


@part
def setting_of(key: Any, numbers: Numbers) -> Any:
    """See `sources.scenery.new_setting`."""
    sky, ground = numbers_of.whole(key, numbers_of.SKY, _SKIES), numbers_of.whole(key, numbers_of.GROUND, _GROUNDS)
    own = numbers[numbers_of.SETTING :]
    horizon = between(0.45, 0.62, own[0])
    bank = between(horizon, 1.0, between(0.36, 0.48, own[3])) if ground == WATER else horizon
    sun_y = horizon * (1 - between(_SUN_HEIGHT[sky, 0], _SUN_HEIGHT[sky, 1], own[2]))
    brightness = between(0.93, 1.05, own[4])
    return Setting(
        sky,
        ground,
        horizon,
        bank,
        between(0.64, 0.94, own[1]),
        sun_y,
        between(0.045, 0.065, own[5]),
        sky_colour(sky, 0, brightness, numbers),
        sky_colour(sky, 1, brightness, numbers),
        sky_colour(sky, 2, brightness, numbers),
        times(triple(_LIGHT, sky), brightness),
    )


@part
def lit(setting: Any, colour: Any, haze: float) -> Any:
    """Return a colour in the light of a scene, veiled by air."""
    red, green, blue = setting.light
    return blend((colour[0] * red, colour[1] * green, colour[2] * blue), setting.low, haze)


@part
def ground_colours(setting: Any) -> Any:
    """Return the colours of the ground at the horizon and nearest to the viewer."""
    ground = setting.ground
    if ground == WATER:
        far, near = lit(setting, triple(_LAKE, 0), 0.0), lit(setting, triple(_LAKE, 1), 0.0)
        return blend(far, setting.low, 0.35), blend(near, setting.middle, 0.35)
    colours = GROUND_COLOURS[ground]
    return lit(setting, triple(colours, 0), 0.2), lit(setting, triple(colours, 1), 0.0)


@part
def heavens(rows: Rows, count: int, numbers: Numbers, setting: Any) -> Any:
    """Add stars, sun or moon, and clouds."""
    sky, own = setting.sky, numbers[numbers_of.STARS :]
    if _STARS[sky] > 0:
        for k in range(14):
            x, y, size = own[3 * k], own[3 * k + 1] * setting.horizon * 0.85, between(0.003, 0.007, own[3 * k + 2])
            count = ellipse(rows, count, (x, y, size, size), (250.0, 250.0, 250.0), 0.0, _STARS[sky])
    x, y, radius, colour = setting.sun_x, setting.sun_y, setting.radius, triple(_SUN, sky)
    count = ellipse(rows, count, (x, y, 6 * radius, 6 * radius), colour, 0.0, _GLOW[sky], shape=GLOW)
    count = ellipse(rows, count, (x, y, radius, radius), colour, 0.0, _DISK[sky])
    if sky == NIGHT:
        for k in range(3):
            dx, dy, size = radius * CRATERS[0, k], radius * CRATERS[1, k], radius * CRATERS[2, k]
            count = ellipse(rows, count, (x + dx, y + dy, size, size), times(colour, 0.8), 0.0, 0.6)
    return clouds(rows, count, numbers, setting)


@part
def clouds(rows: Rows, count: int, numbers: Numbers, setting: Any) -> Any:
    """Add up to three clouds of four puffs each."""
    own, colour = numbers[numbers_of.CLOUDS :], triple(_CLOUD, setting.sky)
    for k in range(3):
        if not own[5 * k + 3] < _CLOUD_SHARES[k]:
            continue
        x, y = own[5 * k], between(0.07, setting.horizon - 0.16, own[5 * k + 1])
        size, side = between(0.07, 0.125, own[5 * k + 2]), -1.0 if own[5 * k + 4] < 0.5 else 1.0
        for p in range(len(PUFFS)):
            where = x + side * size * PUFFS[p, 0], y + size * PUFFS[p, 1], size * PUFFS[p, 2], size * PUFFS[p, 3]
            count = ellipse(rows, count, where, colour, 0.45, 0.88, below=y + 0.16 * size)
    return count


@part
def far_hill(numbers: Numbers, k: int) -> Any:
    """Return x, height and width of a hill of the far range."""
    own = numbers[numbers_of.HILLS + 8 * k :]
    return between(-0.15, 1.15, (k + own[0]) / 3), between(0.08, 0.19, own[1]), between(0.2, 0.34, own[2])


@part
def hills(rows: Rows, count: int, numbers: Numbers, setting: Any) -> Any:
    """Add a far range of mountains or of round hills, a nearer one of hills, and bushes at the horizon."""
    level, colour, own = setting.horizon, triple(_HILL, setting.ground), numbers[numbers_of.HILLS :]
    blue = lit(setting, blend(colour, (112.0, 124.0, 160.0), 0.5), 0.42)
    if own[3] < 0.5:
        for k in range(3):
            x, height, width = far_hill(numbers, k)
            count = peak(rows, count, (x, level - height, level, width), blue)
        snow = lit(setting, (246.0, 246.0, 246.0), 0.25)
        for k in range(3):
            x, height, width = far_hill(numbers, k)
            count = peak(rows, count, (x, level - height, level - 0.68 * height, width * 0.32), snow)
    else:
        for k in range(3):
            x, height, width = far_hill(numbers, k)
            count = ellipse(rows, count, (x, level, width * 1.2, height * 0.7), blue, 0.3, 1.0, below=level)
    near = lit(setting, colour, 0.2)
    for k in range(3):
        x, height, width = own[8 * k + 4], between(0.03, 0.085, own[8 * k + 5]), between(0.2, 0.36, own[8 * k + 6])
        if own[8 * k + 7] < 0.8:
            count = ellipse(
                rows, count, (between(-0.2, 1.2, (k + x) / 3), level, width, height), near, 0.35, 1.0, below=level
            )
    own, bush = numbers[numbers_of.BUSHES :], lit(setting, times(colour, 0.72), 0.12)
    for k in range(6):
        if own[3 * k + 2] < 0.6:
            size = between(0.012, 0.032, own[3 * k + 1])
            where = own[3 * k], level - 0.3 * size, 1.3 * size, size
            count = ellipse(rows, count, where, bush, 0.7, 1.0, below=level + 0.3 * size)
    return count


@part
def shore(rows: Rows, count: int, numbers: Numbers, setting: Any) -> Any:
    """Add glitter on a lake and the land on this side of it."""
    if setting.ground != WATER:
        return count
    own, horizon, bank, sun = numbers[numbers_of.GLITTER :], setting.horizon, setting.bank, triple(_SUN, setting.sky)
    for k in range(9):
        x, y, beneath = own[3 * k], (k + own[3 * k + 1]) / 9, k % 2 == 0
        if beneath:
            x = setting.sun_x + between(-0.05, 0.05, x)
        half = between(0.03, 0.07, own[3 * k + 2]) * (0.5 + y), between(0.0025, 0.006, y)
        light = blend(setting.low, sun, 0.8 if beneath else 0.0)
        where = x, between(horizon + 0.01, bank + 0.02, y), half[0], half[1]
        count = ellipse(rows, count, where, light, 0.0, 0.75 if beneath else 0.4)
    colours = GROUND_COLOURS[setting.ground]
    foam = lit(setting, (236.0, 236.0, 236.0), 0.0)
    count = ellipse(rows, count, (0.5, bank + 0.692, 1.3, 0.7), foam, 0.0, 0.5)
    count = ellipse(rows, count, (0.5, bank + 0.7, 1.3, 0.7), lit(setting, triple(colours, 0), 0.0), 0.0, 1.0)
    land, slope = rows[count - 1], 1 / (1 - bank)
    put(land, SHADE, 0.0, -slope, 1 + slope * bank)
    put(land, DARK, *lit(setting, triple(colours, 1), 0.0))
    return count


@part
def marks(rows: Rows, count: int, numbers: Numbers, setting: Any) -> Any:
    """Add flat spots on the ground, tufts or ripples, that grow toward the viewer."""
    own, colours, ground = numbers[numbers_of.MARKS :], MARK_COLOURS[setting.ground], setting.ground
    for k in range(14):
        nearness = (k + own[3 * k + 1]) / 14
        nearness = nearness * (0.4 + 0.6 * nearness)
        grown = (0.25 + 0.75 * nearness) * between(0.6, 1.3, own[3 * k + 2])
        y = between(setting.bank + 0.03, 1.0, nearness)
        where = own[3 * k], y, _MARK_SIZE[ground, 0] * grown, _MARK_SIZE[ground, 1] * grown
        count = ellipse(rows, count, where, lit(setting, triple(colours, k % 2), 0.0), 0.0, 0.6)
    return count
