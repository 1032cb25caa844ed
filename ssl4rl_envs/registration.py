"""The table of environment ids, and tasks by any of their names.

A new task is one new file and one row here; outside of this repository it is a class, see `own`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import gymnasium as gym
from gymnasium.envs.registration import EnvSpec

from ssl4rl_envs import own
from ssl4rl_envs.arguments import checked_arguments, did_you_mean, whole_number
from ssl4rl_envs.briefly import briefly

if TYPE_CHECKING:
    from ssl4rl_envs.task import Task

NAMESPACE = "SSL4RL"
ENTRY, VECTOR_ENTRY = "ssl4rl_envs.env:SSLEnv", "ssl4rl_envs.vector:SSLVectorEnv"
PAIRING, ATTEMPTS, MULTIPLE_CHOICE = "pairing", "attempts", "multiple_choice"


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
    Row("SSL4RL/FrameOrdering-v0", "ssl4rl_envs.images.frame_ordering:FrameOrdering", {}),
    Row("SSL4RL/NextFrame-v0", "ssl4rl_envs.images.next_frame:NextFrame", {}),
    Row("SSL4RL/DepthOrder-v0", "ssl4rl_envs.images.depth_order:DepthOrder", {}),
    Row("SSL4RL/RelativePosition-v0", "ssl4rl_envs.images.relative_position:RelativePosition", {}),
    Row("SSL4RL/Comparison-v0", "ssl4rl_envs.images.comparison:Comparison", {}),
    Row("SSL4RL/PatchSwap-v0", "ssl4rl_envs.images.patch_swap:PatchSwap", {}),
    Row("SSL4RL/SceneQA-v0", "ssl4rl_envs.images.scene_qa:SceneQA", {}),
    Row("SSL4RL/RotateUpright-v0", "ssl4rl_envs.images.rotate_upright:RotateUpright", {}),
    Row("SSL4RL/Reveal-v0", "ssl4rl_envs.images.reveal:Reveal", {}),
    Row("SSL4RL/Mixture-v0", "ssl4rl_envs.images.mixture:Mixture", {}),
    Row("SSL4RL/EdgePrediction-v0", "ssl4rl_envs.graphs.edge_prediction:EdgePrediction", {}),
    Row("SSL4RL/NeighborChoice-v0", "ssl4rl_envs.graphs.neighbor_choice:NeighborChoice", {}),
    Row("SSL4RL/NodeAttribute-v0", "ssl4rl_envs.graphs.node_attribute:NodeAttribute", {}),
    Row("SSL4RL/MaskedFeatures-v0", "ssl4rl_envs.graphs.masked_features:MaskedFeatures", {}),
    Row("SSL4RL/GraphDistance-v0", "ssl4rl_envs.graphs.graph_distance:GraphDistance", {}),
    Row("SSL4RL/GraphQA-v0", "ssl4rl_envs.graphs.graph_qa:GraphQA", {}),
    Row("SSL4RL/GraphWalk-v0", "ssl4rl_envs.graphs.graph_walk:GraphWalk", {}),
    Row("SSL4RL/GraphSearch-v0", "ssl4rl_envs.graphs.graph_search:GraphSearch", {}),
)


def register_all() -> None:
    """Register every row of the table with Gymnasium, and the tasks of plug-ins; a second call changes nothing."""
    for row in TABLE:
        if row.id not in gym.registry:
            _register(row.id, row.task, row.arguments)
    own.register_plugins(register, NAMESPACE)


def register(env_id: str, task: type[Task] | str, **arguments: Any) -> None:
    """Register a task of your own as a Gymnasium environment, for single environments and for vectors of them.

    Args:
        env_id: "Namespace/Name-v0"; `gymnasium.make`, every command and every function of this suite know it from now on.
        task: its class, or where that is, "module:Class", which is then imported when somebody asks for the task.
        arguments: of the task, where they are not the defaults of the class.

    Raises:
        ValueError: the id is none, or belongs to another environment.
    """
    own.require_id(env_id)
    path = own.path_of(task)
    known = gym.registry.get(env_id)
    if known is None:
        _register(env_id, path, arguments)
    elif known.kwargs != {"task": path, **arguments}:
        raise ValueError(f"{env_id} is registered already, for {known.kwargs.get('task', known.entry_point)}, not for {path}")


def _register(env_id: str, path: str, arguments: dict[str, Any]) -> None:
    gym.register(env_id, entry_point=ENTRY, vector_entry_point=VECTOR_ENTRY, kwargs=Arguments({"task": path, **arguments}))


class Arguments(dict[str, Any]):
    """The arguments of a registered environment, which stay plain data when Gymnasium adds a user's to them.

    ``make_vec`` keeps what it was given in the spec of the vector environment that it makes, of Gymnasium's own kinds too; so
    here is where a `Path` becomes a string, without which the spec could not be written as JSON.
    """

    def update(self, *args: Any, **kwargs: Any) -> None:
        """Add arguments; see `plain_arguments`."""
        super().update(*args, **kwargs)
        super().update(plain_arguments(self))


def plain_arguments(arguments: Mapping[str, Any]) -> dict[str, Any]:
    """Return the arguments of an environment, of which `task` is one, as JSON can keep them where there is such a form."""
    plain = dict(arguments)
    if isinstance(plain.get("task"), str) and isinstance(plain.get("source"), Path):
        plain = with_plain_source(load_class(plain["task"]), plain)
    mode = plain.get("autoreset_mode")
    return {**plain, "autoreset_mode": mode.value} if isinstance(mode, Enum) else plain


def env_ids() -> list[str]:
    """Return the ids of all registered environments of this suite, and of those over tasks that others added."""
    return [name for name, spec in gym.registry.items() if spec.namespace == NAMESPACE or spec.entry_point == ENTRY]


def short_name(env_id: str) -> str:
    """Return what an environment is called in short: "Rotation" of "SSL4RL/Rotation-v0"."""
    return re.sub(r"-v\d+$", "", env_id.split("/")[-1])


def env_id_of(name: str) -> str:
    """Return the id of an environment by any of its names; everything that takes an environment's name asks this.

    Args:
        name: the id, "SSL4RL/Rotation-v0", also with the module before it as Gymnasium writes that,
            "ssl4rl_envs:SSL4RL/Rotation-v0"; or in short, "Rotation", "rotation", "patch_ordering", "Rotation-v0". Case,
            dashes and underscores count for nothing, and without a version it is the newest. Or "module:Class", where a
            task of your own is: it needs no id, and goes by this name.

    Raises:
        TypeError: a name is no str.
        ValueError: there is no such environment; the message names the nearest.
    """
    if not isinstance(name, str):
        raise TypeError(f"an environment goes by a name, e.g. 'Rotation', got {type(name).__name__}")
    asked = name.removeprefix(f"{__package__}:")
    if own.is_path(asked):
        load_class(asked)
        return asked
    ids = env_ids()
    if asked in ids:
        return asked
    found = [env_id for env_id in ids if _plain(asked) in {_plain(known) for known in _names_of(env_id)}]
    found = [env_id for env_id in found if env_id.startswith(f"{NAMESPACE}/")] or found
    if not found:
        known = list(dict.fromkeys(map(short_name, ids)))
        nearest = did_you_mean(short_name(asked), known)
        raise ValueError(f"unknown environment {name!r}{nearest or ';'} known are {', '.join(known)}")
    if len({env_id.split("/")[0] for env_id in found}) > 1:
        raise ValueError(f"several environments are called {name!r}: {', '.join(found)}; name one in full")
    return max(found, key=lambda env_id: gym.spec(env_id).version or 0)


def _names_of(env_id: str) -> tuple[str, ...]:
    """Return all that an environment may be called: with and without namespace and version."""
    namespace, _, bare = env_id.rpartition("/")
    return (env_id, bare, short_name(env_id), f"{namespace}/{short_name(env_id)}")


def _plain(name: str) -> str:
    return re.sub(r"[-_ ]", "", name.lower())


def load_class(path: str) -> type[Task]:
    """Import a task's class from "module:Class"; raises as `own.load_task_class`."""
    return own.load_task_class(path)


