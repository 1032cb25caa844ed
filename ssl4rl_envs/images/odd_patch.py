"""Odd patch: which tile does not belong to the picture as it was?"""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
from gymnasium import spaces
from numpy.typing import NDArray

from ssl4rl_envs.answers import AnswerFormat
from ssl4rl_envs.drafts import narrow
from ssl4rl_envs.images.base import ImageTask, one_of
from ssl4rl_envs.images.tiles import NUMBERED, Tiling, numbers, places
from ssl4rl_envs.images.views import comparable, different_pictures, draw_alike
from ssl4rl_envs.kernels import likeness
from ssl4rl_envs.kernels.tiles import MIRRORED, QUARTERS, UPENDED, place
from ssl4rl_envs.sources import ImageSourceLike, Views
from ssl4rl_envs.stream import Stream
from ssl4rl_envs.task import Batch, Level, Score, exact_score

MIN_DIFFERENCE = {"other": 12.0, "turned": 4.0, "flipped": 4.0}
"""An odd tile differs at least so much, in grey levels of 255 on average, from what was there, wherever it is put."""

MIN_PICTURES = 10.0
"""Pictures that differ by less as a whole count as near-duplicates."""

Draft = tuple[Views, Views, NDArray[np.int64], NDArray[np.int64]]


class OddPatch(ImageTask[Draft]):
    """Which tile of the picture is the odd one?

    ## Description
    A picture is cut into grid x grid tiles, and one of them is replaced: by what a picture of another photograph shows at
    the same place (`odd="other"`), by itself turned by 90, 180 or 270 degrees ("turned"), or by itself mirrored ("flipped").
    Both pictures are drawn at one scale and with their pixels in line, so that sharpness tells nothing; those of very
    different sizes are not put together. Only pictures are asked about in which every tile would differ visibly from the
    replacement, so nothing but the odd tile tells where it is.

    ## Observation Space
    `Dict` with `image`: uint8 RGB (image_size, image_size, 3). The text interface adds `prompt`.

    ## Action Space
    `Discrete(grid**2)`: the tiles from left to right, top to bottom; in text their numbers, counted from 1.

    ## Rewards
    1 for the odd tile, 0 otherwise. Chance is 1 / grid**2.

    ## Termination
    After one answer.

    ## Arguments
    - `source`: the pictures; "scenes", "scenes:N", "photos", "faces", "digits", "folder:PATH", or in Python arrays.
    - `image_size`: side of the picture in pixels, a multiple of `grid`.
    - `grid`: tiles a side, 2 to 5.
    - `odd`: "other", "turned" or "flipped".
    - `gap`: what is left out between neighbouring tiles, which hides much of what their edges tell: pixels, or below 1 a
      share of a tile's side.
    - `jitter`: most by which a tile is moved within its cell, to hide more of it; pixels or a share.
    - `light`: how much brightness, contrast and colours of each tile are changed by itself, 0 to 1, to hide more of it.

    ## Registered Configurations
    - `SSL4RL/OddPatch-v0`
    """

    asks = "which tile of the picture is the odd one"

    levels = (
        Level("other-2x2", {"grid": 2, "odd": "other"}),
        Level("other-3x3", {"grid": 3, "odd": "other"}),
        Level("turned-2x2", {"grid": 2, "odd": "turned"}),
        Level("flipped-2x2", {"grid": 2, "odd": "flipped"}),
    )

    legitimate: ClassVar = {
        "edge continuity": "It compares the edges of tiles, and the odd tile does not continue its neighbours. To notice "
        "that is one way of seeing what does not belong; `gap`, `jitter` and `light` hide most of it.",
        "border rows": "It sees the outermost lines of each tile, and those of the odd tile do not fit the tiles beside it. "
        "This is accepted as edge continuity is.",
        "mean colour": "It sees the average colours of each tile, and a tile of another picture has other colours than its "
        "neighbours. What does not belong is what the task asks.",
        "spectrum": "It sees how detailed each tile is. A tile of another picture has other details, and its edges have high "
        "frequencies. What does not belong is what the task asks.",
        "residuals": "It sees the grain of each tile. A tile of another picture has another grain, and a turned or mirrored "
        "one has the grain of another direction. What does not belong is what the task asks.",
        "extremes": "It sees how often each tile is black, white or grey, and the odd tile is so as often as its own picture "
        "is. What does not belong is what the task asks.",
        "boosted trees": "They see all of these measurements together, each of which is accepted by itself.",
        "file size": "It sees how long the picture would be as a file. The odd tile makes it longer, and by how much depends "
        "on the place of that tile. It tells nothing else than how badly the tile fits.",
    }

    def __init__(
        self,
        source: ImageSourceLike = "scenes",
        image_size: int = 60,
        grid: int = 2,
        odd: str = "other",
        gap: float = 0,
        jitter: float = 0,
        light: float = 0.0,
    ) -> None:
        self.odd = one_of("odd", odd, tuple(MIN_DIFFERENCE))
        self.tiling = Tiling(grid, image_size, gap, jitter, light)
        super().__init__(
            source,
            image_size,
            ("image",),
            "pictures with a tile that could be exchanged unseen, or pairs of very different sizes",
        )
        self.action_space = spaces.Discrete(self.tiling.count)
        self.answer_format = AnswerFormat(numbers(self.tiling.count), fillers=(*NUMBERED, "odd one"), listed=True)
        self.chance = 1 / self.tiling.count
        self.check_source(different=2 if odd == "other" else 1)

    def draft(self, stream: Stream) -> Draft:
        """Draw two views alike, where in their cells the tiles are, and two numbers that say how a tile is turned."""
        items = self.source.draw(stream), self.source.draw(stream)
        first, second = draw_alike(stream, self.source, self.tiling.drawn, items)
        return first, second, self.tiling.corners(stream), stream.integers(0, np.array([3, 2]), (2,))

    def askable(self, draft: Draft) -> NDArray[np.bool_]:
        """Return which drafts would show the odd tile wherever it is put."""
        first, second, corners, how = draft
        if self.odd != "other":
            return self._all_odd(first, second, corners, how)
        result = comparable(self.source, first.items, second.items)
        narrow(result, lambda rows: different_pictures(self.source, first.items[rows], second.items[rows], MIN_PICTURES))
        narrow(result, lambda rows: self._all_odd(first.rows(rows), second.rows(rows), corners[rows], how[rows]))
        return result

    def make(self, stream: Stream) -> Batch:
        """Replace one tile of one view a row; observation and target as the class's text says."""
        target = stream.integers(0, self.tiling.count)
        first, second, corners, how = self.draw(stream)
        tiles = self.tiling.draw(stream, self.source, first, corners)
        foreign = self.tiling.draw(stream, self.source, second, corners) if self.odd == "other" else tiles
        image = tiles.joined(np.tile(np.arange(self.tiling.count), (len(target), 1)))
        grid, side = self.tiling.grid, self.tiling.tile
        there, at = (corners[0][target][:, None] for corners in (places(grid, side), foreign.at))
        place(image, there, foreign.pictures, at, side, self._turns(how))
        return Batch({"image": image}, target, first.items)

    def score(self, answers: NDArray[Any], batch: Batch) -> Score:
        """Score 1 for the odd tile, 0 otherwise."""
        return exact_score(answers, batch.target)

    def question(self, batch: Batch) -> list[str]:
        """Ask in words."""
        what = {
            "other": "comes from another picture",
            "turned": "was turned in its place",
            "flipped": "was mirrored in its place",
        }
        grid, count = self.tiling.grid, self.tiling.count
        text = (
            f"This picture is made of {grid} x {grid} tiles, numbered from left to right, top to bottom: 1 to "
            f"{count}. One of "
            f"them {what[self.odd]}. Which one?"
        )
        return [text] * len(batch)

    def example(self) -> int:
        """Return the answer of the instructions' example."""
        return 1

    def _all_odd(self, first: Views, second: Views, corners: NDArray[np.int64], how: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Return which drafts have a tile at every place that differs from what would be put there."""
        tiles = self.tiling.look(self.source, first, corners)
        foreign = self.tiling.look(self.source, second, corners) if self.odd == "other" else tiles
        least = likeness.least(MIN_DIFFERENCE[self.odd], tiles.side)
        return likeness.differ(tiles.pictures, tiles.at, foreign.pictures, foreign.at, tiles.side, self._turns(how), least)

    def _turns(self, how: NDArray[np.int64]) -> NDArray[np.uint8]:
        """Return how what is put in a place is turned, (n, 1)."""
        if self.odd == "turned":
            return QUARTERS[1 + how[:, :1]]
        ways = (MIRRORED, UPENDED) if self.odd == "flipped" else (0, 0)
        return np.array(ways, np.uint8)[how[:, 1:]]
