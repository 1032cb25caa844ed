"""Colorization: which colouring of a picture is the true one?"""

from __future__ import annotations

import itertools
import math
from typing import Any, ClassVar

import numpy as np
from gymnasium import spaces
from numpy.typing import NDArray

from ssl4rl_envs.answers import AnswerFormat
from ssl4rl_envs.images.base import ImageTask, check_size
from ssl4rl_envs.images.tiles import NUMBERED, PAPER, numbers, panel_grid, panel_places
from ssl4rl_envs.images.views import LOOK, draw_views
from ssl4rl_envs.kernels import likeness
from ssl4rl_envs.kernels import tiles as kernels
from ssl4rl_envs.kernels.tensors import room_beside
from ssl4rl_envs.sources import ImageSourceLike, Views
from ssl4rl_envs.stream import Stream
from ssl4rl_envs.task import Batch, Level, Score, exact_score

MIN_APART = 12.0
"""Pictures with two channels that differ by less, of 255 on average, are not asked about: exchanged, they look the same."""

MIN_PANEL = 12
"""Least side of a candidate, in pixels."""

CHANNELS: tuple[tuple[int, ...], ...] = tuple(itertools.permutations(range(3)))
"""The ways to colour a picture: which channel is shown as red, green and blue. The first is the true one."""


class Colorization(ImageTask[Views]):
    """Which colouring of a picture is the true one?

    ## Description
    One picture is shown in `candidates` colourings: the true one, and others in which red, green and blue are exchanged,
    drawn at random from the five ways to do so. These are all the turns and mirrorings of the colour circle that leave the
    lightness of HSL, saturation and the range of possible colours as they are: what is clipped, or rounded, is so in every
    candidate alike. Pictures with two channels that hardly differ are not asked about, and a source without any colour
    raises. After Zhang, Isola & Efros, "Colorful image colorization", 2016.

    ## Observation Space
    `Dict` with `image`: uint8 RGB (image_size, image_size, 3): the candidates side by side, numbered from left to right, top
    to bottom. The text interface adds `prompt`.

    ## Action Space
    `Discrete(candidates)`; in text the number of the candidate, counted from 1.

    ## Rewards
    1 for the true colouring, 0 otherwise. Chance is 1 / candidates.

    ## Termination
    After one answer.

    ## Arguments
    - `source`: the pictures; "scenes", "scenes:N", "photos", "folder:PATH", or in Python arrays: coloured ones.
    - `image_size`: side of the whole picture in pixels.
    - `candidates`: how many colourings, 2 to 6.

    ## Registered Configurations
    - `SSL4RL/Colorization-v0`
    """

    asks = "which colouring of a picture is the true one"

    levels = (
        Level("candidates-2", {"candidates": 2}),
        Level("candidates-4", {"candidates": 4}),
        Level("candidates-6", {"candidates": 6}),
    )

    legitimate: ClassVar = {
        "mean colour": "It sees the average colours of each candidate. Things have their colours, and so have whole "
        "pictures: skies are blue, meadows are green. To know that is what the task asks.",
        "boosted trees": "They see all measurements together, and so also which colours are light and which go together. To "
        "know that is what the task asks.",
        "border rows": "It sees the outermost lines of each candidate, where the sky and the ground are. What colours these "
        "have is what the task asks.",
        "spectrum": "It sees how light the parts of each candidate look, and exchanged channels change that. This follows "
        "from the colours, which are what the task asks about.",
        "residuals": "It sees how strong the edges in each candidate are, and exchanged channels change that too. This "
        "follows from the colours.",
        "extremes": "It sees how often each candidate is very light or very dark, and exchanged channels change that too. "
        "This follows from the colours.",
        "file size": "It sees how well the bytes of each candidate compress, and bytes lie in the order of the channels. "
        "This follows from the colours: over noise the length of a file tells nothing.",
    }

    def __init__(self, source: ImageSourceLike = "scenes", image_size: int = 64, candidates: int = 4) -> None:
        if not 2 <= candidates <= len(CHANNELS):
            raise ValueError(
                f"candidates must lie in 2 to {len(CHANNELS)}, got {candidates}: three channels can be shown in so many ways"
            )
        check_size(image_size)
        self.panel = image_size // panel_grid(candidates)
        if self.panel < MIN_PANEL:
            raise ValueError(
                f"{candidates} candidates would be {self.panel} pixels wide; they need at least {MIN_PANEL}: use an "
                "image_size "
                f"of {MIN_PANEL * panel_grid(candidates)} or more"
            )
        super().__init__(
            source, image_size, ("image",), "nearly grey, or of one hue that an exchange of channels leaves alone"
        )
        if self.source.grey:
            raise ValueError(
                f"source {self.source.name!r} is grey, and has no colours to ask about; use a coloured one, e.g. scenes"
            )
        self.candidates = candidates
        self.action_space = spaces.Discrete(candidates)
        self.answer_format = AnswerFormat(numbers(candidates), fillers=NUMBERED, listed=True)
        self.chance = 1 / candidates
        self.check_source()

    def draft(self, stream: Stream) -> Views:
        """Draw a view."""
        return draw_views(stream, self.source, self.panel)

    def askable(self, draft: Views) -> NDArray[np.bool_]:
        """Return which views have three channels that all differ."""
        return likeness.coloured(self.source.pixels(draft, LOOK), math.ceil(MIN_APART * LOOK * LOOK))

    def make(self, stream: Stream) -> Batch:
        """Colour one view a row in several ways; observation and target as the class's text says."""
        target = stream.integers(0, self.candidates)
        false = 1 + stream.permutation(len(CHANNELS) - 1)
        views = self.draw(stream)
        column = np.arange(self.candidates)[None, :]
        before = np.minimum(column - (column > target[:, None]), self.candidates - 2)
        ways = np.where(column == target[:, None], 0, np.take_along_axis(false, before, axis=1))
        panel, size = self.source.pixels(views, self.panel), self.image_size
        canvas = room_beside(panel, (len(views), size, size, 3), PAPER)
        kernels.recolour(canvas, panel_places(self.candidates, size, self.panel), panel, np.array(CHANNELS, np.int64)[ways])
        return Batch({"image": canvas}, target, views.items)

    def score(self, answers: NDArray[Any], batch: Batch) -> Score:
        """Score 1 for the true colouring, 0 otherwise."""
        return exact_score(answers, batch.target)

    def question(self, batch: Batch) -> list[str]:
        """Ask in words."""
        text = (
            f"This picture shows {self.candidates} colourings of one picture, numbered from left to right, "
            "top to bottom: "
            f"1 to {self.candidates}. Which of them has the true colours?"
        )
        return [text] * len(batch)

    def example(self) -> int:
        """Return the answer of the instructions' example."""
        return 1
