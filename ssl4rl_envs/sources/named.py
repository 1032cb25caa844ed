"""Sources by name: a table has one row a source, from how its name is written to what loads it.

A row is written as users write the name. Behind a colon stands, in capitals, what they put there: "scenes:N" is loaded by a
function of the text in the place of N, "photos" by a function of nothing. "graph?OPTIONS" is loaded by a function of the
options behind the question mark. PATH says besides that it lies on the disk, where
it may change: it is looked at anew for every task. Error messages list the rows.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any, Generic, TypeVar

from ssl4rl_envs.arguments import did_you_mean

Source = TypeVar("Source")


class SourceTable(dict[str, Callable[..., Any]], Generic[Source]):
    """Sources by how their names are written; ``table["stripes:N"] = stripes`` adds one.

    Args:
        what: they are called in errors.
        rows: what loads each.
    """

    def __init__(self, what: str, rows: dict[str, Callable[..., Source]]) -> None:
        super().__init__(rows)
        self.what = what

    def load(self, source: str, hint: str = "") -> Source:
        """Return the source of a name, e.g. "photos" or "folder:/home/me/pictures".

        Args:
            source: the name.
            hint: what the error says besides.

        Raises:
            ValueError: no row is written so; the loader may raise more.
        """
        name, mark, rest = _parts(source)
        for written, load in self.items():
            start, takes, _ = _parts(written)
            if (start, takes) == (name, mark):
                loaded: Source = load(rest) if takes else load()
                return loaded
        nearest = did_you_mean(source, self) or ";"
        raise ValueError(f"unknown {self.what} {source!r}{nearest} known are {', '.join(self)}{hint}")

    def whole(self) -> list[str]:
        """Return the names that are complete as they are written."""
        return [written for written in self if not _parts(written)[1]]

    def path_prefix(self) -> str:
        """Return what stands before a path in a name, e.g. "folder:": that of the first row that takes one; "" of none."""
        return next(self._prefixes(), "")

    def may_change(self, source: str) -> bool:
        """Return whether a name may give another source next time: what lies on the disk."""
        return source.startswith(tuple(self._prefixes()))

    def _prefixes(self) -> Iterator[str]:
        return (written.removesuffix("PATH") for written in self if written.endswith(":PATH"))


def _parts(name: str) -> tuple[str, str, str]:
    """Return what stands before the first ":" or "?" of a name, which of them it is, and what stands behind it."""
    start = re.split("[:?]", name, maxsplit=1)[0]
    return start, name[len(start) : len(start) + 1], name[len(start) + 1 :]


def count_of(text: str, written: str) -> int:
    """Return the whole number that stands in a name.

    Raises:
        ValueError: it is none.
    """
    if not text.isdecimal():
        start, _, place = written.partition(":")
        raise ValueError(f"{written} takes a whole number as {place}, e.g. {start}:2048, got {f'{start}:{text}'!r}")
    return int(text)