def registered_task(name: str) -> tuple[str, dict[str, Any]]:
    """Return the class ("module:Class") and the registered arguments of the task behind an environment, by any of its names.

    Raises:
        ValueError: there is no such environment in this suite; the message names the nearest.
    """
    env_id = env_id_of(name)
    if own.is_path(env_id):
        return env_id, {}
    arguments = dict(gym.spec(env_id).kwargs)
    if "task" not in arguments:
        raise ValueError(f"{name} was registered by others without a task of this suite")
    return arguments.pop("task"), arguments


def task_class(env_id: str) -> type[Task]:
    """Return the class of the task behind an environment, by any of its names.

    Raises:
        ValueError: there is no such environment in this suite; the message names the nearest.
    """
    return load_class(registered_task(env_id)[0])


def build_task(task: Task | str, arguments: dict[str, Any]) -> Task:
    """Return `task` itself, or build it from its class's path and keyword arguments.

    Beside those of the class: `level`; `pairing` (see `Task.paired`); `multiple_choice`, whether answers are listed as
    options with letters (see `multiple_choice.MultipleChoice`).

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
    changing = _may_change(load_class(task), arguments.get("source", ""))
    return _build(task, arguments) if changing else _build_once(task, key)


def with_plain_source(cls: type[Task], arguments: dict[str, Any]) -> dict[str, Any]:
    """Return the arguments of a task, a `Path` among them as the string that names the same source, which JSON can keep."""
    source = arguments.get("source")
    if cls.sources is None or not isinstance(source, Path):
        return arguments
    return {**arguments, "source": f"{cls.sources.path_prefix()}{source}"}


class PlainSpec:
    """What environments share: a spec that can be written as JSON where the source was given as a `Path`."""

    _spec: EnvSpec | None = None

    @property
    def spec(self) -> EnvSpec | None:
        """How `gymnasium.make` made the environment; None without it."""
        return self._spec

    @spec.setter
    def spec(self, spec: EnvSpec | None) -> None:
        if spec is not None:
            spec.kwargs = plain_arguments(spec.kwargs)
        self._spec = spec


def _may_change(cls: type[Task], source: Any) -> bool:
    """Return whether a source may be another next time: what lies on the disk, and objects of other libraries."""
    if isinstance(source, str):
        return cls.sources is not None and cls.sources.may_change(source)
    return not hasattr(source, "fingerprint")


@lru_cache(maxsize=128)
def _build_once(path: str, arguments: tuple[tuple[str, Any], ...]) -> Task:
    """Build a task, or return the one that was built from the same arguments: tasks hold no state."""
    return _build(path, dict(arguments))


def _build(path: str, arguments: dict[str, Any]) -> Task:
    task = load_class(path)(**{name: value for name, value in arguments.items() if name not in (PAIRING, MULTIPLE_CHOICE)})
    if arguments.get(MULTIPLE_CHOICE):
        from ssl4rl_envs.multiple_choice import as_multiple_choice  # which needs the tasks

        task = as_multiple_choice(task)
    return task.paired(arguments[PAIRING]) if arguments.get(PAIRING) is not None else task


def task_arguments(path: str, arguments: dict[str, Any]) -> dict[str, Any]:
    """Return the arguments of a task ("module:Class") as its constructor takes them, with those of a level.

    `pairing` and `multiple_choice` stay among them where they are given.

    Raises:
        TypeError: an argument is unknown to the task or of another type.
        ValueError: a number is not finite, or there is no such level.
    """
    cls = load_class(path)
    given = dict(with_plain_source(cls, arguments))
    level, pairing, listed = given.pop("level", None), given.pop(PAIRING, None), given.pop(MULTIPLE_CHOICE, False)
    if not isinstance(listed, bool):
        raise TypeError(f"{MULTIPLE_CHOICE} must be a bool, got {type(listed).__name__}: {briefly(listed)}")
    if level is not None:
        given = at_level(cls, level, given)
    found = checked_arguments(f"{cls.__name__}()", cls, given, ["level", PAIRING, MULTIPLE_CHOICE])
    return {**found, **({} if pairing is None else {PAIRING: pairing}), **({MULTIPLE_CHOICE: True} if listed else {})}


def at_level(cls: type[Task], name: str, arguments: dict[str, Any]) -> dict[str, Any]:
    """Return `arguments` with those of a level of the task.

    Raises:
        ValueError: the task has no such level, or the level sets an argument that was given too.
    """
    levels = {level.name: level.arguments for level in cls.levels}
    if not isinstance(name, str) or name not in levels:
        raise ValueError(f"{cls.__name__} has no level {briefly(name)}; its levels are {', '.join(levels) or 'none'}")
    both = sorted(set(levels[name]) & set(arguments))
    if both:
        raise ValueError(f"level {name!r} of {cls.__name__} sets {', '.join(both)}; leave that out, or the level")
    return {**levels[name], **arguments}


def make_task(env_id: str, **arguments: Any) -> Task:
    """Build the task of an environment without the environment, e.g. ``make_task("Rotation", source="digits")``.

    For trainers, exporters and analysis: `task.sample(Stream(split, seeds, indices))` gives whole batches of instances.

    Args:
        env_id: the environment's id, or a short name of it: see `env_id_of`.
        arguments: of its task, and `attempts`, how often a question may be answered (see `attempts.Attempts`).

    Raises:
        TypeError: an argument is unknown to the task or of another type.
        ValueError: there is no such environment, or an argument is out of its range.
    """
    path, registered = registered_task(env_id)
    attempts = whole_number(ATTEMPTS, arguments.pop(ATTEMPTS, 1), 1)
    task = build_task(path, {**registered, **arguments})
    if attempts == 1:
        return task
    from ssl4rl_envs.attempts import Attempts  # which needs the tasks

    return Attempts(task, attempts)


def check_arguments(env_id: str, arguments: dict[str, Any]) -> None:
    """Look at the arguments of an environment's task without building it.

    Raises:
        TypeError: an argument is unknown to the task or of another type.
        ValueError: there is no such environment or level, or a number is not finite.
    """
    path, registered = registered_task(env_id)
    given = {**registered, **arguments}
    whole_number(ATTEMPTS, given.pop(ATTEMPTS, 1), 1)
    task_arguments(path, given)
