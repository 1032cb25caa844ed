"""Turning: how tasks show a picture turned, so that nothing but its content tells by how much."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ssl4rl_envs.images.views import draw_views, turned_differs
from ssl4rl_envs.sources.base import TURN, PictureSource, Views
from ssl4rl_envs.stream import Stream

MIN_DIFFERENCE = 8.0
"""Views that differ less from themselves turned by 360 / p degrees, in grey levels of 255 on average, are not asked about; p
are the primes that divide the number of angles."""

FINE_MARGIN = 3
"""Views that are turned by finer steps than 90 degrees stay this far from the edges of their picture, in pixels: smoothing
repeats what is at the edge, along the edge."""

MAX_ENLARGEMENT = 2.0
"""And they are enlarged no more than this, or the lattice of the source's pixels would show which way it lies."""

SIDES = (
    *("on top", "at the top left", "on the left", "at the bottom left"),
    *("at the bottom", "at the bottom right", "on the right", "at the top right"),
)
"""Eight sides of a picture, counter-clockwise."""


@dataclass(frozen=True)
class Turning:
    """Views of pictures, turned by multiples of 360 / `angles` degrees.

    Every picture is drawn from its source by one turn, never from a turned one, on one path for all angles: the same
    inscribed square, the same interpolation. So neither shape nor border nor sharpness tells the angle, nor by how many turns
    it came about.

    Args:
        image_size: side at which views are drawn, in pixels.
        angles: number of different angles; 2 or more, a divisor of 360.

    Raises:
        ValueError: `angles` is no such number.
    """

    image_size: int
    angles: int

    def __post_init__(self) -> None:
        if self.angles < 2 or 360 % self.angles:
            near = [k for k in range(2, 361) if 360 % k == 0 and abs(k - self.angles) <= 4]
            raise ValueError(f"angles must divide 360 and be at least 2, got {self.angles}; near it: {near or [2, 4, 8, 12]}")

    @property
    def step_degrees(self) -> int:
        """Degrees of one step."""
        return 360 // self.angles

    @property
    def exact(self) -> bool:
        """Whether every turn is a multiple of 90 degrees."""
        return 4 % self.angles == 0

    def check(self, source: PictureSource) -> None:
        """Check that a source's pictures are large enough.

        Raises:
            ValueError: their pixel lattice would betray the angle.
        """
        view = (source.smallest - 2 * FINE_MARGIN) * self._shrink * source.min_zoom
        if not self.exact and self.image_size > MAX_ENLARGEMENT * view:
            raise ValueError(
                f"with turns by {self.step_degrees} degrees the smallest views of source {source.name!r} are {view:.0f} "
                f"pixels wide and cannot be shown at image_size={self.image_size}: the pixel lattice would betray the angle. "
                f"Use image_size up to {max(0, int(MAX_ENLARGEMENT * view))}, larger pictures, or angles=4"
            )

    def views(self, stream: Stream, source: PictureSource) -> Views:
        """Draw a view a row, which stays inside its picture however it is turned."""
        margin = 0 if self.exact else FINE_MARGIN
        return draw_views(stream, source, self.image_size, shrink=self._shrink, margin=margin)

    def differ(self, views: Views, source: PictureSource) -> NDArray[np.bool_]:
        """Return which views look different after every turn, (n,)."""
        # A picture that some turn leaves alone is also left alone by one of prime order (Cauchy's theorem).
        symmetries = np.array([TURN // p for p in (2, 3, 5) if self.angles % p == 0], np.int64)
        return turned_differs(views, source, symmetries, MIN_DIFFERENCE)

    def tilt(self, stream: Stream) -> NDArray[np.int64]:
        """Draw what the upright picture is tilted by: up to an eighth of a step either way, nothing for exact turns."""
        most = 0 if self.exact else TURN // self.angles // 8
        return stream.integers(-most, most + 1)

    def draw(
        self, source: PictureSource, views: Views, tilt: NDArray[np.int64], steps: NDArray[np.int64] | int = 0
    ) -> NDArray[np.uint8]:
        """Draw views turned counter-clockwise by so many steps (n,), and by their tilt, (n, image_size, image_size, 3)."""
        turn = steps * (TURN // self.angles)
        return source.pixels(views, self.image_size, turn + tilt, fine=not self.exact)

    def side_of_top(self, steps: int) -> str:
        """Say where that is which was on top before a turn by so many steps counter-clockwise."""
        return SIDES[round(8 * (steps % self.angles) / self.angles) % 8]

    @property
    def _shrink(self) -> float:
        # A turned inscribed square, and the margin of one pixel that the low-pass needs, stay inside the picture.
        return 1.0 if self.exact else (self.image_size - 1) / (self.image_size + 2) / math.sqrt(2)
