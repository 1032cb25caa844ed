"""Graphs of PyTorch Geometric, taken over without importing torch: tensors are known by what they can do."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

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
            f"a source has nodes of one kind, and {type(data).__name__} has {', '.join(map(str, data.node_types))}; "
            "data.to_homogeneous() makes them one, or choose one with its edges"
        )
    edges, size, valued = _edges(data, name)
    features = getattr(data, "x", None)
    table = None if features is None else dense(features)
    if table is not None and table.ndim == 1:
        table = table[:, None]
    nodes = size if size is not None else _told_nodes(data, table)
    labels, odd = _labels(getattr(data, "y", None), nodes)
    values = sum(len(edges) for key in VALUES if getattr(data, key, None) is not None) or valued
    left_out = LeftOut()
    left_out.add("values beside edges", values, " (an edge counts once, whatever its weight or features)")
    left_out.add("`y` that is not a class for each node", int(odd))
    if table is None and size is None and nodes and 2 * len(np.unique(edges)) < nodes:
        warn(f"graph {name!r}: more than half of its {nodes} nodes stand in no edge; numbers with gaps are nodes too")
    source = GraphSource(edges, nodes=nodes, features=table, labels=labels, name=name, left_out=left_out.counts)
    return left_out.tell(source, both_ways=True)


def _told_nodes(data: Any, table: NDArray[Any] | None) -> int | None:
    """Return how many nodes there are: as it is written down, by the features, or as PyTorch Geometric infers it."""
    written = hasattr(data, "__contains__") and "num_nodes" in data
    if table is not None and not written:
        return len(table)
    return getattr(data, "num_nodes", None)


def dense(tensor: Any) -> NDArray[Any]:
    """Return a tensor of torch, dense or sparse, of any dtype, a `SparseTensor` of torch-sparse, or a matrix, as an array."""
    if hasattr(tensor, "toarray"):  # of scipy
        return np.asarray(tensor.toarray())
    if hasattr(tensor, "to_dense") and _is_sparse(tensor):
        tensor = tensor.to_dense()
    if hasattr(tensor, "detach"):
        tensor = tensor.detach().cpu()
        tensor = tensor.float() if str(tensor.dtype) == "torch.bfloat16" or "float8" in str(tensor.dtype) else tensor
        tensor = tensor.numpy()
    return np.asarray(tensor)


def _is_sparse(tensor: Any) -> bool:
    """Return whether it is a sparse tensor of torch, in any layout, or a `SparseTensor`."""
    return hasattr(tensor, "coo") or "sparse" in str(getattr(tensor, "layout", ""))


def _edges(data: Any, name: str) -> tuple[NDArray[np.int64], int | None, int]:
    """Return edges (E, 2), how many nodes a matrix of them has, and how many of its values are not 1."""
    given = getattr(data, "edge_index", None)
    key = "edge_index"
    if given is None:
        given, key = getattr(data, "adj_t", None), "adj_t"
    if given is None:
        raise ValueError(f"graph {name!r}: {type(data).__name__} has neither `edge_index` nor `adj_t`")
    if not _is_sparse(given):
        if key == "adj_t":
            raise ValueError(f"graph {name!r}: `adj_t` must be a sparse matrix, got {type(given).__name__}")
        pairs = dense(given)
        if pairs.ndim != 2 or len(pairs) != 2 or pairs.dtype.kind not in "iu":
            raise ValueError(f"graph {name!r}: `edge_index` must be whole numbers (2, E), got {pairs.dtype} {pairs.shape}")
        return pairs.T, None, 0
    if hasattr(given, "coo"):
        row, column, value = given.coo()
        shape = (int(given.size(0)), int(given.size(1)))
    else:
        entries = given.detach().to_sparse_coo().coalesce()
        (row, column), value, shape = entries.indices(), entries.values(), tuple(entries.shape)
    if shape[0] != shape[1]:
        raise ValueError(f"graph {name!r}: `{key}` must be a square matrix, got shape {shape}")
    valued = 0 if value is None else int((dense(value).reshape(len(row), -1) != 1).any(axis=1).sum())
    return np.stack([dense(row), dense(column)], axis=1).astype(np.int64), shape[0], valued


def _labels(given: Any, nodes: int | None) -> tuple[NDArray[np.int64] | None, bool]:
    """Return classes (N,), and whether there is something that is none."""
    if given is None:
        return None, False
    labels = dense(given)
    if labels.dtype.kind in "iub" and labels.size == nodes and len(labels) == nodes:
        return labels.reshape(-1).astype(np.int64), False
    return None, True
