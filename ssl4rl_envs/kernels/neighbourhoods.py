"""Kernels that sample neighbourhoods of nodes from compressed rows."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ssl4rl_envs import kernels
from ssl4rl_envs.kernels import threads
from ssl4rl_envs.kernels.graph_edges import Edges

Nodes = NDArray[np.int64]

_ROWS = 64
"""Neighbourhoods that are worth a thread."""


def sample(
    edges: Edges,
    targets: Nodes,
    fanouts: tuple[int, ...],
    hidden: Nodes,
    keys: NDArray[np.uint64],
    draw: int,
) -> tuple[Nodes, Nodes, NDArray[np.bool_], Nodes]:
    """Sample neighbours of the targets of n rows, of these neighbours, and so on; number what was met.

    Args:
        edges: of which those that may be shown are walked.
        targets: (n, K) nodes, different within a row.
        fanouts: most neighbours at each distance.
        hidden: (n, H, 2) pairs of nodes whose edge is not there; -1 is no node.
        keys, draw: of `Stream.reserve`, for `draws_of(fanouts)` draws.

    Returns:
        nodes (n, M), edge_index (n, 2, E), edge_mask (n, E) and targets (n, K) of a `Neighbourhood`.
    """
    count, width = len(targets), size_of(targets.shape[1], fanouts)[0]
    half = width - targets.shape[1]
    nodes, local = np.empty((count, width), np.int64), np.empty(targets.shape, np.int64)
    edge_index, edge_mask = np.empty((count, 2, 2 * half), np.int64), np.empty((count, 2 * half), np.bool_)
    work = kernels.area("neighbourhoods").sample
    asked, first = np.ascontiguousarray(targets, np.int64), np.uint64(draw)
    left_out, most = np.ascontiguousarray(hidden, np.int64), np.array(fanouts, np.int64)

    def some(part: slice) -> None:
        found = (nodes[part], edge_index[part], edge_mask[part], local[part])
        work(*found, edges.indptr, edges.indices, asked[part], most, left_out[part], keys[part], first)

    threads.share(count, some, _ROWS)
    return nodes, edge_index, edge_mask, local


def size_of(targets: int, fanouts: tuple[int, ...]) -> tuple[int, int]:
    """Return how many nodes and how many directed edges a neighbourhood has room for."""
    nodes, layer = targets, targets
    for fanout in fanouts:
        layer *= fanout
        nodes += layer
    return nodes, 2 * (nodes - targets)


def draws_of(fanouts: tuple[int, ...]) -> int:
    """Return how many draws of a stream `sample` makes: each neighbour, the numbers of nodes, the order of edges."""
    return sum(fanouts) + 2
