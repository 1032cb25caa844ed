"""Things drawn over pictures: what they are, how large, where they stand in each frame, and what of them shows."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ssl4rl_envs.kernels import casts
from ssl4rl_envs.kernels.reference.scenes import COSINES
from ssl4rl_envs.kernels.tensors import room_beside
from ssl4rl_envs.sources.base import TURN, PictureSource, Views
from ssl4rl_envs.sources.scene_models import COLOURS, KINDS, KINDS_OF_SLOT, MODELS
from ssl4rl_envs.sources.scene_parts import PARTS_MIDDLE
from ssl4rl_envs.stream import Stream

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

FLOATING, STANDING = KINDS_OF_SLOT["floating"], KINDS_OF_SLOT["standing"]
BIRD = KINDS.index("bird")

LOOK = 32
"""Most pixels a side of the pictures by which it is looked at what shows."""

LEAST_CHANGE = 60
"""Pixels that differ by less, in the sum over the channels in grey levels of 255, count as alike."""

OUT_OF_SIGHT = -9.0
"""Where what is not shown in a frame stands."""


def _box(kind: str) -> tuple[float, float, float, float]:
    """Return the centre and the half extents of all parts of a kind, in its own units."""
    boxes = np.array([part.box for part in MODELS[kind]])
    low, high = (boxes[:, :2] - boxes[:, 2:]).min(axis=0), (boxes[:, :2] + boxes[:, 2:]).max(axis=0)
    return (*(low + high) / 2, *(high - low) / 2)


BOXES = np.array([_box(kind) for kind in KINDS])
UNITS = np.sqrt(4 * BOXES[:, 2] * BOXES[:, 3])
"""Side of the square that is as large as the box of each kind, in its own units."""


@dataclass(frozen=True)
class Cast:
    """k things of n pictures, in painter's order.

    Attributes:
        things: (n, k, 3) kinds, main and second colours; see `kernels.casts.paint`.
        size: (n, k) sides of the squares that are as large as the boxes around the things, as shares of the picture.
        flip: (n, k) 1.0, or -1.0 where a thing is mirrored.
    """

    things: Integers
    size: Floats
    flip: Floats

    @property
    def scale(self) -> Floats:
        """How high one unit of each model is, (n, k)."""
        return np.asarray(self.size / UNITS[self.things[..., 0]])

    def half(self) -> Floats:
        """Return the half extents of the things across and down, (n, k, 2)."""
        return BOXES[self.things[..., 0], 2:] * self.scale[..., None]

    def poses(self, centres: Floats) -> Floats:
        """Return the poses (n, frames, k, 4) of things whose boxes have these centres, (n, frames, k, 2)."""
        scale, flip = (np.broadcast_to(values[:, None], centres.shape[:-1]) for values in (self.scale, self.flip))
        offset = BOXES[self.things[..., 0], :2][:, None] * scale[..., None]
        x, y = centres[..., 0] - flip * offset[..., 0], centres[..., 1] + offset[..., 1]
        return np.stack([x, y, scale, flip], axis=-1)

    def offsets(self) -> Floats:
        """Return how far the middles of the bodies are from the centres of the boxes, right and down, (n, k, 2)."""
        offset = (PARTS_MIDDLE - BOXES[:, :2])[self.things[..., 0]] * self.scale[..., None]
        return np.stack([self.flip * offset[..., 0], -offset[..., 1]], axis=-1)

    def rows(self, rows: Integers) -> Cast:
        """Return the chosen rows."""
        return Cast(self.things[rows], self.size[rows], self.flip[rows])

    def order(self, order: Integers) -> Cast:
        """Return the things in another painter's order, (n, k)."""
        rows = np.arange(len(order))[:, None]
        return Cast(self.things[rows, order], self.size[rows, order], self.flip[rows, order])


def draw_cast(stream: Stream, kinds: tuple[str, ...], count: int, sizes: tuple[float, float]) -> Cast:
    """Draw `count` things of some kinds a row, of all colours, and of sizes in a range."""
    known = np.array([KINDS.index(kind) for kind in kinds])
    kind, colour = known[stream.integers(0, len(known), (count,))], stream.integers(0, len(COLOURS), (count,))
    accent = (colour + stream.integers(1, len(COLOURS), (count,))) % len(COLOURS)
    numbers = stream.uniform((count, 2))
    size = sizes[0] + (sizes[1] - sizes[0]) * numbers[..., 0]
    return Cast(np.stack([kind, colour, accent], axis=-1), size, np.where(numbers[..., 1] < 0.5, -1.0, 1.0))


def beside(*casts_: Cast) -> Cast:
    """Return the things of several casts, those of the first one painted first."""
    return Cast(*(np.concatenate([getattr(each, name) for each in casts_], axis=1) for name in ("things", "size", "flip")))


def within(stream: Stream, low: Floats, high: Floats) -> Floats:
    """Draw a number between two each, all equally likely; the middle where there is no room."""
    numbers = stream.uniform(low.shape[1:])
    middle, room = (low + high) / 2, np.maximum(high - low, 0.0)
    return middle + room * (numbers - 0.5)


def heading(angle: Integers) -> Floats:
    """Return the unit vectors (..., 2), right and down, of angles counter-clockwise from the right, in 1/2880 of a turn."""
    return np.stack([COSINES[angle % TURN], COSINES[(angle + TURN // 4) % TURN]], axis=-1)


def drawn(source: PictureSource, views: Views, size: int, cast: Cast, centres: Floats) -> NDArray[np.uint8]:
    """Draw views with things over them, frame by frame.

    Args:
        source: of the views.
        views: n of them.
        size: side of a frame in pixels.
        cast: the things.
        centres: (n, frames, k, 2), of their boxes.

    Returns:
        uint8 RGB (n, frames, size, size, 3).
    """
    return over(source.pixels(views, size), cast, centres)


def over(backdrop: NDArray[np.uint8], cast: Cast, centres: Floats) -> NDArray[np.uint8]:
    """Draw things over pictures (n, size, size, 3) that are there already; else as `drawn`."""
    count, size = backdrop.shape[:2]
    result = room_beside(backdrop, (count, centres.shape[1], size, size, 3))
    casts.paint(result, backdrop, cast.things, cast.poses(centres))
    return result


def differences(pictures: NDArray[np.uint8], pairs: list[tuple[int, int]], least: int = LEAST_CHANGE) -> Floats:
    """Return which share of the pixels of m pictures (n, m, side, side, 3) differs, pair by pair, (n, pairs).

    Args:
        pictures: what is compared.
        pairs: numbers of the pictures.
        least: what counts as a difference; see `LEAST_CHANGE`.
    """
    counts = casts.changed(pictures, np.array(pairs, np.int64), least)
    return counts / float(pictures.shape[2] ** 2)


def named(thing: NDArray[np.int64]) -> str:
    """Return what a thing (kind, colour, ...) is called: "red balloon"."""
    return f"{tuple(COLOURS)[int(thing[1])]} {KINDS[int(thing[0])]}"
