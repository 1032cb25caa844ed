"""Graphs of networkx: their edges, and the attributes of their nodes as features."""

from __future__ import annotations

import reprlib
from collections import Counter
from collections.abc import Hashable, Iterable, Sequence
from operator import itemgetter
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ssl4rl_envs.sources.edge_nodes import named
from ssl4rl_envs.sources.graph_values import FLOAT32_MAX, dense, holds_numbers, is_missing, real_numbers
from ssl4rl_envs.sources.graphs import GraphSource
from ssl4rl_envs.sources.left_out import LeftOut

LABELS = ("y", "label", "labels", "class")
"""Attributes that are classes of nodes where all nodes have them, as whole numbers or words: labels, never features."""

NAMES = ("id", "name")
"""Attributes that tell nodes apart and describe nothing."""

MOST_WORDS = 64
"""Different words up to which an attribute is a category."""


def from_networkx(graph: Any, name: str = "networkx", attributes: Sequence[Hashable] | None = None) -> GraphSource:
    """Take over a networkx graph; nodes are called in `names` what they are called there.

    Nodes are numbered in the order of their names (see `in_order`), not in that of the graph: networkx lists the nodes of a
    part of a graph, such as its largest component, as a set does, and words of a set stand otherwise in each process.

    Attributes of nodes become features, one beside the other in the order of their names: numbers as they are, lists and
    arrays of numbers flat, and words one-hot, in alphabetical order, where they are a category: 2 to `MOST_WORDS` different
    ones, at most half as many as nodes. What else nodes and edges carry (other words, weights, directions) is left out,
    counted and told. An attribute of `LABELS` becomes `labels`.

    Args:
        graph: `Graph`, `DiGraph` or `MultiGraph`.
        name: how to call the graph.
        attributes: which node attributes are features, in this order; by default all that can be.

    Raises:
        ValueError: an attribute is missing in some nodes, or has other shapes or kinds there, or is not finite; or it is
            asked for and is none.
    """
    nodes = in_order(graph.nodes)
    numbers = {node: number for number, node in enumerate(nodes)}
    pairs = [(numbers[one], numbers[other], bool(data)) for one, other, data in graph.edges(data=True)]
    edges = np.array([pair[:2] for pair in pairs], np.int64).reshape(-1, 2)
    carried = [graph.nodes[node] for node in nodes]
    known = sorted({key for data in carried for key in data}, key=str)
    labels: NDArray[np.int64] | None = None
    columns: list[NDArray[Any]] = []
    left: list[str] = []
    if attributes is not None and (unknown := [key for key in attributes if key not in known]):
        raise ValueError(
            f"graph {name!r}: nodes have no attribute {unknown[0]!r}; they have {', '.join(map(str, known)) or 'none'}"
        )
    for key in known if attributes is None else [*attributes, *(key for key in known if key not in attributes)]:
        values = [data.get(key) for data in carried]
        if attributes is not None and key in attributes:
            columns.append(_column(key, values, nodes, name, asked=True))
        elif key in LABELS:  # never a feature: it would tell the answer
            found = _classes(values) if labels is None else None
            labels = found if labels is None else labels
            if found is None:
                left.append(str(key))
        elif attributes is None and key not in NAMES and _describes(values):
            column = _column(key, values, nodes, name)
            columns.append(column)
            if not column.shape[1]:
                left.append(str(key))
        else:
            left.append(str(key))
    left_out = LeftOut()
    left_out.add("attributes of nodes", len(left), f" ({', '.join(left)})")
    left_out.add("values beside edges", sum(pair[2] for pair in pairs), " (an edge counts once, whatever its weight)")
    left_out.add("directions", len(edges) if graph.is_directed() else 0, quiet=True)
    source = GraphSource(
        edges,
        nodes=len(nodes),
        features=np.concatenate(columns, axis=1) if columns else None,
        labels=labels,
        name=name,
        names=named(nodes),
        left_out=left_out.counts,
    )
    return left_out.tell(source)


