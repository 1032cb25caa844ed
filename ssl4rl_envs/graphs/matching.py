"""Pairs of nodes that are not joined and look like pairs that are: drawn so that counting tells nothing.

An edge that is asked about is not shown, so its ends are seen with one edge fewer than they have, and nodes with many edges
are ends more often. What stands beside it is drawn by the same rule: as the end of an edge, which is not shown either, among
those that are left with as many edges. That holds for isolated ends too, and in graphs where no node is isolated.
"""

from __future__ import annotations

import numpy as np

from ssl4rl_envs.sources.graphs import GraphSource, Nodes, Numbers
from ssl4rl_envs.stream import SPLITS, Stream, hash_seed

POWERS = 2 ** np.arange(40, dtype=np.int64)
DRAWS_OF_EDGE, DRAWS = 64, (50_000, 2_000_000)
"""Pairs that are drawn beside each edge whose ends share neighbours, and how many at least and at most."""

CHUNK = 200_000
"""Pairs whose neighbours are compared at a time."""


def degree_key(shown: Numbers, limit: int) -> Nodes:
    """Return a number that nodes with equally many edges share.

    Up to `limit`, which is as many as are shown of a node, it is exact; beyond that 8 to 15 edges are one, 16 to 31, and so
    on.
    """
    return np.where(shown <= limit, shown, limit + np.searchsorted(POWERS, shown, side="right"))


class EdgeEnds:
    """The ends of all edges, of all splits, by how many train edges they have beside that edge.

    Args:
        source: the graph.
        limit: see `degree_key`.
    """

    def __init__(self, source: GraphSource, limit: int) -> None:
        self._edges = source.edges
        train = source.pair_split(self._edges[:, 0], self._edges[:, 1]) == 0
        key = degree_key((source.degrees[self._edges] - train[:, None]).ravel(), limit)
        numbers = np.int32 if len(key) < 2**31 else np.int64
        self._order = np.argsort(key, kind="stable").astype(numbers)  # number 2 e + i is the end i of edge e
        self._starts = np.concatenate([[0], np.cumsum(np.bincount(key))])

    def draw(self, keys: Nodes, size: int, stream: Stream) -> tuple[Nodes, Nodes]:
        """Draw ends with the given keys (n,), each of which some end has; return their partners and them, (n, size) each."""
        first = self._starts[keys]
        place = first[:, None] + stream.below(np.repeat((self._starts[keys + 1] - first)[:, None], size, axis=1))
        edge, side = np.divmod(self._order[place], 2)
        return self._edges[edge, 1 - side].astype(np.int64), self._edges[edge, side].astype(np.int64)


def shared_neighbours(source: GraphSource, one: Nodes, other: Nodes) -> tuple[Nodes, Nodes]:
    """Return the neighbours by train edges that pairs of nodes (n,) have in common: rows of pairs, rising, and the nodes."""
    few = source.degrees[one] <= source.degrees[other]
    near, far = np.where(few, one, other), np.where(few, other, one)
    found: list[tuple[Nodes, Nodes]] = []
    for start in range(0, len(one), CHUNK):
        part = near[start : start + CHUNK]
        counts = source.degrees[part]
        row = np.repeat(np.arange(len(part)), counts)
        place = np.arange(len(row)) - np.repeat(np.cumsum(counts) - counts, counts)
        middle = source.indices[source.indptr[part][row] + place]
        both = source.position(far[start + row], middle) >= 0
        found.append((start + row[both], middle[both]))
    rows, middles = (np.concatenate([part[i] for part in found] or [np.zeros(0, np.int64)]) for i in (0, 1))
    return rows, middles


