"""Which rows of a table are edges: not headers, not lines that tell sizes, not sums."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ssl4rl_envs.sources.edge_nodes import MISSING, is_number, is_whole
from ssl4rl_envs.sources.edge_titles import named_pair, plain

Row = Sequence[str]

SUMS = frozenset(("total", "totals", "sum", "sums", "grandtotal", "subtotal", "mean", "average", "avg", "median"))
"""Words under which spreadsheets and reports write a last row, in small letters and without signs."""


@dataclass(frozen=True)
class Rows:
    """The rows of a table, told apart by place.

    Args:
        edges: those that are edges.
        header: whether the first row is one.
        units: whether the row below it belongs to it.
        repeats: how many rows below are headers, as in files that were joined.
        sizes: whether the first row tells how many nodes and edges follow.
        sums: how many last rows sum up the others.
    """

    edges: list[int]
    header: bool
    units: bool
    repeats: int
    sizes: bool
    sums: int


def rows_of(rows: Sequence[Row], header: bool) -> Rows:
    """Tell rows apart: what repeats the header or tells units below it, tells sizes above edges, or sums up is no edge."""
    sizes = not header and tells_sizes(rows)
    start = int(header or sizes)
    titles = set(titles_below(rows, header))
    places = [place for place in range(start, len(rows)) if place not in titles]
    units = header and len(places) > 2 and _tells_units([rows[place] for place in places])
    places = places[1:] if units else places
    sums = 0
    while len(places) > 2 and sums_up([rows[place] for place in places]):
        places, sums = places[:-1], sums + 1
    return Rows(places, header, units, len(titles), sizes, sums)


def titles_below(rows: Sequence[Row], header: bool) -> list[int]:
    """Return the places of rows below the first that are headers, as in files that were joined.

    They repeat the header, perhaps with other capitals; or there is none, and they name the two columns of nodes amid whole
    numbers. Where they are no copies of the first row, no other row holds their words.
    """
    first = list(map(str.lower, rows[0]))
    if header and not all(map(is_number, first)):
        likely = [place for place, row in enumerate(rows) if place and list(map(str.lower, row)) == first]
    else:
        odd = {cell for cell in {cell for row in rows for cell in row[:2]} if not is_whole(cell)}
        words = [place for place, row in enumerate(rows) if place and not odd.isdisjoint(row[:2])] if odd else []
        named = [place for place in words if 2 * len(words) < len(rows)]
        likely = [place for place in named if named_pair(list(map(plain, rows[place]))) == (0, 1)]
    if all(list(rows[place]) == list(rows[0]) for place in likely):
        return likely
    left_out = {0, *likely} if header else set(likely)
    nodes = {cell for place, row in enumerate(rows) if place not in left_out for cell in row}
    return [place for place in likely if nodes.isdisjoint(rows[place])]


def is_header(rows: Sequence[Row]) -> bool:
    """Return whether the first row holds words over columns of numbers, whatever one row below it and the last one hold.

    Its first two cells are no numbers. The row below may hold units, and the last one a sum.
    """
    first, rest = rows[0], [row for row in rows[1:] if list(row) != list(rows[0])]
    if any(map(is_number, first[:2])):
        return False
    inner = rest[1:-1] if len(rest) > 3 else rest
    return any(_over_numbers(first, inner, column) for column in range(len(first)))


def tells_sizes(rows: Sequence[Row]) -> bool:
    """Return whether the first row is of whole numbers that tell how many nodes and, last, how many edges follow.

    No node below has a number above the first ones, and none that of the last.
    """
    first, rest = rows[0], rows[1:]
    if len(rest) < 3 or len(first) not in (2, 3) or not all(map(is_whole, first)) or int(float(first[-1])) != len(rest):
        return False
    cells = {cell for row in rest for cell in row[:2]}
    if not all(map(is_whole, cells)) or first[-1] in cells:
        return False
    most = max(int(float(cell)) for cell in cells)
    return all(int(float(size)) >= max(most, 2) for size in first[:-1])


def sums_up(rows: Sequence[Row]) -> bool:
    """Return whether the last row begins with a word of `SUMS` that no other has there, before numbers or nothing."""
    *rest, last = rows
    column = next((column for column, cell in enumerate(last) if cell), 0)
    word = "".join(filter(str.isalpha, last[column])).lower()
    if word not in SUMS or any(row[column : column + 1] == last[column : column + 1] for row in rest):
        return False
    return all(not cell or is_number(cell) for cell in last[column + 1 :])


def _tells_units(rows: Sequence[Row]) -> bool:
    """Return whether the first row, below a header, holds words alone, one of them over numbers, that stand nowhere else."""
    first, rest = rows[0], rows[1:]
    if any(map(is_number, first)) or not any(_over_numbers(first, rest[:-1], column) for column in range(len(first))):
        return False
    columns = [column for column, cell in enumerate(first) if cell]
    return not any(row[column : column + 1] == first[column : column + 1] for row in rest for column in columns)


def _over_numbers(first: Row, rows: Sequence[Row], column: int) -> bool:
    """Return whether a row holds a word over a column of numbers."""
    cell = first[column]
    if not rows or cell.lower() in MISSING or is_number(cell):
        return False
    return all(is_number(row[column] if column < len(row) else "") for row in rows)
