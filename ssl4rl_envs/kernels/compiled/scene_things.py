"""The main things of a scene and their shadows, compiled; equal to `sources.scenery` bit for bit."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ssl4rl_envs.kernels.compiled import part
from ssl4rl_envs.kernels.compiled import scene_numbers as numbers_of
from ssl4rl_envs.kernels.compiled.scene_records import BOX, FORMS, between, blend, ellipse, painted, put, times
from ssl4rl_envs.kernels.compiled.scene_scenery import lit, triple
from ssl4rl_envs.sources.scene_models import ELLIPSE, GLOW, KINDS, NOTHING, ROLES
from ssl4rl_envs.sources.scene_parts import (
    ALLOWED,
    ALLOWED_COUNT,
    FIXED_COLOURS,
    OF_SLOT,
    PARTS_BOX,
    PARTS_FORMS,
    PARTS_ROLE,
    PARTS_SHAPE,
    RGB,
)
from ssl4rl_envs.sources.scenery import DUSK, NIGHT, WATER, of_sky

_STANDING, _FLOATING, _GROWING = OF_SLOT["standing"], OF_SLOT["floating"], OF_SLOT["growing"]
_BOAT = KINDS.index("boat")
_MAIN, _SHADE, _BRIGHT, _ACCENT, _GLASS = (ROLES.index(role) for role in ("main", "shade", "bright", "accent", "glass"))
_SHADOW = of_sky("shadow")
_LEAST, _MOST, _HAZE = np.array([0.2, 0.15, 0.27, 0.22]), np.array([0.27, 0.2, 0.36, 0.29]), np.array([0.05, 0.12, 0.04, 0.0])
_COLOURS = len(RGB)
_NONE = -1

Numbers = NDArray[np.float64]
Rows = NDArray[np.float64]


@part
def kinds_of(key: Any, numbers: Numbers, wet: bool) -> Any:
    """Return the kind of the thing in each slot, -1 where it stays empty; see `sources.scenery.choose_kinds`."""
    standing, present = np.empty(len(_STANDING), np.int64), np.empty(3, np.int64)
    numbers_of.permutation(key, numbers_of.STANDING, standing)
    numbers_of.permutation(key, numbers_of.PRESENT, present)
    own = numbers[numbers_of.KINDS :]
    count = 1 + np.floor(3 * own[2])
    floating, growing = _FLOATING[int(own[0] * len(_FLOATING))], _GROWING[int(own[1] * len(_GROWING))]
    far = _BOAT if wet else _STANDING[standing[0]]
    return (
        floating if present[0] < count else _NONE,
        far if present[1] < count else _NONE,
        _STANDING[standing[1]],
        growing if present[2] < count else _NONE,
    )


@part
def height_of(slot: int, along: float, scale: float, setting: Any) -> Any:
    """Return where the foot of a slot's thing is, from the upper edge."""
    horizon, bank, wet = setting.horizon, setting.bank, setting.ground == WATER
    if slot == 0:
        return between(0.2, horizon - 0.08, along) + 0.5 * scale
    if slot == 1:
        return between(horizon + 0.04, bank - 0.03, along) if wet else between(horizon, 1.0, between(0.06, 0.18, along))
    if slot == 2:
        return between(bank, 1.0, between(0.17 if wet else 0.26, 0.38 if wet else 0.5, along))
    return between(bank, 1.0, between(0.66, 0.88, along))


@part
def things(rows: Rows, count: int, numbers: Numbers, key: Any, setting: Any) -> Any:
    """Add the main things, each in a column of its own, after their shadows."""
    columns, kinds = np.empty(4, np.int64), kinds_of(key, numbers, setting.ground == WATER)
    numbers_of.permutation(key, numbers_of.COLUMNS, columns)
    own, places = numbers[numbers_of.THINGS :], np.empty((4, 3))
    for slot in range(4):
        across, along, size = own[7 * slot], own[7 * slot + 1], own[7 * slot + 2]
        scale = between(_LEAST[slot], _MOST[slot], size)
        x = 0.5 + 0.225 * (columns[slot] - 1.5) + between(-0.05, 0.05, across)
        put(places[slot], 0, x, height_of(slot, along, scale, setting), scale)
    strength, colour = min(2.0 * _SHADOW[setting.sky], 0.85), lit(setting, (40.0, 44.0, 66.0), 0.0)
    for slot in range(1, 4):
        if kinds[slot] != _NONE:
            x, y, scale = triple(places, slot)
            where = x - 0.32 * scale, y, 0.75 * scale, 0.13 * scale
            count = ellipse(rows, count, where, colour, 0.0, strength, shape=GLOW)
    for slot in range(4):
        if kinds[slot] != _NONE:
            count = lit_figure(rows, count, kinds[slot], slot, triple(places, slot), own[7 * slot + 3 :], setting)
    return count


@part
def roles_of(chosen: int, accent: int, shine: float) -> Any:
    """Return what the parts of a thing are coloured like, (roles, 3), before any light falls on it."""
    roles, main = FIXED_COLOURS.copy(), times(triple(RGB, chosen), shine)
    put(roles[_MAIN], 0, *main)
    put(roles[_SHADE], 0, *times(main, 0.74))
    put(roles[_BRIGHT], 0, *blend(main, (255.0, 255.0, 255.0), 0.3))
    put(roles[_ACCENT], 0, *triple(RGB, accent))
    return roles


@part
def lit_figure(rows: Rows, count: int, kind: int, slot: int, place: Any, own: Numbers, setting: Any) -> Any:
    """Add a thing of a scene that stands at x and y, at a scale; its numbers begin with its side."""
    flip, shine = -1.0 if own[0] < 0.5 else 1.0, between(0.95, 1.05, own[1])
    chosen = ALLOWED[kind, int(own[2] * ALLOWED_COUNT[kind])]
    roles = roles_of(chosen, (chosen + 1 + int(own[3] * (_COLOURS - 1))) % _COLOURS, shine)
    for role in range(len(roles)):
        put(roles[role], 0, *lit(setting, triple(roles, role), _HAZE[slot]))
    if setting.sky == NIGHT or setting.sky == DUSK:
        put(roles[_GLASS], 0, 255.0, 216.0, 128.0)
    return figure(rows, count, kind, place, flip, roles)


@part
def figure(rows: Rows, count: int, kind: int, place: Any, flip: float, roles: NDArray[np.float64]) -> Any:
    """Add the parts of a thing that stands at x and y, at a scale, in the colours of its roles."""
    x, y, scale = place
    for k in range(PARTS_SHAPE.shape[1]):
        shape = PARTS_SHAPE[kind, k]
        if shape == NOTHING:
            break
        row = rows[count]
        for side in range(4):
            a, b, c = triple(PARTS_FORMS[kind, k], side)
            a, b = a * (flip / scale), b * (-1 / scale)
            put(row, FORMS + 3 * side, a, b, c - a * x - b * y)
        box = PARTS_BOX[kind, k]
        row[BOX], row[BOX + 1] = x + flip * (box[0] * scale), y - box[1] * scale
        row[BOX + 2], row[BOX + 3] = box[2] * scale, box[3] * scale
        painted(row, shape, triple(roles, PARTS_ROLE[kind, k]), 1.0 if shape == ELLIPSE else 0.6, 1.0)
        count += 1
    return count
