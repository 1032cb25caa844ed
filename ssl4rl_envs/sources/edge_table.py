"""The edges of a table, and what is left out beside them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ssl4rl_envs.sources.edge_columns import ALIKE, Layout, layout_of
from ssl4rl_envs.sources.edge_nodes import MISSING, is_number, is_whole, number_nodes
from ssl4rl_envs.sources.edge_text import ADJACENCY, Table
from ssl4rl_envs.sources.edge_titles import KINDS, PAIRS, named_pair, plain
from ssl4rl_envs.sources.graph_values import odd_weights
from ssl4rl_envs.sources.left_out import LeftOut

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


def edges_of(
    table: Table,
    columns: Sequence[int | str] | None = None,
    header: bool | None = None,
    bipartite: bool | None = None,
) -> Edges:
    """Find the rows and the two columns of edges, see `layout_of`, and number the nodes.

    Args:
        table: of text.
        columns: the two of nodes, as the header calls them or from 0; by default they are found out.
        header: whether the first row is one; by default it is found out.
        bipartite: whether the columns hold nodes of two kinds; these are called "user 7" and "item 7" then, by the header or
            the numbers of columns. By default they are of one, and an error where the header says otherwise (see `KINDS`) and
            names stand in both.

    Raises:
        ValueError: a row has not two names, or the columns cannot be told; the message names the file.
    """
    rows = _without_empty_columns(table.rows)
    _refuse_matrix(rows, table.file)
    if columns is None and len(table.heading) == len(rows[0]):
        columns = named_pair([plain(cell) for cell in table.heading])
    layout = layout_of(rows, table.file, columns, header)
    body, lines = [rows[place] for place in layout.rows.edges], [table.lines[place] for place in layout.rows.edges]
    if not body:
        ignored = f" and {table.comments} lines of comments" if table.comments else ""
        raise ValueError(f"{table.file} holds no edge, only a header{ignored}")
    cells = _ends(table.file, body, lines, layout.ends)
    doubt, cells = _kinds(cells, layout, bipartite, table.file)
    names, edges = number_nodes(cells, table.file, lines)
    left_out = LeftOut()
    late = table.late_comments
    amid = f", {len(late)} of them amid edges (first: line {late[0]})" if late else ""
    left_out.add("lines of comments", table.comments, amid, quiet=not late)
    _note_rows(layout, table.lines, left_out)
    left_out.add("column that counts rows", int(layout.index))
    _note_lengths(table.file, body, lines, layout.width, left_out)
    _note_values(body, layout, left_out)
    left_out.add("attributes of edges", table.attributes, f" ({ONCE})")
    doubts = (
        doubt,
        "" if layout.rows.header or header is False else _doubtful_header(cells, lines[0]),
        _doubtful_numbers(names),
        _doubtful_words(cells, lines),
    )
    return Edges(edges, names, left_out, tuple(doubt for doubt in doubts if doubt))


def _without_empty_columns(rows: list[list[str]]) -> list[list[str]]:
    """Leave out last columns that are empty in all rows: lines that end in a separator. A header may lack them."""
    width = max(map(len, rows))
    while width > 2 and not any(len(row) >= width and row[width - 1] for row in rows):
        width -= 1
    return [row[:width] for row in rows]


def _refuse_matrix(rows: list[list[str]], file: str) -> None:
    """Refuse a square table of numbers, perhaps with names above and before them, and two long lines of numbers."""
    if len(rows) == 2 and min(map(len, rows)) > 10 and all(is_number(cell) for row in rows for cell in row):
        raise ValueError(f"{file} holds two lines of {len(rows[0])} numbers, as edge_index does; write its transpose")
    square = len(rows) > 5 and len({*map(len, rows[1:])}) == 1 and abs(len(rows) - len(rows[1])) <= 1
    if square and all(is_number(cell) or not cell for row in rows[1:] for cell in row[1:]):
        raise ValueError(
            f"{file} is a square table of {len(rows)} lines, as an adjacency matrix is; scipy.sparse.coo_array(matrix) is a "
            "source"
        )


def _ends(file: str, rows: list[list[str]], lines: Sequence[int], columns: tuple[int, int]) -> list[str]:
    one, other = columns
    last = max(columns)
    for row, line in zip(rows, lines, strict=True):
        if len(row) <= last or not row[one] or not row[other]:
            raise ValueError(
                f"{file}, line {line}: an edge is two node names, here in columns {one} and {other} from 0, got {row}; "
                f"read_graph(path, columns=...) names others, and {ADJACENCY}"
            )
    return [row[column] for row in rows for column in columns]


def _kinds(cells: list[str], layout: Layout, bipartite: bool | None, file: str) -> tuple[str, list[str]]:
    """Return what is doubtful of names in both columns, and the cells: with the name of the column before, if bipartite.

    Raises:
        ValueError: the header tells two kinds of nodes, names are in both columns, and `bipartite` does not decide.
    """
    titles = [layout.titles[column] or str(column) for column in layout.ends]
    if bipartite:
        return "", [f"{titles[place % 2]} {cell}" for place, cell in enumerate(cells)]
    one, other = set(cells[::2]), set(cells[1::2])
    shared = len(one & other)
    names = [plain(title) for title in titles]
    if bipartite is not None or not layout.rows.header or not shared or set(names) in map(set, PAIRS):
        return "", cells
    told = f"{shared} names stand in both columns {titles[0]!r} and {titles[1]!r}"
    hint = "read_graph(path, bipartite=True) keeps them apart, and bipartite=False does not"
    if set(names) in map(set, KINDS):
        raise ValueError(f"{file}: {told}, which look like two kinds of nodes; {hint}")
    alike = shared >= ALIKE * len(one | other)
    return "" if alike else f"{told} and are the same nodes; {hint}", cells


def _note_rows(layout: Layout, lines: Sequence[int], left_out: LeftOut) -> None:
    """Count the rows that are no edges."""
    rows = layout.rows
    left_out.add("header", int(rows.header), quiet=True)
    left_out.add("line of units below the header", int(rows.units))
    left_out.add("headers amid edges", rows.repeats)
    left_out.add("first line that tells how many edges follow", int(rows.sizes))
    left_out.add("last lines that sum up", rows.sums, f" (line {lines[-1]})")


def _note_lengths(file: str, rows: list[list[str]], lines: Sequence[int], width: int, left_out: LeftOut) -> None:
    odd = [line for row, line in zip(rows, lines, strict=True) if len(row) != width]
    if len(odd) > max(3, RAGGED * len(rows)) and len({len(row) for row in rows}) > 2:
        raise ValueError(
            f"{file}, line {odd[0]}: {len(odd)} of {len(rows)} lines have not {width} cells as most have; {ADJACENCY}"
        )
    listed = f" (lines {', '.join(map(str, odd[:5]))}{', ...' if len(odd) > 5 else ''})"
    left_out.add("lines of another length, of which the two nodes are kept", len(odd), listed)


def _note_values(rows: list[list[str]], layout: Layout, left_out: LeftOut) -> None:
    """Count weights and other columns that are not used, and weights that one may have meant as no edge."""
    used = {*layout.ends, *([0] if layout.index else [])}
    free = [column for column in range(layout.width) if column not in used]
    if not free:
        return
    names = [layout.titles[column] or f"column {column} from 0" for column in free]
    weights = next((column for column, name in zip(free, names, strict=True) if "weight" in name.lower()), free[0])
    count = sum(_at(row, column) != "" for row in rows for column in free)
    odd = _odd_weights([_at(row, weights) for row in rows])
    left_out.add("values beside edges", count, f" ({', '.join(names)}; {ONCE}{odd})")


def _at(row: Sequence[str], column: int) -> str:
    return row[column] if column < len(row) else ""


def _odd_weights(values: list[str]) -> str:
    """Tell how many weights are 0, negative or no number, where they are numbers."""
    if not all(is_number(value) for value in values if value.lower() not in MISSING):
        return ""
    return odd_weights([math.nan if value.lower() in MISSING else float(value) for value in values])


def _doubtful_header(cells: list[str], line: int) -> str:
    """Tell of a first row that may be a header: names that stand nowhere else, or how many nodes and edges follow."""
    one, other, *rest = cells
    hint = "begin it with # or pass header=True to read_graph"
    if other == str(len(rest) // 2) and one in (str(len(set(rest))), other):
        return f"line {line} counts as an edge, and {other} lines follow it; if it tells how many, {hint}"
    others = {pair for pair in zip(rest[::2], rest[1::2], strict=True) if pair != (one, other)}
    if len(others) < 2 or is_number(one) or is_number(other) or any(name in pair for pair in others for name in (one, other)):
        return ""
    return f"line {line} counts as an edge, and {one!r} and {other!r} stand nowhere else; if it is a header, {hint}"


def _doubtful_numbers(names: NDArray[Any]) -> str:
    """Tell of numbers below 0: they may mark what is missing."""
    below = int((names < 0).sum()) if names.dtype != object else 0
    return f"{below} nodes have numbers below 0, e.g. {names[0]}, and are nodes like others" if below else ""


def _doubtful_words(cells: list[str], lines: Sequence[int]) -> str:
    """Tell of few words amid whole numbers, and of words that mark what is missing."""
    odd = {cell for cell in set(cells) if not is_whole(cell)}
    words = [place for place, cell in enumerate(cells) if cell in odd] if odd else []
    if 2 * len(words) < len(cells):
        if not words:
            return ""
        return (
            f"{len(words)} of {len(cells)} ends of edges are words and the others whole numbers (first: {cells[words[0]]!r}, "
            f"line {lines[words[0] // 2]}); all are names then, and '7', '07' and '7.0' are three"
        )
    missing = [place for place in words if cells[place].lower() in MISSING]
    if not missing:
        return ""
    return (
        f"{cells[missing[0]]!r} is a node like others ({len(missing)} times, first: line {lines[missing[0] // 2]}); if it "
        "means that none is known, leave these lines out"
    )
