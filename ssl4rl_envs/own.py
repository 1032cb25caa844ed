"""Tasks of one's own: classes named as "module:Class", ids that are registered from outside, and plug-ins by entry point.

A package that is installed beside this one makes its tasks known by an entry point, whose name is the id:

    [project.entry-points."ssl4rl.envs"]
    "Acme/Brightness-v0" = "acme_tasks.brightness:Brightness"

The entry points are read when `ssl4rl_envs` is imported; the modules that they name, when somebody asks for the task.
"""

from __future__ import annotations

import importlib
import inspect
import re
import sys
import warnings
from collections.abc import Callable
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ssl4rl_envs.task import Task

ENTRY_POINTS = "ssl4rl.envs"
ID = re.compile(r"[\w-]+/[\w.-]+-v\d+")
"""How an id is written; Gymnasium's own pattern allows less to be written down."""


def is_path(name: str) -> bool:
    """Return whether a name says where a class is, "module:Class", rather than how an environment is called."""
    return ":" in name and "/" not in name


def load_named(path: str, called: str = "") -> Any:
    """Import what "module:attribute" names; a module in the current folder is found too.

    An installed command does not look for modules where it is called, so the folder is put first where Python looks, once
    a module of it is asked for.

    Args:
        path: e.g. "brightness:Brightness"; the attribute may be one of a class, "module:Outer.Inner".
        called: how errors call it, e.g. "no task 'brightness:Brightness'".

    Raises:
        ValueError: it is written in another way, there is no such module or attribute, or the module cannot be imported.
    """
    called = called or f"there is no {path!r}"
    name, _, attribute = path.partition(":")
    if not re.fullmatch(r"\w+(\.\w+)*:\w+(\.\w+)*", path):
        raise ValueError(f"{called}: it is named as 'module:attribute', e.g. 'brightness:Brightness'")
    if name not in sys.modules:
        _look_here(name)
    try:
        found: Any = importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name is None or not f"{name}.".startswith(f"{error.name}."):
            raise ValueError(f"{called}: importing {name} failed, {error}") from error
        raise ValueError(
            f"{called}: there is no module {error.name}, neither installed nor in the current folder, {Path.cwd()}"
        ) from error
    except (Exception, SystemExit) as error:  # whatever the module does as it is imported
        raise ValueError(f"{called}: importing {name} failed with {type(error).__name__}: {error}") from error
    for part in attribute.split("."):
        if not hasattr(found, part):
            raise ValueError(f"{called}: {getattr(found, '__file__', None) or found} has no {part}{_offered(found)}")
        found = getattr(found, part)
    return found


def _look_here(module: str) -> None:
    """Let Python look in the current folder from now on, if a module of that name lies there."""
    here = Path.cwd()
    first = here / module.partition(".")[0]
    if (first.is_dir() or first.with_suffix(".py").is_file()) and str(here) not in sys.path:
        sys.path.insert(0, str(here))


def load_task_class(path: str) -> type[Task]:
    """Import a task's class from "module:Class".

    Raises:
        ValueError: there is none; the message says what is wrong, see `load_named`.
    """
    from ssl4rl_envs.task import Task

    found = load_named(path, f"no task {path!r}")
    if not (inspect.isclass(found) and issubclass(found, Task)):
        kind = "a class" if inspect.isclass(found) else f"of type {type(found).__name__}"
        raise ValueError(f"no task {path!r}: a task is a class that builds on ssl4rl_envs.Task, and this is {kind}")
    return found


def path_of(task: type[Task] | str) -> str:
    """Return where a task's class is, "module:Class"."""
    return task if isinstance(task, str) else f"{task.__module__}:{task.__qualname__}"


def require_id(env_id: str) -> None:
    """Check that an id is one that Gymnasium and a command line can tell from others.

    Raises:
        ValueError: it is not.
    """
    if not ID.fullmatch(env_id):
        raise ValueError(f"an id is written as 'Namespace/Name-v0', with a namespace of your own, got {env_id!r}")


def register_plugins(register: Callable[[str, str], None], reserved: str) -> None:
    """Register the tasks of installed packages, without importing any; what is wrong with one is a warning that names it.

    Args:
        register: takes an id and "module:Class", and raises ValueError where they cannot be registered.
        reserved: a namespace that plug-ins may not use.
    """
    for entry in entry_points(group=ENTRY_POINTS):
        try:
            require_id(entry.name)
            if entry.name.startswith(f"{reserved}/"):
                raise ValueError(f"the namespace {reserved} is the suite's own; take another")
            if not entry.attr:
                raise ValueError(f"an entry point names a class as 'module:Class', got {entry.value!r}")
            register(entry.name, f"{entry.module}:{entry.attr}")
        except ValueError as error:
            warnings.warn(f"the environment {entry.name!r} of {_package(entry)} is left out: {error}", stacklevel=2)


def _package(entry: EntryPoint) -> str:
    return "a package" if entry.dist is None else f"the package {entry.dist.name} {entry.dist.version}"


def _offered(module: Any) -> str:
    """Return the end of a message that names the tasks of a module, if there are any."""
    from ssl4rl_envs.task import Task

    own = getattr(module, "__name__", "")
    tasks = [name for name, value in vars(module).items() if inspect.isclass(value) and issubclass(value, Task)]
    there = [name for name in tasks if getattr(module, name).__module__ == own]
    return f"; it has {', '.join(there)}" if there else ""
