"""Which columns of a table are the ends of edges, and what numbers their nodes get."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ssl4rl_envs.sources.edge_text import ADJACENCY, Table

PAIRS = (
    ("source", "target"),
    ("sourceid", "targetid"),
    ("src", "dst"),
    ("src", "dest"),
    ("from", "to"),
    ("fromid", "toid"),
    ("fromnode", "tonode"),
    ("fromnodeid", "tonodeid"),
    ("node1", "node2"),
    ("nodea", "nodeb"),
    ("nodeid1", "nodeid2"),
    ("id1", "id2"),
    ("name1", "name2"),
    ("vertex1", "vertex2"),
    ("head", "tail"),
    ("start", "end"),
    ("sender", "receiver"),
    ("parent", "child"),
    ("citing", "cited"),
    ("follower", "followee"),
)
"""Names by which a header tells the two ends of an edge, in small letters and without signs."""

MISSING = frozenset({"", "na", "nan", "n/a", "none", "null", "<na>"})
RAGGED = 0.1
"""Share of rows of another length up to which they may have any."""

_WHOLE = re.compile(r"[+-]?\d+(?:\.0*)?", re.ASCII)
_TWO_CELLS = re.compile(r"\d[\s,;]+[+-]?\d")
_NUMBER = re.compile(r"[+-]?(?:\d+\.?\d*|\.\d+)(?:e[+-]?\d+)?|[+-]?inf(?:inity)?|nan", re.ASCII | re.IGNORECASE)


@dataclass(frozen=True)
class Edges:
    """Edges between numbered nodes.

    Args:
        edges: (E, 2) numbers of nodes, from 0 without gaps.
        names: (N,) what each node is called: whole numbers in rising order, or texts in the order in which they appear.
        left_out: how many of what was left out, by kind.
        details: what is to be told of a kind beside its count.
        doubt: what may have been meant otherwise, a sentence, or nothing.
    """

    edges: NDArray[np.int64]
    names: NDArray[Any]
    left_out: dict[str, int]
    details: dict[str, str]
    doubt: str = ""


def edges_of(table: Table) -> Edges:
    """Find header, index and the two columns of nodes, and number the nodes.

    - A **header** is a first row that names the two columns (see `PAIRS`), that begins with an empty cell, or that holds a
      word where all other rows hold a number. Where it names the columns they may stand anywhere.
    - An **index** is a column before the others: under an empty cell of the header, or beyond its cells, or one without a
      header that counts the rows where the two behind it name the same nodes.
    - **Nodes** are numbers where all are whole ("7" and "7.0" are one), or else names. They are numbered without gaps.

    Raises:
        ValueError: a row has not two names; the message names file and line.
    """
    rows = _without_empty_columns(table.rows)
    left_out: dict[str, int] = {"lines of comments": table.comments} if table.comments else {}
    details: dict[str, str] = {}
    if table.late_comments:
        details["lines of comments"] = (
            f", {len(table.late_comments)} of them amid edges (first: line {table.late_comments[0]})"
        )
    body = rows[1:]
    width = Counter(map(len, body or rows)).most_common(1)[0][0]
    index, columns, header = _layout(rows, width)
    if header:
        left_out["header"] = 1
    if not (rows := body if header else rows):
        raise ValueError(f"{table.file} holds no edge, only a header")
    lines = table.lines[1:] if header else table.lines
    if index:
        left_out["column that counts rows"] = 1
    cells = _ends(table.file, rows, lines, columns)
    _note_lengths(table.file, rows, lines, width, left_out, details)
    _note_values(rows, width, {*columns, *([0] if index else [])}, table, left_out, details)
    names, numbers = number_nodes(cells, table.file, lines)
    doubt = "" if header else _doubtful_header(cells, lines[0])
    return Edges(numbers, names, left_out, details, doubt or _doubtful_numbers(names))


def number_nodes(
    cells: list[str], file: str = "edges", lines: Sequence[int] | None = None
) -> tuple[NDArray[Any], NDArray[np.int64]]:
    """Number nodes without gaps.

    Args:
        cells: names, those of an edge's ends one after the other, (2 E,).
        file: for messages.
        lines: of each edge, for messages.

    Returns:
        names (N,): int64 in rising order where all are whole numbers of 64 bits, or else texts in the order of appearance;
        and edges (E, 2).

    Raises:
        ValueError: some are other numbers, marks of missing values or several cells, where most are whole numbers.
    """
    whole = [bool(_WHOLE.fullmatch(cell)) for cell in cells]
    if all(whole) and not any(_led_by_zero(cell) for cell in cells):
        try:
            ids = np.array([cell.partition(".")[0] for cell in cells]).astype(np.int64)
        except OverflowError:
            cells = [str(int(cell.partition(".")[0])) for cell in cells]
        else:
            names, numbers = np.unique(ids, return_inverse=True)
            return names, numbers.reshape(-1, 2)
    odd = [place for place, good in enumerate(whole) if not good]
    if odd and (2 * len(odd) <= len(cells) or all(is_number(cells[place]) for place in odd)):
        for place in odd:
            cell = cells[place]
            if cell.lower() in MISSING or is_number(cell) or _TWO_CELLS.search(cell):
                where = f", line {lines[place // 2]}" if lines is not None else ""
                raise ValueError(
                    f"{file}{where}: {cell!r} is no node; nodes are whole numbers, written in full, or they are words"
                )
    numbered: dict[str, int] = {}
    found = np.array([numbered.setdefault(cell, len(numbered)) for cell in cells], np.int64)
    texts = np.empty(len(numbered), object)
    texts[:] = list(numbered)
    return texts, found.reshape(-1, 2)


def is_number(cell: str) -> bool:
    """Return whether a cell is a number, "nan" and "inf" too; unlike Python's `float`, not "1_2"."""
    return bool(_NUMBER.fullmatch(cell))


