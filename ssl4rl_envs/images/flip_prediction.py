"""Flip prediction: which mirror was applied to the picture?"""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
from gymnasium import spaces
from numpy.typing import NDArray

from ssl4rl_envs.answers import AnswerFormat
from ssl4rl_envs.images.base import ImageTask
from ssl4rl_envs.images.views import LOOK, draw_views
from ssl4rl_envs.kernels import likeness, looks
from ssl4rl_envs.kernels.tiles import MIRRORED, UPENDED
from ssl4rl_envs.sources import ImageSourceLike, Views
from ssl4rl_envs.stream import Stream
from ssl4rl_envs.task import Batch, Level, Score, exact_score

MIN_DIFFERENCE = 8.0
"""Pictures that differ by less from themselves mirrored, in grey levels of 255 on average, are not asked about."""

FLIPS = {"none": 0, "horizontal": MIRRORED, "vertical": UPENDED, "both": MIRRORED | UPENDED}

OTHER_WORDS = {
    **dict.fromkeys(("no", "not mirrored", "not flipped", "unchanged", "left as it is"), "none"),
    **dict.fromkeys(("horizontally", "left to right", "left right"), "horizontal"),
    **dict.fromkeys(("vertically", "top to bottom", "top bottom"), "vertical"),
    **dict.fromkeys(("both ways", "horizontal and vertical", "horizontally and vertically"), "both"),
    **dict.fromkeys(("vertical and horizontal", "vertically and horizontally"), "both"),
    **dict.fromkeys(("both horizontal and vertical", "both horizontally and vertically"), "both"),
}
"""What else the mirrors are called, for the lenient grammar."""


_EVERYWHERE = np.zeros(LOOK, np.int64)


class FlipPrediction(ImageTask[Views]):
    """Which mirror was applied to the picture?

    ## Description
    A picture is left as it is, mirrored left to right (horizontal), top to bottom (vertical), or both. A photograph that is
    mirrored left to right looks natural, so by default the original is shown beside it; with `reference=False` the
    question is only whether it was turned top to bottom. Mirroring is exact, and pictures that hardly change by it are not
    asked about.

    ## Observation Space
    `Dict` with `image`: uint8 RGB (image_size, image_size, 3), the mirrored picture; and by default `reference`: the
    original. The text interface adds `prompt`.

    ## Action Space
    `Discrete(4)`: none, horizontal, vertical, both; without reference `Discrete(2)`: none, vertical. In text these words.

    ## Rewards
    1 for the right answer, 0 otherwise. Chance is 1/4, without reference 1/2.

    ## Termination
    After one answer.

    ## Arguments
    - `source`: the pictures; "scenes", "scenes:N", "photos", "faces", "digits", "folder:PATH", or in Python arrays.
    - `image_size`: side of the pictures in pixels.
    - `reference`: show the original beside the mirrored picture.

    ## Registered Configurations
    - `SSL4RL/FlipPrediction-v0`
    """

    asks = "which mirror was applied to the picture"

    levels = (Level("reference", {"reference": True}), Level("alone", {"reference": False}))

    legitimate: ClassVar = {
        "border rows": "It sees the outermost lines of both pictures. The top of a picture differs from its bottom, and what "
        "is at its edges can be found again in the reference. To compare the two pictures is what the task asks.",
        "file size": "It sees how long the quarters of both pictures would be as files. They can be told from one another by "
        "that, and so found again in the reference, which is a comparison of content.",
        "spectrum": "It sees how detailed the parts of a picture are, and the lower part is the most detailed. This is a "
        "property of the scene.",
        "residuals": "It sees the grain of a picture's parts, which differ in it as they do in detail. This is a property of "
        "the scene.",
        "boosted trees": "They see all of these measurements together, each of which is accepted by itself.",
    }

    def __init__(self, source: ImageSourceLike = "scenes", image_size: int = 64, reference: bool = True) -> None:
        super().__init__(source, image_size, ("image", "reference") if reference else ("image",), "blank or symmetric")
        self.reference = reference
        self.flips = tuple(FLIPS) if reference else ("none", "vertical")
        self._mirrors = np.array([FLIPS[name] for name in self.flips], np.uint8)
        self.action_space = spaces.Discrete(len(self.flips))
        self.answer_format = AnswerFormat(
            self.flips,
            synonyms=OTHER_WORDS if reference else {**_only(self.flips), "yes": "vertical"},
            fillers=("mirror", "mirrored", "mirroring", "flip", "flipped", "flipping", "applied"),
            listed=reference,
        )
        self.chance = 1 / len(self.flips)
        self.check_source()

    def draft(self, stream: Stream) -> Views:
        """Draw a view."""
        return draw_views(stream, self.source, self.image_size)

    def askable(self, draft: Views) -> NDArray[np.bool_]:
        """Return which views differ from themselves in every mirror."""
        look = self.source.pixels(draft, LOOK)
        return looks.lie_apart(look, tuple(self._mirrors[1:].tolist()), _EVERYWHERE, likeness.least(MIN_DIFFERENCE, LOOK))

    def make(self, stream: Stream) -> Batch:
        """Mirror one view a row; observation and target as the class's text says."""
        target = stream.integers(0, len(self.flips))
        views = self.draw(stream)
        upright, image = self.source.twice(views, self.image_size, self._mirrors[target])
        observation = {"image": image, "reference": upright} if self.reference else {"image": image}
        return Batch(observation, target, views.items)

    def score(self, answers: NDArray[Any], batch: Batch) -> Score:
        """Score 1 for the right answer, 0 otherwise."""
        return exact_score(answers, batch.target)

    def question(self, batch: Batch) -> list[str]:
        """Ask in words."""
        if self.reference:
            text = (
                "The second picture is the original. The first is the same picture, left as it is (none), mirrored left to "
                "right (horizontal), top to bottom (vertical), or both ways (both). Which mirror was applied: none, "
                "horizontal, vertical or both?"
            )
        else:
            text = "Was this picture mirrored top to bottom? Answer vertical if it was, or none if it was left as it is."
        return [text] * len(batch)

    def example(self) -> int:
        """Return the answer of the instructions' example."""
        return 1


def _only(flips: tuple[str, ...]) -> dict[str, str]:
    return {word: label for word, label in OTHER_WORDS.items() if label in flips}
