"""A worked plug-in: an agent that learns which of a few answers is paid most often, and gives that one."""

from __future__ import annotations

from typing import Any

import numpy as np


class Bandit:
    """Upper confidence bounds (Auer et al. 2002) over the answers of a Discrete action space.

    Args:
        envs: the environments it will act in.
        exploration: width of the bounds.
    """

    interface = "array"

    def __init__(self, envs: Any, exploration: float = 1.0) -> None:
        self.paid = np.zeros(int(envs.single_action_space.n))
        self.tried = np.full(len(self.paid), 1e-9)
        self.exploration = exploration

    def learn(self, lesson: Any) -> None:
        """Try answers until the lesson is over."""
        envs = lesson.make_envs(num_envs=8)
        envs.reset(seed=lesson.seeds(8))
        lesson.begin(self)
        played = 0
        while played < lesson.episodes:
            bounds = self.paid / self.tried + self.exploration * np.sqrt(np.log(played + 2) / self.tried)
            answers = np.argsort(-bounds, kind="stable")[np.arange(8) % len(bounds)]
            _, rewards, terminated, truncated, _ = envs.step(answers)
            np.add.at(self.paid, answers, rewards)
            np.add.at(self.tried, answers, 1)
            played += int((terminated | truncated).sum())
            lesson.progress(self, min(played, lesson.episodes))

    def act(self, observations: Any, *, deterministic: bool = False) -> Any:
        """Give the answer that was paid most."""
        count = len(next(iter(observations.values())))
        return np.full(count, int(np.argmax(self.paid / self.tried)))
