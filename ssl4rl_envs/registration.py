"""The table of environment ids, and tasks by id.

A new task is one new file and one row here.
"""

from __future__ import annotations

import importlib
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import gymnasium as gym
from gymnasium.envs.registration import EnvSpec

from ssl4rl_envs.arguments import checked_arguments

if TYPE_CHECKING:
    from ssl4rl_envs.task import Task

NAMESPACE = "SSL4RL"
PAIRING = "pairing"


@dataclass(frozen=True)
class Row:
    """One environment: its id, where its task's class is ("module:Class"), and arguments other than the class's defaults."""

    id: str
    task: str
    arguments: dict[str, Any]


TABLE: tuple[Row, ...] = (
    Row("SSL4RL/Rotation-v0", "ssl4rl_envs.images.rotation:Rotation", {}),
    Row("SSL4RL/PatchOrdering-v0", "ssl4rl_envs.images.patch_ordering:PatchOrdering", {}),
    Row("SSL4RL/PatchPosition-v0", "ssl4rl_envs.images.patch_position:PatchPosition", {}),
    Row("SSL4RL/MaskedReconstruction-v0", "ssl4rl_envs.images.masked_reconstruction:MaskedReconstruction", {}),
    Row("SSL4RL/Contrastive-v0", "ssl4rl_envs.images.contrastive:Contrastive", {}),
    Row("SSL4RL/FlipPrediction-v0", "ssl4rl_envs.images.flip_prediction:FlipPrediction", {}),
    Row("SSL4RL/Colorization-v0", "ssl4rl_envs.images.colorization:Colorization", {}),
    Row("SSL4RL/OddPatch-v0", "ssl4rl_envs.images.odd_patch:OddPatch", {}),
    Row("SSL4RL/PatchSwap-v0", "ssl4rl_envs.images.patch_swap:PatchSwap", {}),
    Row("SSL4RL/Mixture-v0", "ssl4rl_envs.images.mixture:Mixture", {}),
    Row("SSL4RL/EdgePrediction-v0", "ssl4rl_envs.graphs.edge_prediction:EdgePrediction", {}),
    Row("SSL4RL/NeighborChoice-v0", "ssl4rl_envs.graphs.neighbor_choice:NeighborChoice", {}),
    Row("SSL4RL/NodeAttribute-v0", "ssl4rl_envs.graphs.node_attribute:NodeAttribute", {}),
    Row("SSL4RL/MaskedFeatures-v0", "ssl4rl_envs.graphs.masked_features:MaskedFeatures", {}),
    Row("SSL4RL/GraphDistance-v0", "ssl4rl_envs.graphs.graph_distance:GraphDistance", {}),
)


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
    """Return `task` itself, or build it from its class's path and keyword arguments, `level` and `pairing` among them.

    Raises:
        TypeError: an argument is unknown to the task or of another type, or arguments came with a task that is built already.
        ValueError: an argument is out of its range.
    """
    if not isinstance(task, str):
        if arguments:
            raise TypeError(f"the task is built already; it takes no arguments, got {sorted(arguments)}")
        return task
    arguments = task_arguments(task, arguments)
    try:
        key = tuple(sorted(arguments.items()))
        hash(key)
    except TypeError:  # arrays, say
        return _build(task, arguments)
    return _build(task, arguments) if _may_change(arguments.get("source", "")) else _build_once(task, key)


def with_plain_source(cls: type[Task], arguments: dict[str, Any]) -> dict[str, Any]:
    """Return the arguments of a task, a `Path` among them as the string that names the same source, which JSON can keep."""
    source = arguments.get("source")
    return {**arguments, "source": f"{cls.path_scheme}{source}"} if isinstance(source, Path) else arguments


class PlainSpec:
    """What environments share: a spec that can be written as JSON where the source was given as a `Path`."""

    _spec: EnvSpec | None = None

    @property
    def spec(self) -> EnvSpec | None:
        """How `gymnasium.make` made the environment; None without it."""
        return self._spec

    @spec.setter
    def spec(self, spec: EnvSpec | None) -> None:
        if spec is not None and isinstance(spec.kwargs.get("task"), str):
            spec.kwargs = with_plain_source(load_class(spec.kwargs["task"]), spec.kwargs)
        self._spec = spec


