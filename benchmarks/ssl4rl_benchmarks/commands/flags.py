"""Command-line flags from the signatures and docstrings of the tasks.

``ssl4rl show SSL4RL/Rotation-v0 --angles 8`` works because the task's constructor takes `angles`, and its help is what the
task's docstring says under "Arguments".
"""

from __future__ import annotations

import dataclasses
import difflib
import inspect
import itertools
import json
import os
import re
import types
import typing
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext, redirect_stderr, redirect_stdout
from io import StringIO
from typing import Annotated, Any, Generic, Literal, TypeVar

import tyro

from ssl4rl_benchmarks.commands.calls import UserError, named_env, wants_help
from ssl4rl_envs import task_class
from ssl4rl_envs.arguments import constructor_hints, did_you_mean
from ssl4rl_envs.registration import ATTEMPTS, MULTIPLE_CHOICE

OF_TYRO = ("--help", "--tyro-print-completion", "--tyro-write-completion")
"""Flags that every command takes from tyro."""

NO_CALLS = "; calls of a tool are not trained here: `ssl4rl eval openai:MODEL` and `hf:MODEL` measure them"
ELSEWHERE = {("--prompt-style", "tool"): NO_CALLS}
"""Values of flags that other commands take, and which."""

FlagsT = TypeVar("FlagsT")

HELP = ("-h", "--help")
PAGE = 80
"""Letters of a line of what tyro writes where that is no terminal's."""


class Parsed(Generic[FlagsT]):
    """What the flags of a call say.

    Args:
        command: those of the command.
        env: those of the environment that it names, an instance of `env_flags`; None where it names none.
        env_id: that environment.
    """

    def __init__(self, command: FlagsT, env: Any = None, env_id: str | None = None) -> None:
        self.command, self.env = command, env
        self._env_id = env_id

    @property
    def env_id(self) -> str:
        """The environment that the call names."""
        assert self._env_id is not None, "this call names no environment"
        return self._env_id

    @property
    def env_args(self) -> dict[str, Any]:
        """The arguments of its task: all of them, or with a level those that differ from their defaults."""
        return env_arguments(self.env)


def positional(name: str) -> Any:
    """Return how a field of names without a flag is called in a usage."""
    return tyro.conf.arg(metavar=name, help_behavior_hint="")


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
    text = "How often a question may be answered: a wrong answer is followed by another try."
    fields.append((ATTEMPTS, Annotated[int, tyro.conf.arg(help=text)], given.get(ATTEMPTS, 1)))
    text = "Whether the answers are listed in the prompt as options in random order, and are given by a letter."
    fields.append((MULTIPLE_CHOICE, Annotated[bool, tyro.conf.arg(help=text)], given.get(MULTIPLE_CHOICE, False)))
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
    for name, usual in ((ATTEMPTS, 1), (MULTIPLE_CHOICE, False)):
        if said[name] == usual:
            said.pop(name)
    if said.get("level") is None:
        return {name: value for name, value in said.items() if name != "level"}
    defaults = {field.name: field.default for field in dataclasses.fields(parsed)}
    return {name: value for name, value in said.items() if value != defaults[name]}


def with_usual(parsed: Any, usual: Mapping[str, Any], env_id: str) -> dict[str, Any]:
    """Return the arguments of a parsed `env_flags` beside the usual ones that no flag, and no level, sets."""
    said = env_arguments(parsed)
    levels = {level.name: level.arguments for level in task_class(env_id).levels}
    return {name: value for name, value in usual.items() if name not in levels.get(str(said.get("level")), {})} | said


def parse_with_env(command: type[FlagsT], arguments: Sequence[str], name: str, description: str) -> Parsed[FlagsT]:
    """Parse a call that names an environment before its flags, e.g. ``ssl4rl show Rotation --out board.png``.

    Args:
        command: a dataclass with a flag a field.
        arguments: what stands behind the command's name.
        name: of the command.
        description: what the help says first.

    Raises:
        UserError, ValueError: as of `parse` and `calls.named_env`.
    """
    if wants_help(arguments):
        parse(command, arguments, f"ssl4rl {name} ENV", description)
    env_id = named_env(arguments, name)
    return parse(command, arguments[1:], f"ssl4rl {name} {env_id}", description, env_id)


def parse(
    command: type[FlagsT],
    arguments: Sequence[str],
    prog: str,
    description: str,
    env_id: str | None = None,
    given: Mapping[str, Any] | None = None,
) -> Parsed[FlagsT]:
    """Parse the flags of a command.

    Args:
        command: a dataclass with a flag a field.
        arguments: what stands on the command line after the command (and the environment).
        prog: how the help calls the command.
        description: what the help says first.
        env_id: the environment whose arguments are flags too.
        given: arguments of the environment that are other than its defaults where no flag sets them.

    Raises:
        UserError: there is no such flag, one lacks its value or has another than it takes, or one that is needed is missing.
    """
    fields: list[tuple[str, Any]] = [("command", Annotated[command, tyro.conf.arg(name="")])]
    env = None if env_id is None else env_flags(env_id, given)
    if env is not None:
        fields.append(("env", Annotated[env, tyro.conf.arg(name="")]))
    flags: Any = dataclasses.make_dataclass("Flags", fields)
    _require_known(arguments, named(command) | (named(env) if env is not None else {}), prog)
    said = StringIO()
    helps = any(flag in arguments for flag in HELP)
    try:
        with redirect_stderr(said), nullcontext() if helps else _on_a_page():
            parsed: Any = tyro.cli(flags, args=arguments, prog=prog, description=description)
    except SystemExit as stop:
        if not stop.code:  # it was asked for help
            raise
        raise UserError(f"{_unboxed(said.getvalue())}; {prog} --help explains") from None
    return Parsed(parsed.command, getattr(parsed, "env", None), env_id)


