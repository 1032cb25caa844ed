"""Values held against type hints: what a signature says it takes is what it gets, or an error that says what is right.

Python does not look at hints, so a typo among choices, a float where a whole number belongs or an infinite step size would be
read as something else. Everything that takes settings (tasks, agents, training runs, suites, the command line) calls
`checked` or `checked_arguments`, whichever way they came in; the constructors of tasks are wrapped in `checked_constructor`.
"""

from __future__ import annotations

import dataclasses
import difflib
import inspect
import math
import operator
import types
from collections.abc import Callable, Collection, Iterable, Mapping
from functools import lru_cache, wraps
from typing import Any, ClassVar, Literal, TypeVar, Union, cast, get_args, get_origin, get_type_hints

import numpy as np

from ssl4rl_envs.briefly import briefly

T = TypeVar("T")

_UNFIT = object()
_SWALLOWING = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
_SCALARS: dict[Any, str] = {
    bool: "True or False",
    int: "a whole number",
    float: "a finite number",
    str: "a string",
    type(None): "None",
}


def checked(name: str, value: Any, hint: Any) -> Any:
    """Return a value as its type hint has it: plain Python numbers for NumPy's, tuples for lists, floats for whole numbers.

    Looked at are bool, int (True is none, and 1.0 neither), float (finite ones), str, None, `Literal`, tuples and dicts with
    what is in them, callables, classes, dataclasses and unions of these; whatever has another hint passes.

    Args:
        name: how to call it in an error.
        value: what was given.
        hint: e.g. ``int``, ``float | None``, ``Literal["a", "b"]``, ``tuple[int, ...]``.

    Raises:
        TypeError: it is of another type.
        ValueError: it is none of the choices, not finite, or a tuple of another length.
    """
    members = _members(hint)
    exact = [member for member in members if type(value) is member]
    for member in (*exact, *members):
        found = _fit(value, member)
        if found is not _UNFIT:
            return found
    choices = [choice for member in members if get_origin(member) is Literal for choice in get_args(member)]
    wanted = " or ".join(_described(member) for member in members)
    kind = ValueError if choices or _not_finite(value) or isinstance(value, (list, tuple)) else TypeError
    raise kind(f"{name} must be {wanted}, got {briefly(value)}{did_you_mean(value, choices)}")


def whole_number(name: str, value: Any, least: int = 0) -> int:
    """Return a whole number that is not too small, as a plain one.

    Raises:
        ValueError: it is another thing, True for example, or smaller than `least`.
    """
    if _fit(value, int) is _UNFIT or value < least:
        raise ValueError(f"{name} must be a whole number of at least {least}, got {briefly(value)}")
    return int(value)


def one_of(name: str, value: Any, choices: Collection[str], also: str = "") -> str:
    """Return a word that is one of several.

    Args:
        name: how to call it in an error.
        value: what was given.
        choices: what it may be.
        also: what an error says that it may be besides, e.g. " or None".

    Raises:
        ValueError: it is none of them.
    """
    if not isinstance(value, str) or value not in choices:
        raise ValueError(
            f"{name} must be one of {', '.join(choices)}{also}, got {briefly(value)}{did_you_mean(value, choices)}"
        )
    return value


def checked_arguments(
    called: str, function: Callable[..., Any], given: Mapping[str, Any], also: Iterable[str] = ()
) -> dict[str, Any]:
    """Return keyword arguments as the signature of a function or class has them; see `checked`.

    Args:
        called: how to call the function in an error.
        function: what they are for.
        given: the arguments; those that it needs may be missing.
        also: names that the message says are taken too.

    Raises:
        TypeError: it has no such argument, or one is of another type.
        ValueError: one is none of its choices, or not finite.
    """
    parameters = inspect.signature(function).parameters
    hints = _hints(function)
    known = [
        name
        for name, parameter in parameters.items()
        if parameter.kind in (parameter.POSITIONAL_OR_KEYWORD, parameter.KEYWORD_ONLY)
    ]
    if not any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters.values()):
        require_known(called, given, [*known, *also])
    return {name: checked(f"{name} of {called}", value, hints.get(name, Any)) for name, value in given.items()}


