"""Graphs of PyTorch Geometric, taken over without importing torch: tensors are known by what they can do."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ssl4rl_envs.sources.graph_sparse import note_entries
from ssl4rl_envs.sources.graph_values import dense, is_sparse, real_numbers
from ssl4rl_envs.sources.graphs import GraphSource
from ssl4rl_envs.sources.left_out import LeftOut
from ssl4rl_envs.sources.notices import warn

VALUES = ("edge_attr", "edge_weight")


def from_pyg(data: Any, name: str = "pyg") -> GraphSource:
    """Take over a `Data` of PyTorch Geometric, or a dataset of one: its edges, `x` and `y`.

    Args:
        data: with `edge_index` (2, E), or `adj_t` (or `edge_index`) as a sparse matrix, of torch or torch-sparse. `x` may be
            (N, F) or (N,), sparse, and of any real dtype; `y` are labels where they are whole numbers, one a node.
        name: how to call the graph.

    Raises:
        ValueError: the dataset holds several graphs, nodes are of several kinds, there are no edges, or shapes do not fit.
    """
    if hasattr(data, "get") and hasattr(data, "indices") and hasattr(data, "__len__"):  # it looks like its only graph
        if len(data) != 1:
            raise ValueError(
                f"a source is one graph, the dataset {type(data).__name__} holds {len(data)}; choose one of them"
            )
        data = data[0]
    if hasattr(data, "node_types") and hasattr(data, "to_homogeneous"):
        raise ValueError(
            f"a source has nodes of one kind, and {type(data).__name__} has {', '.join(map(str, data.node_types)) or 0}; "
            "data.to_homogeneous() makes them one, or choose one with its edges"
        )
    if (count := getattr(data, "num_graphs", 1)) > 1:
        raise ValueError(f"a source is one graph, the {type(data).__name__} holds {count}; choose one of them")
    left_out = LeftOut()
    edges, size = _edges(data, name, left_out)
    features = getattr(data, "x", None)
    table = None if features is None else _array(features, "x", name)
    if table is not None and table.ndim == 1:
        table = table[:, None]
    nodes = size if size is not None else _told_nodes(data, table, name)
    labels, odd = _labels(getattr(data, "y", None), nodes)
    if any(getattr(data, key, None) is not None for key in VALUES):
        left_out.add("values beside edges", len(edges), " (an edge counts once, whatever its weight or features)")
    left_out.add("`y` that is not a class for each node", int(odd))
    if table is None and size is None and nodes and 2 * len(np.unique(edges)) < nodes:
        warn(f"graph {name!r}: more than half of its {nodes} nodes stand in no edge; numbers with gaps are nodes too")
    source = GraphSource(edges, nodes=nodes, features=table, labels=labels, name=name, left_out=left_out.counts)
    return left_out.tell(source, both_ways=True)


def _array(value: Any, key: str, name: str) -> NDArray[Any]:
    try:
        array = dense(value)
    except ValueError as error:
        raise ValueError(f"graph {name!r}: `{key}` is a {error}") from error
    if array.ndim == 0:
        raise ValueError(f"graph {name!r}: `{key}` must be an array, got {type(value).__name__}")
    return array


def _told_nodes(data: Any, table: NDArray[Any] | None, name: str) -> int | None:
    """Return how many nodes there are: as it is written down, by the features, or as PyTorch Geometric infers it."""
    written = hasattr(data, "__contains__") and "num_nodes" in data
    if table is not None and not written:
        return len(table)
    count = getattr(data, "num_nodes", None)
    told = None if count is None else real_numbers(count)
    if count is not None and (told is None or told.size != 1 or not told.item().is_integer()):
        raise ValueError(f"graph {name!r}: `num_nodes` must be a whole number, got {count!r}")
    return None if told is None else int(told.item())


def _edges(data: Any, name: str, left_out: LeftOut) -> tuple[NDArray[np.int64], int | None]:
    """Return edges (E, 2), and how many nodes a matrix of them has."""
    given = getattr(data, "edge_index", None)
    key = "edge_index"
    if given is None:
        given, key = getattr(data, "adj_t", None), "adj_t"
    if given is None:
        raise ValueError(f"graph {name!r}: {type(data).__name__} has neither `edge_index` nor `adj_t`")
    if not is_sparse(given):
        if key == "adj_t":
            raise ValueError(f"graph {name!r}: `adj_t` must be a sparse matrix, got {type(given).__name__}")
        pairs = _array(given, key, name)
        if pairs.ndim != 2 or len(pairs) != 2 or pairs.dtype.kind not in "iu":
            raise ValueError(f"graph {name!r}: `edge_index` must be whole numbers (2, E), got {pairs.dtype} {pairs.shape}")
        return pairs.T, None
    shape, row, column, value = _entries(given)
    if len(shape) < 2 or shape[0] != shape[1]:
        raise ValueError(f"graph {name!r}: `{key}` must be a square matrix, got shape {shape}")
    edges = np.stack([row, column], axis=1).astype(np.int64)
    return edges[note_entries(value, left_out)], shape[0]


def _entries(matrix: Any) -> tuple[tuple[int, ...], NDArray[Any], NDArray[Any], NDArray[Any]]:
    """Return the shape of a sparse matrix, and rows, columns and values of its entries, 1 where it has none."""
    if hasattr(matrix, "tocoo"):  # of scipy
        coo = matrix.tocoo()
        return tuple(coo.shape), coo.row, coo.col, coo.data
    if hasattr(matrix, "coo"):  # of torch-sparse
        row, column, value = matrix.coo()
        shape = (int(matrix.size(0)), int(matrix.size(1)))
    else:
        entries = matrix.detach().to_sparse_coo().coalesce()
        row, column = (*entries.indices(), entries.indices()[0])[:2]  # a vector is refused by its shape
        value, shape = entries.values(), tuple(entries.shape)
    return shape, dense(row), dense(column), np.ones(len(row)) if value is None else dense(value)


def _labels(given: Any, nodes: int | None) -> tuple[NDArray[np.int64] | None, bool]:
    """Return classes (N,), and whether there is something that is none."""
    if given is None:
        return None, False
    try:
        labels = dense(given)
    except ValueError:
        return None, True
    if labels.dtype.kind in "iub" and labels.size == nodes and len(labels) == nodes:
        return labels.reshape(-1).astype(np.int64), False
    return None, True