def _led_by_zero(cell: str) -> bool:
    digits = cell.lstrip("+-")
    return digits[0] == "0" and digits[1:2].isdigit()


def _without_empty_columns(rows: list[list[str]]) -> list[list[str]]:
    """Leave out last columns that are empty in all rows: lines that end in a separator. A header may lack them."""
    width = max(map(len, rows))
    while width > 2 and not any(len(row) >= width and row[width - 1] for row in rows):
        width -= 1
    return [row[:width] for row in rows]


def _layout(rows: list[list[str]], width: int) -> tuple[bool, tuple[int, int], bool]:
    """Return whether the first column is an index, which two hold nodes, and whether the first row is a header."""
    first, body = rows[0], rows[1:]
    words = [re.sub(r"[\W_]+", "", cell).lower() for cell in first]
    named = next(((words.index(a), words.index(b)) for a, b in PAIRS if a in words and b in words), None)
    if named is not None and any(first[column] in {_at(row, column) for row in body} for column in named):
        named = None  # nodes of that name
    unnamed = width > 2 and first[0] == "" and len(first) == width
    header = named is not None or unnamed or any(_is_title(first, body, column) for column in range(len(first)))
    beyond = header and width == len(first) + 1
    index = unnamed or beyond
    if named is not None:
        one, other = (column + beyond for column in named)
        return index, (one, other), True
    rest = body if header else rows
    index = index or (width > 2 and _counts(rest) and _same_nodes(rest))
    return index, (1, 2) if index else (0, 1), header


def _is_title(first: list[str], body: list[list[str]], column: int) -> bool:
    """Return whether the first row holds a word over a column of numbers."""
    cell = first[column]
    if not body or cell.lower() in MISSING or is_number(cell):
        return False
    return all(is_number(_at(row, column)) for row in body)


def _at(row: list[str], column: int) -> str:
    return row[column] if column < len(row) else ""


