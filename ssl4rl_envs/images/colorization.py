"""Colorization: which colouring of the grey picture is the true one?"""

from __future__ import annotations

import math
from typing import Any, ClassVar

import numpy as np
from gymnasium import spaces
from numpy.typing import NDArray

from ssl4rl_envs.answers import AnswerFormat
from ssl4rl_envs.images.base import ImageTask
from ssl4rl_envs.images.tiles import NUMBERED, numbers, panel_grid, panels
from ssl4rl_envs.images.views import LOOK, draw_views
from ssl4rl_envs.sources import ImageSourceLike, Views
from ssl4rl_envs.stream import Stream
from ssl4rl_envs.task import Batch, Level, Score, exact_score

MIN_CHROMA = 12.0
"""Pictures with less colour (mean distance of a channel from grey, of 255) are not asked about."""

MARGIN = 4
"""Colours stay this far from the least and the greatest value of a channel, of 255."""

MIN_PANEL = 12
"""Least side of a candidate, in pixels."""

_BITS = 12  # of the turns' weights

_FINE = 8  # further bits of a grey level

_CHUNK = 1 << 15  # values worked on at once: what fits a core's cache


class Colorization(ImageTask[Views]):
    """Which colouring of the grey picture is the true one?

    ## Description
    One grey picture is shown in `candidates` colourings: the true one, and others in which all hues are turned round the
    colour circle by multiples of 1 / candidates. All have the same lightness, and all colours are toned down alike until
    no turn would take them out of range, so that no candidate is clipped where another is not; noise of one grey level
    hides how often colours were rounded. Pictures with little colour are not asked about, and a source without any raises.
    After Zhang, Isola & Efros, "Colorful image colorization", 2016.

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
    - `candidates`: how many colourings, 2 to 9.

    ## Registered Configurations
    - `SSL4RL/Colorization-v0`
    """

    asks = "which colouring of the grey picture is the true one"

    levels = (
        Level("candidates-2", {"candidates": 2}),
        Level("candidates-4", {"candidates": 4}),
        Level("candidates-6", {"candidates": 6}),
        Level("candidates-9", {"candidates": 9}),
    )

    legitimate: ClassVar = {
        "mean colour": "things have their colours, and so have whole pictures: skies are blue, meadows green",
        "border rows": "the sky and the ground are at the edges",
        "spectrum": "turned hues change how light the parts of a picture are",
    }

    def __init__(self, source: ImageSourceLike = "scenes", image_size: int = 64, candidates: int = 4) -> None:
        if not 2 <= candidates <= 9:
            raise ValueError(f"candidates must lie in 2 to 9, got {candidates}")
        self.panel = image_size // panel_grid(candidates)
        if self.panel < MIN_PANEL:
            raise ValueError(
                f"{candidates} candidates would be {self.panel} pixels wide; they need at least {MIN_PANEL}: use an "
                "image_size "
                f"of {MIN_PANEL * panel_grid(candidates)} or more"
            )
        super().__init__(source, image_size, ("image",), "nearly grey")
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
        return draw_views(stream, self.source)

    def askable(self, draft: Views) -> NDArray[np.bool_]:
        """Return which views stay colourful when toned down."""
        look = self.source.pixels(draft, LOOK)
        colourful = colourings(look.astype(np.int64) << _FINE, self.candidates)[:, 0].astype(np.int64)
        grey = colourful.sum(axis=-1, keepdims=True)
        # Three times the distance from the mean of the channels, without a rounding.
        apart = np.abs(3 * colourful - grey).sum(axis=(1, 2, 3))
        return np.asarray(apart >= MIN_CHROMA * 9 * LOOK * LOOK, np.bool_)

    def make(self, stream: Stream) -> Batch:
        """Colour one view a row in several ways; observation and target as the class's text says."""
        order = stream.permutation(self.candidates)
        views = self.draw(stream)
        coloured = colourings(dithered(self.source.pixels(views, self.panel), stream), self.candidates)
        shown = coloured[np.arange(len(views))[:, None], order]
        return Batch({"image": panels(shown, self.image_size)}, np.argmin(order, axis=1), views.items)

    def score(self, answers: NDArray[Any], batch: Batch) -> Score:
        """Score 1 for the true colouring, 0 otherwise."""
        return exact_score(answers, batch.target)

    def question(self, batch: Batch) -> list[str]:
        """Ask in words."""
        text = (
            f"This picture shows {self.candidates} colourings of one grey picture, numbered from left to right, "
            "top to bottom: "
            f"1 to {self.candidates}. Which of them has the true colours?"
        )
        return [text] * len(batch)

    def example(self) -> int:
        """Return the answer of the instructions' example."""
        return 1


