"""Pictures and their reductions in one flat array, and square views drawn from them.

All arithmetic is on integers, pixel by pixel, so that a view is the same bits in every batch and on every machine. It is also
symmetric: left and right, up and down, rows and columns are treated alike to the last bit, so that a view that is turned by a
multiple of 90 degrees is an exact transpose of the upright one and carries no trace of which it is.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ssl4rl_envs.kernels import pictures as kernels
from ssl4rl_envs.kernels import reductions
from ssl4rl_envs.kernels.tiles import WHOLE
from ssl4rl_envs.memory import recycled
from ssl4rl_envs.sources.base import Views
from ssl4rl_envs.sources.stored import Stored

_CHUNK = 1 << 22  # pixels that are drawn to be reduced at once: little memory, and enough for the threads


class Pyramid:
    """Pictures of any sizes with their reductions by 2, 4, 8, ..., as what views are drawn from.

    Args:
        stored: the pictures; nothing is copied.
    """

    def __init__(self, stored: Stored) -> None:
        self.stored = stored
        self._pixels, self._table = (_read_only(array) for array in (stored.pixels, stored.table))

    def __reduce__(self) -> tuple[type[Pyramid], tuple[Stored]]:
        return Pyramid, (self.stored,)  # the views of its arrays would be pickled as copies

    def pixels(
        self, views: Views, size: int, angle: NDArray[np.int64] | int, to: NDArray[np.int64] = WHOLE
    ) -> NDArray[np.uint8]:
        """Draw views, turned by `angle`, (n,) or one for all, with their tiles at `to`; see `PictureSource`."""
        result = recycled((len(views), size, size, 3), np.uint8)
        kernels.draw(result, self._pixels, self._table, placed(views, angle), to)
        return result

    def twice(self, views: Views, size: int, how: NDArray[np.uint8]) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
        """Draw views, and each once more, turned; see `PictureSource.twice`."""
        result, again = (recycled((len(views), size, size, 3), np.uint8) for _ in range(2))
        kernels.draw(result, self._pixels, self._table, placed(views, 0), again=again, how=how)
        return result, again

    def halved(self, views: Views, size: int, angle: NDArray[np.int64] | int) -> NDArray[np.uint8]:
        """Draw views at twice the size, with a border that is left out when they are reduced to it; angles as in `pixels`."""
        where, large = placed(views, angle), 2 * size + 4
        result = recycled((len(views), size, size, 3), np.uint8)
        chunk = max(1, _CHUNK // (large * large))
        drawn = recycled((min(chunk, len(views)), large, large, 3), np.uint8)
        for start in range(0, len(views), chunk):
            part = result[start : start + chunk]
            kernels.draw(drawn[: len(part)], self._pixels, self._table, where[start : start + chunk])
            reductions.halve(part, drawn[: len(part)])
        return result

    def picture(self, item: int) -> NDArray[np.uint8]:
        """Return a picture as it was given, or enlarged, uint8 RGB (height, width, 3)."""
        return np.ascontiguousarray(np.broadcast_to(picture := self.stored.picture(item), (*picture.shape[:2], 3)))


def placed(views: Views, angle: NDArray[np.int64] | int) -> NDArray[np.int64]:
    """Return views and angles as one array, (n, 5); see `kernels.pictures.draw`."""
    where = np.empty((len(views), 5), np.int64)
    for column, values in enumerate((views.items, views.x, views.y, views.side, angle)):
        where[:, column] = values
    return where


def _read_only(array: NDArray[Any]) -> NDArray[Any]:
    """Return the same array, of one type for the kernels: no memory map, and not to be written."""
    plain = np.asarray(array).view()
    plain.flags.writeable = False
    return plain
