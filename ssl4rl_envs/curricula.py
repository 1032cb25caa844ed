"""Environments that let a schedule decide what is asked: a curriculum over levels, a mixture that follows what is learned.

Both functions take a single environment or a vector of them, whose environments share one schedule. The environment itself
follows the schedule from then on and is returned. A reset with a seed restarts the questions, not the schedule: what it has
learned and drawn stays.

    env = curriculum(gymnasium.make("ssl4rl_envs:SSL4RL/PatchOrdering-v0", interface="text"), low=0.4, high=0.8)
    envs = adaptive_mixture(gymnasium.make_vec("ssl4rl_envs:SSL4RL/Mixture-v0", num_envs=64))
    envs.unwrapped.schedule.state_dict()            # to be kept with a checkpoint
"""

from __future__ import annotations

import dataclasses
from typing import Any, TypeVar

import gymnasium as gym
from gymnasium.envs.registration import WrapperSpec

from ssl4rl_envs.mixture import Parts
from ssl4rl_envs.registration import build_task, load_class
from ssl4rl_envs.schedules import Ladder, Progress
from ssl4rl_envs.task import Task

EnvT = TypeVar("EnvT", gym.Env[Any, Any], gym.vector.VectorEnv[Any, Any, Any])


def curriculum(
    env: EnvT, *, low: float = 0.4, high: float = 0.8, window: int = 64, review: float = 0.0, seed: int = 0
) -> EnvT:
    """Raise the level of a task when it is solved too often, and lower it when too seldom.

    The levels are those that the task declares. Observations are those of `Parts` over the levels: `task` is the level.
    `info` holds `level`; instance `index` of level k is that of ``make(..., level=<name of level k>)``.

    Args:
        env: an environment of this suite, made without a `level` and without the arguments that its levels set.
        low, high, window, review, seed: as of `Ladder`.

    Raises:
        ValueError: the task has fewer than two levels, or `env` has a level already.
    """
    settings: dict[str, Any] = {"low": low, "high": high, "window": window, "review": review, "seed": seed}
    inner: Any = env.unwrapped
    levels = _levels_of(*inner.questions.built_from)
    inner.follow(Ladder(len(levels), **settings), Parts(levels))
    return _noted(env, "curriculum", settings)


def adaptive_mixture(env: EnvT, *, explore: float = 0.2, fast: float = 0.02, slow: float = 0.004, seed: int = 0) -> EnvT:
    """Ask more of those tasks of a mixture whose success rate is changing.

    `info` holds `weights`, with which probability each task is asked next, and `task`; instance `index` of a task is that of
    the task on its own.

    Args:
        env: ``SSL4RL/Mixture-v0``; its weights are not used.
        explore, fast, slow, seed: as of `Progress`.

    Raises:
        ValueError: the environment is no mixture.
    """
    settings: dict[str, Any] = {"explore": explore, "fast": fast, "slow": slow, "seed": seed}
    inner: Any = env.unwrapped
    mixture = inner.questions.mixture
    if mixture is None:
        raise ValueError(f"an adaptive mixture needs SSL4RL/Mixture-v0, got {type(inner.task).__name__}")
    inner.follow(Progress(len(mixture.parts), **settings), mixture)
    return _noted(env, "adaptive_mixture", settings)


def level_tasks(path: str, arguments: dict[str, Any]) -> list[Task]:
    """Build a task ("module:Class") once for each of its levels, from the easiest to the hardest.

    Args:
        path: the task's class.
        arguments: its arguments, but for those that levels set.
    """
    return [build_task(path, {**arguments, "level": level.name}) for level in load_class(path).levels]


def _levels_of(task: Task | str, arguments: dict[str, Any]) -> list[Task]:
    """Return the tasks that a curriculum climbs through; raises as `curriculum` says."""
    if not isinstance(task, str):
        raise ValueError("a curriculum builds the task anew for each level; make the environment by its id")
    if arguments.get("level") is not None:
        raise ValueError(f"a curriculum chooses the level itself; make the environment without level={arguments['level']!r}")
    levels = level_tasks(task, arguments)
    if any(level.parts for level in levels):
        raise ValueError("a curriculum over the levels of a mixture is not possible; use adaptive_mixture for it")
    if len(levels) < 2:
        raise ValueError(f"a curriculum needs at least two levels; {task} has {len(levels)}")
    return levels


def _noted(env: EnvT, name: str, settings: dict[str, Any]) -> EnvT:
    """Note in the spec of an environment that it follows a schedule, so that ``gymnasium.make(env.spec)`` makes it again."""
    inner: Any = env.unwrapped
    if inner.spec is not None:
        note = WrapperSpec(name, f"{__name__}:{name}", settings)
        inner.spec = dataclasses.replace(inner.spec, additional_wrappers=(*inner.spec.additional_wrappers, note))
    return env
