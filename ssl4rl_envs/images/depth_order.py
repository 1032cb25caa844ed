"""Depth order: which of the marked things is nearest?"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from gymnasium import spaces
from numpy.typing import NDArray

from ssl4rl_envs.answers import AnswerFormat
from ssl4rl_envs.drafts import narrow
from ssl4rl_envs.images import marks
from ssl4rl_envs.images.base import ImageTask
from ssl4rl_envs.images.casts import (
    FLOATING,
    LEAST_CHANGE,
    LOOK,
    OUT_OF_SIGHT,
    Cast,
    Floats,
    differences,
    draw_cast,
    drawn,
    heading,
    named,
    over,
    within,
)
from ssl4rl_envs.images.tiles import NUMBERED, numbers
from ssl4rl_envs.images.views import draw_views
from ssl4rl_envs.kernels import casts
from ssl4rl_envs.sources import ImageSourceLike, Views
from ssl4rl_envs.sources.base import TURN
from ssl4rl_envs.stream import Stream
from ssl4rl_envs.task import Batch, Level, Score, exact_score

SIZES = {2: (0.36, 0.48), 3: (0.44, 0.54)}

SHOWS = 0.015
"""Least share of the picture in which it shows which of two things is in front."""

ROUNDED = 8
"""By how much rounding can change how much two pixels differ, in the sum over the channels: at most 3 was seen."""


@dataclass(frozen=True)
class Draft:
    """What a question is made of, apart from the order.

    Args:
        views: what is behind.
        cast: the things, by number.
        centres: (n, things, 2).
        marks: (n, things, 2) where the middles of their marks are; written by `DepthOrder.askable`.
    """

    views: Views
    cast: Cast
    centres: Floats
    marks: Floats

    def rows(self, rows: NDArray[np.int64]) -> Draft:
        """Return the chosen rows."""
        return Draft(self.views.rows(rows), self.cast.rows(rows), self.centres[rows], self.marks[rows])


class DepthOrder(ImageTask[Draft]):
    """Which of the marked things is nearest?

    ## Description
    Balloons, kites and birds hang in the air before a picture, and each overlaps each of the others. They are marked by
    numbers. Which of them is in front of which is drawn after everything else, and all orders are equally likely, so neither
    size nor height tells how near a thing is: it is nearer than what it hides. Only such things are asked about of which
    any two, whichever were in front, would show it; and a mark stands on its own thing, clear of all others, where it would
    stand in any order.
    After Zhan et al., "Self-supervised scene de-occlusion", 2020; things over pictures as in Dosovitskiy et al., "FlowNet",
    2015.

    ## Observation Space
    `Dict` with `image`: uint8 RGB (image_size, image_size, 3). The text interface adds `prompt`.

    ## Action Space
    `Discrete(things)`; in text the number of the thing, counted from 1.

    ## Rewards
    1 for the thing that is in front of all others, 0 otherwise. Chance is 1 / things.

    ## Termination
    After one answer.

    ## Arguments
    - `source`: what is behind; "scenes", "scenes:N", "photos", "faces", "digits", "folder:PATH", or in Python arrays.
    - `image_size`: side of the picture in pixels, 36 or more.
    - `things`: 2 or 3.
    - `overlap`: how far the things reach over one another, 0.3 to 1.

    ## Registered Configurations
    - `SSL4RL/DepthOrder-v0`
    """

    asks = "which of the marked things is nearest"

    levels = (
        Level("2", {"things": 2}),
        Level("2-edge", {"things": 2, "overlap": 0.4}),
        Level("3", {"things": 3}),
    )

    def __init__(
        self, source: ImageSourceLike = "scenes", image_size: int = 64, things: int = 2, overlap: float = 0.7
    ) -> None:
        if things not in SIZES:
            raise ValueError(f"things must be 2 or 3, got {things}")
        if not 0.3 <= overlap <= 1:
            raise ValueError(f"overlap must lie in 0.3 to 1, got {overlap}")
        super().__init__(source, image_size, ("image",), "things that do not show which is in front")
        if image_size < marks.MIN_SIZE:
            raise ValueError(
                f"image_size must be at least {marks.MIN_SIZE} pixels, so that marks hide little, got {image_size}"
            )
        self.things, self.overlap = things, overlap
        self.action_space = spaces.Discrete(things)
        self.answer_format = AnswerFormat(
            numbers(things), fillers=(*NUMBERED, "thing", "mark", "marked", "nearest"), listed=True
        )
        self.chance = 1 / things
        self.check_source()

    def draft(self, stream: Stream) -> Draft:
        """Draw a view and things that lie across one another, evenly round a middle."""
        views = draw_views(stream, self.source, self.image_size)
        cast = draw_cast(stream, FLOATING, self.things, SIZES[self.things])
        first, spread = stream.integers(0, TURN), stream.uniform((self.things,))
        angles = first[:, None] + np.arange(self.things) * (TURN // self.things)
        apart = (0.62 - 0.36 * self.overlap + 0.12 * spread) * cast.size
        offsets = (apart * (0.5 if self.things == 2 else 0.58))[..., None] * heading(angles)
        half = cast.half()
        low, high = (half - offsets).max(axis=1), (1.0 - half - offsets).min(axis=1)
        centres = within(stream, low, high)[:, None] + offsets
        return Draft(views, cast, centres, np.zeros_like(centres))

    def askable(self, draft: Draft) -> NDArray[np.bool_]:
        """Return which things show of any two which is in front, and have room for their marks; choose where these are."""
        look = min(LOOK, self.image_size)
        alone, orders = np.split(over_key(*self._frames(draft), look), [self.things], axis=1)
        found, unsure = self._told(orders)
        narrow(found, lambda rows: self._places(draft, alone[rows], rows))
        narrow(found, lambda rows: ~unsure[rows] | self._shows(draft.rows(rows), look))
        return found

    def make(self, stream: Stream) -> Batch:
        """Show things in one order a row; observation and target as the class's text says."""
        order = stream.permutation(self.things)
        draft = self.draw(stream)
        centres = np.take_along_axis(draft.centres, order[..., None], axis=1)[:, None]
        image = drawn(self.source, draft.views, self.image_size, draft.cast.order(order), centres)[:, 0]
        marks.mark(image, draft.marks)
        memory = {"things": draft.cast.things, "order": order}
        return Batch({"image": image}, order[:, -1].copy(), draft.views.items, memory)

    def score(self, answers: NDArray[Any], batch: Batch) -> Score:
        """Score 1 for the nearest thing, 0 otherwise."""
        return exact_score(answers, batch.target)

    def question(self, batch: Batch) -> list[str]:
        """Ask in words."""
        which, listed = ("nearer", "1 or 2") if self.things == 2 else ("nearest", "1, 2 or 3")
        text = (
            f"{self.things} things in the air are marked by numbers. What is nearer hides what is behind it. Which of them "
            f"is {which}: {listed}?"
        )
        return [text] * len(batch)

    def example(self) -> int:
        """Return the answer of the instructions' example."""
        return 1

    def rationale(self, batch: Batch) -> list[str]:
        """Say of n questions what hides what, (n,)."""
        reasons = []
        for things, order in zip(batch.memory["things"], batch.memory["order"], strict=True):
            hidden = " and ".join(f"the {named(things[k])} marked {k + 1}" for k in order[:-1])
            reasons.append(
                f"The {named(things[order[-1]])} marked {order[-1] + 1} hides a part of {hidden}, so it is nearer."
            )
        return reasons

    @property
    def _pairs(self) -> list[tuple[int, int]]:
        """Any two of the things."""
        return [(one, other) for other in range(self.things) for one in range(other)]

    def _frames(self, draft: Draft) -> tuple[Cast, Floats]:
        """Return things and centres of frames that show each thing alone, then any two of them in both of their orders."""
        many = self.things
        twice = [*range(many), *range(many - 1)]  # so that each two of them stand in either order
        frames: list[tuple[int, ...]] = [(one,) for one in range(many)]
        frames += [pair for one, other in self._pairs for pair in ((one, other), (other, many + one))]
        shown = np.full((len(draft.marks), len(frames), len(twice), 2), OUT_OF_SIGHT)
        for frame, places in enumerate(frames):
            for place in places:
                shown[:, frame, place] = draft.centres[:, twice[place]]
        return draft.cast.order(np.broadcast_to(np.array(twice), (len(shown), len(twice)))), shown

    def _told(self, orders: NDArray[np.uint8]) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
        """Return of which drafts it may show which of any two things is in front, and of which it depends on rounding, (n,).

        What is behind two things shows through them alike in both orders. So by how much a pixel differs between these is
        the same over any picture, but for rounding, and most drafts need not be drawn over theirs.
        """
        surely, maybe = (self._differ(orders, LEAST_CHANGE + more) for more in (ROUNDED, -ROUNDED))
        return maybe, ~surely

    def _shows(self, draft: Draft, look: int) -> NDArray[np.bool_]:
        """Return of which drafts any two things look different, over their picture, in both of their orders, (n,)."""
        cast, shown = self._frames(draft)
        return self._differ(drawn(self.source, draft.views, look, cast, shown[:, self.things :]))

    def _differ(self, orders: NDArray[np.uint8], least: int = LEAST_CHANGE) -> NDArray[np.bool_]:
        """Return in which rows all pairs of pictures, each two in a row, differ enough, (n,)."""
        told = differences(orders, [(number, number + 1) for number in range(0, orders.shape[1], 2)], least)
        return np.asarray((told >= SHOWS).all(axis=1), np.bool_)

    def _places(self, draft: Draft, alone: NDArray[np.uint8], rows: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Choose in some rows a place for each mark, on its thing, clear of all others, as near to its middle as can be.

        No mark may hide another. A place is looked for among the points of the pictures (k, things, look, look, 3) that show
        each thing alone. What has no such place has no room, and is not asked about.
        """
        look, centres, cast = alone.shape[2], draft.centres[rows], draft.cast.rows(rows)
        reach = -(-marks.side_of(self.image_size) * look // (2 * self.image_size)) + 1
        best = casts.clear_places(alone, centres + cast.offsets(), reach)
        middles = draft.marks[rows] = (np.stack([best % look, best // look], axis=-1) + 0.5) / look
        corners = marks.corners(middles, self.image_size)
        apart = np.abs(corners[:, :, None] - corners[:, None]).max(axis=-1) >= marks.side_of(self.image_size)
        return np.asarray((best >= 0).all(axis=1) & (apart | np.eye(self.things, dtype=np.bool_)).all(axis=(1, 2)), np.bool_)


def over_key(cast: Cast, centres: Floats, size: int) -> NDArray[np.uint8]:
    """Draw things frame by frame over nothing but `kernels.casts.KEY`; see `casts.drawn`."""
    key = np.broadcast_to(np.array(casts.KEY, np.uint8), (size, size, 3)).copy()
    backdrop = np.empty((len(centres), size, size, 3), np.uint8)
    backdrop[:] = key
    return over(backdrop, cast, centres)
