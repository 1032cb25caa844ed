"""Sources without content: what solves a task on them is a trace of how pictures are drawn."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from scipy.ndimage import gaussian_filter

from ssl4rl_envs.sources import ImageSource

NOISE = "noise"

PICTURES = 600


@dataclass(frozen=True)
class Noise:
    """White noise, blurred and spread.

    Args:
        blur: standard deviation of the blur in pixels.
        contrast: standard deviation in grey levels of 255 before values are clipped.
        side: shorter side in pixels.
        shapes: longer sides by shorter ones; each is drawn lying and standing.
    """

    blur: float
    contrast: float
    side: int = 64
    shapes: tuple[float, ...] = (1.0, 1.5, 2.5)


NOISES = {
    NOISE: Noise(1.0, 110.0),
    "smooth noise": Noise(6.0, 40.0),
    "thin noise": Noise(0.7, 50.0, 12, (4.0, 8.0)),
}
"""The grain of one hides what the gradients of another show; a quarter of the values of the first are black or white, and
thin pictures are enlarged so far that their pixels show."""


@lru_cache(maxsize=8)
def noise(name: str = NOISE, side: int | None = None) -> ImageSource:
    """Return noise by name: pictures of several shapes that look the same in every direction and every colour.

    Args:
        name: one of `NOISES`.
        side: shorter side in pixels, other than that of the name.
    """
    how = NOISES[name]
    least = how.side if side is None else side
    rng = np.random.default_rng(0)
    pictures = []
    for number in range(PICTURES):
        longer = round(least * how.shapes[number // 2 % len(how.shapes)])
        shape = (least, longer) if number % 2 else (longer, least)
        drawn = rng.standard_normal((*shape, 3), np.float32)
        smooth = gaussian_filter(drawn, (how.blur, how.blur, 0), mode="wrap")
        values = smooth * (how.contrast / max(float(smooth.std()), 1e-6)) + 128
        pictures.append(np.clip(np.rint(values), 0, 255).astype(np.uint8))
    return ImageSource(pictures, name=name)
