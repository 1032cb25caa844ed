"""Command-line flags from the signatures and docstrings of the tasks.

``ssl4rl show SSL4RL/Rotation-v0 --angles 8`` works because the task's constructor takes `angles`, and its help is what the
task's docstring says under "Arguments".
"""

from __future__ import annotations

import dataclasses
import inspect
import re
import typing
from typing import Annotated, Any, Literal

import tyro

from ssl4rl_envs import task_class


def argument_help(docstring: str) -> dict[str, str]:
    """Return the texts of the list under "## Arguments" of a task's docstring, by argument."""
    section = re.search(r"## Arguments\n(.*?)(?:\n## |\Z)", inspect.cleandoc(docstring), re.DOTALL)
    found = re.findall(r"- `(\w+)`: (.*?)(?=\n- `|\Z)", section[1], re.DOTALL) if section else []
    return {name: " ".join(text.split()) for name, text in found}


def env_flags(env_id: str) -> type[Any]:
    """Return a dataclass whose fields are the arguments of an environment's task.

    Arguments that accept more than a flag can say (arrays, objects) are read as what their default is.
    """
    cls = task_class(env_id)
    texts = argument_help(cls.__doc__ or "")
    hints = typing.get_type_hints(cls.__init__)
    fields: list[tuple[str, Any, Any]] = []
    for name, parameter in inspect.signature(cls).parameters.items():
        kind = hints[name] if isinstance(parameter.default, tuple) else type(parameter.default)
        fields.append((name, Annotated[kind, tyro.conf.arg(help=texts.get(name, ""))], parameter.default))
    if cls.levels:
        text = "A degree of difficulty, which sets some of the other arguments; from the easiest to the hardest."
        names: Any = Literal[tuple(level.name for level in cls.levels)]
        fields.append(("level", Annotated[names | None, tyro.conf.arg(help=text)], None))
    typed = [(name, kind, dataclasses.field(default=default)) for name, kind, default in fields]
    return dataclasses.make_dataclass(f"{cls.__name__}Arguments", typed, frozen=True)


def env_arguments(parsed: Any) -> dict[str, Any]:
    """Return the arguments of an environment from a parsed `env_flags`.

    With a level, which sets some of them, only those that differ from their defaults.
    """
    given = dataclasses.asdict(parsed)
    defaults = {field.name: field.default for field in dataclasses.fields(parsed)}
    level = given.get("level")
    if level is None:
        return {name: value for name, value in given.items() if name != "level"}
    return {name: value for name, value in given.items() if value != defaults[name]}


def parse(command: type[Any], arguments: list[str], prog: str, description: str, env_id: str | None = None) -> Any:
    """Parse the flags of a command.

    Args:
        command: a dataclass with a flag a field.
        arguments: what stands on the command line after the command (and the environment).
        prog: how the help calls the command.
        description: what the help says first.
        env_id: the environment whose arguments are flags too; they are in the field `env` of the result.
    """
    fields: list[tuple[str, Any, Any]] = [("command", Annotated[command, tyro.conf.arg(name="")], dataclasses.MISSING)]
    if env_id is not None:
        fields.append(("env", Annotated[env_flags(env_id), tyro.conf.arg(name="")], dataclasses.MISSING))
    flags: Any = dataclasses.make_dataclass("Flags", [(name, kind) for name, kind, _ in fields])
    return tyro.cli(flags, args=arguments, prog=prog, description=description)
