"""Stand-ins for packages that a library imports for parts of it that are not used here."""

from __future__ import annotations

import importlib.machinery
import sys
import types
from collections.abc import Iterable
from importlib.abc import Loader, MetaPathFinder
from importlib.util import find_spec
from typing import Any


class Anything:
    """Can be called, subclassed and looked into, and a decorator leaves what it decorates."""

    def __init__(self, *_: Any, **__: Any) -> None:
        pass

    def __call__(self, *given: Any, **named: Any) -> Any:
        return given[0] if len(given) == 1 and callable(given[0]) and not named else Anything()

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return Anything()

    def __mro_entries__(self, _: Any) -> tuple[type]:
        return (object,)

    def __iter__(self) -> Any:
        return iter(())

    def __or__(self, other: Any) -> Any:
        return self

    __ror__ = __or__

    def __getitem__(self, _: Any) -> Any:
        return Anything()


class Module(types.ModuleType):
    __path__: list[str] = []  # noqa: RUF012 (a package, whose parts are found likewise)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return Anything()


class StandIns(MetaPathFinder, Loader):
    """Finds the packages named, and all that is in them."""

    def __init__(self, names: Iterable[str]) -> None:
        self.names = set(names)

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> importlib.machinery.ModuleSpec | None:
        return importlib.machinery.ModuleSpec(name, self, is_package=True) if name.split(".")[0] in self.names else None

    def create_module(self, spec: importlib.machinery.ModuleSpec) -> types.ModuleType:
        return Module(spec.name)

    def exec_module(self, module: types.ModuleType) -> None:
        pass


def stand_in(names: Iterable[str]) -> None:
    """From now on give stand-ins for those of these packages that are not installed."""
    sys.meta_path.append(StandIns(name for name in names if find_spec(name) is None))