def dithered(pictures: NDArray[np.uint8], stream: Stream) -> NDArray[np.int64]:
    """Return pictures (n, h, w, 3) in 1/256 of a grey level, with noise of one level (standard deviation).

    Without it the true colours show: they were rounded once, when the picture was drawn, and turned ones twice.
    """
    parts = stream.words(pictures.shape[1:]).view(np.uint8).reshape(*pictures.shape, 8)
    # The sum of eight bytes is close to normal, about 1020 with a standard deviation of 209.
    noise = (parts.sum(axis=-1, dtype=np.int64) - 1020) * (1 << _FINE) // 209
    return np.asarray(np.clip((pictures.astype(np.int64) << _FINE) + noise, 0, 255 << _FINE), np.int64)


def colourings(pictures: NDArray[np.int64], count: int) -> NDArray[np.uint8]:
    """Return pictures with their hues turned by 0, 1 / count, 2 / count ... of the colour circle.

    A turn about the grey axis of the RGB cube keeps the mean of the channels; in its matrix each row is the one before, moved
    by one place. Each pixel is toned down toward grey until no turn of any size takes a channel to within `MARGIN` of black
    or white. Arithmetic is on integers but for a root and a division a pixel, so it is exact in any batch.

    Args:
        pictures: (n, h, w, 3) in 1/256 of a grey level.
        count: how many.

    Returns:
        uint8 (n, count, h, w, 3).
    """
    result = np.empty((len(pictures), count, *pictures.shape[1:]), np.uint8)
    chunk = max(1, _CHUNK // pictures[:1].size)
    for start in range(0, len(pictures), chunk):
        result[start : start + chunk] = _coloured(pictures[start : start + chunk], count)
    return result


def _coloured(pictures: NDArray[np.int64], count: int) -> NDArray[np.uint8]:
    grey3 = pictures.sum(axis=-1)  # three times the grey
    chroma = 3 * pictures - grey3[..., None]  # three times the distance from it
    turned = []
    for k in range(count):
        angle = 2 * math.pi * k / count
        main = (1 + 2 * math.cos(angle)) / 3
        up, down = (1 / 3 - math.cos(angle) / 3 + sign * math.sin(angle) / math.sqrt(3) for sign in (1, -1))
        a, b, c = (round(weight * (1 << _BITS)) for weight in (main, down, up))
        red, green, blue = (chroma[..., channel] for channel in range(3))
        rows = ((a, b, c), (c, a, b), (b, c, a))
        turned.append(np.stack([x * red + y * green + z * blue for x, y, z in rows], axis=-1))
    stack = np.stack(turned, axis=1).astype(np.float64)
    # How far a channel gets from the grey in some turn: true colours come no nearer to their limits than turned ones.
    reach = np.sqrt((chroma**2).sum(axis=-1) * (2 / 3))
    room = np.minimum(grey3, (3 * 255 << _FINE) - grey3) - (3 * MARGIN << _FINE)
    share = np.clip(room / np.maximum(reach, 1), 0, 1) / (1 << _BITS)
    coloured = (grey3[:, None, ..., None] + stack * share[:, None, ..., None]) / (3 << _FINE)
    return np.asarray(np.clip(np.floor(coloured + 0.5), 0, 255), np.uint8)
