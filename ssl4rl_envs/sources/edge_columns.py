"""Which columns of a table are the ends of edges, and what is left out beside them."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ssl4rl_envs.sources.edge_nodes import MISSING, is_number, number_nodes
from ssl4rl_envs.sources.edge_text import ADJACENCY, Table
from ssl4rl_envs.sources.left_out import LeftOut

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

RAGGED = 0.1
"""Share of rows of another length up to which they may have any."""

ONCE = "an edge counts once, whatever its weight"


@dataclass(frozen=True)
class Edges:
    """Edges between numbered nodes.

    Args:
        edges: (E, 2) numbers of nodes, from 0 without gaps.
        names: (N,) what each node is called, see `number_nodes`.
        left_out: what of the table is in neither.
        doubts: what may have been meant otherwise, in sentences.
    """

    edges: NDArray[np.int64]
    names: NDArray[Any]
    left_out: LeftOut
    doubts: tuple[str, ...]


@dataclass(frozen=True)
class Layout:
    """What the columns of a table are.

    Args:
        header: whether the first row is one.
        index: whether the first column counts the rows.
        beyond: whether the header has no cell above that column.
        ends: the two columns of nodes.
        width: how many columns there are.
    """

    header: bool
    index: bool
    beyond: bool
    ends: tuple[int, int]
    width: int


def edges_of(table: Table) -> Edges:
    """Find header, index and the two columns of nodes, and number the nodes.

    - A **header** is a first row that names the two columns (see `PAIRS`), that begins with an empty cell, or that holds a
      word where all other rows hold a number. Where it names the columns they may stand anywhere.
    - An **index** is a column before the others: under an empty cell of the header, or beyond its cells, or one without a
      header that counts the rows where the two behind it name the same nodes.
    - The **nodes** are in the columns that the header names, or else in the first two behind the index.

    Raises:
        ValueError: a row has not two names; the message names file and line.
    """
    rows = _without_empty_columns(table.rows)
    layout = layout_of(rows)
    start = int(layout.header)
    body, lines = rows[start:], table.lines[start:]
    if not body:
        raise ValueError(f"{table.file} holds no edge, only a header")
    cells = _ends(table.file, body, lines, layout.ends)
    names, edges = number_nodes(cells, table.file, lines)
    left_out = LeftOut()
    late = table.late_comments
    amid = f", {len(late)} of them amid edges (first: line {late[0]})" if late else ""
    left_out.add("lines of comments", table.comments, amid, quiet=not late)
    left_out.add("header", start, quiet=True)
    left_out.add("column that counts rows", int(layout.index))
    _note_lengths(table.file, body, lines, layout.width, left_out)
    _note_values(body, layout, rows[0] if layout.header else [], left_out)
    left_out.add("attributes of edges", table.attributes, f" ({ONCE})")
    doubts = ("" if layout.header else _doubtful_header(cells, lines[0]), _doubtful_numbers(names))
    return Edges(edges, names, left_out, tuple(doubt for doubt in doubts if doubt))


def layout_of(rows: list[list[str]]) -> Layout:
    """Find out what the columns of a table are, see `edges_of`."""
    first, body = rows[0], rows[1:]
    width = Counter(map(len, body or rows)).most_common(1)[0][0]
    words = [re.sub(r"[\W_]+", "", cell).lower() for cell in first]
    named = next(((words.index(a), words.index(b)) for a, b in PAIRS if a in words and b in words), None)
    if named is not None and not {_at(row, column) for row in body for column in named}.isdisjoint(first[i] for i in named):
        named = None  # nodes of that name
    unnamed = width > 2 and first[0] == "" and len(first) == width and all(row[0] for row in body)
    titles = not any(map(is_number, first[:2])) and any(_is_title(first, body, column) for column in range(len(first)))
    header = named is not None or unnamed or titles
    beyond = header and width == len(first) + 1
    if named is not None:
        one, other = (column + beyond for column in named)
        return Layout(True, unnamed or beyond, beyond, (one, other), width)
    rest = body if header else rows
    index = unnamed or beyond or (width > 2 and _counts(rest) and _same_nodes(rest))
    return Layout(header, index, beyond, (1, 2) if index else (0, 1), width)


def _without_empty_columns(rows: list[list[str]]) -> list[list[str]]:
    """Leave out last columns that are empty in all rows: lines that end in a separator. A header may lack them."""
    width = max(map(len, rows))
    while width > 2 and not any(len(row) >= width and row[width - 1] for row in rows):
        width -= 1
    return [row[:width] for row in rows]


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


def _note_lengths(file: str, rows: list[list[str]], lines: Sequence[int], width: int, left_out: LeftOut) -> None:
    odd = [line for row, line in zip(rows, lines, strict=True) if len(row) != width]
    if len(odd) > max(3, RAGGED * len(rows)) and len({len(row) for row in rows}) > 2:
        raise ValueError(
            f"{file}, line {odd[0]}: {len(odd)} of {len(rows)} lines have not {width} cells as most have; {ADJACENCY}"
        )
    listed = f" (lines {', '.join(map(str, odd[:5]))}{', ...' if len(odd) > 5 else ''})"
    left_out.add("lines of another length, of which the two nodes are kept", len(odd), listed)


def _note_values(rows: list[list[str]], layout: Layout, titles: list[str], left_out: LeftOut) -> None:
    """Count weights and other columns that are not used, and weights that one may have meant as no edge."""
    used = {*layout.ends, *([0] if layout.index else [])}
    free = [column for column in range(layout.width) if column not in used]
    if not free:
        return
    names = [_at(titles, column - layout.beyond) or f"column {column + 1}" for column in free]
    weights = next((column for column, name in zip(free, names, strict=True) if "weight" in name.lower()), free[0])
    count = sum(_at(row, column) != "" for row in rows for column in free)
    odd = _odd_weights([_at(row, weights) for row in rows])
    left_out.add("values beside edges", count, f" ({', '.join(names)}; {ONCE}{odd})")


def _odd_weights(values: list[str]) -> str:
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
    """Tell of a first row that may be a header: names that stand nowhere else, or how many nodes and edges follow."""
    one, other, *rest = cells
    if other == str(len(rest) // 2) and one in (str(len(set(rest))), other):
        return f"line {line} counts as an edge, and {other} lines follow it; if it tells how many, begin it with #"
    if len(rest) < 4 or is_number(one) or is_number(other) or not {one, other}.isdisjoint(rest):
        return ""
    return f"line {line} counts as an edge, and {one!r} and {other!r} stand nowhere else; if it is a header, begin it with #"


def _doubtful_numbers(names: NDArray[Any]) -> str:
    """Tell of numbers below 0: they may mark what is missing."""
    below = int((names < 0).sum()) if names.dtype != object else 0
    return f"{below} nodes have numbers below 0, e.g. {names[0]}, and are nodes like others" if below else ""
