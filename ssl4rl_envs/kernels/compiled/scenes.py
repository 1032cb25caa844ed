"""Scenes drawn view by view, compiled. The arguments are explained in `kernels.scenes`."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ssl4rl_envs.kernels.compiled import jit
from ssl4rl_envs.kernels.compiled.scene_colours import packed, unpack
from ssl4rl_envs.kernels.compiled.scene_painting import backdrop, ellipse, glow, polygon
from ssl4rl_envs.kernels.compiled.scene_strokes import (
    BRIGHT,
    DARK,
    OPACITY,
    RECORD,
    SHAPE,
    box_of,
    frame_of,
    stroke_of,
)
from ssl4rl_envs.sources.scene_models import GLOW, NOTHING, POLYGON
from ssl4rl_envs.sources.scenery import Scene, compose

_CHUNK = 128


@jit
def paint(canvas: NDArray[np.int64], records: NDArray[np.float64], frame: Any) -> None:
    """Paint the shapes of a scene, one after the other."""
    forms, slopes = np.empty((5, 3), np.float32), np.empty(2, np.float32)
    for k in range(len(records)):
        record = records[k]
        shape = int(record[SHAPE])
        if shape == NOTHING:
            continue
        box = box_of(record, frame, len(canvas))
        if box[2] == 0 or box[3] == 0:
            continue
        stroke_of(record, frame, forms, slopes)
        colours = np.float32(record[OPACITY] * 256.0), packed(record[DARK : DARK + 3]), packed(record[BRIGHT : BRIGHT + 3])
        if shape == POLYGON:
            polygon(canvas, box, forms, colours)
        elif shape == GLOW:
            glow(canvas, box, forms, colours)
        else:
            ellipse(canvas, box, forms, slopes, colours)


@jit
def draw_composed(
    out: NDArray[np.uint8],
    records: NDArray[np.float64],
    horizons: NDArray[np.float64],
    colours: NDArray[np.float64],
    views: NDArray[np.int64],
) -> None:
    """Draw composed scenes."""
    size = out.shape[1]
    canvas = np.empty((size, size), np.int64)
    for i in range(len(out)):
        frame = frame_of(views[i, 0], views[i, 1], views[i, 2], views[i, 3], size)
        words = (
            packed(colours[i, 0]),
            packed(colours[i, 1]),
            packed(colours[i, 2]),
            packed(colours[i, 3]),
            packed(colours[i, 4]),
        )
        backdrop(canvas, horizons[i], words, frame)
        paint(canvas, records[i], frame)
        unpack(out[i], canvas, views[i, 4])


def recorded(scene: Scene) -> NDArray[np.float64]:
    """Return the shapes of scenes as rows of numbers, (n, p, RECORD)."""
    shapes = scene.shapes
    n, p = shapes.shape.shape
    fields = (shapes.forms.reshape(n, p, 12), shapes.box, shapes.shade, shapes.dark, shapes.bright)
    return np.concatenate([*fields, shapes.opacity[..., None], shapes.shape[..., None]], axis=-1)


def draw(out: NDArray[np.uint8], items: NDArray[np.int64], *places: NDArray[np.int64]) -> None:
    """See `kernels.scenes.draw`."""
    for start in range(0, len(out), _CHUNK):
        rows = slice(start, start + _CHUNK)
        scene = compose(items[rows])
        views = np.stack([array[rows] for array in places], axis=-1)
        draw_composed(out[rows], recorded(scene), scene.horizon, np.concatenate([scene.sky, scene.ground], axis=1), views)


def warm() -> None:
    """Compile, or load what was compiled before."""
    zeros = np.zeros
    draw_composed(
        zeros((1, 1, 1, 3), np.uint8), zeros((1, 1, RECORD)), zeros(1) + 0.5, zeros((1, 5, 3)), np.full((1, 5), 1, np.int64)
    )
