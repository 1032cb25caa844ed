"""Features of nodes, in NumPy. The arguments are explained in `kernels.node_features`."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Nodes = NDArray[np.int64]


def gather(out: NDArray[np.float32], nodes: Nodes, table: NDArray[np.float32]) -> None:
    """See `kernels.node_features.gather`."""
    np.take(table, np.maximum(nodes, 0), axis=0, out=out)
    out[nodes < 0] = 0


def expand(
    out: NDArray[np.float32],
    nodes: Nodes,
    indptr: NDArray[np.int64],
    columns: NDArray[np.int32],
    values: NDArray[np.float32],
    past: bool,
) -> None:
    """See `kernels.node_features.expand`."""
    del past
    out[:] = 0
    row, place = np.nonzero(nodes >= 0)
    shown = nodes[row, place]
    counts = indptr[shown + 1] - indptr[shown]
    entry = np.arange(counts.sum()) + np.repeat(indptr[shown] - (np.cumsum(counts) - counts), counts)
    out[np.repeat(row, counts), np.repeat(place, counts), columns[entry]] = values[entry]


def alike(out: NDArray[np.bool_], nodes: Nodes, targets: Nodes, kinds: NDArray[np.int32]) -> None:
    """See `kernels.node_features.alike`."""
    of = kinds[np.maximum(nodes, 0)]
    asked = np.take_along_axis(of, targets, axis=1)
    out[:] = (of[:, :, None] == asked[:, None, :]).any(axis=2) & (nodes >= 0)
