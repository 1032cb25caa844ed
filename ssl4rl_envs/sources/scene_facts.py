"""What the drawer of a scene knows of it, in numbers and without drawing: which things stand where, how large, how lit."""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import NDArray

from ssl4rl_envs.sources.scene_models import NOTHING, SLOTS
from ssl4rl_envs.sources.scene_parts import PARTS_BOX, PARTS_SHAPE, RGB
from ssl4rl_envs.sources.scene_shapes import Floats, Integers, column
from ssl4rl_envs.sources.scenery import Setting, Things, new_setting, of_sky, place_things

_SCENERY_DRAWS = 6
"""Draws of `scenery.compose` between those of the setting and those of the things: stars, clouds, hills and so on."""

_FLOATING = SLOTS.index("floating")
_STANDS_OUT = 40.0
"""Least distance, in RGB, of the colour of what hangs in the air from those of sky and clouds. What stands on the ground has
a shadow and parts of other colours."""


def _extents() -> Floats:
    """Return how far each kind reaches from its foot, in its own units: left, right, down, up, (kinds, 4)."""
    there = PARTS_SHAPE != NOTHING
    x, y, half_x, half_y = np.moveaxis(PARTS_BOX, -1, 0)
    low, high = np.where(there, 0.0, np.inf), np.where(there, 0.0, -np.inf)
    ends = ((x - half_x + low).min(1), (x + half_x + high).max(1), (y - half_y + low).min(1), (y + half_y + high).max(1))
    return np.stack(ends, axis=-1)


EXTENTS = _extents()


@dataclass(frozen=True)
class Facts:
    """n scenes, as they are seen; things one a slot, from far to near, each array (n, 4).

    Attributes:
        kind: position in KINDS, -1 where there is none.
        colour, accent: positions in COLOURS of its body and of its trimmings.
        x, y: where its foot is, from the left and the upper edge, as shares of the scene.
        scale: how high one unit of its model is.
        flip: 1.0, or -1.0 where the model is mirrored.
        sky, ground: (n,) positions in SKIES and GROUNDS.
        light: (n,) whether the light comes from the left (0) or the right (1).
        stands_out: (n,) whether what hangs in the air has another colour than sky and clouds.
    """

    kind: Integers
    colour: Integers
    accent: Integers
    x: Floats
    y: Floats
    scale: Floats
    flip: Floats
    sky: Integers
    ground: Integers
    light: Integers
    stands_out: NDArray[np.bool_]

    def __len__(self) -> int:
        return len(self.sky)

    def rows(self, rows: NDArray[np.integer]) -> Facts:
        """Return the chosen rows."""
        return Facts(*(getattr(self, each.name)[rows] for each in fields(self)))

    def count(self) -> Integers:
        """Return how many things each scene shows, (n,), 2 to 4."""
        return np.asarray((self.kind >= 0).sum(axis=1), np.int64)

    def boxes(self) -> Floats:
        """Return the left, right, upper and lower ends of things, (n, 4, 4); of what is not there they say nothing."""
        left, right, down, up = np.moveaxis(EXTENTS[self.kind] * self.scale[..., None], -1, 0)
        plain = self.flip > 0
        sides = self.x + np.where(plain, left, -right), self.x + np.where(plain, right, -left)
        return np.stack([*sides, self.y - up, self.y - down], axis=-1)


def facts_of(items: Integers) -> Facts:
    """Return what the drawer knows of scenes (n,)."""
    setting = new_setting(items)
    setting.stream.reserve(_SCENERY_DRAWS)
    things = place_things(setting)
    mirrored = setting.stream.uniform() < 0.5
    turned = column(mirrored)
    x, flip = np.where(turned, 1.0 - things.x, things.x), np.where(turned, -things.flip, things.flip)
    light = np.where(mirrored, 0, 1)
    thing = (things.kind, things.colour, things.accent, x, things.y, things.scale, flip)
    return Facts(*thing, setting.sky, setting.ground, light, _stands_out(things, setting))


def _stands_out(things: Things, setting: Setting) -> NDArray[np.bool_]:
    """Return whether the body of what hangs in the air has another colour than the sky and its clouds, (n,)."""
    colour = RGB[things.colour[:, _FLOATING]] * setting.light  # as `Setting.lit` has it, without the thin air before it
    behind = np.concatenate([setting.sky_colours, of_sky("cloud")[setting.sky][:, None]], axis=1)
    apart = np.square(behind - colour[:, None]).sum(axis=2)
    return np.asarray((apart >= _STANDS_OUT**2).all(axis=1), np.bool_)
