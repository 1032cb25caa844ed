"""Patch ordering: in which order do the shuffled tiles belong?"""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
from gymnasium import spaces
from numpy.typing import NDArray

from ssl4rl_envs.answers import AnswerFormat
from ssl4rl_envs.images import orders
from ssl4rl_envs.images.base import one_of
from ssl4rl_envs.images.tiled import TiledTask
from ssl4rl_envs.images.tiles import APART, NUMBERED, Tiling, numbers
from ssl4rl_envs.sources import ImageSourceLike
from ssl4rl_envs.stream import Stream
from ssl4rl_envs.task import Batch, Level, Score


class PatchOrdering(TiledTask):
    """In which order do the shuffled tiles of a picture belong?

    ## Description
    A square view is cut into grid x grid tiles, which are shuffled: all orders are equally likely, the right one included.
    The answer names, for each place of the whole picture from left to right, top to bottom, the tile that belongs there; the
    tiles as shown are numbered in the same way. For example, 2, 3, 1, 4 says that tile 2 belongs at the top left, tile 3 at
    the top right, tile 1 at the bottom left, and that tile 4 is where it belongs. Views with tiles that look alike are not
    asked about; tiles that are equal to the last bit count as one another. After Noroozi & Favaro, "Unsupervised learning of
    visual representations by solving jigsaw puzzles", 2016.

    ## Observation Space
    `Dict` with `image`: uint8 RGB (image_size, image_size, 3), the shuffled tiles. The text interface adds `prompt`.

    ## Action Space
    `MultiDiscrete([grid**2] * grid**2)`, counted from 0; only permutations are valid. In text the numbers of the tiles,
    counted from 1: `<answer>2, 3, 1, 4</answer>`.

    ## Rewards
    With f the share of places that hold the right tile and n their number, `reward="fraction"` pays
    max(0, (f - 1/n) / (1 - 1/n)), so that a guess of one place is worth nothing, and `reward="exact"` 1 if all are right.
    What is not a permutation gets 0. Chance is the expectation over random orders: 0.125 for 2 x 2 and "fraction". Success
    is the whole order.

    ## Termination
    After one answer.

    ## Arguments
    - `source`: the pictures; "scenes", "scenes:N", "photos", "faces", "digits", "folder:PATH", or in Python arrays.
    - `image_size`: side of the picture in pixels, a multiple of `grid`.
    - `grid`: tiles a side, 2 to 5.
    - `reward`: "fraction" or "exact".
    - `gap`: what is left out between neighbouring tiles, which hides much of what their edges tell: pixels, or below 1 a
      share of a tile's side.
    - `jitter`: most by which a tile is moved within its cell, to hide more of it; pixels or a share.
    - `light`: how much brightness, contrast and colours of each tile are changed by itself, 0 to 1, to hide more of it.

    ## Registered Configurations
    - `SSL4RL/PatchOrdering-v0`
    """

    asks = "in which order the shuffled tiles of the picture belong"

    levels = (
        Level("2x2", {"grid": 2}),
        Level("2x2-gap", {"grid": 2, **APART}),
        Level("3x3", {"grid": 3}),
        Level("3x3-gap", {"grid": 3, **APART}),
    )

    legitimate: ClassVar = {
        "edge continuity": "It compares the edges of tiles, and neighbouring tiles continue one another: that is how people "
        "solve a jigsaw. Levels with a gap leave little of it: in 2x2-gap a matcher by hand earns up to 0.19, one that "
        "learns 0.23 on faces and scenes and 0.46 on digits; chance is 0.125.",
        "matcher": "It has learned which edges of tiles belong together. Without a gap edges tell the order, and that is "
        "accepted as it is for edge continuity.",
        "border rows": "It sees the outermost lines of each tile. The top of a picture differs from its bottom (the sky is "
        "light), so edges tell where in the picture a tile belongs, which is what the task asks.",
        "mean colour": "It sees the average colours of each tile. The top of a picture has other colours than its bottom, "
        "and so have the tiles that come from there. Where a tile belongs is what the task asks.",
        "spectrum": "It sees how detailed each tile is, and the top of a picture differs from its bottom in that as well. "
        "Where a tile belongs is what the task asks.",
        "residuals": "It sees the grain of each tile, and the top of a picture differs from its bottom in that as well. "
        "Where a tile belongs is what the task asks.",
        "extremes": "It sees how often each tile is black, white or grey, and the top of a picture differs from its bottom "
        "in that as well. Where a tile belongs is what the task asks.",
        "file size": "It sees how long the shuffled picture would be as a file. For a simple scene that is longer than the "
        "whole picture, and by how much depends on the order. It tells little, and nothing else than how well tiles fit.",
    }

    def __init__(
        self,
        source: ImageSourceLike = "scenes",
        image_size: int = 60,
        grid: int = 2,
        reward: str = "fraction",
        gap: float = 0,
        jitter: float = 0,
        light: float = 0.0,
    ) -> None:
        self.reward = one_of("reward", reward, orders.REWARDS)
        super().__init__(source, Tiling(grid, image_size, gap, jitter, light))
        count = self.tiling.count
        self.action_space = spaces.MultiDiscrete([count] * count)
        self.answer_format = AnswerFormat(numbers(count), slots=count, distinct=True, fillers=(*NUMBERED, "order"))
        self.chance = orders.chance(count, reward)
        self.check_source()

    def make(self, stream: Stream) -> Batch:
        """Shuffle the tiles of one view a row; observation and target as the class's text says."""
        return self.shuffled(stream, stream.permutation(self.tiling.count))

    def valid(self, answers: NDArray[Any]) -> NDArray[np.bool_]:
        """Return which answers are permutations, (n,)."""
        return orders.permutations(answers, super().valid(answers))

    def score(self, answers: NDArray[Any], batch: Batch) -> Score:
        """Score permutations by the share of right places; a tile that equals the right one is right."""
        valid = self.valid(answers)
        given = np.where(valid[:, None], answers, 0)
        right = self.tiling.same(batch.observation["image"], given, batch.target) & valid[:, None]
        return orders.score(right, self.reward)

    def question(self, batch: Batch) -> list[str]:
        """Ask in words; the direction of the permutation is stated, with an example."""
        rest = "tile 4 is where it belongs" if self.tiling.count == 4 else "all other tiles are where they belong"
        text = (
            f"{self.shuffle_in_words} For each place of the whole picture, in the same order, name the tile that belongs "
            f"there. For example, {self.format(self.example())} says that tile 2 belongs in the first place, tile 3 in "
            f"the second, tile 1 in the third, and {rest}."
        )
        return [text] * len(batch)

    def example(self) -> NDArray[np.int64]:
        """Return the order of the example: the first three tiles in a circle, which tells the two directions apart."""
        order = np.arange(self.tiling.count)
        order[:3] = 1, 2, 0
        return order
