"""What every source of pictures offers: items to draw, and square views of them.

Two kinds exist: pictures held in memory (`images`) and scenes drawn on demand (`scenes`). Tasks know this contract alone.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ssl4rl_envs.kernels import tiles
from ssl4rl_envs.memory import recycled
from ssl4rl_envs.stream import Stream

UNIT_BITS = 12
UNIT = 1 << UNIT_BITS
"""Positions and lengths of views are integers in 1/4096 of a source pixel."""

TURN = 2880
"""Angles of views are integers in 1/2880 of a full turn (1/8 of a degree)."""


@dataclass(frozen=True)
class Views:
    """n square views: `items` of a source, and centres and sides in 1/4096 of a source pixel, all (n,) int64.

    `x` counts from the left edge of the picture, `y` from the upper one.
    """

    items: NDArray[np.int64]
    x: NDArray[np.int64]
    y: NDArray[np.int64]
    side: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.items)

    def rows(self, rows: NDArray[np.int64] | NDArray[np.bool_] | slice) -> Views:
        """Return the chosen rows."""
        return Views(self.items[rows], self.x[rows], self.y[rows], self.side[rows])

    def beside(self, other: Views) -> Views:
        """Return 2n views: the first of these, the first of others, the second of these, and so on."""
        pairs = ((self.items, other.items), (self.x, other.x), (self.y, other.y), (self.side, other.side))
        return Views(*(np.stack(pair, axis=1).ravel() for pair in pairs))


class PictureSource(ABC):
    """Unlabeled pictures: immutable, split by item, handed out as square views in batches.

    Attributes:
        name: how to call it in messages.
        min_zoom: smallest side of a random view as a share of the picture's shorter side, in (0, 1].
        splits: the splits that hold at least one item.
        grey: whether no picture has a colour.
        smallest: shorter side of the smallest picture, in pixels.
    """

    name: str
    min_zoom: float
    splits: tuple[str, ...]
    grey: bool
    smallest: int

    @property
    @abstractmethod
    def fingerprint(self) -> str:
        """A hex digest of the content: shared by sources of the same pictures in the same order and splits, and no others."""

    @abstractmethod
    def draw(self, stream: Stream) -> NDArray[np.int64]:
        """Draw one item of the stream's split a row, all equally likely, (n,).

        Raises:
            ValueError: the split holds no item.
        """

    @abstractmethod
    def sizes(self, items: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Return heights and widths of pictures in pixels, each (n,)."""

    @abstractmethod
    def photographs(self, items: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return which photograph each item shows (a part of), (n,): items that share one do not count as different."""

    @abstractmethod
    def variety(self, split: str) -> int | None:
        """Return how many different photographs a split holds; None where there is no end of them."""

    @abstractmethod
    def pixels(self, views: Views, size: int, angle: NDArray[np.int64] | int = 0, *, fine: bool = False) -> NDArray[np.uint8]:
        """Draw views and turn what they show.

        Args:
            views: n views; outside a picture its edge pixels are repeated.
            size: side of the output in pixels.
            angle: (n,) or one for all: by how much the picture is turned counter-clockwise, in 1/2880 of a full turn.
            fine: for turns that are no multiples of 90 degrees: draw so that neither interpolation nor the lattice of the
                source's pixels betrays the angle.

        Returns:
            uint8 RGB (n, size, size, 3). A turn by a multiple of 90 degrees is an exact transpose of the upright view.
        """

    def tiles(self, views: Views, size: int, to: NDArray[np.int64]) -> NDArray[np.uint8]:
        """Draw views with their tiles elsewhere: uint8 RGB (n, size, size, 3); of `to` see `kernels.pictures.draw`."""
        drawn = self.pixels(views, size)
        result = self.room(drawn.shape)
        tiles.place(result, to, drawn, *tiles.lattice(size, to.shape[1]))
        return result

    def twice(self, views: Views, size: int, how: NDArray[np.uint8]) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
        """Draw views, and each once more, turned as `how` (n,) says: uint8 RGB (n, size, size, 3); see `kernels.tiles`."""
        drawn = self.pixels(views, size)
        again = self.room(drawn.shape)
        tiles.place(again, tiles.WHOLE, drawn, tiles.WHOLE, size, how[:, None])
        return drawn, again

    def room(self, shape: tuple[int, ...]) -> NDArray[np.uint8]:
        """Return room for pixels like those that `pixels` gives, of any values: an array, or a tensor of their device."""
        return recycled(shape, np.uint8)

    def whole(self, items: NDArray[np.int64]) -> Views:
        """Return the largest centred square view of each item."""
        heights, widths = self.sizes(items)
        return Views(items, widths * UNIT // 2, heights * UNIT // 2, np.minimum(heights, widths) * UNIT)
