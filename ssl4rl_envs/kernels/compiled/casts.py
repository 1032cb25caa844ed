"""Things drawn over pictures, and their differences, compiled. The arguments are explained in `kernels.casts`."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ssl4rl_envs.kernels.casts import KEY
from ssl4rl_envs.kernels.compiled import jit, part
from ssl4rl_envs.kernels.compiled.scene_colours import unpack
from ssl4rl_envs.kernels.compiled.scene_records import RECORD
from ssl4rl_envs.kernels.compiled.scene_strokes import frame_of
from ssl4rl_envs.kernels.compiled.scene_things import figure, roles_of
from ssl4rl_envs.kernels.compiled.scenes import paint as paint_rows
from ssl4rl_envs.sources.base import UNIT
from ssl4rl_envs.sources.scene_models import ROLES
from ssl4rl_envs.sources.scene_parts import PARTS_SHAPE
from ssl4rl_envs.sources.scenery import SIDE

_PARTS, _WHOLE = PARTS_SHAPE.shape[1], SIDE * UNIT


@part
def pack(canvas: NDArray[np.int64], picture: NDArray[np.uint8]) -> None:
    """Write pixels as words; see `scene_colours.unpack`."""
    for r in range(len(canvas)):
        for c in range(len(canvas)):
            red, green, blue = np.int64(picture[r, c, 0]), np.int64(picture[r, c, 1]), np.int64(picture[r, c, 2])
            canvas[r, c] = red << 4 | green << 25 | blue << 46


@jit
def paint(out: NDArray[np.uint8], backdrop: NDArray[np.uint8], things: NDArray[np.int64], poses: NDArray[np.float64]) -> None:
    """See `kernels.casts.paint`."""
    size, count = out.shape[2], things.shape[1]
    behind, canvas = np.empty((size, size), np.int64), np.empty((size, size), np.int64)
    rows, frame = np.empty((count * _PARTS, RECORD)), frame_of(_WHOLE // 2, _WHOLE // 2, _WHOLE, 0, size)
    roles = np.empty((count, len(ROLES), 3))
    for i in range(len(out)):
        pack(behind, backdrop[i])
        for k in range(count):
            if things[i, k, 0] >= 0:
                roles[k] = roles_of(things[i, k, 1], things[i, k, 2], 1.0)
        for f in range(out.shape[1]):
            for r in range(size):
                for c in range(size):
                    canvas[r, c] = behind[r, c]
            shapes: Any = 0
            for k in range(count):
                kind, pose = things[i, k, 0], poses[i, f, k]
                if kind >= 0:
                    shapes = figure(rows, shapes, kind, (pose[0], pose[1], pose[2]), pose[3], roles[k])
            paint_rows(canvas, rows[:shapes], frame)
            unpack(out[i, f], canvas, 0)


@jit
def changed(out: NDArray[np.int64], pictures: NDArray[np.uint8], pairs: NDArray[np.int64], least: int) -> None:
    """See `kernels.casts.changed`."""
    size = pictures.shape[2]
    for i in range(len(out)):
        for p in range(len(pairs)):
            one, other = pictures[i, pairs[p, 0]], pictures[i, pairs[p, 1]]
            count = np.int64(0)
            for r in range(size):
                for c in range(size):
                    apart = np.int64(0)
                    for channel in range(3):
                        apart += abs(np.int64(one[r, c, channel]) - np.int64(other[r, c, channel]))
                    count += apart >= least
            out[i, p] = count


@part
def inside(place: int, reach: int, size: int) -> Any:
    """Return a row or column, moved so far into the picture that almost `reach` on either side lie in it."""
    return min(max(max(min(place, size - reach), reach - 1), 0), size - 1)


@part
def is_clear(sums: NDArray[np.int64], r: int, c: int, reach: int) -> Any:
    """Return whether no other thing covers a pixel within so many rows and columns.

    Args:
        sums: (size + 1, size + 1) how many pixels above and left of a corner others cover.
        r, c, reach: where it is looked.
    """
    size = len(sums) - 1
    top, bottom, left, right = max(r - reach, 0), min(r + reach + 1, size), max(c - reach, 0), min(c + reach + 1, size)
    return sums[bottom, right] - sums[top, right] == sums[bottom, left] - sums[top, left]


@jit
def clear_places(out: NDArray[np.int64], pictures: NDArray[np.uint8], middles: NDArray[np.float64], reach: int) -> None:
    """See `kernels.casts.clear_places`."""
    count, size = pictures.shape[1], pictures.shape[2]
    red, green, blue = KEY
    covers, covering = np.empty((count, size, size), np.bool_), np.empty((size, size), np.int64)
    sums = np.zeros((size + 1, size + 1), np.int64)
    for i in range(len(out)):
        covering[:] = 0
        for k in range(count):
            for r in range(size):
                for c in range(size):
                    covered = (
                        pictures[i, k, r, c, 0] != red or pictures[i, k, r, c, 1] != green or pictures[i, k, r, c, 2] != blue
                    )
                    covers[k, r, c] = covered
                    covering[r, c] += covered
        for k in range(count):
            for r in range(size):
                along = 0
                for c in range(size):
                    along += covering[r, c] > covers[k, r, c]
                    sums[r + 1, c + 1] = sums[r, c + 1] + along
            best, least = -1, np.inf
            for r in range(size):
                down = (r + 0.5) / size - middles[i, k, 1]
                for c in range(size):
                    if covers[k, r, c]:
                        across = (c + 0.5) / size - middles[i, k, 0]
                        away = down * down + across * across
                        if away < least and is_clear(sums, inside(r, reach, size), inside(c, reach, size), reach):
                            best, least = r * size + c, away
            out[i, k] = best


def warm() -> None:
    """Compile, or load what was compiled before."""
    picture, pairs = np.zeros((1, 1, 1, 1, 3), np.uint8), np.zeros((1, 2), np.int64)
    paint(picture, np.zeros((1, 1, 1, 3), np.uint8), np.zeros((1, 1, 3), np.int64), np.ones((1, 1, 1, 4)))
    changed(np.zeros((1, 1), np.int64), picture, pairs, 1)
    clear_places(np.zeros((1, 1), np.int64), picture, np.zeros((1, 1, 2)), 0)