def _counts(rows: list[list[str]]) -> bool:
    """Return whether the first column counts the rows, from 0 or from 1."""
    if len(rows) < 3 or rows[0][0] not in ("0", "1"):
        return False
    start = int(rows[0][0])
    return all(row[0] == str(number) for number, row in enumerate(rows, start))


def _same_nodes(rows: list[list[str]]) -> bool:
    """Return whether the second and third columns share at least half of their values, as two ends of edges do."""
    one, other = ({_at(row, column) for row in rows} for column in (1, 2))
    return 2 * len(one & other) >= len(one | other)


def _ends(file: str, rows: list[list[str]], lines: Sequence[int], columns: tuple[int, int]) -> list[str]:
    one, other = columns
    last = max(columns)
    for row, line in zip(rows, lines, strict=True):
        if len(row) <= last or not row[one] or not row[other]:
            raise ValueError(
                f"{file}, line {line}: an edge is two node names, here in columns {one + 1} and {other + 1}, got {row}; "
                f"{ADJACENCY}"
            )
    return [row[column] for row in rows for column in columns]


def _note_lengths(
    file: str, rows: list[list[str]], lines: Sequence[int], width: int, left_out: dict[str, int], details: dict[str, str]
) -> None:
    odd = [line for row, line in zip(rows, lines, strict=True) if len(row) != width]
    if not odd:
        return
    if len(odd) > max(3, RAGGED * len(rows)) and len({len(row) for row in rows}) > 2:
        raise ValueError(
            f"{file}, line {odd[0]}: {len(odd)} of {len(rows)} lines have not {width} cells as most have; {ADJACENCY}"
        )
    kind = "lines of another length, whose two nodes are kept"
    left_out[kind] = len(odd)
    details[kind] = f" (lines {', '.join(map(str, odd[:5]))}{', ...' if len(odd) > 5 else ''})"


def _note_values(
    rows: list[list[str]], width: int, used: set[int], table: Table, left_out: dict[str, int], details: dict[str, str]
) -> None:
    """Count weights and other columns that are not used, and weights that one may have meant as no edge."""
    free = [column for column in range(width) if column not in used]
    if table.attributes:
        left_out["attributes of edges"] = table.attributes
    if not free:
        return
    titles = table.rows[0] if "header" in left_out else []
    beyond = bool(titles) and width == len(titles) + 1
    names = [_at(titles, column - beyond) or f"column {column + 1}" for column in free]
    weights = next((place for place, name in enumerate(names) if "weight" in name.lower()), 0)
    values = [_at(row, free[weights]) for row in rows]
    left_out["values beside edges"] = sum(_at(row, column) != "" for row in rows for column in free)
    details["values beside edges"] = f" ({', '.join(names)}; an edge counts once, whatever its weight{_odd(values)})"


def _odd(values: list[str]) -> str:
    """Tell how many weights are 0, negative or no number, where they are numbers."""
    if not all(is_number(value) for value in values if value.lower() not in MISSING):
        return ""
    numbers = [math.nan if value.lower() in MISSING else float(value) for value in values]
    counts = {
        "of 0": sum(number == 0 for number in numbers),
        "negative": sum(number < 0 for number in numbers),
        "missing or no number": sum(math.isnan(number) for number in numbers),
    }
    told = ", ".join(f"{count} {kind}" for kind, count in counts.items() if count)
    return f", and {told} do too" if told else ""


def _doubtful_header(cells: list[str], line: int) -> str:
    """Tell of a first row of names that stand nowhere else: it may be a header."""
    one, other, *rest = cells
    if len(rest) < 4 or is_number(one) or is_number(other) or not {one, other}.isdisjoint(rest):
        return ""
    return f"line {line} counts as an edge, and {one!r} and {other!r} stand nowhere else; if it is a header, begin it with #"


def _doubtful_numbers(names: NDArray[Any]) -> str:
    """Tell of numbers below 0: they may mark what is missing."""
    below = int((names < 0).sum()) if names.dtype != object else 0
    return f"{below} nodes have numbers below 0, e.g. {names[0]}, and are nodes like others" if below else ""
