"""Graphs from adjacency matrices of scipy."""

from __future__ import annotations

from typing import Any

import numpy as np
import scipy.sparse
from numpy.typing import NDArray

from ssl4rl_envs.sources.graph_values import odd_weights
from ssl4rl_envs.sources.graphs import GraphSource
from ssl4rl_envs.sources.left_out import LeftOut

ONCE = "an edge counts once, whatever its weight"


def from_sparse(matrix: Any, name: str = "matrix", names: NDArray[Any] | None = None) -> GraphSource:
    """Take over an adjacency matrix: an entry that is not 0, on either side of the diagonal, is an edge, NaN too.

    Args:
        matrix: a sparse matrix or array of scipy, (N, N).
        name: how to call the graph.
        names: (N,) what the nodes are called.

    Raises:
        ValueError: it is not square.
    """
    if len(matrix.shape) != 2 or matrix.shape[0] != matrix.shape[1]:
        raise ValueError(
            f"graph {name!r}: an adjacency matrix is square, got shape {tuple(matrix.shape)}; a matrix B between two kinds "
            "of nodes is one as scipy.sparse.block_array([[None, B], [B.T, None]])"
        )
    entries = scipy.sparse.coo_array(matrix)
    left_out = LeftOut()
    kept = note_entries(entries.data, left_out)
    edges = np.stack([entries.row[kept], entries.col[kept]], axis=1).astype(np.int64)
    graph = GraphSource(edges, nodes=entries.shape[0], name=name, names=names, left_out=left_out.counts)
    return left_out.tell(graph, both_ways=True)


def note_entries(values: NDArray[Any], left_out: LeftOut) -> NDArray[np.bool_]:
    """Return which entries of a matrix are edges, and count those of 0 and values that are not used.

    Args:
        values: (E,), or (E, ...) features of edges, which are edges whatever they are.
        left_out: where to count.
    """
    if values.ndim > 1:
        left_out.add("values beside edges", len(values), f" ({ONCE})")
        return np.ones(len(values), np.bool_)
    kept = np.asarray(values != 0, np.bool_)
    left_out.add("entries of 0", int((~kept).sum()))
    left_out.add("values beside edges", int((values[kept] != 1).sum()), f" ({ONCE}{odd_weights(values[kept])})")
    return kept
