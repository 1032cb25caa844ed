"""Shapes of scenes as a view sees them, compiled; equal to `strokes` in `kernels.reference.scenes` bit for bit."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ssl4rl_envs.kernels.compiled import part
from ssl4rl_envs.kernels.compiled.scene_records import BOX, FORMS, SHADE, SHAPE
from ssl4rl_envs.kernels.reference.scenes import COSINES, SIZE_CLASSES
from ssl4rl_envs.sources.base import TURN, UNIT
from ssl4rl_envs.sources.scene_models import POLYGON
from ssl4rl_envs.sources.scenery import SIDE

_QUARTER = TURN // 4
_CLASSES = np.array(SIZE_CLASSES)


@part
def frame_of(x: int, y: int, side: int, tilt: int, size: int) -> Any:
    """Return a view's frame: its middle, one pixel right and one pixel down, x and y each."""
    pixel = side / (UNIT * SIDE * size)
    cosine, sine = COSINES[tilt % TURN] * pixel, COSINES[(tilt - _QUARTER) % TURN] * pixel
    return x / (UNIT * SIDE), y / (UNIT * SIDE), cosine, sine, -sine, cosine


@part
def seen(form: NDArray[np.float64], frame: Any) -> Any:
    """Return an affine form (3,) of a scene's points as one of pixel numbers right and down of a view's middle."""
    middle_x, middle_y, right_x, right_y, down_x, down_y = frame
    a, b, c = form[0], form[1], form[2]
    return a * right_x + b * right_y, a * down_x + b * down_y, a * middle_x + b * middle_y + c


@part
def extent(x: float, y: float, half_x: float, half_y: float, a: float, b: float, size: int) -> Any:
    """Return where a box of pixels begins along one axis of a view, and its side; 0 where it is out of sight."""
    area = a * a + b * b
    centre = (x * a + y * b) / area + (size - 1) / 2
    half = (half_x * abs(a) + half_y * abs(b)) / area + 0.5
    start = math.floor(min(max(centre - half, 0.0), float(size)))
    stop = math.ceil(min(max(centre + half + 1, 0.0), float(size)))
    if stop <= start:
        return start, 0
    side = size
    for k in _CLASSES:
        if stop - start <= k < size:
            side = k
            break
    return min(start, size - side), side


@part
def box_of(record: NDArray[np.float64], frame: Any, size: int) -> Any:
    """Return the box of pixels a shape may touch: top, left, height and width."""
    middle_x, middle_y, right_x, right_y, down_x, down_y = frame
    x, y, half_x, half_y = record[BOX] - middle_x, record[BOX + 1] - middle_y, record[BOX + 2], record[BOX + 3]
    top, height = extent(x, y, half_x, half_y, down_x, down_y, size)
    left, width = extent(x, y, half_x, half_y, right_x, right_y, size) if height else (0, 0)
    return top, left, height, width


@part
def stroke_of(record: NDArray[np.float64], frame: Any, forms: NDArray[np.float32], slopes: NDArray[np.float32]) -> None:
    """Write the five forms (5, 3) and the two slopes of a shape as the view sees them."""
    polygon = int(record[SHAPE]) == POLYGON
    for k in range(4 if polygon else 3):  # the fourth form of other shapes is not asked for
        a, b, c = seen(record[FORMS + 3 * k : FORMS + 3 * k + 3], frame)
        squares = a * a + b * b
        if squares > 0 and (polygon or k > 1):
            unit = math.sqrt(squares)
            a, b, c = a / unit, b / unit, c / unit
        forms[k, 0], forms[k, 1], forms[k, 2] = a, b, c
        if k < 2:
            slopes[k] = squares
    a, b, c = seen(record[SHADE : SHADE + 3], frame)
    forms[4, 0], forms[4, 1], forms[4, 2] = a * 256.0, b * 256.0, c * 256.0 + 0.5
