"""Kernels that draw scenes."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ssl4rl_envs import kernels
from ssl4rl_envs.kernels import threads

Integers = NDArray[np.int64]

_WORTH, _COMPOSING = 50_000, 2_500
"""Output pixels that are worth a thread, and as how many pixels it counts to compose a scene and to prepare its shapes."""


def draw(
    out: NDArray[np.uint8],
    items: Integers,
    places: tuple[Integers, Integers, Integers],
    angles: Integers,
) -> None:
    """Draw square views of scenes and turn them.

    Args:
        out: (n, size, size, 3), which is written.
        items: (n,) which scenes these are.
        places: x and y of the middles of the views and their sides, (n,) each, as in `sources.base.Views`.
        angles: (n,) by how much the pictures are turned counter-clockwise, in 1/2880 of a full turn; quarter turns are exact
            transposes of what is drawn with the rest of the turn.

    Raises:
        ValueError: an item is negative.
    """
    work = kernels.area("scenes").draw
    arrays = [np.array(array, np.int64) for array in (items, *places, angles)]  # of one type and layout
    if len(out) and arrays[0].min() < 0:
        raise ValueError(f"items of scenes are integers from 0 on, got {arrays[0].min()}")
    least = 1 + _WORTH // (_COMPOSING + out.shape[1] ** 2)
    threads.share(len(out), lambda rows: work(out[rows], *(array[rows] for array in arrays)), least)
