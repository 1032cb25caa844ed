"""Kernels that draw scenes."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ssl4rl_envs import kernels
from ssl4rl_envs.kernels import threads

Integers = NDArray[np.int64]

_PIXELS = 1 << 13
"""Output pixels that are worth a thread."""


def draw(
    out: NDArray[np.uint8],
    items: Integers,
    places: tuple[Integers, Integers, Integers],
    tilts: Integers,
    quarters: Integers,
) -> None:
    """Draw square views of scenes and turn them.

    Args:
        out: (n, size, size, 3), which is written.
        items: (n,) which scenes these are.
        places: x and y of the middles of the views and their sides, (n,) each, as in `sources.base.Views`.
        tilts: (n,) by how much the pictures are turned counter-clockwise, in 1/2880 of a full turn, from -360 to 359.
        quarters: (n,) by how many quarter turns they are turned after that, 0 to 3.
    """
    work = kernels.area("scenes").draw
    arrays = [np.array(array, np.int64) for array in (items, *places, tilts, quarters)]  # of one type and layout
    threads.share(len(out), lambda rows: work(out[rows], *(array[rows] for array in arrays)), _PIXELS // out.shape[1] ** 2)
