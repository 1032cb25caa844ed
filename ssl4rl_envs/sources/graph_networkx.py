"""Graphs of networkx: their edges, and the attributes of their nodes as features."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ssl4rl_envs.sources.edge_nodes import named
from ssl4rl_envs.sources.graphs import GraphSource
from ssl4rl_envs.sources.left_out import LeftOut

LABELS = ("y", "label", "labels", "class")
"""Attributes that are classes of nodes where all nodes have them, as whole numbers or words: labels, never features."""

NAMES = ("id", "name")
"""Attributes that tell nodes apart and describe nothing."""

MOST_WORDS = 64
"""Different words up to which an attribute is a category."""


def from_networkx(graph: Any, name: str = "networkx", attributes: Sequence[Hashable] | None = None) -> GraphSource:
    """Take over a networkx graph; nodes are numbered in its order, and called in `names` what they are called there.

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
    nodes = list(graph.nodes)
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
            columns.append(_column(key, values, nodes, name))
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


def _describes(values: list[Any]) -> bool:
    """Return whether an attribute's first values are numbers, or all of them words of few kinds."""
    held = [value for value in values if value is not None]
    if not held:
        return False
    if isinstance(held[0], str):
        different = len({value for value in held if isinstance(value, str)})
        return 2 <= different <= min(MOST_WORDS, len(values) // 2)
    return _numbers(held[0]) is not None


def _numbers(value: Any) -> NDArray[np.float64] | None:
    """Return a number, or an array of numbers in any nesting, flat; None for anything else."""
    if isinstance(value, (str, bytes, dict, set)):
        return None
    if hasattr(value, "detach"):  # a tensor, perhaps of a kind that NumPy has not
        value = value.detach().cpu().double().numpy()
    try:
        array = np.asarray(value)
    except ValueError:  # lists of several lengths
        return None
    return array.astype(np.float64).ravel() if array.dtype.kind in "biuf" else None


def _column(key: Hashable, values: list[Any], nodes: list[Any], name: str, asked: bool = False) -> NDArray[np.float64]:
    """Return the features (N, k) that an attribute makes.

    Raises:
        ValueError: the values of nodes do not make a table; the message names a node.
    """
    hint = "" if asked else "; from_networkx(graph, attributes=[...]) takes only those that you name"
    for node, value in zip(nodes, values, strict=True):
        if value is None:
            missing = sum(other is None for other in values)
            raise ValueError(f"graph {name!r}: node {node!r} has no {key!r}, as {missing} of {len(nodes)} nodes{hint}")
    if isinstance(values[0], str):
        if odd := next((place for place, value in enumerate(values) if not isinstance(value, str)), 0):
            raise ValueError(f"graph {name!r}: {key!r} of node {nodes[odd]!r} is {values[odd]!r}, and of others a word{hint}")
        kinds, place = np.unique(values, return_inverse=True)
        return np.eye(len(kinds))[place]
    rows = [_numbers(value) for value in values]
    for node, value, row in zip(nodes, values, rows, strict=True):
        first = rows[0]
        if row is None or first is None or row.shape != first.shape:
            what = (
                "no numbers"
                if row is None
                else f"{row.size} numbers, and of node {nodes[0]!r} {0 if first is None else first.size}"
            )
            raise ValueError(f"graph {name!r}: {key!r} of node {node!r} is {what}: {value!r}{hint}")
        if not np.isfinite(row).all():
            raise ValueError(f"graph {name!r}: {key!r} of node {node!r} is not finite: {value!r}{hint}")
    return np.stack([row for row in rows if row is not None])


def _classes(values: list[Any]) -> NDArray[np.int64] | None:
    """Return classes (N,) where all values are whole numbers, or all words; words in alphabetical order."""
    numbers = [getattr(value, "item", lambda value=value: value)() if np.ndim(value) == 0 else None for value in values]
    if all(isinstance(value, (int, float)) and float(value).is_integer() for value in numbers):
        return np.array(numbers, np.int64)
    if all(isinstance(value, str) for value in values) and len(set(values)) <= len(values) // 2:
        return np.unique(values, return_inverse=True)[1].astype(np.int64)
    return None
