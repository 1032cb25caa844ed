"""Settings of controls: training from which something is taken away, to see what of its effect remains.

Two rewards do without the truth and are no controls alone: they pay for what the policy itself holds for right.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

from ssl4rl_agents.ranges import Settings

Reward = Literal["verified", "contrast", "own", "coin", "random", "format"]
OPINIONS: tuple[Reward, ...] = ("contrast", "own")
"""Rewards that go by what the policy itself held for right as training began."""

ShownPictures = Literal["shown", "blank", "swapped"]


@dataclass(frozen=True)
class ControlConfig(Settings):
    """What is taken away while the policy learns. What is measured, on the validation and test splits, is always the task."""

    section: ClassVar[str] = "control."

    reward: Reward = "verified"
    """What an answer earns in training. verified: what it is worth; coin: 0 or 1 by a coin of the run's own where the answer
    is well-formed, and 0 elsewhere; random: a coin for every reply; format: 1 where the answer is well-formed. contrast: 1
    for the answer that the picture speaks for, which is the one whose log-probability, when training began, a grey picture in
    its place lowers most; own: 1 for the answer that was likeliest then. Neither knows the truth. `success` that is logged
    stays the truth. Of episodes of several decisions each decision earns its share."""
    pictures: ShownPictures = "shown"
    """What the policy sees in training. shown: the pictures of the question; blank: the same grey in their places; swapped:
    those of another question of the iteration, while words and target stay."""

    @property
    def told(self) -> str:
        """What is taken away, in a few words; empty where nothing is."""
        found = [f"reward {self.reward}"] * (self.reward != "verified")
        return ", ".join([*found, *[f"pictures {self.pictures}"] * (self.pictures != "shown")])
