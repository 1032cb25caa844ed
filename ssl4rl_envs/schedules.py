"""Schedules: which part of a mixture is asked next, by what has been answered so far.

A schedule picks a configuration, never an instance: the part it names and the index of the instance reproduce the question.
It holds a little state, all of it in `state_dict`, and what is random in it is hashed from its seed and a counter.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ssl4rl_envs.arguments import whole_number
from ssl4rl_envs.stream import Stream, as_words


class Schedule(ABC):
    """Chooses among the parts of a mixture.

    Args:
        parts: how many there are.
        seed: of its random choices.
    """

    def __init__(self, parts: int, seed: int) -> None:
        self.parts, self.seed = whole_number("parts", parts, 1), int(as_words([seed], "seed")[0])
        self._drawn = 0

    @abstractmethod
    def choose(self, count: int) -> NDArray[np.int64]:
        """Return the parts of the next `count` instances, (count,)."""

    @abstractmethod
    def record(self, parts: NDArray[np.int64], success: NDArray[np.bool_]) -> None:
        """Take note of how episodes of these parts (n,) ended."""

    @abstractmethod
    def info(self, parts: NDArray[np.int64]) -> dict[str, NDArray[Any]]:
        """Return what `info` says of the schedule beside episodes of these parts (n,), arrays (n, ...) by name."""

    @abstractmethod
    def state_dict(self) -> dict[str, Any]:
        """Return the state as plain data for JSON."""

    @abstractmethod
    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from the state that `state_dict` gave.

        Raises:
            ValueError: it is not the state of such a schedule.
        """

    def _uniform(self, count: int) -> NDArray[np.float64]:
        """Draw `count` numbers in [0, 1), the same for the same seed and history."""
        stream = Stream.span("train", self.seed, self._drawn, count).branch("schedule")
        self._drawn += count
        return stream.uniform()

    def _check_state(self, state: dict[str, Any]) -> None:
        expected = self.state_dict()
        if set(state) != set(expected):
            raise ValueError(f"a state of {type(self).__name__} has {sorted(expected)}, got {sorted(state)}")
        if state["parts"] != self.parts or state["seed"] != self.seed:
            given, own = (state["parts"], state["seed"]), (self.parts, self.seed)
            raise ValueError(f"the state is of another schedule: (parts, seed) are {given}, here {own}")


