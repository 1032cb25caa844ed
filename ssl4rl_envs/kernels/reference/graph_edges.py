"""Edges in compressed rows, in NumPy. The arguments are explained in `kernels.graph_edges`."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ssl4rl_envs.kernels.reference.stream import chain

Nodes = NDArray[np.int64]
Pointers = NDArray[np.integer]


def locate(out: Nodes, indptr: Pointers, indices: NDArray[np.int32], nodes: Nodes, neighbours: Nodes) -> None:
    """See `kernels.graph_edges.locate`."""
    out[:] = places(indptr, indices, nodes, neighbours)


def places(indptr: Pointers, indices: NDArray[np.int32], nodes: Nodes, neighbours: Nodes) -> Nodes:
    """Return the place of each neighbour among those of a node, -1 where it is none: all are bisected at once."""
    first, after = indptr[nodes].astype(np.int64), indptr[nodes + 1].astype(np.int64)
    low, high = first.copy(), after.copy()
    while (low < high).any():
        middle = (low + high) >> 1
        smaller = (low < high) & (indices[np.minimum(middle, len(indices) - 1)] < neighbours)
        high = np.where((low < high) & ~smaller, middle, high)
        low = np.where(smaller, middle + 1, low)
    found = (low < after) & (indices[np.minimum(low, len(indices) - 1)] == neighbours)
    return np.where(found, low - first, -1)


def joined(
    out: NDArray[np.bool_],
    indptr: Pointers,
    indices: NDArray[np.int32],
    held_out: Nodes,
    ones: Nodes,
    others: Nodes,
) -> None:
    """See `kernels.graph_edges.joined`."""
    key = np.minimum(ones, others) * (len(indptr) - 1) + np.maximum(ones, others)
    place = np.searchsorted(held_out, key)
    out[:] = places(indptr, indices, ones, others) >= 0
    if len(held_out):
        out |= held_out[np.minimum(place, len(held_out) - 1)] == key


def splits(out: NDArray[np.int8], key: np.uint64, bounds: NDArray[np.uint64], ones: Nodes, others: Nodes) -> None:
    """See `kernels.graph_edges.splits`."""
    keys = np.full(ones.shape, key, np.uint64)
    for end in (np.minimum(ones, others), np.maximum(ones, others)):
        keys = chain(keys, end.astype(np.uint64))
    out[:] = np.searchsorted(bounds, keys >> np.uint64(32), side="right")


def compress(indptr: NDArray[Any], indices: NDArray[np.int32], pairs: NDArray[np.int32]) -> None:
    """See `kernels.graph_edges.compress`."""
    nodes = len(indptr) - 1
    keys = np.concatenate([pairs[:, end].astype(np.int64) * nodes + pairs[:, 1 - end] for end in (0, 1)])
    keys.sort()
    indptr[1:] = np.cumsum(np.bincount(keys // nodes, minlength=nodes))
    indices[:] = keys % nodes


def distances(out: Nodes, nodes: Nodes, edge_index: Nodes, edge_mask: NDArray[np.bool_], start: Nodes, most: int) -> None:
    """See `kernels.graph_edges.distances`."""
    count, width = nodes.shape
    near = np.zeros((count, width, width), np.float32)
    row = np.repeat(np.arange(count)[:, None], edge_mask.shape[1], axis=1)[edge_mask]
    one, other = (edge_index[:, end][edge_mask] for end in (0, 1))
    near[row, one, other] = 1
    reached = np.zeros((count, width), bool)
    reached[np.arange(count), start] = True
    out[:] = np.where(nodes >= 0, most, -1)
    out[reached] = 0
    for hops in range(1, most):
        reached = reached | ((reached.astype(np.float32)[:, None] @ near)[:, 0] > 0)
        out[reached & (out == most)] = hops