def _may_change(source: Any) -> bool:
    """Return whether a source may be another next time: what lies on the disk, and objects of other libraries."""
    if isinstance(source, str):
        return source.startswith(("folder:", "file:"))
    return not hasattr(source, "fingerprint")


@lru_cache(maxsize=128)
def _build_once(path: str, arguments: tuple[tuple[str, Any], ...]) -> Task:
    """Build a task, or return the one that was built from the same arguments: tasks hold no state."""
    return _build(path, dict(arguments))


def _build(path: str, arguments: dict[str, Any]) -> Task:
    task = load_class(path)(**{name: value for name, value in arguments.items() if name != PAIRING})
    return task.paired(arguments[PAIRING]) if arguments.get(PAIRING) is not None else task


def task_arguments(path: str, arguments: dict[str, Any]) -> dict[str, Any]:
    """Return the arguments of a task ("module:Class") as its constructor takes them, with those of a level, and the pairing.

    Raises:
        TypeError: an argument is unknown to the task or of another type.
        ValueError: a number is not finite, or there is no such level.
    """
    cls = load_class(path)
    given = dict(with_plain_source(cls, arguments))
    level, pairing = given.pop("level", None), given.pop(PAIRING, None)
    if level is not None:
        given = at_level(cls, level, given)
    found = checked_arguments(f"{cls.__name__}()", cls, given, ["level", PAIRING])
    return found if pairing is None else {**found, PAIRING: pairing}


def at_level(cls: type[Task], name: str, arguments: dict[str, Any]) -> dict[str, Any]:
    """Return `arguments` with those of a level of the task.

    Raises:
        ValueError: the task has no such level, or the level sets an argument that was given too.
    """
    levels = {level.name: level.arguments for level in cls.levels}
    if name not in list(levels):
        raise ValueError(f"{cls.__name__} has no level {name!r}; its levels are {', '.join(levels) or 'none'}")
    both = sorted(set(levels[name]) & set(arguments))
    if both:
        raise ValueError(f"level {name!r} of {cls.__name__} sets {', '.join(both)}; leave that out, or the level")
    return {**levels[name], **arguments}


def registered_task(name: str) -> tuple[str, dict[str, Any]]:
    """Return the class ("module:Class") and the registered arguments of a task by the id of its environment, or in short.

    Args:
        name: e.g. "SSL4RL/Rotation-v0", or "Rotation" for the newest version of it.

    Raises:
        ValueError: there is no such task.
    """
    ids = env_ids()
    found = [env_id for env_id in ids if name in (env_id, env_id.removeprefix(f"{NAMESPACE}/").rsplit("-v", 1)[0])]
    if not found:
        short = (env_id.removeprefix(f"{NAMESPACE}/").rsplit("-v", 1)[0] for env_id in ids)
        raise ValueError(f"unknown task {name!r}; known are {', '.join(short)}")
    kwargs = dict(gym.spec(max(found, key=lambda env_id: gym.spec(env_id).version or 0)).kwargs)
    return kwargs.pop("task"), kwargs


def make_task(env_id: str, **arguments: Any) -> Task:
    """Build the task of an environment without the environment, e.g. ``make_task("SSL4RL/Rotation-v0", source="digits")``.

    For trainers, exporters and analysis: `task.sample(Stream(split, seeds, indices))` gives whole batches of instances.
    """
    cls = task_class(env_id)
    registered = {key: value for key, value in gym.spec(env_id).kwargs.items() if key != "task"}
    return build_task(f"{cls.__module__}:{cls.__name__}", {**registered, **arguments})


def check_arguments(env_id: str, arguments: dict[str, Any]) -> None:
    """Look at the arguments of an environment's task without building it.

    Raises:
        TypeError: an argument is unknown to the task or of another type.
        ValueError: a number is not finite, or there is no such level.
    """
    cls = task_class(env_id)
    registered = {key: value for key, value in gym.spec(env_id).kwargs.items() if key != "task"}
    task_arguments(f"{cls.__module__}:{cls.__name__}", {**registered, **arguments})
