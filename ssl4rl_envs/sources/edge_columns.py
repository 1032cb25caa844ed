"""Which columns of a table are the ends of edges."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

from ssl4rl_envs.sources.edge_nodes import is_number, is_whole
from ssl4rl_envs.sources.edge_rows import Row, Rows, is_header, rows_of
from ssl4rl_envs.sources.edge_titles import INDEX, VALUES, named_pair, plain

ALIKE = 0.5
"""Share of their values that two columns of nodes have in common at least, unless nodes are of two kinds."""


@dataclass(frozen=True)
class Layout:
    """What the rows and columns of a table are.

    Args:
        rows: which rows are what.
        titles: what the header calls each column, "" where nothing does.
        index: whether the first column tells rows apart.
        ends: the two columns of nodes.
        width: how many columns there are.
    """

    rows: Rows
    titles: list[str]
    index: bool
    ends: tuple[int, int]
    width: int


def layout_of(
    rows: Sequence[Row], file: str = "edges", columns: Sequence[int | str] | None = None, header: bool | None = None
) -> Layout:
    """Find out what the rows and columns of a table are.

    - A **header** is a first row that names two columns of nodes (`PAIRS`, `KINDS`), that begins with an empty cell or the
      name of an index, or that holds a word over a column of numbers. What repeats it below, or tells units, belongs to it.
    - The **nodes** are in the columns that are named so; or in the two that are left beside columns of `INDEX` and `VALUES`;
      or in the first two, unless other columns look more like the ends of edges: then `columns` must tell.
    - An **index** is a first column that is no end of edges and is called so, has no name, or counts the rows.

    Raises:
        ValueError: `columns` are none of the table, or what they are cannot be told without.
    """
    first = rows[0]
    width = Counter(map(len, rows[1:] or rows)).most_common(1)[0][0]
    if width < 2:
        raise ValueError(f"{file} has one column, and an edge is two node names, got {first}")
    words = [plain(cell) for cell in first]
    if header is None:
        by_title = any(isinstance(column, str) for column in columns or ())
        header = by_title or _names_columns(rows, words, width) or is_header(rows)
    found = rows_of(rows, header)
    body = [rows[place] for place in found.edges]
    missing = [""] * (header and width == len(first) + 1)  # R writes no name above its index
    titles = [*missing, *first] if header else []
    titles += [""] * (width - len(titles))
    names = [*missing, *words] if header else []
    if columns is not None:
        ends = _chosen(columns, titles, width, file)
    else:
        named = named_pair(names) if header else None
        candidates = [column for column in range(width) if not header or not _aside(names, column)]
        if len(candidates) < 2:
            candidates = list(range(width))
        if named is None and width == 2 and header and INDEX.fullmatch(names[0]) and _tells_apart(body):
            raise ValueError(
                f"{file}: column 0 may count the rows, since it is called {titles[0]!r}, and then one column is no edge; "
                "read_graph(path, columns=(0, 1)) takes both for nodes"
            )
        one, *others = candidates
        ends = named or ((one, others[0]) if len(others) == 1 else _by_content(body, candidates, file))
    index = 0 not in ends and ((header and bool(INDEX.fullmatch(names[0]))) or counts_rows(body))
    return Layout(found, titles, index, ends, width)


def counts_rows(rows: Sequence[Row]) -> bool:
    """Return whether the first column counts the rows, from 0 or from 1."""
    if len(rows) < 3 or rows[0][0] not in ("0", "1"):
        return False
    start = int(rows[0][0])
    return all(row[0] == str(number) for number, row in enumerate(rows, start))


def _tells_apart(rows: Sequence[Row]) -> bool:
    """Return whether the first column holds whole numbers that tell rows apart, as an index does."""
    return len({row[0] for row in rows}) == len(rows) > 2 and all(is_whole(row[0]) for row in rows)


def _aside(names: Sequence[str], column: int) -> bool:
    """Return whether a column is named as one that tells rows apart, or tells something of an edge."""
    name = names[column] if column < len(names) else ""
    return bool(VALUES.fullmatch(name)) or bool(INDEX.fullmatch(name) if column == 0 else name.startswith("unnamed"))


def _names_columns(rows: Sequence[Row], words: Sequence[str], width: int) -> bool:
    """Return whether the first row names columns of nodes, or an index, and nodes are not called so."""
    first, rest = rows[0], [row for row in rows[1:] if list(row) != list(rows[0])]
    named = named_pair(words)
    if named is not None and not any(_at(row, column) in (first[i] for i in named) for row in rest for column in named):
        return True
    if first[0] == "":  # pandas writes numbers above columns without names
        return (width > 2 or not is_number(first[1])) and len(first) == width and all(row[0] for row in rest)
    return width > 2 and bool(INDEX.fullmatch(words[0])) and bool(rest) and all(is_whole(row[0]) for row in rest)


def _chosen(columns: Sequence[int | str], titles: Sequence[str], width: int, file: str) -> tuple[int, int]:
    """Return the columns that a user names, by title or by number from 0."""
    places = []
    for column in columns:
        known = [title for title in titles if title]
        if isinstance(column, str) and titles.count(column) != 1:
            raise ValueError(f"{file} has {titles.count(column) or 'no'} columns {column!r}; its first line names {known}")
        place = titles.index(column) if isinstance(column, str) else column
        if isinstance(place, bool) or not isinstance(place, int) or not 0 <= place < width:
            raise ValueError(f"{file} has columns 0 to {width - 1}, got {column!r}")
        places.append(place)
    if len(places) != 2 or places[0] == places[1]:
        raise ValueError(f"{file}: columns are the two that hold the ends of edges, got {tuple(columns)}")
    return places[0], places[1]


def _by_content(rows: Sequence[Row], candidates: Sequence[int], file: str) -> tuple[int, int]:
    """Return the first two columns, or the two behind an index, where others look no more like the ends of edges.

    Two columns look so that have half of their values in common. A first column that tells rows apart may be an index, or
    nodes with one edge each: it is an index where it counts the rows, shares few values with the second, and the two behind
    it look like edges, of which few are repeated and none are loops.

    Raises:
        ValueError: others do; the message names both.
    """
    kinds = {column: _kind(rows, column) for column in candidates}
    first, second, *_ = candidates
    nodes = [column for column in candidates if kinds[column] is not None]
    values = {column: {_at(row, column) for row in rows} for column in {first, second, *nodes}}

    def alike(one: int, other: int) -> bool:
        shared = len(values[one] & values[other])
        return shared >= ALIKE * len(values[one] | values[other])

    others = [pair for pair in combinations(nodes, 2) if pair != (first, second)]
    likely = [pair for pair in others if alike(*pair)]
    behind = next(((one, other) for one, other in others if one == second), None)
    index = kinds[first] == "whole" and len(values[first]) == len(rows) > 2  # it tells rows apart
    if behind is not None and index:
        pairs = {(_at(row, behind[0]), _at(row, behind[1])) for row in rows}
        proper = 4 * len(pairs) >= 3 * len(rows) and all(one != other for one, other in pairs)
        if behind in likely and counts_rows(rows) and not alike(first, second) and proper:
            return behind
        if behind in likely or counts_rows(rows):
            raise ValueError(_question(file, (first, second), behind, f"column {first} may count the rows"))
    if {first, second} <= set(nodes) and alike(first, second):
        return first, second
    mixed = kinds[first] is None or kinds[second] is None or kinds[first] != kinds[second]
    likely = likely or [pair for pair in others if mixed and kinds[pair[0]] == kinds[pair[1]]]
    if likely:
        raise ValueError(_question(file, (first, second), likely[0], "these look more like the two ends of edges"))
    return first, second


def _kind(rows: Sequence[Row], column: int) -> str | None:
    """Return whether a column holds "whole" numbers or "words"; None where it can't hold nodes: all alike, or fractions."""
    cells = {_at(row, column) for row in rows}
    if len(cells) < 2 or "" in cells:
        return None
    if all(map(is_whole, cells)):
        return "whole"
    return None if all(map(is_number, cells)) else "words"


def _question(file: str, taken: tuple[int, int], other: tuple[int, int], why: str) -> str:
    return (
        f"{file}: nodes may be in columns {taken} or {other}, from 0: {why}; read_graph(path, columns={other}) or "
        f"columns={taken} decides, and so does a first line that calls them source and target"
    )


def _at(row: Row, column: int) -> str:
    return row[column] if column < len(row) else ""
