"""Rows of a batch's arrays that are copied when somebody looks at them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from numpy.typing import NDArray

from ssl4rl_envs.task import Rows


class Taken(Mapping[str, NDArray[Any]]):
    """Rows of arrays by name, taken when they are looked at: most scores need the target alone.

    Args:
        arrays: of all rows.
        rows: which are taken.
    """

    def __init__(self, arrays: dict[str, NDArray[Any]], rows: Rows) -> None:
        self._arrays, self._rows = arrays, rows
        self._taken: dict[str, NDArray[Any]] = {}

    def __getitem__(self, name: str) -> NDArray[Any]:
        """Return the rows of an array."""
        if name not in self._taken:
            self._taken[name] = self._arrays[name][self._rows]
        return self._taken[name]

    def __iter__(self) -> Iterator[str]:
        """Go through the names."""
        return iter(self._arrays)

    def __len__(self) -> int:
        """Return how many arrays there are."""
        return len(self._arrays)
