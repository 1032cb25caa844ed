"""Kernels that draw things over pictures, frame by frame, and count which pixels that changed."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ssl4rl_envs import kernels
from ssl4rl_envs.kernels import threads
from ssl4rl_envs.kernels.tensors import over_tensors

Bytes = NDArray[np.uint8]
Integers = NDArray[np.int64]

_WORTH, _PREPARING = 50_000, 500
"""Output pixels that are worth a thread, and as how many pixels it counts to prepare the parts of a thing."""

_COMPARED = 1 << 17
"""Numbers to be compared that are worth a thread."""

KEY = (255, 0, 255)
"""No part of a thing has a colour near this one, so what is drawn over it can be cut out."""


@over_tensors
def paint(out: Bytes, backdrop: Bytes, things: Integers, poses: NDArray[np.float64]) -> None:
    """Draw things over pictures, sharp at any size; what stands later in a row is drawn over what stands before it.

    Args:
        out: (n, frames, size, size, 3), which is written.
        backdrop: (n, size, size, 3), what all frames of a row show behind the things.
        things: (n, k, 3) their kinds, as positions in KINDS of `sources.scene_models`, -1 where there is none, and their main
            and second colours, as positions in COLOURS.
        poses: (n, frames, k, 4), where the foot of each is, as shares of the picture from its left and upper edge, how high
            one unit of its model is, as such a share, and 1, or -1 where it is mirrored.
    """
    count, frames, size = out.shape[:3]
    work = kernels.area("casts").paint
    arrays: list[NDArray[Any]] = [np.ascontiguousarray(backdrop), np.array(things, np.int64), np.array(poses, np.float64)]
    least = 1 + _WORTH // (frames * (_PREPARING * things.shape[1] + size**2))
    threads.share(count, lambda rows: work(out[rows], *(array[rows] for array in arrays)), least)


@over_tensors
def changed(pictures: Bytes, pairs: Integers, least: int) -> Integers:
    """Return how many pixels differ between pictures of a row, pair by pair, (n, pairs).

    Args:
        pictures: (n, m, size, size, 3).
        pairs: (pairs, 2) numbers of the pictures.
        least: what counts as a difference: so much in the sum over the channels, in grey levels of 255.
    """
    result = np.empty((len(pictures), len(pairs)), np.int64)
    work, pictures = kernels.area("casts").changed, np.ascontiguousarray(pictures)
    least_rows = 1 + _COMPARED // (1 + 3 * pictures.shape[2] ** 2 * len(pairs))
    threads.share(len(result), lambda rows: work(result[rows], pictures[rows], pairs, least), least_rows)
    return result


def clear_places(pictures: Bytes, middles: NDArray[np.float64], reach: int) -> Integers:
    """Return for each of k things the pixel of its own that is nearest to its middle and clear of all others, (n, k).

    Args:
        pictures: (n, k, size, size, 3), each showing one thing on `KEY`.
        middles: (n, k, 2), right and down, as shares of the picture.
        reach: so many rows and columns around the pixel are covered by no other thing; at the edges around that one inside
            of which `reach` - 1 lie in the picture on all sides.

    Returns:
        Numbers of pixels in reading order, the first of those that are equally near; -1 where there is none.
    """
    result = np.empty(middles.shape[:2], np.int64)
    work = kernels.area("casts").clear_places
    arrays: list[NDArray[Any]] = [pictures, np.ascontiguousarray(middles)]
    least = 1 + _COMPARED // (1 + 6 * pictures.shape[1] * pictures.shape[2] ** 2)
    threads.share(len(result), lambda rows: work(result[rows], *(array[rows] for array in arrays), reach), least)
    return result
