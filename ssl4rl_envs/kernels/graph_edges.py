"""Kernels that look edges up, and sort them into compressed rows."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ssl4rl_envs import kernels
from ssl4rl_envs.kernels import threads

Nodes = NDArray[np.int64]
Numbers = NDArray[np.integer]


class Edges(NamedTuple):
    """The edges of a graph of N nodes.

    Args:
        indptr: (N + 1,) int32 or int64, where the neighbours of each node begin by edges that may be shown.
        indices: (2 m,) the neighbours, rising within a node; each edge stands in both directions.
        held_out: edges that are never shown, rising, as smaller node times N plus larger node.
    """

    indptr: NDArray[np.integer]
    indices: NDArray[np.int32]
    held_out: Nodes


_PAIRS = 1 << 14
"""Pairs that are worth a thread."""


def locate(edges: Edges, nodes: Numbers, neighbours: Numbers) -> Nodes:
    """Return the place of each neighbour among those of a node, -1 where it is none; (...) as they broadcast."""
    work = kernels.area("graph_edges").locate
    rows = edges.indptr, edges.indices
    return _each(nodes, neighbours, np.int64, lambda out, one, other: work(out, *rows, one, other))


def joined(edges: Edges, ones: Numbers, others: Numbers) -> NDArray[np.bool_]:
    """Return which pairs of nodes are joined, whether that may be shown or not; (...) as they broadcast."""
    work = kernels.area("graph_edges").joined
    return _each(ones, others, np.bool_, lambda out, one, other: work(out, *edges, one, other))


def splits(key: int, bounds: NDArray[np.uint64], ones: Numbers, others: Numbers) -> NDArray[np.int8]:
    """Return which split pairs belong to, whichever node comes first.

    Args:
        key: what pairs are hashed from.
        bounds: (2,) of the upper 32 bits of the hashes of the second and third split.
        ones, others: the pairs.
    """
    work = kernels.area("graph_edges").splits
    first = np.uint64(key)
    return _each(ones, others, np.int8, lambda out, one, other: work(out, first, bounds, one, other))


def compress(pairs: NDArray[np.int32], nodes: int) -> tuple[NDArray[np.integer], NDArray[np.int32]]:
    """Return `indptr` and `indices` of `Edges` for pairs (m, 2): the smaller node first, sorted, each once."""
    entries = 2 * len(pairs)
    indptr: NDArray[Any] = np.zeros(nodes + 1, np.int32 if entries < 2**31 else np.int64)
    indices = np.empty(entries, np.int32)
    kernels.area("graph_edges").compress(indptr, indices, pairs)
    return indptr, indices


def distances(nodes: Nodes, edge_index: Nodes, edge_mask: NDArray[np.bool_], start: Nodes, most: int) -> Nodes:
    """Return how many edges lie between a node and all others of n small graphs.

    Args:
        nodes: (n, M), below 0 where there is none.
        edge_index: (n, 2, E) of local numbers, in both directions.
        edge_mask: (n, E), which edges exist.
        start: (n,) local numbers.
        most: what stands for nodes that are as far or farther.

    Returns:
        (n, M), -1 where there is no node.
    """
    far = np.empty(nodes.shape, np.int64)
    work = kernels.area("graph_edges").distances

    def some(part: slice) -> None:
        work(far[part], nodes[part], edge_index[part], edge_mask[part], start[part], most)

    threads.share(len(far), some, max(1, _PAIRS // nodes.shape[1]))
    return far


def _each(ones: Numbers, others: Numbers, dtype: type, work: Callable[..., None]) -> NDArray[Any]:
    """Do something for each pair of nodes; (...) as they broadcast."""
    one, other = np.broadcast_arrays(np.asarray(ones, np.int64), np.asarray(others, np.int64))
    flat, beside = np.ascontiguousarray(one).ravel(), np.ascontiguousarray(other).ravel()
    out: NDArray[Any] = np.empty(flat.shape, dtype)
    threads.share(len(out), lambda part: work(out[part], flat[part], beside[part]), _PAIRS)
    return out.reshape(one.shape)
