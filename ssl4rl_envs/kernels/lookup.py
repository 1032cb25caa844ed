"""Numbers that are looked up by bytes: what a model's processor makes of the pixels of pictures."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ssl4rl_envs.kernels import area
from ssl4rl_envs.kernels.threads import share

LEAST = 2**17
"""Fewest numbers that are worth a thread."""


def look_up(
    pixels: NDArray[np.uint8],
    places: NDArray[np.int32],
    table: NDArray[np.float32],
    constants: NDArray[np.float32],
) -> NDArray[np.float32]:
    """Return what each byte becomes, in another order: (n, numbers) float32.

    Args:
        pixels: (n, bytes), of three channels in turn.
        places: (numbers,) which byte each number is made of; from `bytes` on, which of the constants it is.
        table: (3 * 256,) what a byte of each channel becomes.
        constants: numbers that depend on no byte.
    """
    out = np.empty((len(pixels), len(places)), np.float32)
    kernel = area("lookup").look_up
    share(
        len(pixels), lambda rows: kernel(out[rows], pixels[rows], places, table, constants), 1 + LEAST // max(1, len(places))
    )
    return out
