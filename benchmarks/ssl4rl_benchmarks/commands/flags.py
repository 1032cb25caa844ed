"""Command-line flags from the signatures and docstrings of the tasks.

``ssl4rl show SSL4RL/Rotation-v0 --angles 8`` works because the task's constructor takes `angles`, and its help is what the
task's docstring says under "Arguments".
"""

from __future__ import annotations

import dataclasses
import inspect
import re
from collections.abc import Mapping
from typing import Annotated, Any, Literal

import tyro

from ssl4rl_envs import task_class
from ssl4rl_envs.arguments import constructor_hints


def argument_help(docstring: str) -> dict[str, str]:
    """Return the texts of the list under "## Arguments" of a task's docstring, by argument."""
    section = re.search(r"## Arguments\n(.*?)(?:\n## |\Z)", inspect.cleandoc(docstring), re.DOTALL)
    found = re.findall(r"- `(\w+)`: (.*?)(?=\n- `|\Z)", section[1], re.DOTALL) if section else []
    return {name: " ".join(text.split()) for name, text in found}


def env_flags(env_id: str, given: Mapping[str, Any] | None = None) -> type[Any]:
    """Return a dataclass whose fields are the arguments of an environment's task.

    Arguments that accept more than a flag can say (arrays, objects) are read as what their default is. One that has neither
    a hint nor a default that says its type is for Python alone.

    Args:
        env_id: the environment, by any of its names.
        given: arguments that are other than the task's defaults where no flag sets them.
    """
    cls = task_class(env_id)
    texts, given = argument_help(cls.__doc__ or ""), given or {}
    parameters = inspect.signature(cls).parameters.values()
    named = [
        parameter for parameter in parameters if parameter.kind in (parameter.POSITIONAL_OR_KEYWORD, parameter.KEYWORD_ONLY)
    ]
    hints = constructor_hints(cls)
    fields: list[tuple[str, Any, Any]] = []
    for parameter in named:
        default = given.get(parameter.name, parameter.default)
        default = tuple(default) if isinstance(default, list) else default  # as JSON and careless signatures have them
        kind = _kind(parameter.default if parameter.default is not None else default, hints.get(parameter.name))
        if kind is not None:
            help_text = tyro.conf.arg(help=texts.get(parameter.name, ""))
            missing = default is parameter.empty
            fields.append((parameter.name, Annotated[kind, help_text], dataclasses.MISSING if missing else default))
    if cls.levels:
        text = "A degree of difficulty, which sets some of the other arguments; from the easiest to the hardest."
        names: Any = Literal[tuple(level.name for level in cls.levels)]
        fields.append(("level", Annotated[names | None, tyro.conf.arg(help=text)], None))
    typed = [
        (name, kind) if default is dataclasses.MISSING else (name, kind, dataclasses.field(default=default))
        for name, kind, default in fields
    ]
    return dataclasses.make_dataclass(f"{cls.__name__}Arguments", typed, frozen=True, kw_only=True)


def _kind(default: Any, hint: Any) -> Any:
    """Return what a flag is read as, by its default, or by its hint where that says more; None where neither says it."""
    if default is None or default is inspect.Parameter.empty:
        return hint
    if isinstance(default, (tuple, list)):
        return hint or (tuple[type(default[0]), ...] if default else None)  # type: ignore[misc]
    return type(default) if isinstance(default, (bool, int, float, str)) else hint


def env_arguments(parsed: Any) -> dict[str, Any]:
    """Return the arguments of an environment from a parsed `env_flags`.

    With a level, which sets some of them, only those that differ from their defaults.
    """
    said = dataclasses.asdict(parsed)
    if said.get("level") is None:
        return {name: value for name, value in said.items() if name != "level"}
    defaults = {field.name: field.default for field in dataclasses.fields(parsed)}
    return {name: value for name, value in said.items() if value != defaults[name]}


def with_usual(parsed: Any, usual: Mapping[str, Any], env_id: str) -> dict[str, Any]:
    """Return the arguments of a parsed `env_flags` beside the usual ones that no flag, and no level, sets."""
    said = env_arguments(parsed)
    levels = {level.name: level.arguments for level in task_class(env_id).levels}
    return {name: value for name, value in usual.items() if name not in levels.get(str(said.get("level")), {})} | said


def parse(
    command: type[Any],
    arguments: list[str],
    prog: str,
    description: str,
    env_id: str | None = None,
    given: Mapping[str, Any] | None = None,
) -> Any:
    """Parse the flags of a command.

    Args:
        command: a dataclass with a flag a field.
        arguments: what stands on the command line after the command (and the environment).
        prog: how the help calls the command.
        description: what the help says first.
        env_id: the environment whose arguments are flags too; they are in the field `env` of the result.
        given: arguments of the environment that are other than its defaults where no flag sets them.
    """
    fields: list[tuple[str, Any, Any]] = [("command", Annotated[command, tyro.conf.arg(name="")], dataclasses.MISSING)]
    if env_id is not None:
        fields.append(("env", Annotated[env_flags(env_id, given), tyro.conf.arg(name="")], dataclasses.MISSING))
    flags: Any = dataclasses.make_dataclass("Flags", [(name, kind) for name, kind, _ in fields])
    return tyro.cli(flags, args=arguments, prog=prog, description=description)
