"""Which settings an algorithm takes: the keyword-only arguments of its function."""

from __future__ import annotations

import inspect
from collections.abc import Callable


def settings_of(function: Callable[..., object]) -> tuple[str, ...]:
    """Return the names of a function's keyword-only arguments, which are settings of the objective."""
    parameters = inspect.signature(function).parameters.values()
    return tuple(parameter.name for parameter in parameters if parameter.kind is parameter.KEYWORD_ONLY)
