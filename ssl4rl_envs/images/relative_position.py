"""Relative position: where is one thing, seen from another?"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from gymnasium import spaces
from numpy.typing import NDArray

from ssl4rl_envs.answers import AnswerFormat
from ssl4rl_envs.drafts import narrow
from ssl4rl_envs.images import marks
from ssl4rl_envs.images.base import ImageTask, one_of
from ssl4rl_envs.images.casts import (
    LOOK,
    OUT_OF_SIGHT,
    Cast,
    Floats,
    differences,
    draw_cast,
    drawn,
    heading,
    named,
    within,
)
from ssl4rl_envs.images.views import draw_views
from ssl4rl_envs.sources import ImageSourceLike, Views
from ssl4rl_envs.sources.base import TURN
from ssl4rl_envs.sources.scene_models import COLOURS, KINDS
from ssl4rl_envs.stream import Stream
from ssl4rl_envs.task import Batch, Level, Score, exact_score

DIRECTIONS = {
    4: ("right", "above", "left", "below"),
    8: ("right", "above right", "above", "above left", "left", "below left", "below", "below right"),
}
"""Names of the answers, counter-clockwise."""

SIZES = (0.14, 0.18)
DISTANCES = (0.3, 0.42)
"""How large things are, and how far the two that are asked about are from each other, as shares of the picture."""

SURE = 0.6
"""Directions lie within this share of their sector, so that none could be called otherwise."""

SEEN = 0.004
"""Least share of the picture that shows a thing which is told by words."""

MOST_OTHERS = 4

_PLAIN = np.array([list(COLOURS).index(name) for name in ("red", "yellow", "green", "blue", "purple", "white")])
"""Colours that nobody calls by another name."""


@dataclass(frozen=True)
class Draft:
    """What a question is made of, apart from the direction.

    Args:
        views: what is behind.
        cast: the things; the last two are those that are asked about.
        others: (n, others, 2) where the middles of the bodies of the other things are.
        middle: (n, 2) between the two.
        apart: (n,) how far the two are from each other.
        tilt: (n,) the angle between their direction and the middle of its sector, in 1/2880 of a turn.
    """

    views: Views
    cast: Cast
    others: Floats
    middle: Floats
    apart: Floats
    tilt: NDArray[np.int64]

    def rows(self, rows: NDArray[np.int64]) -> Draft:
        """Return the chosen rows."""
        others = (self.others[rows], self.middle[rows], self.apart[rows], self.tilt[rows])
        return Draft(self.views.rows(rows), self.cast.rows(rows), *others)


class RelativePosition(ImageTask[Draft]):
    """Where is one thing, seen from another?

    ## Description
    Things are drawn over a picture, and two of them are asked about: where does the first lie, seen from the second? They
    are marked by the numbers 1 and 2, or told by colour and kind (`names="words"`). The direction is that between the middles
    of their bodies, well within its sector. Where the middle between the two lies, how far apart they are and all else is
    drawn apart from the direction, and fits into the picture in all directions. With words no two things are of one kind, a
    thing has one colour and is seen wherever it may be, and over scenes no thing of their own is of the kinds that are asked
    about.
    After Doersch, Gupta & Efros, "Unsupervised visual representation learning by context prediction", 2015, and Johnson et
    al., "CLEVR", 2017.

    ## Observation Space
    `Dict` with `image`: uint8 RGB (image_size, image_size, 3). With `names="words"` also `asked`, int64 (4,): kind and
    colour of the first thing, then of the second. The text interface adds `prompt`.

    ## Action Space
    `Discrete(directions)`, counter-clockwise from the right; in text "right", "above right" and so on.

    ## Rewards
    1 for the right direction, 0 otherwise. Chance is 1 / directions.

    ## Termination
    After one answer.

    ## Arguments
    - `source`: what is behind; "scenes", "scenes:N", "photos", "faces", "digits", "folder:PATH", or in Python arrays.
    - `image_size`: side of the picture in pixels, 36 or more.
    - `directions`: 4 or 8.
    - `others`: how many more things there are, 0 to 4.
    - `names`: how the two things are told: "marks" or "words".

    ## Registered Configurations
    - `SSL4RL/RelativePosition-v0`
    """

    asks = "where a thing is, seen from another"

    levels = (
        Level("4", {"directions": 4}),
        Level("8", {"directions": 8}),
        Level("4-words", {"directions": 4, "names": "words"}),
        Level("8-words", {"directions": 8, "names": "words"}),
    )

    legitimate: ClassVar = {
        "residuals": "It sees how the picture repeats along its rows and columns, and the two marks are white squares of one "
        "size: whether they lie beside or above one another shows in that, but not which is the first. Where marks are is "
        "what the task asks; with words there are none, and it may earn nothing.",
        "spectrum": "It sees the same of the two marks as waves.",
        "boosted trees": "They see all that is measured, and learn from the marks what `residuals` does.",
    }

    def __init__(
        self,
        source: ImageSourceLike = "scenes",
        image_size: int = 96,
        directions: int = 4,
        others: int = 2,
        names: str = "marks",
    ) -> None:
        if directions not in DIRECTIONS:
            raise ValueError(f"directions must be 4 or 8, got {directions}")
        if not 0 <= others <= MOST_OTHERS:
            raise ValueError(f"others must lie in 0 to {MOST_OTHERS}, got {others}")
        self.names = one_of("names", names, ("marks", "words"))
        super().__init__(source, image_size, ("image",), "scenes with things of the kinds that are asked about")
        if image_size < marks.MIN_SIZE:
            raise ValueError(f"image_size must be at least {marks.MIN_SIZE} pixels, so that marks fit, got {image_size}")
        self.directions, self.others = directions, others
        if names == "words":
            self.observation_space["asked"] = spaces.Box(0, max(len(KINDS), len(COLOURS)) - 1, (4,), np.int64)
        self._labels = getattr(self.source, "labels", None)  # what scenes themselves show
        self.action_space = spaces.Discrete(directions)
        self.answer_format = AnswerFormat(
            DIRECTIONS[directions],
            synonyms=_other_names(directions),
            fillers=("it", "is", "lies", "to", "the", "of"),
            listed=True,
        )
        self.chance = 1 / directions
        self.check_source()

    def reason_for(self, shortcut: str) -> str | None:
        """Return why a solver may beat chance: it sees where the marks are; of things that words name it may see nothing."""
        return super().reason_for(shortcut) if self.names == "marks" else None

    def draft(self, stream: Stream) -> Draft:
        """Draw a view, things, and how far apart and where the two are that are asked about."""
        views = draw_views(stream, self.source, self.image_size)
        cast = draw_cast(stream, KINDS, self.others + 2, SIZES)
        if self.names == "words":
            cast.things[..., 0] = stream.choice(len(KINDS), self.others + 2)
            cast.things[..., 1] = cast.things[..., 2] = _PLAIN[stream.integers(0, len(_PLAIN), (self.others + 2,))]
        share = stream.uniform()
        apart, most = DISTANCES[0] + (DISTANCES[1] - DISTANCES[0]) * share, round(SURE * TURN / self.directions / 2)
        reach = _reach(cast)[:, -2:].max(axis=1) + 0.5 * apart[:, None]
        middle = within(stream, reach, 1.0 - reach)
        reach = _reach(cast)[:, :-2]
        return Draft(views, cast, within(stream, reach, 1.0 - reach), middle, apart, stream.integers(-most, most + 1))

    def askable(self, draft: Draft) -> NDArray[np.bool_]:
        """Return where words mean one thing each: none of the picture's own is of its kind, and it is seen in any place."""
        good = np.ones(len(draft.apart), np.bool_)
        if self.names == "marks":  # which are seen whatever they stand on
            return good
        if self._labels is not None:
            own, meant = self._labels(draft.views.items)["kind"], draft.cast.things[:, -2:, 0]
            good &= (own[:, :, None] != meant[:, None]).all(axis=(1, 2))
        narrow(good, lambda rows: self._seen(draft.rows(rows)))
        return good

    def make(self, stream: Stream) -> Batch:
        """Show things one a row; observation and target as the class's text says."""
        target = stream.integers(0, self.directions)
        draft = self.draw(stream)
        both = self._both(draft, target[:, None])
        middles = np.concatenate([draft.others[:, None], both], axis=2)
        centres = middles - draft.cast.offsets()[:, None]
        image = drawn(self.source, draft.views, self.image_size, draft.cast, centres)[:, 0]
        things = draft.cast.things[:, -2:]
        if self.names == "words":
            return Batch({"image": image, "asked": things[..., :2].reshape(-1, 4).copy()}, target, draft.views.items)
        marks.mark(image, both[:, 0])
        return Batch({"image": image}, target, draft.views.items, {"asked": things[..., :2].reshape(-1, 4).copy()})

    def score(self, answers: NDArray[Any], batch: Batch) -> Score:
        """Score 1 for the right direction, 0 otherwise."""
        return exact_score(answers, batch.target)

    def question(self, batch: Batch) -> list[str]:
        """Ask in words."""
        *some, last = DIRECTIONS[self.directions]
        how = f"Answer with one of these: {', '.join(some)} or {last}."
        if self.names == "marks":
            return [f"Where in the picture is the thing marked 1, seen from the thing marked 2? {how}"] * len(batch)
        return [
            f"Where in the picture is the {named(asked[:2])}, seen from the {named(asked[2:])}? {how}"
            for asked in batch.observation["asked"]
        ]

    def example(self) -> int:
        """Return the answer of the instructions' example."""
        return self.directions // 4

    def rationale(self, batch: Batch) -> list[str]:
        """Say of n questions what the two things are, and on which sides of the second the first lies, (n,)."""
        marked = self.names == "marks"
        asked = batch.memory["asked"] if marked else batch.observation["asked"]
        reasons = []
        for pair, target in zip(asked, batch.target, strict=True):
            first, second = (
                f"the {named(thing)}{f' marked {k}' if marked else ''}" for k, thing in ((1, pair[:2]), (2, pair[2:]))
            )
            reasons.append(f"From {second} one comes to {first} by going {_GOING[DIRECTIONS[self.directions][target]]}.")
        return reasons

    def _both(self, draft: Draft, targets: NDArray[np.int64]) -> Floats:
        """Return where the bodies of the two things are in some directions (n, m), (n, m, 2, 2)."""
        step = heading(targets * (TURN // self.directions) + draft.tilt[:, None]) * (0.5 * draft.apart)[:, None, None]
        middle = draft.middle[:, None]
        return np.stack([middle + step, middle - step], axis=2)

    def _seen(self, draft: Draft) -> NDArray[np.bool_]:
        """Return of which drafts the two things are seen wherever they may be, (n,)."""
        both = self._both(draft, np.arange(self.directions)[None])
        frames = 1 + 2 * self.directions
        middles = np.full((len(both), frames, self.others + 2, 2), OUT_OF_SIGHT)
        middles[:, :, : self.others] = draft.others[:, None]
        middles[:, 1::2, -2], middles[:, 2::2, -1] = both[:, :, 0], both[:, :, 1]
        look = min(LOOK, self.image_size)
        pictures = drawn(self.source, draft.views, look, draft.cast, middles - draft.cast.offsets()[:, None])
        return np.asarray((differences(pictures, [(0, frame) for frame in range(1, frames)]) >= SEEN).all(axis=1), np.bool_)


_GOING = {
    name: " and ".join({"above": "up", "below": "down"}.get(word, word) for word in name.split()) for name in DIRECTIONS[8]
}


def _reach(cast: Cast) -> Floats:
    """Return how far things reach from the middles of their bodies at most, across and down, (n, k, 2)."""
    half = cast.half()
    return half + np.abs(cast.offsets())


def _other_names(directions: int) -> dict[str, str]:
    """Return what else directions are called."""
    others = {
        "above": ("up", "top", "north"),
        "below": ("down", "bottom", "south", "under"),
        "left": ("west",),
        "right": ("east",),
    }
    names = {other: name for name, known in others.items() for other in known}
    if directions == 8:
        for name in DIRECTIONS[8]:
            row, _, side = name.partition(" ")
            if side:
                words = [(each, side) for each in (row, *others[row])] + [(others[row][-1], others[side][0])]
                names |= {f"{one}{mark}{other}": name for one, other in words for mark in (" ", ", ", "/", " and ")}
                names |= {f"{side}{mark}{one}": name for one, _ in words for mark in (" ", ", ", "/", " and ")}
                names |= {f"{side} {row}": name, f"{row}{side}": name}
                names[{"above": "north", "below": "south"}[row] + {"left": "west", "right": "east"}[side]] = name
    for name in DIRECTIONS[directions]:
        names.pop(name, None)
    return names
