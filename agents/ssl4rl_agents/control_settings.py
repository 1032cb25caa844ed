"""Settings of controls: training from which something is taken away, to see what of its effect remains."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

from ssl4rl_agents.ranges import Settings

Reward = Literal["verified", "coin", "random", "format"]
ShownPictures = Literal["shown", "blank", "swapped"]


@dataclass(frozen=True)
class ControlConfig(Settings):
    """What is taken away while the policy learns. What is measured, on the validation and test splits, is always the task."""

    section: ClassVar[str] = "control."

    reward: Reward = "verified"
    """What an answer earns in training. verified: what it is worth; coin: 0 or 1 by a coin of the run's own where the answer
    is well-formed, and 0 elsewhere; random: a coin for every reply; format: 1 where the answer is well-formed. `success`
    that is logged stays the truth. Of episodes of several decisions each decision earns its share."""
    pictures: ShownPictures = "shown"
    """What the policy sees in training. shown: the pictures of the question; blank: the same grey in their places; swapped:
    those of another question of the iteration, while words and target stay."""

    @property
    def told(self) -> str:
        """What is taken away, in a few words; empty where nothing is."""
        found = [f"reward {self.reward}"] * (self.reward != "verified")
        return ", ".join([*found, *[f"pictures {self.pictures}"] * (self.pictures != "shown")])