class SharingPairs:
    """The edges of a split whose ends share train neighbours, and beside them pairs that share as many and are not joined.

    Both ends of a pair that is not joined are thinned as those of an edge are: in the train split an edge of each, drawn at
    random, is not shown. Pairs of one group then have as many edges at either end, as many common neighbours, and of these
    the one with fewest edges has about as many. Edges of which no such pair was found are left out.

    Args:
        source: the graph.
        split: whose edges and pairs.
        limit: see `degree_key`.

    Raises:
        ValueError: nothing is left.
    """

    def __init__(self, source: GraphSource, split: str, limit: int) -> None:
        self._source, self._limit, self._hides = source, limit, int(split == SPLITS[0])
        edges: Nodes = source.edges_of(split).astype(np.int64)
        edges, _, groups = self._grouped(edges, np.full(edges.shape, -1, np.int64))
        draws = DRAWS_OF_EDGE * np.count_nonzero(groups[:, 2])
        apart, partners, others = self._grouped(*self._apart(split, int(np.clip(draws, *DRAWS)) if draws else 0))
        edges, groups = edges[groups[:, 2] > 0], groups[groups[:, 2] > 0]
        apart, partners, others = (found[others[:, 2] > 0] for found in (apart, partners, others))
        _, number = np.unique(np.concatenate([groups, others]), axis=0, return_inverse=True)
        group, other = np.split(number.reshape(-1), [len(edges)])
        count = np.bincount(other, minlength=int(number.max(initial=0)) + 1)
        kept = count[group] > 0
        if not kept.any():
            raise ValueError(
                f"graph {source.name!r}: the {split!r} split has no edge whose ends have a neighbour in common and beside it "
                "a pair that is not joined and has as many; use a larger graph or other negatives"
            )
        order = np.argsort(other, kind="stable")
        self._edges, self._apart_pairs, self._partners = edges[kept], apart[order], partners[order]
        self._counts = count[group[kept]]
        self._starts = (np.cumsum(count) - count)[group[kept]]

    def __len__(self) -> int:
        return len(self._edges)

    def draw(self, stream: Stream) -> tuple[Nodes, Nodes, Nodes]:
        """Draw an edge, a pair of its group that is not joined, and the hidden partners of that pair's ends, (n, 2) each.

        -1 is no partner.
        """
        chosen = stream.integers(0, len(self._edges))
        place = self._starts[chosen] + stream.below(self._counts[chosen])
        drawn = (self._edges[chosen], self._apart_pairs[place], self._partners[place])
        edge, apart, partners = (pairs.astype(np.int64) for pairs in drawn)
        return edge, apart, partners

    def _apart(self, split: str, draws: int) -> tuple[Nodes, Nodes]:
        """Draw pairs with a neighbour in common that are not joined and belong to the split, and partners of their ends."""
        source = self._source
        stream = Stream.span(split, hash_seed("sharing pairs"), 0, draws)
        one = source.indices[stream.integers(0, len(source.indices))].astype(np.int64)
        other = self._step(self._step(one, stream), stream)
        pair = np.stack([one, other], axis=1)
        good = (one != other) & ~source.joined(one, other) & (source.pair_split(one, other) == SPLITS.index(split))
        partners = self._step(pair, stream) if self._hides else np.full(pair.shape, -1, np.int64)
        _, first = np.unique(np.sort(pair[good], axis=1), axis=0, return_index=True)
        return pair[good][first], partners[good][first]

    def _grouped(self, pairs: Nodes, partners: Nodes) -> tuple[Nodes, Nodes, Nodes]:
        """Return pairs and partners (n, 2), the end with fewer edges first, and what those of one group share, (n, 4).

        These are the keys of both ends, the number of common neighbours, and the bucket of the fewest edges of one of these.
        """
        source = self._source
        keys = degree_key(source.degrees[pairs] - self._hides, self._limit)
        order = np.argsort(keys, axis=1, kind="stable")
        keys, pairs, partners = (np.take_along_axis(array, order, axis=1) for array in (keys, pairs, partners))
        rows, middles = shared_neighbours(source, pairs[:, 0], pairs[:, 1])
        shown = (middles[:, None] != partners[rows]).all(axis=1)
        rows, middles = rows[shown], middles[shown]
        count = np.bincount(rows, minlength=len(pairs))
        fewest = np.full(len(pairs), np.iinfo(np.int64).max)
        np.minimum.at(fewest, rows, source.degrees[middles])
        bucket = np.searchsorted(POWERS, fewest, side="right")
        return pairs, partners, np.concatenate([keys, count[:, None], bucket[:, None]], axis=1)

    def _step(self, nodes: Nodes, stream: Stream) -> Nodes:
        """Walk along a random train edge of nodes that have some."""
        source = self._source
        place = source.indptr[nodes] + stream.below(source.degrees[nodes].astype(np.int64))
        neighbours: Nodes = source.indices[place].astype(np.int64)
        return neighbours
