"""Kernels that show features of nodes: from a table, or from a compact form of it that holds no zeros."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ssl4rl_envs import kernels
from ssl4rl_envs.kernels import threads

Nodes = NDArray[np.int64]
Compact = tuple[NDArray[np.int64], NDArray[np.int32], NDArray[np.float32]]
"""Where the entries of each node begin, (N + 1,); their columns, rising within a node; and their values."""

Write = Callable[[NDArray[np.float32], Nodes], None]
"""Writes features into an array (n, M, F), C-contiguous, for nodes (n, M), below 0 where there is none."""

PAST_CACHES = 4 << 20
"""Bytes from which on what is written will hardly be found in a cache: then it is streamed past them."""

_BYTES = 1 << 20
"""Bytes that are worth a thread."""


def gatherer(table: NDArray[np.float32]) -> Write:
    """Return a function that writes the rows of a table (N, F) that nodes refer to, and zeros where there is none."""
    return _writer(kernels.area("node_features").gather, lambda _: (table,))


def expander(compact: Compact) -> Write:
    """Return a function that writes the same from a compact form of the table."""
    return _writer(kernels.area("node_features").expand, lambda out: (*compact, out.nbytes >= PAST_CACHES))


def _writer(work: Callable[..., None], further: Callable[[NDArray[np.float32]], tuple[Any, ...]]) -> Write:
    def write(out: NDArray[np.float32], nodes: Nodes) -> None:
        rest = further(out)
        if len(out) == 1:  # of a single environment, where every call counts
            work(out, nodes, *rest)
        else:
            threads.share(len(out), lambda part: work(out[part], nodes[part], *rest), _rows_of(out))

    return write


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