@contextmanager
def _on_a_page() -> Iterator[None]:
    """Let tyro write its errors without colours and to a fixed width, whatever terminal there is."""
    before = os.environ.get("COLUMNS")
    os.environ["COLUMNS"] = str(PAGE)
    try:
        with redirect_stdout(StringIO()):
            yield
    finally:
        if before is None:
            del os.environ["COLUMNS"]
        else:
            os.environ["COLUMNS"] = before


def named(command: type[Any], prefix: str = "--") -> dict[str, Any]:
    """Return all flags of a dataclass, e.g. "--rollout.group-size", by the types of their values; "--no-json" too."""
    found: dict[str, Any] = {}
    for name, hint in typing.get_type_hints(command, include_extras=True).items():
        kind, *notes = typing.get_args(hint) if typing.get_origin(hint) is Annotated else (hint,)
        if name not in {field.name for field in dataclasses.fields(command)} or _is_positional(hint):
            continue
        flag = prefix + name.replace("_", "-")
        if dataclasses.is_dataclass(kind):
            nameless = any(getattr(note, "name", None) == "" for note in notes)
            found |= named(typing.cast(type[Any], kind), prefix if nameless else f"{flag}.")
            continue
        found[flag] = kind
        if kind is bool:
            found[f"{prefix}no-{name.replace('_', '-')}"] = kind
    return found


def choices(kind: Any) -> tuple[str, ...]:
    """Return the values that a flag takes, where it takes one of some; none where it takes others, or several."""
    if typing.get_origin(kind) is Literal:
        return tuple(map(str, typing.get_args(kind)))
    if typing.get_origin(kind) not in (typing.Union, types.UnionType):
        return ()
    members = [member for member in typing.get_args(kind) if member is not type(None)]
    every = [choices(member) for member in members]
    optional = ("None",) * (len(members) < len(typing.get_args(kind)))
    return tuple(itertools.chain(*every, optional)) if all(every) else ()


def json_object(flag: str, text: str) -> dict[str, Any]:
    """Return the object that a flag holds as JSON.

    Raises:
        UserError: it is none.
    """
    try:
        found = json.loads(text)
    except ValueError as error:
        raise UserError(f"{flag} must be an object of JSON, e.g. '{{\"name\": 1}}', got {text!r}: {error}") from error
    if not isinstance(found, dict):
        raise UserError(f"{flag} must be an object of JSON, e.g. '{{\"name\": 1}}', got {text!r}")
    return found


def _is_positional(hint: Any) -> bool:
    return tyro.conf.Positional in getattr(hint, "__metadata__", ()) or "Positional" in str(hint)


def _require_known(arguments: Sequence[str], known: dict[str, Any], prog: str) -> None:
    """Refuse the first flag or choice that there is not; the nearest is named, a flag by its last word alone too.

    And a flag of several values that is given twice: the second would take the place of the first.

    Raises:
        UserError: there is one.
    """
    several: set[str] = set()
    for argument, following in itertools.pairwise([*arguments, ""]):
        given, equals, value = argument.partition("=")
        flag = given.replace("_", "-")
        if not flag.startswith("--") or flag in OF_TYRO:
            continue
        if flag in several:
            raise UserError(f"{flag} is given twice; give all its values behind one: {flag} A B")
        if flag in known:
            if _is_several(known[flag]):
                several.add(flag)
            value, takes = value if equals else following, choices(known[flag])
            if takes and value and value not in takes and not value.startswith("--"):
                meant = ELSEWHERE.get((flag, value), did_you_mean(value, takes) or f"; {prog} --help explains it")
                said = [choice for choice in takes if choice != "None"]  # which is the same as to leave the flag out
                raise UserError(f"{flag} takes one of {', '.join(said)}, got {value!r}{meant}")
            continue
        spelled = {name.removeprefix("--"): name for name in known} | {
            name.rsplit(".", 1)[-1]: name for name in known if "." in name
        }
        near = difflib.get_close_matches(flag.removeprefix("--"), spelled, n=1, cutoff=0.6)
        meant = f"; did you mean {spelled[near[0]]}?" if near else f"; {prog} --help shows those that there are"
        raise UserError(f"there is no flag {given}{meant}")


def _is_several(kind: Any) -> bool:
    """Return whether a flag takes any number of values."""
    members = typing.get_args(kind) if typing.get_origin(kind) in (typing.Union, types.UnionType) else (kind,)
    return any(typing.get_origin(member) is tuple and Ellipsis in typing.get_args(member) for member in members)


def _unboxed(said: str) -> str:
    """Return in one line what tyro drew in a box, of lines or of ASCII: the words before its first rule."""
    words: list[str] = []
    for line in said.splitlines()[1:]:
        inside = line.strip("│╭╮╰╯|+ ").strip()
        if inside and not inside.strip("─-"):
            if words:
                break
            continue
        words += inside.split()
    return " ".join(words).rstrip(".") or said.strip()
