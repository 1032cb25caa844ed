"""Contrastive: do two views show the same picture?"""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
from gymnasium import spaces
from numpy.typing import NDArray

from ssl4rl_envs.answers import AnswerFormat
from ssl4rl_envs.drafts import narrow
from ssl4rl_envs.images import augmentations
from ssl4rl_envs.images.base import ImageTask, one_of
from ssl4rl_envs.images.views import comparable, different_pictures, draw_alike, draw_views
from ssl4rl_envs.sources import ImageSourceLike, Views
from ssl4rl_envs.stream import Stream
from ssl4rl_envs.task import Batch, Level, Score, exact_score

MIN_DIFFERENCE = 10.0
"""Photographs that differ by less as a whole, in grey levels of 255 on average, count as near-duplicates."""

MIN_CROP = 0.5
"""Least side of a view as a share of the picture's shorter one."""

Draft = tuple[Views, Views, Views]


class Contrastive(ImageTask[Draft]):
    """Do the two views show the same picture?

    ## Description
    Two square views, each changed at random, are of one picture or of two. Views of one picture overlap: the area they share
    is at least `min_overlap` of the area they cover together. Two pictures are from different photographs that do not look
    alike as a whole. Both partners of the first view are drawn before it is decided which is shown, and are alike in scale
    and place, so neither the first view nor how the second is drawn tells anything.
    After Chen et al., "A simple framework for contrastive learning of visual representations", 2020.

    ## Observation Space
    `Dict` with `image_1` and `image_2`: uint8 RGB (image_size, image_size, 3). The text interface adds `prompt`.

    ## Action Space
    `Discrete(2)`: 0 says that they show different pictures, 1 the same. In text "different" and "same".

    ## Rewards
    1 for the right answer, 0 otherwise. Chance is 1/2.

    ## Termination
    After one answer.

    ## Arguments
    - `source`: the pictures; "scenes", "scenes:N", "photos", "faces", "digits", "folder:PATH", or in Python arrays.
    - `image_size`: side of both pictures in pixels.
    - `strength`: "weak" (mirrored at random, mild changes of light) or "strong" (colour, blur and more, as SimCLR does).
    - `min_overlap`: least overlap of two views of one picture (intersection over union), 0.05 to 0.9.

    ## Registered Configurations
    - `SSL4RL/Contrastive-v0`
    """

    asks = "whether two changed views show the same picture"

    levels = (
        Level("weak", {"strength": "weak"}),
        Level("strong", {"strength": "strong"}),
        Level("strong-apart", {"strength": "strong", "min_overlap": 0.1}),
    )

    legitimate: ClassVar = {
        "mean colour": "It compares the colours of the two views, and views of one picture share them. Pictures are told "
        "apart by their colours too; `strength` blurs that.",
        "spectrum": "It compares how detailed the two views are, and views of one picture share their details. This is "
        "likeness of content, which the task asks about.",
        "border rows": "It compares what is at the edges of the two views, and views that overlap share some of that. This "
        "is likeness of content.",
        "residuals": "It compares the grain of the two views, and views of one picture share it. This is likeness of "
        "content.",
        "extremes": "It compares how often the two views are black, white or grey, and views of one picture are so about "
        "equally often. This is likeness of content.",
        "file size": "It compares how long the two views would be as files, and views of one picture are about equally long. "
        "This is likeness of content.",
        "boosted trees": "They see all of these measurements together, each of which is accepted by itself.",
    }

    def __init__(
        self, source: ImageSourceLike = "scenes", image_size: int = 64, strength: str = "weak", min_overlap: float = 0.3
    ) -> None:
        self.strength = one_of("strength", strength, ("weak", "strong"))
        if not 0.05 <= min_overlap <= 0.9:
            raise ValueError(f"min_overlap must lie in 0.05 to 0.9, got {min_overlap}")
        super().__init__(
            source,
            image_size,
            ("image_1", "image_2"),
            "near-duplicates, pairs of very different sizes, or views that overlap too little",
        )
        self.min_overlap = min_overlap
        self.action_space = spaces.Discrete(2)
        self.answer_format = AnswerFormat(("different", "same"), fillers=("crops", "they", "are", "from", "ones", "one"))
        self.chance = 0.5
        self.check_source(different=2)

    def draft(self, stream: Stream) -> Draft:
        """Draw a view, another of the same picture, and one of another picture that is drawn like the latter."""
        zoom = min(MIN_CROP, self.source.min_zoom)
        items = self.source.draw(stream), self.source.draw(stream)
        near, far = draw_alike(stream, self.source, self.image_size, items, zoom)
        return draw_views(stream, self.source, self.image_size, items=items[0], min_zoom=zoom), near, far

    def askable(self, draft: Draft) -> NDArray[np.bool_]:
        """Return where the views of one picture overlap enough, and the others show different ones of comparable size."""
        first, near, far = draft
        good = (overlap(first, near) >= self.min_overlap) & comparable(self.source, first.items, far.items)
        narrow(good, lambda rows: different_pictures(self.source, first.items[rows], far.items[rows], MIN_DIFFERENCE))
        return good

    def make(self, stream: Stream) -> Batch:
        """Show two views a row; observation and target as the class's text says."""
        target = stream.integers(0, 2)
        first, near, far = self.draw(stream)
        together = target.astype(bool)
        pairs = ((getattr(near, name), getattr(far, name)) for name in ("items", "x", "y", "side"))
        second = Views(*(np.where(together, own, other) for own, other in pairs))
        views = {"image_1": first, "image_2": second}
        observation = {
            name: augmentations.augment(self.source.pixels(view, self.image_size), stream, self.strength)
            for name, view in views.items()
        }
        return Batch(observation, target, first.items)

    def score(self, answers: NDArray[Any], batch: Batch) -> Score:
        """Score 1 for the right answer, 0 otherwise."""
        return exact_score(answers, batch.target)

    def question(self, batch: Batch) -> list[str]:
        """Ask in words."""
        text = (
            f"Both pictures are crops that were {augmentations.describe(self.strength)}. Are they crops of the "
            "same picture or "
            "of different ones? Answer same or different."
        )
        return [text] * len(batch)

    def example(self) -> int:
        """Return the answer of the instructions' example."""
        return 1


def overlap(first: Views, second: Views) -> NDArray[np.float64]:
    """Return the intersection over union of upright views of the same pictures, (n,), in [0, 1]."""
    shared = np.ones(len(first), np.float64)
    for one, other in ((first.x, second.x), (first.y, second.y)):
        low = np.maximum(2 * one - first.side, 2 * other - second.side)
        high = np.minimum(2 * one + first.side, 2 * other + second.side)
        shared *= np.maximum(high - low, 0) / 2
    area = first.side.astype(np.float64) ** 2 + second.side.astype(np.float64) ** 2
    return np.asarray(shared / (area - shared), np.float64)
