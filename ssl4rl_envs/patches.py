"""Patches: pictures cut into a grid of boxes, what of them is uncovered, and where a teacher looks next."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ssl4rl_envs.kernels.tensors import as_array
from ssl4rl_envs.memory import copy_of

NO_LOOK = -1
"""What stands in the place of a patch where none is looked at."""

ENOUGH = 0.5
"""A teacher looks until it has seen this share of the detail of every picture."""

Pictures = dict[str, NDArray[Any]]
"""Pictures (n, height, width, 3) by name."""


class Patch(NamedTuple):
    """One patch: which picture it is a part of, and which rows and columns of pixels."""

    picture: str
    down: slice
    across: slice

    def of(self, pictures: Pictures) -> NDArray[Any]:
        """Return what it shows of n pictures, (n, height, width, 3), the pixels shared."""
        return pictures[self.picture][:, self.down, self.across]


def cut_into(name: str, shape: Sequence[int], grid: int) -> list[Patch]:
    """Return the grid**2 patches of a picture (height, width, 3), in reading order; sides differ by a pixel at most.

    Raises:
        ValueError: there are more patches than pixels along a side.
    """
    height, width = shape[:2]
    if min(height, width) < grid:
        raise ValueError(f"grid must be at most {min(height, width)}, the side of {name!r} in pixels, got {grid}")
    down, across = ([slice(k * side // grid, (k + 1) * side // grid) for k in range(grid)] for side in (height, width))
    return [Patch(name, rows, columns) for rows in down for columns in across]


def uncover(patches: Sequence[Patch], looks: NDArray[np.int64], covered: Pictures, whole: Pictures) -> Pictures:
    """Return those pictures that some row looks at, with the patches of `looks` (n,) as they are in the whole pictures."""
    pictures: Pictures = {}
    for number in np.unique(looks[looks != NO_LOOK]).tolist():
        name, down, across = patches[number]
        if name not in pictures:
            pictures[name] = copy_of(covered[name])
        rows = np.flatnonzero(looks == number)
        pictures[name][rows, down, across] = whole[name][rows, down, across]
    return pictures


def detail_of(patches: Sequence[Patch], whole: Pictures) -> NDArray[np.int64]:
    """Return the sum of what neighbouring pixels of each patch differ by, in grey levels, (n, patches)."""
    host = {name: as_array(pixels) for name, pixels in whole.items()}
    return np.stack([_roughness(patch.of(host).astype(np.int64)) for patch in patches], axis=1)


def next_looks(detail: NDArray[np.int64], seen: NDArray[np.bool_], each: int) -> NDArray[np.int64]:
    """Return where a teacher looks next, (n,), `NO_LOOK` where it has seen `ENOUGH` of every picture.

    It looks at the picture that comes first of those it has not seen enough of, and there at the patch with most detail, the
    first of equal ones.

    Args:
        detail: (n, patches), see `detail_of`.
        seen: (n, patches) what is uncovered.
        each: how many patches a picture has.
    """
    looks = np.full(len(detail), NO_LOOK, np.int64)
    for first in reversed(range(0, detail.shape[1], each)):
        own, known = detail[:, first : first + each], seen[:, first : first + each]
        short = np.where(known, own, 0).sum(axis=1) < ENOUGH * own.sum(axis=1)
        looks = np.where(short, np.where(known, -1, own).argmax(axis=1) + first, looks)
    return looks


def _roughness(pixels: NDArray[np.int64]) -> NDArray[np.int64]:
    down, across = (np.abs(np.diff(pixels, axis=axis)).sum(axis=(1, 2, 3)) for axis in (1, 2))
    return np.asarray(down + across, np.int64)
