"""Wrappers that let a schedule decide what is asked: a curriculum over levels, and a mixture that follows what is learned.

Each exists for a single environment and for a vector of them; the environments of a vector share one schedule. A reset with a
seed restarts the questions, not the schedule: what it has learned and drawn stays.

    env = Curriculum(gymnasium.make("SSL4RL/PatchOrdering-v0", interface="text"), low=0.4, high=0.8)
    envs = AdaptiveMixtureVector(gymnasium.make_vec("SSL4RL/Mixture-v0", num_envs=64))
    envs.schedule.state_dict()                      # to be kept with a checkpoint
"""

from __future__ import annotations

from typing import Any

import gymnasium as gym
from gymnasium.utils import RecordConstructorArgs

from ssl4rl_envs.mixture import Parts
from ssl4rl_envs.registration import build_task, load_class
from ssl4rl_envs.schedules import Ladder, Progress
from ssl4rl_envs.task import Task


class Curriculum(gym.Wrapper[Any, Any, Any, Any], RecordConstructorArgs):
    """Raises the level of a task when it is solved too often, and lowers it when too seldom.

    The levels are those that the task declares. Observations are those of `Parts` over the levels: `task` is the level.
    `info` holds `level`; instance `index` of level k is that of ``make(..., level=<name of level k>)``.

    Args:
        env: an environment of this suite, made without a `level` and without the arguments that its levels set.
        low, high, window, review, seed: as of `Ladder`.

    Raises:
        ValueError: the task has fewer than two levels.
    """

    def __init__(
        self,
        env: gym.Env[Any, Any],
        *,
        low: float = 0.4,
        high: float = 0.8,
        window: int = 64,
        review: float = 0.0,
        seed: int = 0,
    ) -> None:
        RecordConstructorArgs.__init__(self, low=low, high=high, window=window, review=review, seed=seed)
        gym.Wrapper.__init__(self, env)
        self.schedule = _climb(env, low=low, high=high, window=window, review=review, seed=seed)


class CurriculumVector(gym.vector.VectorWrapper):
    """As `Curriculum`, for the environments that ``gymnasium.make_vec`` makes: one level for all of them.

    Args:
        env: a vector environment of this suite; the other arguments and errors are those of `Curriculum`.
    """

    def __init__(
        self,
        env: gym.vector.VectorEnv[Any, Any, Any],
        *,
        low: float = 0.4,
        high: float = 0.8,
        window: int = 64,
        review: float = 0.0,
        seed: int = 0,
    ) -> None:
        super().__init__(env)
        self.schedule = _climb(env, low=low, high=high, window=window, review=review, seed=seed)


class AdaptiveMixture(gym.Wrapper[Any, Any, Any, Any], RecordConstructorArgs):
    """Asks more of those tasks of a mixture whose success rate is changing.

    `info` holds `weights`, with which probability each task is asked next, and `task`; instance `index` of a task is that of
    the task on its own.

    Args:
        env: ``SSL4RL/Mixture-v0``; its weights are not used.
        explore, fast, slow, seed: as of `Progress`.

    Raises:
        ValueError: the environment is no mixture.
    """

    def __init__(
        self, env: gym.Env[Any, Any], *, explore: float = 0.2, fast: float = 0.02, slow: float = 0.004, seed: int = 0
    ) -> None:
        RecordConstructorArgs.__init__(self, explore=explore, fast=fast, slow=slow, seed=seed)
        gym.Wrapper.__init__(self, env)
        self.schedule = _adapt(env, explore=explore, fast=fast, slow=slow, seed=seed)


class AdaptiveMixtureVector(gym.vector.VectorWrapper):
    """As `AdaptiveMixture`, for the environments that ``gymnasium.make_vec`` makes: one set of weights for all of them.

    Args:
        env: a vector environment of mixtures; the other arguments and errors are those of `AdaptiveMixture`.
    """

    def __init__(
        self,
        env: gym.vector.VectorEnv[Any, Any, Any],
        *,
        explore: float = 0.2,
        fast: float = 0.02,
        slow: float = 0.004,
        seed: int = 0,
    ) -> None:
        super().__init__(env)
        self.schedule = _adapt(env, explore=explore, fast=fast, slow=slow, seed=seed)


def level_tasks(path: str, arguments: dict[str, Any]) -> list[Task]:
    """Build a task ("module:Class") once for each of its levels, from the easiest to the hardest.

    Args:
        path: the task's class.
        arguments: its arguments, but for those that levels set.
    """
    return [build_task(path, {**arguments, "level": level.name}) for level in load_class(path).levels]


def _climb(env: Any, **settings: Any) -> Ladder:
    inner = env.unwrapped
    task, arguments = inner.questions.built_from
    if not isinstance(task, str):
        raise ValueError("a curriculum builds the task anew for each level; make the environment by its id")
    if arguments.get("level") is not None:
        raise ValueError(f"a curriculum chooses the level itself; make the environment without level={arguments['level']!r}")
    levels = level_tasks(task, arguments)
    if any(level.parts for level in levels):
        raise ValueError("a curriculum over the levels of a mixture is not possible; use AdaptiveMixture for it")
    if len(levels) < 2:
        raise ValueError(f"a curriculum needs at least two levels; {task} has {len(levels)}")
    schedule = Ladder(len(levels), **settings)
    inner.follow(schedule, Parts(levels))
    return schedule


def _adapt(env: Any, **settings: Any) -> Progress:
    inner = env.unwrapped
    mixture = inner.questions.mixture
    if mixture is None:
        raise ValueError(f"an adaptive mixture needs SSL4RL/Mixture-v0, got {type(inner.task).__name__}")
    schedule = Progress(len(mixture.parts), **settings)
    inner.follow(schedule, mixture)
    return schedule
