"""Scenes drawn view by view, compiled. The arguments are explained in `kernels.scenes`."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ssl4rl_envs.kernels.compiled import jit, part
from ssl4rl_envs.kernels.compiled.scene_backdrop import backdrop
from ssl4rl_envs.kernels.compiled.scene_colours import unpack, word_of
from ssl4rl_envs.kernels.compiled.scene_numbers import MIRROR, TOTAL, key_of, uniform
from ssl4rl_envs.kernels.compiled.scene_painting import ellipse, glow, polygon
from ssl4rl_envs.kernels.compiled.scene_records import BRIGHT, DARK, OPACITY, RECORD, SHAPE, mirror
from ssl4rl_envs.kernels.compiled.scene_scenery import ground_colours, heavens, hills, marks, setting_of, shore
from ssl4rl_envs.kernels.compiled.scene_strokes import box_of, frame_of, stroke_of
from ssl4rl_envs.kernels.compiled.scene_things import things
from ssl4rl_envs.sources.base import TURN
from ssl4rl_envs.sources.scene_models import GLOW, POLYGON
from ssl4rl_envs.sources.scenery import MOST_SHAPES

_QUARTER = TURN // 4


@part
def composed(item: int, numbers: NDArray[np.float64], rows: NDArray[np.float64]) -> Any:
    """Write the shapes of a scene, and return what all its parts share and how many shapes there are."""
    key = key_of(item)
    uniform(key, numbers)
    setting = setting_of(key, numbers)
    count = heavens(rows, 0, numbers, setting)
    count = hills(rows, count, numbers, setting)
    count = shore(rows, count, numbers, setting)
    count = marks(rows, count, numbers, setting)
    count = things(rows, count, numbers, key, setting)
    if numbers[MIRROR] < 0.5:
        mirror(rows, count)
    return setting, count


@part
def paint(canvas: NDArray[np.int64], rows: NDArray[np.float64], frame: Any) -> None:
    """Paint the shapes of a scene, one after the other."""
    forms, slopes, bounds = np.empty((5, 3), np.float32), np.empty(2, np.float32), np.empty((4, 4))
    for k in range(len(rows)):
        row = rows[k]
        box = box_of(row, frame, len(canvas))
        if box[2] == 0 or box[3] == 0:
            continue
        shape = int(row[SHAPE])
        stroke_of(row, frame, forms, slopes)
        colours = np.float32(row[OPACITY] * 256.0), word_of(row[DARK:BRIGHT]), word_of(row[BRIGHT:OPACITY])
        if shape == POLYGON:
            polygon(canvas, box, forms, colours, bounds)
        elif shape == GLOW:
            glow(canvas, box, forms, colours)
        else:
            ellipse(canvas, box, forms, slopes, colours)


@jit
def draw(
    out: NDArray[np.uint8],
    items: NDArray[np.int64],
    x: NDArray[np.int64],
    y: NDArray[np.int64],
    side: NDArray[np.int64],
    angles: NDArray[np.int64],
) -> None:
    """See `kernels.scenes.draw`."""
    size = out.shape[1]
    canvas = np.empty((size, size), np.int64)
    numbers, rows = np.empty(TOTAL), np.empty((MOST_SHAPES, RECORD))
    for i in range(len(out)):
        setting, count = composed(items[i], numbers, rows)
        quarter = (angles[i] + _QUARTER // 2) // _QUARTER
        frame = frame_of(x[i], y[i], side[i], angles[i] - quarter * _QUARTER, size)
        far, near = ground_colours(setting)
        colours = word_of(setting.high), word_of(setting.middle), word_of(setting.low), word_of(far), word_of(near)
        backdrop(canvas, setting.horizon, colours, frame)
        paint(canvas, rows[:count], frame)
        unpack(out[i], canvas, quarter % 4)


def warm() -> None:
    """Compile, or load what was compiled before."""
    one = np.ones(1, np.int64)
    draw(np.zeros((1, 1, 1, 3), np.uint8), one, one, one, one, one)
