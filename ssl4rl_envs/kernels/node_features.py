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


def gather(out: NDArray[np.float32], nodes: Nodes, table: NDArray[np.float32]) -> None:
    """Write the rows of a table that nodes refer to, and zeros where there is none.

    Args:
        out: (n, M, F), C-contiguous, which is written.
        nodes: (n, M) rows of the table, below 0 for none.
        table: (N, F).
    """
    work = kernels.area("node_features").gather
    threads.share(len(out), lambda part: work(out[part], nodes[part], table), _rows_of(out))


def expand(out: NDArray[np.float32], nodes: Nodes, compact: Compact) -> None:
    """Write the same from a compact form of the table."""
    work, past = kernels.area("node_features").expand, out.nbytes >= PAST_CACHES
    if len(out) == 1:  # of a single environment, where every call counts
        work(out, nodes, *compact, past)
        return
    threads.share(len(out), lambda part: work(out[part], nodes[part], *compact, past), _rows_of(out))


def alike(nodes: Nodes, targets: Nodes, kinds: NDArray[np.int32]) -> NDArray[np.bool_]:
    """Return which of the nodes of n small graphs are of the same kind as one of their targets.

    Args:
        nodes: (n, M) of the source, below 0 where there is none, which is like nothing.
        targets: (n, K) local numbers.
        kinds: (N,) a number that nodes of one kind share.
    """
    out = np.empty(nodes.shape, np.bool_)
    work, asked = kernels.area("node_features").alike, np.ascontiguousarray(targets)
    threads.share(len(out), lambda part: work(out[part], nodes[part], asked[part], kinds), _rows_of(out))
    return out


def _rows_of(out: NDArray[Any]) -> int:
    """Return how many rows of an array are worth a thread."""
    return max(1, _BYTES // max(1, out[:1].nbytes))
