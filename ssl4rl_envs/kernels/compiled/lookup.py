"""Numbers that are looked up by bytes, compiled. The arguments are explained in `kernels.lookup`."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ssl4rl_envs.kernels.compiled import jit


@jit
def look_up(
    out: NDArray[np.float32],
    pixels: NDArray[np.uint8],
    places: NDArray[np.int32],
    table: NDArray[np.float32],
    constants: NDArray[np.float32],
) -> None:
    """See `kernels.lookup.look_up`."""
    count, known = pixels.shape
    numbers = len(places)
    entries = np.empty(numbers, np.int32)
    for k in range(numbers):
        entries[k] = places[k] % 3 * 256
    for i in range(count):
        for k in range(numbers):
            place = places[k]
            out[i, k] = table[entries[k] + pixels[i, place]] if place < known else constants[place - known]


def warm() -> None:
    """Compile, or load what was compiled before."""
    one = np.ones(1, np.float32)
    look_up(np.zeros((1, 1), np.float32), np.zeros((1, 3), np.uint8), np.zeros(1, np.int32), np.zeros(768, np.float32), one)
