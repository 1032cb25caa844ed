"""Kernels that show features of nodes: from a table, or from a compact form of it that holds no zeros."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ssl4rl_envs import kernels
from ssl4rl_envs.kernels import threads

Nodes = NDArray[np.int64]
Compact = tuple[NDArray[np.int64], NDArray[np.int32], NDArray[np.float32]]
"""Where the entries of each node begin, (N + 1,); their columns, rising within a node; and their values."""

PAST_CACHES = 4 << 20
"""Bytes from which on what is written will hardly be found in a cache: then it is streamed past them."""

_BYTES = 1 << 20
"""Bytes that are worth a thread."""


def gather(out: NDArray[np.float32], nodes: Nodes, seen: NDArray[np.bool_], table: NDArray[np.float32]) -> None:
    """Write the rows of a table that nodes refer to, and zeros where they are not to be seen.

    Args:
        out: (n, M, F), C-contiguous, which is written.
        nodes: (n, M) rows of the table.
        seen: (n, M).
        table: (N, F).
    """
    _share(kernels.area("node_features").gather, out, nodes, seen, table)


def expand(out: NDArray[np.float32], nodes: Nodes, seen: NDArray[np.bool_], compact: Compact) -> None:
    """Write the same from a compact form of the table."""
    past = out.nbytes >= PAST_CACHES
    _share(kernels.area("node_features").expand, out, nodes, seen, *compact, past)


def alike(nodes: Nodes, targets: Nodes, kinds: NDArray[np.int32]) -> NDArray[np.bool_]:
    """Return which of the nodes of n small graphs are of the same kind as one of their targets.

    Args:
        nodes: (n, M) of the source, below 0 where there is none, which is like nothing.
        targets: (n, K) local numbers.
        kinds: (N,) a number that nodes of one kind share.
    """
    out = np.empty(nodes.shape, np.bool_)
    _share(kernels.area("node_features").alike, out, nodes, np.ascontiguousarray(targets), kinds)
    return out


def _share(work: Any, out: NDArray[Any], nodes: Nodes, beside: NDArray[Any], *whole: Any) -> None:
    """Share the rows of `out` and of two other arrays among threads."""
    least = max(1, _BYTES // max(1, out[:1].nbytes))
    threads.share(len(out), lambda part: work(out[part], nodes[part], beside[part], *whole), least)
