"""What the things of a scene are made of: the parts of every kind as tables, and where and in which colours they lie."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ssl4rl_envs.sources.scene_models import (
    COLOURS,
    COLOURS_OF_KIND,
    ELLIPSE,
    EVERYWHERE,
    KINDS,
    KINDS_OF_SLOT,
    MODELS,
    NOTHING,
    ROLE_COLOURS,
    ROLES,
)
from ssl4rl_envs.sources.scene_shapes import (
    Floats,
    Integers,
    Shapes,
    between,
    form,
    painted,
)

_NAMES = tuple(COLOURS)

RGB = np.array(list(COLOURS.values()), np.float64)


def _padded(rows: list[list[Any]], filler: object) -> NDArray[Any]:
    """Return lists of unequal lengths as one table."""
    longest = max(len(row) for row in rows)
    return np.array([row + [filler] * (longest - len(row)) for row in rows])


def _parts(field: str, filler: object) -> NDArray[Any]:
    """Return an attribute of all parts of all kinds, (kinds, parts, ...)."""
    return _padded([[getattr(part, field) for part in parts] for parts in MODELS.values()], filler)


PARTS_SHAPE, PARTS_FORMS, PARTS_BOX = (
    _parts("shape", NOTHING),
    _parts("forms", (EVERYWHERE,) * 4),
    _parts("box", (0.0, 0.0, 1.0, 1.0)),
)

PARTS_ROLE = _padded([[ROLES.index(part.role) for part in parts] for parts in MODELS.values()], 0)

PARTS_MIDDLE = np.array([next(part.middle for part in parts if part.role == "main") for parts in MODELS.values()])

FIXED_COLOURS = np.array([ROLE_COLOURS.get(role, (0, 0, 0)) for role in ROLES], np.float64)

_CHOICES = [[_NAMES.index(name) for name in COLOURS_OF_KIND.get(kind, _NAMES)] for kind in KINDS]

ALLOWED, ALLOWED_COUNT = _padded(_CHOICES, 0), np.array([len(row) for row in _CHOICES])

OF_SLOT = {slot: np.array([KINDS.index(name) for name in names]) for slot, names in KINDS_OF_SLOT.items()}


def roles_of(colour: Integers, accent: Integers, shine: Floats) -> Floats:
    """Return what the parts of things are coloured like, (n, k, roles, 3), before any light falls on them."""
    main = RGB[colour] * shine[..., None]
    roles = np.broadcast_to(FIXED_COLOURS, (*colour.shape, len(ROLES), 3)).copy()
    roles[:, :, ROLES.index("main")] = main
    roles[:, :, ROLES.index("shade")] = main * 0.74
    roles[:, :, ROLES.index("bright")] = between(main, 255.0, 0.3)
    roles[:, :, ROLES.index("accent")] = RGB[accent]
    return roles


def of_parts(roles: Floats, kind: Integers) -> Floats:
    """Return the colours of the parts of things (n, k, parts, 3) by those of their roles (n, k, roles, 3)."""
    return np.asarray(np.take_along_axis(roles, PARTS_ROLE[kind][..., None], axis=2))


def placed_parts(kind: Integers, places: tuple[Floats, Floats, Floats, Floats], colours: Floats) -> Shapes:
    """Return the parts of k things a scene, in painter's order.

    Args:
        kind: (n, k) positions in KINDS, -1 for nothing.
        places: where their feet are, x and y, how high one unit of their models is, and 1.0, or -1.0 where mirrored; (n, k).
        colours: (n, k, parts, 3).
    """
    x, y, scale, flip = (values[..., None] for values in places)
    a, b, c = np.moveaxis(PARTS_FORMS[kind], -1, 0)
    a, b = a * (flip / scale)[..., None], b * (-1 / scale)[..., None]
    left, up, half_x, half_y = np.moveaxis(PARTS_BOX[kind], -1, 0) * scale
    shape = np.where(kind[..., None] < 0, NOTHING, PARTS_SHAPE[kind])
    values = (
        shape,
        form(a, b, c - a * x[..., None] - b * y[..., None]),
        np.stack([x + flip * left, y - up, half_x, half_y], axis=-1),
        colours,
        np.where(shape == ELLIPSE, 1.0, 0.6),  # round things have a bright and a dark side, flat ones hardly
    )
    count, things, parts = shape.shape
    return painted(*(value.reshape(count, things * parts, *value.shape[3:]) for value in values))
