"""TurnedTask: what tasks over pictures that lie on their side or stand on their head share."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from ssl4rl_envs.images.base import ImageTask
from ssl4rl_envs.images.turning import Turning
from ssl4rl_envs.sources import ImageSourceLike, Views
from ssl4rl_envs.stream import Stream

COUNTER_CLOCKWISE = ("counter-clockwise", "counterclockwise", "anti-clockwise", "anticlockwise", "ccw")
"""What turning to the left is called."""


class TurnedTask(ImageTask[Views]):
    """A task over pictures that were turned.

    Args:
        source: the pictures; see `load_images`.
        turning: by which angles, and how they are drawn.
        images: names of the pictures that are shown.

    Raises:
        ValueError: the pictures are too small to be turned by such angles; see `Turning.check`.
    """

    legitimate: ClassVar = {
        "border rows": "It sees the outermost lines of the picture, and skies are lighter and plainer than the ground. Which "
        "side is up is what the task asks, so this is part of understanding the scene.",
        "spectrum": "It sees how much detail a picture has in each direction, and detail has one: things stand upright, "
        "water lies flat. This is a property of the scene that was photographed or drawn.",
        "residuals": "It sees the grain of the picture, and the grain of the ground has a direction. This comes from the "
        "scene: over noise the same measurements tell nothing.",
        "file size": "It sees how long the parts of the picture would be as files, and the quarter that holds the sky is "
        "shorter. That the sky is plain is a fact about the scene.",
        "boosted trees": "They see all of these measurements together, each of which is accepted by itself.",
    }

    def __init__(self, source: ImageSourceLike, turning: Turning, images: tuple[str, ...] = ("image",)) -> None:
        super().__init__(source, turning.image_size, images, "blank or symmetric")
        self.turning = turning
        turning.check(self.source)

    @property
    def angles(self) -> int:
        """Number of ways up."""
        return self.turning.angles

    def draft(self, stream: Stream) -> Views:
        """Draw a view."""
        return self.turning.views(stream, self.source)

    def askable(self, draft: Views) -> NDArray[np.bool_]:
        """Return which views look different after every turn."""
        return self.turning.differ(draft, self.source)
