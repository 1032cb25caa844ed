"""Kernels that add up what pictures hold: how much of each colour, how far from grey, and how much it changes."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ssl4rl_envs import kernels
from ssl4rl_envs.kernels import threads
from ssl4rl_envs.kernels.tensors import over_tensors

TALLIED = ("red", "green", "blue", "chroma", "change")
"""What is added up, in the order of the last axis."""

_NUMBERS = 1 << 15
"""Numbers to be added up that are worth a thread."""


@over_tensors
def tally(pictures: NDArray[np.uint8], parts: int) -> NDArray[np.int64]:
    """Return what pictures (n, side, side, 3) hold in parts, (n, parts, 5); a mirrored picture holds it in the other half.

    Added up over the pixels of a part are red, green, blue and the chroma, which is the strongest channel less the weakest;
    and over the pairs of pixels of it that lie beside or above one another, by how much they differ in each channel.

    Args:
        pictures: uint8 RGB.
        parts: 1 for whole pictures, 2 for their left and right halves; of an odd side the middle column is in neither.
    """
    result = np.empty((len(pictures), parts, len(TALLIED)), np.int64)
    work, shown = kernels.area("tallies").tally, np.ascontiguousarray(pictures)
    least_rows = _NUMBERS // max(1, pictures.shape[1] ** 2 * 3)
    threads.share(len(shown), lambda rows: work(result[rows], shown[rows]), least_rows)
    return result


def pairs(side: int, parts: int) -> int:
    """Return how many pairs of pixels lie beside or above one another in a part."""
    width = side // parts
    return side * (width - 1) + (side - 1) * width