def checked_constructor(cls: type[Any]) -> Callable[..., None]:
    """Return the constructor of a class, made to look at its arguments first; see `checked`.

    Positional arguments are looked at as named ones are. What hints do not describe (``*args``, ``**kwargs``) passes.
    """
    init: Callable[..., None] = cls.__init__
    signature = inspect.signature(init)

    @wraps(init)
    def constructor(self: Any, *args: Any, **kwargs: Any) -> None:
        called = f"{type(self).__name__}()"
        given = checked_arguments(called, cls, kwargs)
        try:
            bound = signature.bind(self, *args, **given)
        except TypeError:
            return init(self, *args, **given)  # whose own error is the clearest
        hints = _hints(cast(Any, cls))
        for name, value in list(bound.arguments.items())[1:]:
            if name not in given and name in hints and signature.parameters[name].kind not in _SWALLOWING:
                bound.arguments[name] = checked(f"{name} of {called}", value, hints[name])
        return init(*bound.args, **bound.kwargs)

    return constructor


def require_known(called: str, given: Iterable[str], known: Collection[str]) -> None:
    """Raise the error that Python itself would, and what would be right.

    Raises:
        TypeError: a name is not among the known ones.
    """
    unknown = [name for name in given if name not in known]
    if unknown:
        names = ", ".join(repr(name) for name in unknown)
        nearest = did_you_mean(unknown[0], known)
        also = " It" if nearest else "; it"
        raise TypeError(f"{called} got an unexpected keyword argument {names}{nearest}{also} takes {', '.join(known)}")


class Checked:
    """A base of dataclasses whose fields are held against their hints however one is made, by `dataclasses.replace` too."""

    section: ClassVar[str] = ""
    """What stands before a field's name in an error, e.g. "policy."."""

    def __post_init__(self) -> None:
        """Look at all fields; raises as `checked` does."""
        hints = hints_of(cast(Any, type(self)))
        for field in dataclasses.fields(cast(Any, self)):
            given = getattr(self, field.name)
            found = checked(self.section + field.name, given, hints.get(field.name, Any))
            if found is not given:
                object.__setattr__(self, field.name, found)  # some are frozen


def from_plain(cls: type[T], data: Any, called: str = "") -> T:
    """Build a dataclass, and those within it, from what `dataclasses.asdict` and JSON made of it.

    Args:
        cls: the dataclass.
        data: a dict of its fields; what is missing has its default.
        called: how errors call it; by default by its name.

    Raises:
        TypeError: it is no dict, or a value is of another type.
        ValueError: there is no such field, or a value is none of its choices.
    """
    called = called or cls.__name__
    if not isinstance(data, dict):
        raise TypeError(f"{called} must be settings by name, got {briefly(data)}")
    hints = hints_of(cast(Any, cls))
    for name in data:
        if name not in hints:
            raise ValueError(f"{called} has no setting {name}{did_you_mean(name, hints)}; it has {', '.join(hints)}")
    return cls(**{name: _built(hints[name], value, name) for name, value in data.items()})


def _built(hint: Any, value: Any, name: str) -> Any:
    """Return plain data as the dataclass, or the tuple of them, that a field holds; other data as it is."""
    parts = get_args(hint)
    if get_origin(hint) is tuple and isinstance(value, (list, tuple)) and parts and dataclasses.is_dataclass(parts[0]):
        return tuple(_built(parts[0], part, name) for part in value)
    return from_plain(cast(Any, hint), value, name) if dataclasses.is_dataclass(hint) else value


def did_you_mean(value: Any, choices: Iterable[Any]) -> str:
    """Return the end of a message that names the nearest choice, if one is near: case and dashes count for nothing."""
    if not isinstance(value, str):
        return ""
    plain = {_plain(choice): choice for choice in choices if isinstance(choice, str)}
    near = difflib.get_close_matches(_plain(value), plain, n=1, cutoff=0.6)
    return f"; did you mean {plain[near[0]]!r}?" if near else ""


def _plain(text: str) -> str:
    return text.lower().replace("-", "_")


def _members(hint: Any) -> tuple[Any, ...]:
    if get_origin(hint) in (Union, types.UnionType):
        return tuple(member for part in get_args(hint) for member in _members(part))
    return (hint,)


