"""Sky and ground painted on a canvas, compiled; equal to `backdrop` in `kernels.reference.scenes` bit for bit."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ssl4rl_envs.kernels.compiled import part
from ssl4rl_envs.kernels.compiled.scene_colours import middle_of, mixed, weight_of
from ssl4rl_envs.kernels.compiled.scene_spans import WHOLE, narrowed, pixels_of

_WIDE = 0.5
"""Of 256ths of a share: more than their float32 values are off."""


@part
def share_of(slope: float, horizon: float, frame: Any) -> Any:
    """Return a form (a, b, c), float32, of 256ths of a share that is 0 at the horizon and grows downward."""
    middle_x, middle_y, right_x, right_y, down_x, down_y = frame
    a, b, c = 0.0 * slope * 256.0, slope * 256.0, -slope * horizon * 256.0 + 0.5
    return (
        np.float32(a * right_x + b * right_y),
        np.float32(a * down_x + b * down_y),
        np.float32(a * middle_x + b * middle_y + c),
    )


@part
def air(form: Any, x: Any, colours: Any) -> Any:
    """Return the colour of the sky at x of a row, by the form a x + t of 256ths of its height."""
    top, high, low, _, _ = colours
    up = 2 * weight_of(form[0] * x + form[1])
    upper = up > 256  # and not beyond the middle of the sky otherwise: of two mixtures one leaves a colour as it is
    return mixed(high if upper else low, top if upper else high, up - 256 if upper else up)


@part
def earth(form: Any, x: Any, colours: Any) -> Any:
    """Return the colour of the ground at x of a row, by the form a x + t of 256ths of its nearness."""
    return mixed(colours[3], colours[4], weight_of(form[0] * x + form[1]))


@part
def parts_of(below: Any, size: int) -> Any:
    """Return where a row shows sky alone and where ground alone, by the form a x + t of 256ths below the horizon."""
    a, t, middle = np.float64(below[0]), np.float64(below[1]), (size - 1) / 2
    wide = _WIDE + 1e-6 * (abs(a) * size + abs(t))
    sky, ground = narrowed(WHOLE, -a, 1.0 - wide - t), narrowed(WHOLE, a, t - 256.0 - wide)
    return pixels_of(sky[0], sky[1], middle, 0, size), pixels_of(ground[0], ground[1], middle, 0, size)


@part
def backdrop(canvas: NDArray[np.int64], horizon: float, colours: Any, frame: Any) -> None:
    """Paint sky and ground: the words of the sky at the top, in the middle and at the horizon, of the ground far and near."""
    middle, size, pixel = middle_of(canvas), len(canvas), math.sqrt(frame[4] * frame[4] + frame[5] * frame[5])
    (au, bu, cu), (an, bn, cn) = share_of(-1 / horizon, horizon, frame), share_of(1 / (1 - horizon), horizon, frame)
    ab, bb, cb = share_of(1 / pixel, horizon, frame)
    for row in range(size):
        y = np.float32(row) - middle
        up, near, below = (au, bu * y + cu), (an, bn * y + cn), (ab, bb * y + cb)
        if frame[3] == 0.0:  # upright: all pixels of a row are alike
            word = mixed(air(up, -middle, colours), earth(near, -middle, colours), weight_of(ab * -middle + below[1]))
            for c in range(size):
                canvas[row, c] = word
            continue
        (sky, sky_end), (ground, ground_end) = parts_of(below, size)
        for c in range(np.uint64(sky), np.uint64(sky_end)):
            canvas[row, c] = air(up, np.float32(c) - middle, colours)
        for c in range(np.uint64(ground), np.uint64(ground_end)):
            canvas[row, c] = earth(near, np.float32(c) - middle, colours)
        start, stop = (sky_end, ground) if ab > 0 else (ground_end, sky)
        for c in range(np.uint64(start), np.uint64(stop)):
            x = np.float32(c) - middle
            canvas[row, c] = mixed(air(up, x, colours), earth(near, x, colours), weight_of(ab * x + below[1]))
