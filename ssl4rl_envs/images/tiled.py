"""TiledTask: what tasks over the shuffled tiles of a picture share."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ssl4rl_envs.images.base import ImageTask
from ssl4rl_envs.images.tiles import Tiling
from ssl4rl_envs.images.views import draw_views
from ssl4rl_envs.sources import ImageSourceLike, Views
from ssl4rl_envs.stream import Stream
from ssl4rl_envs.task import Batch

MIN_DIFFERENCE = 4.0
"""Pictures with two tiles that differ by less, in grey levels of 255 on average, are not asked about."""

Draft = tuple[Views, NDArray[np.int64]]
"""A view, and where in their cells the tiles are; see `Tiling.corners`."""


class TiledTask(ImageTask[Draft]):
    """A task over pictures whose tiles were shuffled.

    Args:
        source: the pictures; see `load_images`.
        tiling: how they are cut.
    """

    def __init__(self, source: ImageSourceLike, tiling: Tiling) -> None:
        super().__init__(source, tiling.image_size, ("image",), "pictures with tiles that look alike")
        self.tiling = tiling

    def draft(self, stream: Stream) -> Draft:
        """Draw a view, and where in their cells the tiles are."""
        return draw_views(stream, self.source, self.tiling.drawn), self.tiling.corners(stream)

    def askable(self, draft: Draft) -> NDArray[np.bool_]:
        """Return which views have tiles that all look different."""
        return self.tiling.distinct(self.source, *draft, MIN_DIFFERENCE)

    def shuffled(self, stream: Stream, order: NDArray[np.int64]) -> Batch:
        """Show one view a row with tile `order[:, j]` at place j; the target says which belongs at each place."""
        views, corners = self.draw(stream)
        target = np.argsort(order, axis=1, kind="stable")
        image = self.tiling.shuffled(stream, self.source, views, corners, target)
        return Batch({"image": image}, target, views.items)

    @property
    def shuffle_in_words(self) -> str:
        """What was done to the picture, and how its tiles are numbered."""
        grid, count = self.tiling.grid, self.tiling.count
        return (
            f"A picture was cut into {grid} x {grid} tiles, which were shuffled. Number the tiles as you see them from left "
            f"to right, top to bottom: 1 to {count}."
        )