def _fit(value: Any, hint: Any) -> Any:
    """Return a value as a type that is no union has it, or `_UNFIT`."""
    origin = get_origin(hint)
    if hint in _SCALARS:
        return _fit_scalar(value, hint)
    if origin is Literal:
        return next((choice for choice in get_args(hint) if type(choice) is type(value) and choice == value), _UNFIT)
    if origin is tuple or hint is tuple:
        return _fit_tuple(value, get_args(hint))
    if origin is dict or hint is dict:
        return _fit_dict(value, get_args(hint))
    if Callable in (origin, hint):
        return value if callable(value) else _UNFIT
    if origin is type or hint is type:
        return value if isinstance(value, type) else _UNFIT
    if hasattr(hint, "__dataclass_fields__"):
        return value if isinstance(value, hint) else _UNFIT
    return value


def _fit_scalar(value: Any, kind: Any) -> Any:
    truth = isinstance(value, (bool, np.bool_))
    if kind is bool:
        return bool(value) if truth else _UNFIT
    if kind is int:
        return operator.index(value) if isinstance(value, (int, np.integer)) and not truth else _UNFIT
    if kind is float:
        number = isinstance(value, (int, float, np.integer, np.floating)) and not truth
        return float(value) if number and not _not_finite(value) else _UNFIT
    return value if isinstance(value, kind) else _UNFIT


def _fit_tuple(value: Any, parts: tuple[Any, ...]) -> Any:
    if not isinstance(value, (list, tuple)):
        return _UNFIT
    if not parts:
        return tuple(value)
    hints = [parts[0]] * len(value) if parts[-1] is Ellipsis else list(parts)
    if len(hints) != len(value):
        return _UNFIT
    found = [_fit_any(one, hint) for one, hint in zip(value, hints, strict=True)]
    return _UNFIT if any(one is _UNFIT for one in found) else tuple(found)


def _fit_dict(value: Any, parts: tuple[Any, ...]) -> Any:
    if not isinstance(value, dict):
        return _UNFIT
    if not parts:
        return value
    found = {name: (_fit_any(name, parts[0]), _fit_any(one, parts[1])) for name, one in value.items()}
    if any(fit is _UNFIT for fits in found.values() for fit in fits):
        return _UNFIT
    return value if all(fits[1] is value[name] for name, fits in found.items()) else dict(found.values())


def _fit_any(value: Any, hint: Any) -> Any:
    """Return a part of a value as a type that may be a union has it, or `_UNFIT`; its own type counts first."""
    members = _members(hint)
    fits = (_fit(value, member) for member in sorted(members, key=lambda member: type(value) is not member))
    return next((fit for fit in fits if fit is not _UNFIT), _UNFIT)


def _not_finite(value: Any) -> bool:
    try:
        return isinstance(value, (float, np.floating, int)) and not math.isfinite(value)
    except OverflowError:  # a whole number beyond what a float holds
        return True


def _described(hint: Any) -> str:
    origin, parts = get_origin(hint), get_args(hint)
    if hint in _SCALARS:
        return _SCALARS[hint]
    if origin is Literal:
        return ("one of " if len(parts) > 1 else "") + ", ".join(str(part) for part in parts)
    if origin is tuple and parts:
        if parts[-1] is Ellipsis:
            return f"a tuple, each part of it {_described(parts[0])}"
        return f"a tuple of {len(parts)}, {', '.join(_described(part) for part in parts)}"
    if origin is dict and parts:
        each = " or ".join(_described(member) for member in _members(parts[1]) if member is not Any)
        return f"a dict, by names that are each {_described(parts[0])}" + (f", of {each}" if each else "")
    return str(getattr(hint, "__name__", hint))


def hints_of(dataclass: type[Any]) -> dict[str, Any]:
    """Return the type hints of a dataclass's fields, as they are now: choices may come from tables that others add to."""
    hints = get_type_hints(dataclass)
    return {field.name: hints[field.name] for field in dataclasses.fields(dataclass)}


def constructor_hints(cls: type[Any]) -> dict[str, Any]:
    """Return the type hints of what a class is made from, but for those that name what is not there."""
    return dict(_hints(cast(Any, cls)))


@lru_cache(maxsize=512)
def _hints(function: Any) -> dict[str, Any]:
    """Return the type hints of a function, of a class those of its constructor, but for those that name what is not there."""
    function = inspect.unwrap(function.__init__ if inspect.isclass(function) else function)
    found: dict[str, Any] = {}
    for name, hint in getattr(function, "__annotations__", {}).items():
        alone = types.SimpleNamespace(__annotations__={name: hint})
        try:
            found |= get_type_hints(alone, getattr(function, "__globals__", {}))
        except (NameError, TypeError):  # imported for type checkers alone
            continue
    return found
