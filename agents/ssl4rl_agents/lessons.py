"""Agents that learn: what they are given to learn from, and what is noted on the way.

The same contract holds for the suite's own trainer, for stable-baselines3 and for anybody's plug-in, so that all of them can
be compared by the episodes they were given.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal, Protocol, runtime_checkable

from ssl4rl_agents.agent import Agent
from ssl4rl_agents.evaluation import evaluate
from ssl4rl_envs import SSLVectorEnv, hash_seed, make_task
from ssl4rl_envs.answers import Grammar
from ssl4rl_envs.arguments import Checked, whole_number
from ssl4rl_envs.registration import env_id_of
from ssl4rl_envs.telling import Progress as Far


@dataclass(frozen=True)
class Point:
    """A point of a learning curve.

    Args:
        episodes: training episodes so far.
        seconds: spent on learning so far, without the measurements.
        reward, success: means on the validation split.
    """

    episodes: int
    seconds: float
    reward: float
    success: float

    def to_json(self) -> dict[str, float]:
        """Return the point as plain data."""
        return asdict(self)


@dataclass
class Lesson(Checked):
    """What an agent may learn from: one environment's training split, for so many episodes.

    Args:
        env, env_args: the environment's id and its arguments.
        episodes: how many an agent may play. It may play fewer where it learns from whole batches, and more by those that end
            within its last batch where episodes have several steps; the last point of the curve says how many they were.
        seed: of this run; all randomness of learning derives from it.
        folder: where an agent may leave files; it is removed afterwards unless it is asked for.
        measurements: how often the agent is measured on the way.
        measured_episodes: episodes of such a measurement.
        device: "cpu", "cuda" or "auto".
        prompt_style, grammar: how agents that reply in words are asked and read, while they learn and where they are
            measured; see `ssl4rl_envs.interface`.
        curve: the points that were noted.
        settings: what the agent learned with, plain data, if it says so.
        on_begin: is shown the agent as it is before it learns, once; a lesson that is gone on with does not begin again.
        aloud: say on standard error how far learning has come.

    Raises:
        TypeError: an argument is of another type.
        ValueError: there are fewer than one of something, or the seed is negative.
    """

    env: str
    env_args: dict[str, Any]
    episodes: int
    seed: int
    folder: Path
    measurements: int = 10
    measured_episodes: int = 256
    device: str = "cpu"
    prompt_style: Literal["direct", "think"] = "direct"
    grammar: Grammar = "strict"
    curve: list[Point] = field(default_factory=list)
    settings: dict[str, Any] = field(default_factory=dict)
    on_begin: Callable[[Agent], None] | None = None
    aloud: bool = False
    _due: int = 0
    _told: int = 0
    _measuring: float = 0.0
    _begun: float = field(default_factory=time.perf_counter)
    _far: Far | None = None

    def __post_init__(self) -> None:
        """Look at the arguments, and write the environment's id out."""
        super().__post_init__()
        self.env = env_id_of(self.env)
        for name, least in {"episodes": 1, "seed": 0, "measurements": 1, "measured_episodes": 1}.items():
            whole_number(name, getattr(self, name), least)

    def make_envs(self, num_envs: int, interface: str = "array", **arguments: Any) -> SSLVectorEnv:
        """Return environments over the training split; reset them with `seeds(num_envs)`."""
        task = make_task(self.env, **self.env_args)
        how: dict[str, Any] = {"prompt_style": self.prompt_style, "grammar": self.grammar}
        return SSLVectorEnv(task, num_envs=num_envs, split="train", interface=interface, **how, **arguments)

    def seeds(self, num_envs: int) -> list[int]:
        """Return a seed for each environment."""
        return [hash_seed(self.seed, "training environment", number) for number in range(num_envs)]

    def begin(self, agent: Agent) -> None:
        """Tell that learning is about to begin; the time until now does not count."""
        if self.on_begin is not None:
            self.on_begin(agent)
        self._begun = time.perf_counter()
        self._far = Far("training", self.episodes) if self.aloud else None

    def progress(self, agent: Agent, episodes: int) -> None:
        """Tell how far learning has come; the agent is measured, and a point noted, where one is due."""
        self._told = episodes
        if self._far is not None:
            self._far.tell(episodes)
        due = min(self.measurements, episodes * self.measurements // self.episodes)
        if due <= self._due:
            return
        self._due = due
        self._measure(agent, episodes)

    def end(self, agent: Agent) -> None:
        """Tell that learning is over; a last point is noted if the agent told of more episodes than the curve has."""
        if self._told > (self.curve[-1].episodes if self.curve else 0):
            self._measure(agent, self._told)
        if self._far is not None:
            self._far.end()

    def _measure(self, agent: Agent, episodes: int) -> None:
        start = time.perf_counter()
        task = make_task(self.env, **self.env_args)
        how: dict[str, Any] = {"prompt_style": self.prompt_style, "grammar": self.grammar}
        result = evaluate(agent, task, env=self.env, split="validation", episodes=self.measured_episodes, **how)
        self.note(Point(episodes, round(start - self._begun - self._measuring, 3), result.reward, result.success))
        self._measuring += time.perf_counter() - start

    def note(self, point: Point) -> None:
        """Add a point that the agent measured itself."""
        self.curve.append(point)


@runtime_checkable
class Learner(Agent, Protocol):
    """An agent that learns before it is measured."""

    def learn(self, lesson: Lesson) -> None:
        """Learn from the training split; afterwards `act` does what was learned.

        It calls `lesson.begin(self)` first, when it could act already, and tells `lesson.progress(self, episodes)` now and
        then. It never sees a target except through the reward; one that does is a supervised ceiling and says so in its name.
        """
        ...
