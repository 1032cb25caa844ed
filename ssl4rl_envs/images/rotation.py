"""Rotation: by how many degrees was the picture turned?"""

from __future__ import annotations

from typing import Any

from gymnasium import spaces
from numpy.typing import NDArray

from ssl4rl_envs.answers import AnswerFormat
from ssl4rl_envs.images.turned import COUNTER_CLOCKWISE, TurnedTask
from ssl4rl_envs.images.turning import Turning
from ssl4rl_envs.sources import ImageSourceLike
from ssl4rl_envs.stream import Stream
from ssl4rl_envs.task import Batch, Level, Score, exact_score

MOST_LISTED = 12
"""With more angles than this the question does not list them."""


class Rotation(TurnedTask):
    """By how many degrees counter-clockwise was the picture turned?

    ## Description
    A square view of a picture is turned by a random multiple of 360 / `angles` degrees. All angles are drawn by one path:
    the same inscribed square, the same interpolation, so neither shape nor border nor sharpness tells the angle. Where all
    angles are multiples of 90 degrees, turning is an exact transpose. With finer angles every picture is first smoothed and
    tilted by a random amount of up to an eighth of a step, and drawn at twice the size and reduced. Views that look the same
    when turned (blank or symmetric ones) are not asked about. After Gidaris, Singh & Komodakis, "Unsupervised representation
    learning by predicting image rotations", 2018.

    ## Observation Space
    `Dict` with `image`: uint8 RGB (image_size, image_size, 3), the turned picture; and with `reference=True` also
    `reference`: the same picture upright. The text interface adds `prompt`.

    ## Action Space
    `Discrete(angles)`: action k says k * 360 / angles degrees. In text the degrees: `<answer>90</answer>`.

    ## Rewards
    1 for the right angle, 0 otherwise. Chance is 1 / angles.

    ## Termination
    After one answer.

    ## Arguments
    - `source`: the pictures; "scenes", "scenes:N", "photos", "faces", "digits", "folder:PATH", or in Python arrays.
    - `image_size`: side of the pictures in pixels, at least 8 (stable-baselines3's CNN needs 36).
    - `angles`: number of different angles; 2 or more, a divisor of 360.
    - `reference`: show the upright picture beside the turned one.

    ## Registered Configurations
    - `SSL4RL/Rotation-v0`
    """

    asks = "by how many degrees counter-clockwise the picture was turned"

    levels = (
        Level("angles-2", {"angles": 2}),
        Level("angles-4", {"angles": 4}),
        Level("angles-8", {"angles": 8}),
        Level("angles-12", {"angles": 12}),
    )

    def __init__(
        self, source: ImageSourceLike = "scenes", image_size: int = 64, angles: int = 4, reference: bool = False
    ) -> None:
        super().__init__(source, Turning(image_size, angles), ("image", "reference") if reference else ("image",))
        self.reference, self.step_degrees = reference, self.turning.step_degrees
        self.action_space = spaces.Discrete(angles)
        self.answer_format = AnswerFormat(
            labels=tuple(str(k * self.step_degrees) for k in range(angles)),
            units=("degrees counter-clockwise", "degrees", "degree", "deg", "°"),
            synonyms=dict.fromkeys(("no rotation", "not rotated", "not turned"), "0"),
            fillers=(*COUNTER_CLOCKWISE, "turned", "turn", "rotated", "rotation", "angle"),
            listed=angles <= MOST_LISTED,
        )
        self.chance = 1.0 / angles
        self.check_source()

    def make(self, stream: Stream) -> Batch:
        """Turn one view a row; observation and target as the class's text says."""
        target = stream.integers(0, self.angles)
        tilt = self.turning.tilt(stream)
        views = self.draw(stream)
        observation = {"image": self.turning.draw(self.source, views, tilt, target)}
        if self.reference:
            observation["reference"] = self.turning.draw(self.source, views, tilt)
        return Batch(observation, target, views.items)

    def score(self, answers: NDArray[Any], batch: Batch) -> Score:
        """Score 1 for the right angle, 0 otherwise."""
        return exact_score(answers, batch.target)

    def question(self, batch: Batch) -> list[str]:
        """Ask in words; the direction and the possible answers are stated."""
        if self.angles <= MOST_LISTED:
            choices = "one of these numbers of degrees: " + ", ".join(self.format(k) for k in range(self.angles))
        else:
            choices = f"a multiple of {self.step_degrees} degrees from 0 to {360 - self.step_degrees}"
        which = "The second picture is upright. The first is the same picture," if self.reference else "This picture was"
        text = f"{which} turned counter-clockwise by {choices}. By how many degrees was it turned?"
        return [text] * len(batch)

    def example(self) -> int:
        """Return the answer of the instructions' example: 90 degrees, or the nearest that there is."""
        return max(1, round(90 / self.step_degrees))

    def rationale(self, batch: Batch) -> list[str]:
        """Say where that is now which was on top."""
        return [
            f"What was on top is {self.turning.side_of_top(steps)} now: the picture was turned counter-clockwise by "
            f"{self.format(steps)} degrees."
            for steps in batch.target.tolist()
        ]
