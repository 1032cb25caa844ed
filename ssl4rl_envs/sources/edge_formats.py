"""What else a text may be than a table of edges: told by how it begins."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

_XML = r"\s*(?:<\?xml[^>]*>\s*)?(?:<!--.*?-->\s*|<!DOCTYPE[^>]*>\s*)*"
SIGNATURES = {
    ".mtx": re.compile(r"\s*%%MatrixMarket\b", re.IGNORECASE),
    ".graphml": re.compile(_XML + r"<graphml\b", re.DOTALL),
    ".gexf": re.compile(_XML + r"<gexf\b", re.DOTALL),
    ".gml": re.compile(r"(?:\s*(?:#|Creator\b|Version\b)[^\n]*\n)*\s*graph\s*\[", re.IGNORECASE),
    ".net": re.compile(r"(?:\s*%[^\n]*\n)*\s*\*(?:vertices|network|arcs|edges)\b", re.IGNORECASE),
    ".g6": re.compile(r">>graph6<<"),
    ".s6": re.compile(r">>sparse6<<"),
    ".col": re.compile(r"(?:\s*c\b[^\n]*\n)*\s*p[ \t]+\w+[ \t]+\d+[ \t]+\d+\s"),
}
"""How texts begin that are read as files of another ending."""

_REFUSED = (
    (
        re.compile(r"\s*<(?:\?xml|!doctype|!--|html|svg)", re.IGNORECASE),
        "XML or HTML, and of these a graph is read from GraphML and GEXF",
    ),
    (
        re.compile(r"\s*(?:\{|\[\s*[\[({])"),
        "JSON or a list of Python; pairs of numbers from 0 on are a source as GraphSource(json.loads(text)), and what "
        "networkx wrote as networkx.node_link_graph(json.loads(text))",
    ),
    (
        re.compile(r"\s*(?:strict\s+)?(?:di)?graph\b[^\n]*\{", re.IGNORECASE),
        "Graphviz's DOT; networkx.nx_pydot.read_dot(file) is a source",
    ),
)
_METIS = re.compile(r"(\d+)\s+(\d+)((?:\s+\d+){0,2})", re.ASCII)


def format_of(text: str, file: str) -> str | None:
    """Return the ending of the files that begin like a text, None for a table of edges.

    Raises:
        ValueError: it is of a kind that is not read.
    """
    found = next((ending for ending, signature in SIGNATURES.items() if signature.match(text)), None)
    if found is None:
        for signature, kind in _REFUSED:
            if signature.match(text):
                raise ValueError(f"{file} holds no edges line by line: it is {kind}")
    return found


def refuse_metis(lines: Sequence[tuple[int, str]], file: str) -> None:
    """Refuse a graph in the format of METIS: neighbours line by line, below a line of how many nodes and edges there are.

    Args:
        lines: number and content of lines that are not empty; METIS leaves those of nodes without neighbours empty.
        file: for messages.

    Raises:
        ValueError: it is one.
    """
    head = _METIS.fullmatch(lines[0][1].strip())
    rest = lines[1:]
    if head is None or not rest or not 0 < len(rest) <= int(head[1]):
        return
    nodes, edges, counts = int(head[1]), int(head[2]), [len(content.split()) for _, content in rest]
    told = [2 * edges, *([4 * edges, 2 * edges + nodes, 4 * edges + nodes] if head[3] else [])]
    pairs = set(counts) == {2}  # a list of edges below a line of sizes, unless both sizes are the lines that follow
    if sum(counts) in told and (not pairs or nodes == edges == len(rest)):
        raise ValueError(
            f"{file}, line {lines[0][0]}: {lines[0][1]!r} tells as many nodes and edges as METIS writes above neighbours "
            "line by line; write each line's node before its neighbours in a file that ends in .adjlist, or begin this line "
            "with # if edges follow"
        )


@dataclass(frozen=True)
class Dimacs:
    """A graph in the format of the DIMACS challenges.

    Args:
        edges: (E, 2) nodes, from 0.
        nodes: how many the line `p` tells.
        told: how many edges the line `p` tells.
        comments: how many lines are comments.
        weights: how many edges have a value.
        others: how many lines are about nodes alone.
    """

    edges: NDArray[np.int64]
    nodes: int
    told: int
    comments: int
    weights: int
    others: int


def read_dimacs(text: str, file: str) -> Dimacs:
    """Read `c` comments, a line `p KIND NODES EDGES`, edges `e 1 2`, `a 1 2 5` or `1 2`, and lines about nodes (n, d, v, x).

    Raises:
        ValueError: a line is none of these, or a node not of 1 to NODES; the message names file and line.
    """
    head: tuple[int, int] | None = None
    edges: list[tuple[int, int]] = []
    comments = weights = others = 0
    for number, line in enumerate(text.splitlines(), 1):
        kind, *cells = line.split() or [""]
        if kind in ("", "c"):
            comments += kind == "c"
        elif head is None and kind == "p" and len(cells) == 3 and cells[1].isdecimal() and cells[2].isdecimal():
            head = int(cells[1]), int(cells[2])
        elif kind in ("n", "d", "v", "x"):
            others += 1
        else:
            ends = cells if kind in ("e", "a") else [kind, *cells]
            count = head[0] if head else 0
            if len(ends) not in (2, 3) or not all(cell.isdecimal() and 1 <= int(cell) <= count for cell in ends[:2]):
                raise ValueError(f"{file}, line {number}: {line!r} is no edge between two of the {count} nodes of DIMACS")
            edges.append((int(ends[0]) - 1, int(ends[1]) - 1))
            weights += len(ends) == 3
    if head is None:
        raise ValueError(f"{file} has no line `p KIND NODES EDGES`, as a file of DIMACS has")
    return Dimacs(np.array(edges, np.int64).reshape(-1, 2), *head, comments, weights, others)
