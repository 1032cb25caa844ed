"""Patch position: in which cell of the grid does the crop lie?"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from gymnasium import spaces
from numpy.typing import NDArray

from ssl4rl_envs.answers import AnswerFormat
from ssl4rl_envs.images import augmentations
from ssl4rl_envs.images.base import ImageTask
from ssl4rl_envs.images.tiles import GRIDS, NUMBERED, numbers
from ssl4rl_envs.images.views import draw_views, frame_of, parts_of
from ssl4rl_envs.kernels import likeness
from ssl4rl_envs.sources import ImageSourceLike, Views
from ssl4rl_envs.sources.base import UNIT
from ssl4rl_envs.stream import Stream
from ssl4rl_envs.task import Batch, Level, Score, exact_score

MIN_DIFFERENCE = 5.0
"""Crops that differ by less from what some other cell shows, in grey levels of 255 on average, are not asked about."""

QUADRANTS = ("top left", "top right", "bottom left", "bottom right")

_CELL, _CROP = 6, 4
"""A crop is 4 / 6 of a cell wide; pictures are compared at 6 pixels a cell."""

_SPOTS = _CELL - _CROP + 1
"""A crop may lie in so many places along each side of its cell."""


@dataclass(frozen=True)
class Draft:
    """What a question is made of, apart from the cell.

    Args:
        views: of the pictures.
        order: (n, 9) the places in a cell where a crop may lie, in the order in which they are tried.
        phases: (n, 2) where the pixels of the picture lie under the crop, in 1/4096 of a source pixel.
        spots: (n, cells) the places that were found, one a cell; written by `PatchPosition.askable`.
    """

    views: Views
    order: NDArray[np.int64]
    phases: NDArray[np.int64]
    spots: NDArray[np.int64]


class PatchPosition(ImageTask[Draft]):
    """In which cell of the grid does the crop lie?

    ## Description
    A picture is divided into grid x grid cells, and a crop of two thirds of a cell's side is taken from within one of them
    and shown enlarged. It is of a place in its cell that looks like no part of another cell. Pictures where any of the cells
    has no such place are not asked about, so the picture alone does not tell which cell it is. `augmentation` changes the
    crop's looks, and the question says so. After Doersch, Gupta & Efros, "Unsupervised visual representation learning by
    context prediction", 2015.

    ## Observation Space
    `Dict` with `crop` and `image`: uint8 RGB (image_size, image_size, 3). The text interface adds `prompt`.

    ## Action Space
    `Discrete(grid**2)`: the cells from left to right, top to bottom. In text `<answer>top left</answer>` and so on for
    quadrants, and for finer grids the number of the cell, counted from 1.

    ## Rewards
    1 for the right cell, 0 otherwise. Chance is 1 / grid**2.

    ## Termination
    After one answer.

    ## Arguments
    - `source`: the pictures; "scenes", "scenes:N", "photos", "faces", "digits", "folder:PATH", or in Python arrays.
    - `image_size`: side of both pictures in pixels.
    - `grid`: cells a side, 2 to 5.
    - `augmentation`: what is done to the crop: "none", "weak" (mirrored at random, mild changes of light) or "strong"
      (colour,
      blur and more).

    ## Registered Configurations
    - `SSL4RL/PatchPosition-v0`
    """

    asks = "in which cell of the picture a crop lies"

    levels = (
        Level("2x2", {"grid": 2}),
        Level("2x2-weak", {"grid": 2, "augmentation": "weak"}),
        Level("2x2-strong", {"grid": 2, "augmentation": "strong"}),
    )

    legitimate: ClassVar = {
        "tile duplicates": "It compares the pixels of the crop with those of the picture, and without `augmentation` it "
        "finds the crop there. To find the crop is what the task asks; augmented levels ask for more than equal pixels.",
        "border rows": "It sees the outermost lines of the crop. The upper cells of a picture differ from the lower ones, so "
        "these lines tell which cell the crop is from, which is what the task asks.",
        "mean colour": "It sees the average colours of the crop, and the upper cells of a picture differ from the lower ones "
        "in colour. Which cell it is from is what the task asks.",
        "spectrum": "It sees how detailed the crop is, and the cells of a picture differ in that as well. Which cell it is "
        "from is what the task asks.",
        "residuals": "It sees the grain of the crop, and the cells of a picture differ in that as well. Which cell it is "
        "from is what the task asks.",
        "extremes": "It sees how often the crop is black, white or grey, and the cells of a picture differ in that as well. "
        "Which cell it is from is what the task asks.",
        "boosted trees": "They see all of these measurements together, each of which is accepted by itself.",
        "file size": "It sees how long the crop would be as a file, and the cells of a picture differ in that as well. Which "
        "cell it is from is what the task asks.",
    }

    def __init__(
        self, source: ImageSourceLike = "scenes", image_size: int = 64, grid: int = 2, augmentation: str = "none"
    ) -> None:
        if grid not in GRIDS:
            raise ValueError(f"grid must be one of {', '.join(map(str, GRIDS))}, got {grid}")
        self.change = augmentations.describe(augmentation)
        super().__init__(source, image_size, ("crop", "image"), "pictures with cells that look alike")
        self.grid, self.augmentation = grid, augmentation
        self.action_space = spaces.Discrete(grid * grid)
        self.answer_format = AnswerFormat(
            QUADRANTS if grid == 2 else numbers(grid * grid),
            synonyms=_other_names() if grid == 2 else {},
            fillers=(*NUMBERED, "quarter", "quadrant", "corner", "hand", "crop", "lies"),
            listed=True,
        )
        self.chance = 1 / grid**2
        self.check_source()

    def draft(self, stream: Stream) -> Draft:
        """Draw a view, and the order in which places for a crop are tried: 0, 1 or 2 sixths of a cell from its edges."""
        views = draw_views(stream, self.source, self.image_size)
        order = stream.permutation(_SPOTS * _SPOTS)
        phases = stream.below(np.repeat(self._lattice(views)[:, None], 2, axis=1))
        return Draft(views, order, phases, np.empty((len(views), self.grid**2), np.int64))

    def askable(self, draft: Draft) -> NDArray[np.bool_]:
        """Return which views have in every cell a crop like nothing in another cell; choose the first such of each."""
        look = self.source.pixels(draft.views, self.grid * _CELL)
        least = likeness.least(MIN_DIFFERENCE, _CROP)
        draft.spots[:] = likeness.first_lonely(look, draft.order, self.grid, _CROP, least)
        return draft.spots[:, 0] >= 0

    def make(self, stream: Stream) -> Batch:
        """Show one view and a crop of it a row; observation and target as the class's text says."""
        target = stream.integers(0, self.grid**2)
        draft = self.draw(stream)
        views, phases = draft.views, draft.phases
        offsets = np.stack(np.divmod(draft.spots[np.arange(len(target)), target], _SPOTS), axis=1)
        corner = np.stack([target // self.grid, target % self.grid], axis=1) * _CELL + offsets
        # Positions in units of the check's pixels, of which the view is `across` wide.
        across = self.grid * _CELL
        middle = 2 * corner + _CROP - across
        crops = parts_of(views, middle[:, 1], middle[:, 0], _CROP, across)
        # The pixels of an enlarged picture show, and must not tell the cell: the crop is moved by part of one, into its cell.
        step = self._lattice(views)
        y, x = (
            centre + (phase - centre + step * offset // 2) % step - step * offset // 2
            for centre, phase, offset in zip((crops.y, crops.x), phases.T, offsets.T, strict=True)
        )
        crop = self.source.pixels(Views(crops.items, x, y, crops.side), self.image_size)
        if self.change:
            crop = augmentations.augment(crop, stream, self.augmentation)
        return Batch({"crop": crop, "image": self.source.pixels(views, self.image_size)}, target, views.items)

    def score(self, answers: NDArray[Any], batch: Batch) -> Score:
        """Score 1 for the right cell, 0 otherwise."""
        return exact_score(answers, batch.target)

    def question(self, batch: Batch) -> list[str]:
        """Ask in words."""
        change = f" The crop was {self.change}." if self.change else ""
        if self.grid == 2:
            where = f"In which quarter of the second picture does it lie: {', '.join(QUADRANTS[:3])} or {QUADRANTS[3]}?"
        else:
            where = (
                f"The second picture is divided into {self.grid} x {self.grid} cells, numbered from left to right, top to "
                f"bottom: 1 to {self.grid**2}. In which cell does the crop lie?"
            )
        return [f"The first picture is a crop of the second, enlarged.{change} {where}"] * len(batch)

    def example(self) -> int:
        """Return the answer of the instructions' example."""
        return 1

    def _lattice(self, views: Views) -> NDArray[np.int64]:
        """Return how far apart the coarsest pixels are that views are drawn from, in 1/4096 of a source pixel, (n,)."""
        return frame_of(np.minimum(*self.source.sizes(views.items)), self.image_size).cell * UNIT


def _other_names() -> dict[str, str]:
    """Return what else the quadrants are called: upper or north, in either order, with a comma or a slash."""
    rows = {"top": ("top", "upper"), "bottom": ("bottom", "lower")}
    names: dict[str, str] = {}
    for quadrant in QUADRANTS:
        row, side = quadrant.split()
        pairs = [(other, side) for other in rows[row]] + [
            ({"top": "north", "bottom": "south"}[row], {"left": "west", "right": "east"}[side])
        ]
        for first, second in pairs:
            words = [
                first + second,
                *(f"{one}{mark}{two}" for one, two in ((first, second), (second, first)) for mark in (" ", ", ", "/")),
            ]
            names |= dict.fromkeys(words, quadrant)
    del names["top left"], names["top right"], names["bottom left"], names["bottom right"]
    return names
