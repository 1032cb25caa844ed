"""Comparison: which half of a picture, or which of two pictures, is brighter, redder, busier?"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from gymnasium import spaces
from numpy.typing import NDArray

from ssl4rl_envs.answers import AnswerFormat
from ssl4rl_envs.drafts import unchanging
from ssl4rl_envs.images import aspects
from ssl4rl_envs.images.aspects import ASPECTS, NAMES
from ssl4rl_envs.images.base import MIN_ACCEPTED, ImageTask, one_of
from ssl4rl_envs.images.views import draw_views
from ssl4rl_envs.kernels import tallies, tiles
from ssl4rl_envs.sources import ImageSourceLike, Views
from ssl4rl_envs.stream import Stream
from ssl4rl_envs.task import Batch, Level, Score, exact_score

Whole = NDArray[np.int64]

ANSWERS = {"halves": ("left", "right"), "pair": ("first", "second")}
"""What is compared, and how the one and the other are called."""

LOOKED_AT = 512
"""Drafts of each split by which it is decided what a source can be asked about."""

OF_THE_WHOLE = ("mean colour", "residuals", "extremes")
"""Solvers that see a picture as a whole, of which its halves cannot be told apart."""

_SEES = "It sees how {} the pictures are in their parts, and to compare pictures by what can be measured of them is the task."


@dataclass(frozen=True)
class Draft:
    """What a question is made of, apart from the order.

    Args:
        views: of the one picture, or of each of two.
        shown: their pixels, uint8 (n, image_size, image_size, 3) each.
        kind: (n,) by which aspect is compared, its number in `ASPECTS`.
        amounts: (n, 2) what the left and right half, or the first and second picture, have of its measure, as sums.
    """

    views: tuple[Views, ...]
    shown: tuple[NDArray[np.uint8], ...]
    kind: Whole
    amounts: Whole


class Comparison(ImageTask[Draft]):
    """Which half of the picture is brighter, redder or busier?

    ## Description
    Two halves of a picture are compared, left and right, or two pictures: by how bright, red, green, blue, busy or colourful
    they are. The answer is computed from the pixels that are shown, and only what differs by a clear margin is asked about.
    Which half is meant to be the answer is drawn after the picture: where it is the other one, the picture is mirrored,
    which exchanges its halves to the last bit. Of two pictures the order is drawn. Top and bottom are not compared, because a
    picture that is turned over shows it.
    Brightness is the mean of all channels; redness, greenness and blueness are how far a channel is above the mean of the
    others; colourfulness is the strongest channel less the weakest; busyness is by how much neighbouring pixels differ.
    After Wang et al., "Self-supervised spatio-temporal representation learning for videos by predicting motion and appearance
    statistics", 2019, who ask where in a clip there is most motion and most colour.

    ## Observation Space
    `Dict` with `image`: uint8 RGB (image_size, image_size, 3), or of two pictures `image_1` and `image_2`; and `asked`, int64
    (1,), the number of what is asked, where several things are. The text interface adds `prompt`.

    ## Action Space
    `Discrete(2)`: left, right; of two pictures first, second. In text these words.

    ## Rewards
    1 for the right answer, 0 otherwise. Chance is 1/2.

    ## Termination
    After one answer.

    ## Arguments
    - `source`: the pictures; "scenes", "scenes:N", "photos", "faces", "digits", "folder:PATH", or in Python arrays.
    - `image_size`: side of the pictures in pixels.
    - `about`: what is asked: "brightness", "darkness", "redness", "greenness", "blueness", "busyness", "plainness",
      "colourfulness" or "greyness", several joined by "+", or "all" by which the pictures differ often enough (grey ones
      have no colours). Where there are several, all are equally likely.
    - `compare`: "halves" of a picture, left and right, or a "pair" of pictures.
    - `margin`: how clear a difference must be, 0.1 to 4; at 1 it is 8 grey levels of 255 of brightness, 6 of redness,
      blueness and colourfulness, 2.5 of greenness and 2 of busyness.

    ## Registered Configurations
    - `SSL4RL/Comparison-v0`
    """

    asks = "which of two halves or pictures is brighter, redder, busier or the like"

    levels = (
        *(Level(name, {"about": name}) for name in NAMES),
        Level("all", {"about": "all"}),
        Level("pair", {"compare": "pair"}),
    )

    legitimate: ClassVar = {
        "mean colour": _SEES.format("bright and how red, green and blue"),
        "border rows": _SEES.format("bright and colourful at their edges"),
        "spectrum": _SEES.format("detailed"),
        "residuals": _SEES.format("busy"),
        "extremes": _SEES.format("often black, white or grey"),
        "file size": _SEES.format("busy, by how long their files would be,"),
        "boosted trees": "They see all of these measurements together, each of which is accepted by itself.",
    }

    def __init__(
        self,
        source: ImageSourceLike = "scenes",
        image_size: int = 64,
        about: str = "all",
        compare: str = "halves",
        margin: float = 1.0,
    ) -> None:
        self.compare = one_of("compare", compare, tuple(ANSWERS))
        if not 0.1 <= margin <= 4:
            raise ValueError(f"margin must lie in 0.1 to 4, got {margin}")
        halves = compare == "halves"
        super().__init__(
            source,
            image_size,
            ("image",) if halves else ("image_1", "image_2"),
            f"{'halves' if halves else 'pictures'} too much alike",
        )
        self.margin = margin
        named = aspects.chosen(about, self.source.grey, self.source.name)
        if about == "all" or len(named) > 1:
            self.observation_space["asked"] = spaces.Box(0, len(NAMES) - 1, (1,), np.int64)
        self._parts = 2 if halves else 1
        self._units = aspects.units(image_size, self._parts)
        self._least = aspects.margins(image_size, self._parts, margin)
        self._numbers = self._told_apart(np.array([NAMES.index(name) for name in named], np.int64), about == "all")
        self.kinds = tuple(NAMES[number] for number in self._numbers)
        self.action_space = spaces.Discrete(2)
        self.answer_format = AnswerFormat(
            ANSWERS[compare], fillers=("half", "side", "part", "picture", "image", "one", "is"), listed=True
        )
        self.chance = 0.5
        self.check_source()

    def draft(self, stream: Stream) -> Draft:
        """Draw one view or two, and add up what is asked of them."""
        views, shown, tallied = self._look(stream)
        kind = self._kind(stream)
        return Draft(views, shown, kind, aspects.sums(tallied, kind))

    def askable(self, draft: Draft) -> NDArray[np.bool_]:
        """Return where the two differ by the margin of what is asked."""
        apart = np.abs(draft.amounts[:, 0] - draft.amounts[:, 1])
        return np.asarray(apart >= self._least[draft.kind], np.bool_)

    def make(self, stream: Stream) -> Batch:
        """Show a picture mirrored or not, or two in an order; observation and target as the class's text says."""
        target = stream.integers(0, 2)
        draft = self.draw(stream)
        more = draft.amounts[:, 1] > draft.amounts[:, 0]
        other = np.where(aspects.signs(draft.kind) > 0, more, ~more) != target
        memory = {"kind": draft.kind, "amounts": np.where(other[:, None], draft.amounts[:, ::-1], draft.amounts)}
        observation: dict[str, NDArray[Any]] = dict(zip(self.images, self._shown(draft.shown, other), strict=True))
        if "asked" in self.observation_space.spaces:
            observation["asked"] = draft.kind[:, None].copy()
        return Batch(observation, target, draft.views[0].items, memory)

    def reason_for(self, shortcut: str) -> str | None:
        """Return why a solver may beat chance: what it sees of a picture is content, but not where in the picture it is."""
        return None if self.compare == "halves" and shortcut in OF_THE_WHOLE else super().reason_for(shortcut)

    def score(self, answers: NDArray[Any], batch: Batch) -> Score:
        """Score 1 for the right answer, 0 otherwise."""
        return exact_score(answers, batch.target)

    def info(self, batch: Batch) -> dict[str, NDArray[Any]]:
        """Return `kind` (n,): by what is compared, the number in `ASPECTS`."""
        return {"kind": batch.memory["kind"].copy()}

    def question(self, batch: Batch) -> list[str]:
        """Ask in words."""
        one, other = ANSWERS[self.compare]
        which = "Which half of this picture" if self.compare == "halves" else "Which of these two pictures"
        words = [f"{which} is {aspect.word}? Answer with one of these: {one} or {other}." for aspect in ASPECTS.values()]
        return [words[number] for number in batch.memory["kind"].tolist()]

    def example(self) -> int:
        """Return the answer of the instructions' example."""
        return 1

    def rationale(self, batch: Batch) -> list[str]:
        """Say of n questions how much of what is asked the two have, (n,)."""
        things = [f"{name} {'half' if self.compare == 'halves' else 'picture'}" for name in ANSWERS[self.compare]]
        reasons = []
        for number, amounts, target in zip(batch.memory["kind"].tolist(), batch.memory["amounts"], batch.target, strict=True):
            aspect = ASPECTS[NAMES[number]]
            one, other = (f"{amount / self._units[number]:.1f}" for amount in amounts)
            reasons.append(
                f"The {things[0]} has a {aspect.measure} of {one} and the {things[1]} one of {other}, so the "
                f"{things[target]} is {aspect.word}."
            )
        return reasons

    def _look(self, stream: Stream) -> tuple[tuple[Views, ...], tuple[NDArray[np.uint8], ...], Whole]:
        """Draw one view or two, their pixels, and what is added up of the two that are compared, (n, 2, 5)."""
        views = tuple(draw_views(stream, self.source, self.image_size) for _ in self.images)
        shown = tuple(self.source.pixels(each, self.image_size) for each in views)
        return views, shown, np.concatenate([tallies.tally(each, self._parts) for each in shown], axis=1)

    def _told_apart(self, numbers: Whole, all_there_are: bool) -> Whole:
        """Return those of some aspects by which enough drafts of each split differ; all of them, unless "all" was asked for.

        Raises:
            ValueError: there is none, or one of those that were named is not among them.
        """
        found = np.ones(len(numbers), np.bool_)
        endless = self.source.variety(self.source.splits[0]) is None  # then splits differ in nothing but their items
        for split in self.source.splits[: 1 if endless else None]:
            tallied = self._look(Stream.span(split, 0, 0, LOOKED_AT))[2]
            for place, number in enumerate(numbers.tolist()):
                one, other = aspects.sums(tallied, np.full(len(tallied), number)).T
                found[place] &= (np.abs(one - other) >= self._least[number]).mean() >= MIN_ACCEPTED
        if not found.any() or not (all_there_are or found.all()):
            lacking, there = (", ".join(NAMES[number] for number in numbers[which]) for which in (~found, found))
            raise ValueError(
                f"source {self.source.name!r}: fewer than {MIN_ACCEPTED:.0%} of random drafts can be asked about by "
                f"{lacking}, the others are {self.ambiguous}; use other pictures, a smaller margin, or "
                f"{there or 'another task'}"
            )
        return numbers[found]

    def _kind(self, stream: Stream) -> Whole:
        """Return by what is compared, (n,): the same in every redraw of a row, so that no kind is asked less often."""
        if len(self._numbers) == 1:
            return np.repeat(self._numbers, len(stream))
        return self._numbers[unchanging(stream, self.stream_key, "kind").integers(0, len(self._numbers))]

    def _shown(self, shown: tuple[NDArray[np.uint8], ...], other: NDArray[np.bool_]) -> tuple[NDArray[np.uint8], ...]:
        """Return pictures of which some rows (n,) are mirrored, or two of which some rows are exchanged."""
        if len(shown) == 1:
            mirrored = self.source.room(shown[0].shape)
            how = np.where(other, tiles.MIRRORED, 0).astype(np.uint8)
            tiles.place(mirrored, tiles.WHOLE, shown[0], tiles.WHOLE, self.image_size, how[:, None])
            return (mirrored,)
        rows = np.flatnonzero(other)
        one, two = shown
        kept = one[rows]
        one[rows], two[rows] = two[rows], kept
        return shown
