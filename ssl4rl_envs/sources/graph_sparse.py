"""Graphs from adjacency matrices of scipy."""

from __future__ import annotations

from typing import Any

import numpy as np
import scipy.sparse
from numpy.typing import NDArray

from ssl4rl_envs.sources.graphs import GraphSource
from ssl4rl_envs.sources.left_out import LeftOut


def from_sparse(matrix: Any, name: str = "matrix", names: NDArray[Any] | None = None) -> GraphSource:
    """Take over an adjacency matrix: an entry that is not 0, on either side of the diagonal, is an edge.

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
    kept = entries.data != 0
    left_out = LeftOut()
    left_out.add("entries of 0", int((~kept).sum()))
    left_out.add("values beside edges", int((entries.data[kept] != 1).sum()), " (an edge counts once, whatever its weight)")
    edges = np.stack([entries.row[kept], entries.col[kept]], axis=1).astype(np.int64)
    graph = GraphSource(edges, nodes=entries.shape[0], name=name, names=names, left_out=left_out.counts)
    return left_out.tell(graph, both_ways=True)