class Ladder(Schedule):
    """Climbs through parts that are ordered from easy to hard, keeping the success rate within a band.

    Questions that are answered always or never teach nothing, so the level rises when the success rate over the last `window`
    episodes of the level exceeds `high`, and falls when it is below `low`; then counting starts anew (SSL4RL, arXiv
    2510.16416, calls it the Goldilocks principle).

    Args:
        parts, seed: as of `Schedule`.
        low, high: the band of the success rate, 0 <= low < high <= 1.
        window: episodes a rate is measured over.
        review: share of instances that are of a random lower level, against forgetting. They do not count.
    """

    def __init__(
        self, parts: int, *, low: float = 0.4, high: float = 0.8, window: int = 64, review: float = 0.0, seed: int = 0
    ) -> None:
        super().__init__(parts, seed)
        if not 0 <= low < high <= 1:
            raise ValueError(f"the band of success rates needs 0 <= low < high <= 1, got low={low}, high={high}")
        window = whole_number("window", window, 1)
        if not 0 <= review < 1:
            raise ValueError(f"review must lie in [0, 1), got {review}")
        self.low, self.high, self.window, self.review = low, high, window, review
        self.level = 0
        self._recent: list[bool] = []

    def choose(self, count: int) -> NDArray[np.int64]:
        """Return the level for all, but for the share that reviews a lower one."""
        numbers = self._uniform(count)
        if self.review == 0:
            return np.full(count, self.level)
        lower = np.floor(numbers / self.review * self.level).astype(np.int64)
        return np.where(numbers < self.review, np.minimum(lower, self.level), self.level)

    def record(self, parts: NDArray[np.int64], success: NDArray[np.bool_]) -> None:
        """Count the episodes of the present level; move when a window is full."""
        for part, right in zip(parts.tolist(), success.tolist(), strict=True):
            if part != self.level:
                continue
            self._recent.append(right)
            if len(self._recent) == self.window:
                rate = sum(self._recent) / self.window
                move = int(rate > self.high) - int(rate < self.low)
                self.level = min(max(self.level + move, 0), self.parts - 1)
                self._recent = []

    def info(self, parts: NDArray[np.int64]) -> dict[str, NDArray[Any]]:
        """Return `level`, that of each episode."""
        return {"level": parts.copy()}

    def state_dict(self) -> dict[str, Any]:
        """Return the state as plain data for JSON."""
        return {
            "parts": self.parts,
            "seed": self.seed,
            "drawn": self._drawn,
            "level": self.level,
            "recent": list(self._recent),
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from a state; raises as `Schedule.load_state_dict` says."""
        self._check_state(state)
        if not 0 <= int(state["level"]) < self.parts:
            raise ValueError(f"the state is at level {state['level']}, and there are {self.parts} levels, counted from 0")
        if len(state["recent"]) >= self.window:
            raise ValueError(f"the state counts {len(state['recent'])} recent episodes, more than fit window={self.window}")
        self._drawn, self.level, self._recent = int(state["drawn"]), int(state["level"]), [bool(x) for x in state["recent"]]


class Progress(Schedule):
    """Asks more of what is being learned: parts are weighted by how fast their success rate changes, up or down.

    The change is the distance between a fast and a slow moving average of successes (Matiisen et al. 2017, "Teacher-student
    curriculum learning"; Graves et al. 2017). What is mastered or out of reach stands still and is asked less.

    Args:
        parts, seed: as of `Schedule`.
        explore: share of instances that are drawn uniformly, so that no part is lost sight of.
        fast, slow: weights of a new episode in the two averages, 0 < slow < fast <= 1.
    """

    def __init__(self, parts: int, *, explore: float = 0.2, fast: float = 0.02, slow: float = 0.004, seed: int = 0) -> None:
        super().__init__(parts, seed)
        if not 0 < explore <= 1:
            raise ValueError(f"explore must lie in (0, 1], got {explore}")
        if not 0 < slow < fast <= 1:
            raise ValueError(f"the averages need 0 < slow < fast <= 1, got fast={fast}, slow={slow}")
        self.explore, self.fast, self.slow = explore, fast, slow
        self._averages = np.zeros((2, parts))
        self._counts = np.zeros(parts, np.int64)

    @property
    def weights(self) -> NDArray[np.float64]:
        """With which probability each part is asked, (parts,)."""
        uniform = np.full(self.parts, 1 / self.parts)
        progress = np.abs(self._averages[0] - self._averages[1])
        if progress.sum() < 1e-9:
            return uniform
        weights: NDArray[np.float64] = self.explore * uniform + (1 - self.explore) * progress / progress.sum()
        return weights

    def choose(self, count: int) -> NDArray[np.int64]:
        """Draw parts by their weights."""
        edges = np.cumsum(self.weights)
        return np.minimum(np.searchsorted(edges, self._uniform(count), side="right"), self.parts - 1).astype(np.int64)

    def record(self, parts: NDArray[np.int64], success: NDArray[np.bool_]) -> None:
        """Move the averages of the parts."""
        for part, right in zip(parts.tolist(), success.tolist(), strict=True):
            self._counts[part] += 1
            for row, rate in enumerate((self.fast, self.slow)):
                # The first episodes count in full, so that an average starts at what was seen and not at 0.
                weight = max(rate, 1 / self._counts[part])
                self._averages[row, part] += weight * (right - self._averages[row, part])

    def info(self, parts: NDArray[np.int64]) -> dict[str, NDArray[Any]]:
        """Return `weights`, (n, parts)."""
        return {"weights": np.repeat(self.weights[None], len(parts), axis=0)}

    def state_dict(self) -> dict[str, Any]:
        """Return the state as plain data for JSON."""
        return {
            "parts": self.parts,
            "seed": self.seed,
            "drawn": self._drawn,
            "averages": self._averages.tolist(),
            "counts": self._counts.tolist(),
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from a state; raises as `Schedule.load_state_dict` says."""
        self._check_state(state)
        if np.shape(state["averages"]) != (2, self.parts) or np.shape(state["counts"]) != (self.parts,):
            raise ValueError(
                f"averages and counts of a state of {self.parts} parts have shapes (2, {self.parts}), ({self.parts},)"
            )
        self._drawn = int(state["drawn"])
        self._averages, self._counts = np.array(state["averages"], np.float64), np.array(state["counts"], np.int64)