def in_order(nodes: Iterable[Any]) -> list[Any]:
    """Return nodes in an order that every process finds: numbers, then words, then bytes, then tuples, each sorted.

    Other objects have no order of their own; where there are any, all stay in the order in which they come.
    """
    listed = list(nodes)
    ranks = [_rank(node) for node in listed]
    return listed if None in ranks else [node for _, node in sorted(zip(ranks, listed, strict=True), key=itemgetter(0))]


def _rank(node: Any) -> tuple[Any, ...] | None:
    """Return what a node is sorted by, or None."""
    if isinstance(node, (bool, int, float, np.integer, np.floating)) and node == node:
        return (0, node)
    for kind, of in enumerate((str, bytes), 1):
        if isinstance(node, of):
            return (kind, node)
    if isinstance(node, tuple):
        ranks = tuple(map(_rank, node))
        return None if None in ranks else (3, ranks)
    return None


def _describes(values: list[Any]) -> bool:
    """Return whether an attribute is numeric in some nodes, or words of few kinds in all."""
    held = [value for value in values if not is_missing(value)]
    if all(isinstance(value, str) for value in held):
        return 2 <= len(set(held)) <= min(MOST_WORDS, len(values) // 2)
    return any(map(holds_numbers, held))


def _column(key: Hashable, values: list[Any], nodes: list[Any], name: str, asked: bool = False) -> NDArray[np.float64]:
    """Return the features (N, k) that an attribute makes.

    Raises:
        ValueError: the values of nodes do not make a table; the message names a node.
    """
    hint = "" if asked else "; from_networkx(graph, attributes=[...]) takes only those that you name"
    missing = [place for place, value in enumerate(values) if is_missing(value)]
    if missing:
        count = f"as {len(missing)} of {len(nodes)} nodes"
        raise ValueError(f"graph {name!r}: node {nodes[missing[0]]!r} has no {key!r}, {count}{hint}")
    words = [isinstance(value, str) for value in values]
    if all(words):
        kinds, place = np.unique(values, return_inverse=True)
        return np.eye(len(kinds))[place]
    rows = [real_numbers(value) for value in values]
    shapes = Counter(row.shape for row in rows if row is not None).most_common(1)
    for node, value, word, row in zip(nodes, values, words, rows, strict=True):
        where, shown = f"graph {name!r}: {key!r} of node {node!r} is", reprlib.repr(value)
        if 2 * sum(words) > len(words) and not word:
            raise ValueError(f"{where} {shown}, and of others a word{hint}")
        if 2 * sum(words) <= len(words) and (problem := _problem(value, row, shapes[0][0] if shapes else ())):
            raise ValueError(f"{where} {problem}: {shown}{hint}")
    return np.stack([row.ravel() for row in rows if row is not None])


def _problem(value: Any, row: NDArray[np.float64] | None, shape: tuple[int, ...]) -> str:
    """Return what keeps the value of a node out of a table of rows of a shape, or nothing."""
    if row is None:
        return "no table of real numbers" if holds_numbers(value) else "no numbers"
    if row.shape != shape:
        return f"numbers of shape {row.shape}, and of other nodes {shape}"
    if not np.isfinite(row).all():
        return "not finite"
    return "beyond float32" if (np.abs(row) > FLOAT32_MAX).any() else ""


def _classes(values: list[Any]) -> NDArray[np.int64] | None:
    """Return classes (N,) where all values are whole numbers, or all words; words in alphabetical order."""
    if all(isinstance(value, str) for value in values):
        few = len(set(values)) <= len(values) // 2
        return np.unique(values, return_inverse=True)[1].astype(np.int64) if few else None
    for value in values:
        row = real_numbers(value)
        if row is None or row.size != 1 or not row.item().is_integer() or abs(row.item()) >= 2**63:
            return None
    return np.array([int(dense(value).item()) for value in values], np.int64)
