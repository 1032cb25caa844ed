"""A row of a table of algorithms: a function, and which settings it takes."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Row:
    """A function that is called with some settings of the objective.

    Args:
        function: its keyword-only arguments are settings of the objective by name; others do nothing with it.

    Attributes:
        settings: the names of these.
    """

    function: Callable[..., Any]
    settings: tuple[str, ...] = field(init=False)

    def __post_init__(self) -> None:
        """Read off the signature which settings the function takes."""
        parameters = inspect.signature(self.function).parameters.values()
        names = tuple(parameter.name for parameter in parameters if parameter.kind is parameter.KEYWORD_ONLY)
        object.__setattr__(self, "settings", names)

    def __call__(self, objective: object, *given: Any) -> Any:
        """Call the function on what is given, with the settings that it takes."""
        return self.function(*given, **{name: getattr(objective, name) for name in self.settings})
