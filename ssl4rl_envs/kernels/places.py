"""Kernels that place views in pictures, so that nothing of how they are drawn tells where; see `images.views`.

Lengths are integers: sides of pictures in pixels, all of views in 1/4096 of a pixel. What is drawn at random is settled by
words of 64 bits, the first of them for the side, then two for y and two for x: where in a square, and by how many cells from
there.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ssl4rl_envs import kernels

Lengths = NDArray[np.int64]
Words = NDArray[np.uint64]

CELL, SIDE, EDGE, LARGEST = range(4)
"""Columns of frames: see `images.views.Frame`."""

DRAWS = 5
"""Words that settle a view."""


def frames(shorter: Lengths, size: int, margin: int) -> Lengths:
    """Return the frames (n, 4) of pictures by their shorter sides (n,); see `images.views.frame_of`."""
    result = np.empty((len(shorter), 4), np.int64)
    kernels.area("places").frames(result, shorter, size, margin)
    return result


def place(words: Words, frames: Lengths, shape: tuple[Lengths, Lengths], zoom: tuple[int, int]) -> tuple[Lengths, Lengths]:
    """Place views.

    Args:
        words: (n, `DRAWS`).
        frames: (n, 4).
        shape: heights and widths of the pictures, (n,) each.
        zoom: in 1/4096: the largest side as a share of the frame's, and the smallest as a share of that.

    Returns:
        (3, n) x, y and sides; and (n,) how wide what the views may touch is.

    Raises:
        ValueError: a picture has no room for a view.
    """
    places, reach = np.empty((3, len(words)), np.int64), np.empty(len(words), np.int64)
    if not kernels.area("places").place(places, reach, words, frames, *shape, *zoom):
        raise ValueError(
            f"a picture of {int(shape[0].min())} x {int(shape[1].min())} pixels or more has no room for a view that keeps "
            "clear of its edges; use larger pictures"
        )
    return places, reach


def beside(
    places: Lengths, reach: Lengths, frames: Lengths, shape: tuple[Lengths, Lengths], others: tuple[Lengths, Lengths]
) -> Lengths:
    """Place second views in other pictures as the first are placed in theirs, a whole number of cells from there.

    Args:
        places: (3, n), of the first; see `place`.
        reach: see `place`.
        frames: (n, 4), of the smaller picture of each pair.
        shape: heights and widths of the first pictures.
        others: heights and widths of the others.

    Returns:
        (2, n) x and y.
    """
    result = np.empty((2, len(reach)), np.int64)
    kernels.area("places").beside(result, places, reach, frames, *shape, *others)
    return result
