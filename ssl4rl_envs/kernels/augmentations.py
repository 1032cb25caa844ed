"""Kernel that changes pictures: mirrors, light, colours, blur, one after the other while a picture is at hand."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ssl4rl_envs import kernels
from ssl4rl_envs.kernels import threads
from ssl4rl_envs.kernels.tensors import over_tensors

ONE = 1 << 16
"""Fixed-point 1 of a blur's weights."""

SIGMA_STEPS = 64
"""Blurs are told apart in steps of 1/64 pixel."""

CUTOFF = 5
"""In sigmas; what a Gaussian has beyond is less than 1 / `ONE`."""

_BYTES = 1 << 16
"""What is worth a thread."""


@dataclass(frozen=True)
class Changes:
    """What is done to n pictures, in this order; each array (n,).

    Args:
        mirrored, upended: bool, whether left and right, and top and bottom, are exchanged.
        brightness, contrast, saturation: float32 factors of `blend`, 1 for no change.
        hue: float32, by how many 255ths of their circle hues are turned; whole numbers from -128 to 128.
        grey: bool, whether colours are replaced by their luma.
        blur: int64 standard deviation of the blur, in 1 / `SIGMA_STEPS` pixel.
        threshold: float32, values of at least this are inverted; 256 for none.
    """

    mirrored: NDArray[np.bool_]
    upended: NDArray[np.bool_]
    brightness: NDArray[np.float32]
    contrast: NDArray[np.float32]
    saturation: NDArray[np.float32]
    hue: NDArray[np.float32]
    grey: NDArray[np.bool_]
    blur: NDArray[np.int64]
    threshold: NDArray[np.float32]


@over_tensors
def change(pictures: NDArray[np.uint8], changes: Changes) -> None:
    """Change pictures (n, height, width, 3) in place."""
    if not pictures.size:
        return
    work = kernels.area("augmentations").change
    steps, kinds = np.unique(changes.blur, return_inverse=True)
    reaches = CUTOFF * steps // SIGMA_STEPS
    taps = np.zeros((len(steps), 2 * int(reaches.max()) + 1), np.int32)
    for number, (step, reach) in enumerate(zip(steps.tolist(), reaches.tolist(), strict=True)):
        taps[number, reaches.max() - reach : reaches.max() + reach + 1] = gaussian(step)
    c = changes
    before: tuple[NDArray[Any], ...] = (c.mirrored, c.upended, c.brightness, c.contrast, c.saturation, c.hue, c.grey)
    blurs: tuple[NDArray[Any], ...] = (reaches[kinds], kinds.astype(np.int64))

    def on(rows: slice) -> None:
        work(pictures[rows], *(each[rows] for each in before), *(each[rows] for each in blurs), taps, c.threshold[rows])

    threads.share(len(pictures), on, max(1, _BYTES // pictures[0].size))


@lru_cache(maxsize=4096)
def gaussian(step: int) -> NDArray[np.int32]:
    """Return the weights of a blur in 1 / `ONE`, which sum to that: of pixels from -reach to reach, symmetric.

    Args:
        step: its standard deviation in 1 / `SIGMA_STEPS` pixel; 0 is no blur.
    """
    away = np.arange(CUTOFF * step // SIGMA_STEPS, 0, -1)
    tail = np.cumsum(np.exp(-0.5 * (away / (max(step, 1) / SIGMA_STEPS)) ** 2))
    # Sums up to a pixel are rounded, rather than weights: their differences add up to 1, and mirror as the weights do.
    upto = np.rint(tail / (1.0 + 2.0 * (tail[-1] if len(tail) else 0.0)) * ONE)
    side = np.diff(upto, prepend=0.0).astype(np.int32)
    return np.concatenate([side, [ONE - 2 * side.sum()], side[::-1]]).astype(np.int32)
