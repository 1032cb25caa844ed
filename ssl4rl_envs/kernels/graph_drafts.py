"""Kernels that choose among pairs, nodes and words that were drawn: the first that can be asked about."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ssl4rl_envs import kernels
from ssl4rl_envs.kernels import threads
from ssl4rl_envs.kernels.graph_edges import Edges

Nodes = NDArray[np.int64]
Entries = tuple[Nodes, NDArray[np.int32]]
"""Where the words of each node begin, (N + 1,), and the words, rising within a node."""

TRIES = 4
"""Words of both nodes that are drawn at a time until neither has the other's."""

_ROWS = 512
"""Rows of drafts that are worth a thread."""


def first_apart(
    edges: Edges, key: int, bounds: NDArray[np.uint64], split: int, ones: Nodes, others: Nodes
) -> tuple[Nodes, NDArray[np.bool_]]:
    """Choose of each row the first pair of two nodes that belongs to a split and is not joined.

    Args:
        edges: of the graph.
        key, bounds: of `graph_edges.splits`.
        split: number of the split.
        ones, others: (n, T) the pairs.

    Returns:
        which it is, (n,), 0 where there is none; and whether there is one, (n,).
    """
    first, found = np.empty(len(ones), np.int64), np.empty(len(ones), np.bool_)
    work, start = kernels.area("graph_drafts").first_apart, np.uint64(key)
    one, other = np.ascontiguousarray(ones), np.ascontiguousarray(others)

    def some(part: slice) -> None:
        work(first[part], found[part], *edges, start, bounds, split, one[part], other[part])

    threads.share(len(first), some, _ROWS)
    return first, found


def distractors(edges: Edges, pairs: Nodes, drawn: Nodes, count: int) -> tuple[Nodes, NDArray[np.bool_]]:
    """Choose of each row the first nodes that differ and are not joined to any of a pair, nor are of it.

    Args:
        edges: of the graph.
        pairs: (n, 2) nodes.
        drawn: (n, T) nodes to choose from, T at least `count`.
        count: how many are chosen.

    Returns:
        which they are, (n, count), behind which come others where they are too few; and whether there are enough that are
        not joined to each other either, (n,).
    """
    chosen, found = np.empty((len(drawn), count), np.int64), np.empty(len(drawn), np.bool_)
    work = kernels.area("graph_drafts").distractors
    pair, node = np.ascontiguousarray(pairs), np.ascontiguousarray(drawn)
    threads.share(len(found), lambda part: work(chosen[part], found[part], *edges, pair[part], node[part]), _ROWS)
    return chosen, found


def swapped_words(
    entries: Entries, ones: Nodes, others: Nodes, keys: NDArray[np.uint64], draw: int
) -> tuple[Nodes, Nodes, NDArray[np.bool_]]:
    """Draw for two nodes each a word that it has and the other lacks, the first that is found in `TRIES`.

    Args:
        entries: the words of nodes.
        ones, others: (n, k) the nodes.
        keys, draw: of `Stream.reserve`, for two draws.

    Returns:
        words of the ones and of the others, (n, k), arbitrary where none was found; and where they were, (n, k).
    """
    of_ones, of_others = np.empty(ones.shape, np.int64), np.empty(ones.shape, np.int64)
    found = np.empty(ones.shape, np.bool_)
    work, first = kernels.area("graph_drafts").swapped_words, np.uint64(draw)
    one, other = np.ascontiguousarray(ones), np.ascontiguousarray(others)

    def some(part: slice) -> None:
        work(of_ones[part], of_others[part], found[part], *entries, one[part], other[part], keys[part], first, TRIES)

    threads.share(len(found), some, _ROWS)
    return of_ones, of_others, found
