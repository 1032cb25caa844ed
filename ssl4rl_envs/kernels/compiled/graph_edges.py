"""Edges in compressed rows, compiled. The arguments are explained in `kernels.graph_edges`."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ssl4rl_envs.kernels.compiled import jit
from ssl4rl_envs.kernels.compiled.hashing import HALF, chain

Nodes = NDArray[np.int64]
Pointers = NDArray[np.integer]


@jit
def find(values: NDArray[np.integer], first: Any, after: Any, value: Any) -> Any:
    """Return where a value stands in a rising part of an array, -1 where it does not."""
    low, high = first, after
    while low < high:
        middle = (low + high) >> 1
        if values[middle] < value:
            low = middle + 1
        else:
            high = middle
    return low if low < after and values[low] == value else -1


@jit
def locate(out: Nodes, indptr: Pointers, indices: NDArray[np.int32], nodes: Nodes, neighbours: Nodes) -> Any:
    """See `kernels.graph_edges.locate`."""
    for i in range(len(out)):
        first, after = np.int64(indptr[nodes[i]]), np.int64(indptr[nodes[i] + 1])
        place = find(indices, first, after, neighbours[i])
        out[i] = place - first if place >= 0 else -1


@jit
def are_joined(indptr: Pointers, indices: NDArray[np.int32], held_out: Nodes, one: Any, other: Any) -> Any:
    """Return whether two nodes are joined, whether that may be shown or not."""
    if find(indices, np.int64(indptr[one]), np.int64(indptr[one + 1]), other) >= 0:
        return True
    return find(held_out, 0, len(held_out), min(one, other) * (len(indptr) - 1) + max(one, other)) >= 0


@jit
def split_of(key: Any, bounds: NDArray[np.uint64], one: Any, other: Any) -> Any:
    """Return which split a pair belongs to."""
    high = chain(chain(key, np.uint64(min(one, other))), np.uint64(max(one, other))) >> HALF
    return (high >= bounds[0]) + (high >= bounds[1])


@jit
def joined(
    out: NDArray[np.bool_],
    indptr: Pointers,
    indices: NDArray[np.int32],
    held_out: Nodes,
    ones: Nodes,
    others: Nodes,
) -> Any:
    """See `kernels.graph_edges.joined`."""
    for i in range(len(out)):
        out[i] = are_joined(indptr, indices, held_out, ones[i], others[i])


@jit
def splits(out: NDArray[np.int8], key: Any, bounds: NDArray[np.uint64], ones: Nodes, others: Nodes) -> Any:
    """See `kernels.graph_edges.splits`."""
    for i in range(len(out)):
        out[i] = split_of(key, bounds, ones[i], others[i])


@jit
def compress(indptr: NDArray[Any], indices: NDArray[np.int32], pairs: NDArray[np.int32]) -> Any:
    """See `kernels.graph_edges.compress`: smaller neighbours come first, since pairs are sorted, and then greater ones."""
    nodes = len(indptr) - 1
    for edge in range(len(pairs)):
        for end in range(2):
            indptr[pairs[edge, end] + 1] += 1
    for node in range(nodes):
        indptr[node + 1] += indptr[node]
    filled = indptr[:nodes].copy()
    for end in range(2):
        for edge in range(len(pairs)):
            node = pairs[edge, 1 - end]
            indices[filled[node]] = pairs[edge, end]
            filled[node] += 1


@jit
def distances(out: Nodes, nodes: Nodes, edge_index: Nodes, edge_mask: NDArray[np.bool_], start: Nodes, most: int) -> Any:
    """See `kernels.graph_edges.distances`."""
    for i in range(len(out)):
        for node in range(nodes.shape[1]):
            out[i, node] = most if nodes[i, node] >= 0 else -1
        out[i, start[i]] = 0
        for hops in range(1, most):
            for edge in range(edge_mask.shape[1]):
                one, other = edge_index[i, 0, edge], edge_index[i, 1, edge]
                if edge_mask[i, edge] and out[i, one] == hops - 1 and out[i, other] == most:
                    out[i, other] = hops


def warm() -> None:
    """Compile, or load what was compiled before."""
    indptr, indices, none = np.zeros(3, np.int32), np.zeros(2, np.int32), np.zeros(0, np.int64)
    compress(indptr, indices, np.array([[0, 1]], np.int32))
    one, mask = np.zeros(1, np.int64), np.zeros(1, np.bool_)
    locate(one, indptr, indices, one.copy(), one.copy())
    joined(mask, indptr, indices, none, one, one)
    splits(np.zeros(1, np.int8), np.uint64(0), np.ones(2, np.uint64), one, one)
    small = np.zeros((1, 1), np.int64)
    distances(small, small, np.zeros((1, 2, 1), np.int64), np.zeros((1, 1), np.bool_), one, 4)
