"""The table of environment ids, and tasks by id.

A new task is one new file and one row here.
"""

from __future__ import annotations

import importlib
import inspect
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import gymnasium as gym

if TYPE_CHECKING:
    from ssl4rl_envs.task import Task

NAMESPACE = "SSL4RL"


@dataclass(frozen=True)
class Row:
    """One environment: its id, where its task's class is ("module:Class"), and arguments other than the class's defaults."""

    id: str
    task: str
    arguments: dict[str, Any]


TABLE: tuple[Row, ...] = (Row("SSL4RL/Rotation-v0", "ssl4rl_envs.images.rotation:Rotation", {}),)


def register_all() -> None:
    """Register every row of the table with Gymnasium; a second call changes nothing."""
    for row in TABLE:
        if row.id not in gym.registry:
            gym.register(
                row.id,
                entry_point="ssl4rl_envs.env:SSLEnv",
                vector_entry_point="ssl4rl_envs.vector:SSLVectorEnv",
                kwargs={"task": row.task, **row.arguments},
            )


def env_ids() -> list[str]:
    """Return the ids of all registered environments of this suite, those that others added to the namespace included."""
    return [name for name, spec in gym.registry.items() if spec.namespace == NAMESPACE]


def load_class(path: str) -> type[Task]:
    """Import a task's class from "module:Class"."""
    module, _, name = path.partition(":")
    if not name:
        raise ValueError(f"a task is named as 'module:Class', got {path!r}")
    loaded: type[Task] = getattr(importlib.import_module(module), name)
    return loaded


def task_class(env_id: str) -> type[Task]:
    """Return the class of the task behind an environment id.

    Raises:
        gymnasium.error.Error: there is no such environment; its message names the nearest.
    """
    spec = gym.spec(env_id)
    if spec.namespace != NAMESPACE or "task" not in spec.kwargs:
        raise ValueError(f"{env_id} is not an environment of this suite; known are {', '.join(env_ids())}")
    return load_class(spec.kwargs["task"])


def build_task(task: Task | str, arguments: dict[str, Any]) -> Task:
    """Return `task` itself, or build it from its class's path and keyword arguments.

    Raises:
        TypeError: an argument is unknown to the task, or arguments came with a task that is built already.
    """
    if not isinstance(task, str):
        if arguments:
            raise TypeError(f"the task is built already; it takes no arguments, got {sorted(arguments)}")
        return task
    cls = load_class(task)
    known = list(inspect.signature(cls).parameters)
    unknown = sorted(set(arguments) - set(known))
    if unknown:
        raise TypeError(f"{cls.__name__} has no argument {', '.join(unknown)}; it takes {', '.join(known)}")
    return cls(**arguments)


def make_task(env_id: str, **arguments: Any) -> Task:
    """Build the task of an environment without the environment, e.g. ``make_task("SSL4RL/Rotation-v0", source="digits")``.

    For trainers, exporters and analysis: `task.sample(Stream(split, seeds, indices))` gives whole batches of instances.
    """
    cls = task_class(env_id)
    registered = {key: value for key, value in gym.spec(env_id).kwargs.items() if key != "task"}
    return build_task(f"{cls.__module__}:{cls.__name__}", {**registered, **arguments})
