"""Names of nodes to numbers without gaps."""

from __future__ import annotations

import re
from collections.abc import Sequence
from decimal import Decimal
from typing import Any

import numpy as np
from numpy.typing import NDArray

MISSING = frozenset({"", "na", "nan", "n/a", "none", "null", "<na>"})
"""Marks of missing values, in small letters."""

_WHOLE = re.compile(r"[+-]?\d+(?:\.0*)?", re.ASCII)
_POWER = re.compile(r"[+-]?\d\.?(\d*)e[+-]?(\d+)", re.ASCII | re.IGNORECASE)
_NUMBER = re.compile(r"[+-]?(?:\d+\.?\d*|\.\d+)(?:e[+-]?\d+)?|[+-]?inf(?:inity)?|nan", re.ASCII | re.IGNORECASE)
_TWO_CELLS = re.compile(r"\d[\s,;]+[+-]?\d")


def is_number(cell: str) -> bool:
    """Return whether a cell is a number, "nan" and "inf" too; unlike Python's `float`, not "1_2"."""
    return bool(_NUMBER.fullmatch(cell))


def is_whole(cell: str) -> bool:
    """Return whether a cell is a whole number in digits, "7.0" too, but not "7e3"."""
    return bool(_WHOLE.fullmatch(cell))


def number_nodes(
    cells: list[str], file: str = "edges", lines: Sequence[int] | None = None
) -> tuple[NDArray[Any], NDArray[np.int64]]:
    """Number nodes without gaps.

    Nodes are whole numbers where all are ("7" and "7.0" are one), unless one begins with a needless 0 ("007"), and words
    otherwise. "7.00e+00", as numpy.savetxt writes, is 7 where all numbers of such a file have all of their digits.

    Args:
        cells: names, those of an edge's ends one after the other, (2 E,).
        file: for messages.
        lines: of each edge, for messages.

    Returns:
        names (N,): int64 in rising order where all are whole numbers of 64 bits, or else texts in the order of appearance;
        and edges (E, 2).

    Raises:
        ValueError: most are whole numbers, and some are other numbers, marks of missing values or several cells.
    """
    if all(_in_full(cell) for cell in cells):
        cells = [str(int(Decimal(cell))) for cell in cells]
    words = {cell for cell in set(cells) if not is_whole(cell)}
    odd = [place for place, cell in enumerate(cells) if cell in words] if words else []
    if not odd:
        cells = [cell.partition(".")[0].lstrip("+") for cell in cells]
        if not any(_led_by_zero(cell) for cell in cells):
            try:
                names, numbers = np.unique(np.array(cells).astype(np.int64), return_inverse=True)
            except (OverflowError, ValueError):  # beyond 64 bits, or beyond what Python converts
                pass
            else:
                return names, numbers.reshape(-1, 2)
    elif 2 * len(odd) <= len(cells) or all(is_number(cells[place]) for place in odd):
        _refuse_odd(cells, odd, file, lines)
    numbered: dict[str, int] = {}
    edges = np.array([numbered.setdefault(cell, len(numbered)) for cell in cells], np.int64).reshape(-1, 2)
    return named(list(numbered)), edges


def named(nodes: Sequence[Any]) -> NDArray[Any]:
    """Return what nodes are called as an array (N,): int64 where all are whole numbers of 64 bits, or of objects."""
    if all(type(node) is int and abs(node) < 2**63 for node in nodes):
        return np.array(nodes, np.int64)
    names = np.empty(len(nodes), object)
    for number, node in enumerate(nodes):  # one by one: a tuple is one name
        names[number] = node
    return names


def _refuse_odd(cells: list[str], odd: list[int], file: str, lines: Sequence[int] | None) -> None:
    for place in odd:
        cell = cells[place]
        if cell.lower() in MISSING or is_number(cell) or _TWO_CELLS.search(cell):
            where = f", line {lines[place // 2]}" if lines is not None else ""
            raise ValueError(
                f"{file}{where}: {cell!r} is no node; nodes are whole numbers, written in full, or they are words; "
                "read_graph(path, columns=...) names the two columns that hold them"
            )


def _in_full(cell: str) -> bool:
    """Return whether a number with a power of ten is whole, and has a digit for each place before the point."""
    found = _POWER.fullmatch(cell)
    return found is not None and len(found[1]) >= int(found[2]) and Decimal(cell) % 1 == 0


def _led_by_zero(cell: str) -> bool:
    digits = cell.lstrip("+-")
    return digits[0] == "0" and len(digits) > 1
