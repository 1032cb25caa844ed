"""GraphSource: one graph, its edges split once, held as compressed rows of those that may be shown."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ssl4rl_envs.sources.clusters import cluster
from ssl4rl_envs.sources.graph_values import dense
from ssl4rl_envs.stream import SPLITS, hash_rows

EDGE_SHARES = (0.85, 0.05, 0.10)
"""Shares of edges that train, validate and test, as usual for link prediction (Kipf & Welling 2016, arXiv 1611.07308)."""

NODE_SHARES = (0.70, 0.15, 0.15)
"""Shares of nodes whose attributes are asked about in each split."""

MAX_NODES = 2**31
FEWEST_ROWS = 50
"""Different rows of features from which on nodes are split by them, where nodes share rows."""

QUANTUM = 1_000
"""Features that are no whole numbers count in units of 1/1000 where nodes are grouped by them, so that sums are exact."""

Nodes = NDArray[np.int64]


class GraphSource:
    """One undirected graph: immutable, split by pair of nodes and by node.

    The graph that is shown is made of the train edges, whatever is asked. Which split a pair of nodes belongs to is decided
    by a hash of the pair, whether they are joined or not; which split a node belongs to, by a hash of its features, so that
    nodes with equal features fall on one side. Where features only tell kinds of nodes (see `kinds`), it is a hash of the
    node's number, and tasks that ask for features refuse the graph.

    Args:
        edges: (E, 2) pairs of node numbers. Directions are dropped, repeated pairs merged, loops left out.
        nodes: how many there are; by default the greatest number and one.
        features: (N, F) finite numbers, or None (or F = 0): then a node is described by how many train edges it has, as
            one-hot buckets.
        labels: (N,) classes of nodes, or None. Never shown and never asked about: for probes.
        name: how to call it in messages.
        names: (N,) what nodes are called where they come from; by default their numbers.
        left_out: how many of what was left out before, by kind.

    Attributes:
        edges: (E, 2) the pairs, smaller number first, sorted.
        names: (N,) what nodes are called where they come from: `names[number]`.
        duplicates, loops: how many of the given edges were merged or left out.
        left_out: how many of what was left out or merged, by kind; kinds of which there were none are not in it.
        features: (N, F) float32.
        described: whether features were given.
        indptr, indices: compressed rows of the train edges in both directions, neighbours sorted.
        degrees: (N,) how many train edges each node has.

    Raises:
        ValueError: the arrays do not fit together, or a split would have no edge.
    """

    def __init__(
        self,
        edges: ArrayLike,
        nodes: int | None = None,
        features: ArrayLike | None = None,
        labels: ArrayLike | None = None,
        name: str = "graph",
        names: ArrayLike | None = None,
        left_out: Mapping[str, int] | None = None,
    ) -> None:
        pairs = _pairs(_array(edges, "edges", name), name)
        features = None if features is None else _array(features, "features", name)
        greatest = int(pairs.max(initial=-1))
        count = nodes if nodes is not None else greatest + 1 if features is None else len(features)
        self.name, self.nodes = name, count
        if not len(pairs):
            raise ValueError(f"graph {name!r} holds no edge ({count} nodes)")
        if not 2 <= count < MAX_NODES:
            raise ValueError(f"graph {name!r} has {count} nodes; it must have 2 to {MAX_NODES - 1}")
        if greatest >= count:
            raise ValueError(f"graph {name!r}: {count} nodes do not hold edges up to node {greatest}")
        table = None if features is None else _table(features, count, name)
        self.labels = None if labels is None else _labels(_array(labels, "labels", name), count, name)
        self.names = np.arange(count) if names is None else np.array(names)
        if self.names.shape != (count,):
            raise ValueError(f"graph {name!r}: names must be ({count},), got {self.names.shape}")
        self.names.flags.writeable = False
        proper = pairs[pairs[:, 0] != pairs[:, 1]]
        self._keys = np.unique(proper.min(axis=1) * count + proper.max(axis=1))
        self.loops, self.duplicates = len(pairs) - len(proper), len(proper) - len(self._keys)
        counted = {**(left_out or {}), "loops": self.loops, "repeated edges": self.duplicates}
        self.left_out = {kind: number for kind, number in counted.items() if number}
        self.edges = np.stack([self._keys // count, self._keys % count], axis=1)
        self._edge_split = self.pair_split(self.edges[:, 0], self.edges[:, 1])
        if not len(proper):
            raise ValueError(f"graph {name!r} holds no edge between two nodes, only {self.loops} loops")
        lacking = [split for code, split in enumerate(SPLITS) if not (self._edge_split == code).any()]
        if lacking:
            raise ValueError(
                f"graph {name!r}: of its {len(self.edges)} edges none falls to the split {', '.join(lacking)}; too few"
            )
        shown = self.edges[self._edge_split == 0]
        both = np.concatenate([shown, shown[:, ::-1]])
        self._rows = np.sort(both[:, 0] * count + both[:, 1])
        self.indices = self._rows % count
        self.degrees = np.bincount(both[:, 0], minlength=count).astype(np.int64)
        self.indptr = np.concatenate([[0], np.cumsum(self.degrees)])
        self.described = table is not None
        self.features = self._buckets() if table is None else table
        self.features.flags.writeable = False

    def __repr__(self) -> str:
        return f"GraphSource({self.name!r}, {self.nodes} nodes, {len(self.edges)} edges, {self.features.shape[1]} features)"

    def __len__(self) -> int:
        return len(self.edges)

    def pair_split(self, one: Nodes, other: Nodes) -> NDArray[np.int8]:
        """Return which split pairs of nodes belong to, as an index of `SPLITS`, whether they are joined or not."""
        pair = np.stack([np.minimum(one, other).ravel(), np.maximum(one, other).ravel()], axis=1).astype(np.uint64)
        return _shares(hash_rows(pair, "pair"), EDGE_SHARES).reshape(np.shape(one))

    def joined(self, one: Nodes, other: Nodes) -> NDArray[np.bool_]:
        """Return which pairs of nodes are joined by an edge of any split; a node is not joined to itself."""
        key = np.minimum(one, other) * self.nodes + np.maximum(one, other)
        place = np.searchsorted(self._keys, key)
        return np.asarray(self._keys[np.minimum(place, len(self._keys) - 1)] == key, np.bool_)

    def position(self, node: Nodes, neighbour: Nodes) -> Nodes:
        """Return the place of a neighbour among the train neighbours of a node, -1 where it is none."""
        key = node * self.nodes + neighbour
        place = np.minimum(np.searchsorted(self._rows, key), len(self._rows) - 1)
        return np.where(self._rows[place] == key, place - self.indptr[node], -1)

    def edges_of(self, split: str) -> Nodes:
        """Return the edges of a split, (m, 2)."""
        return self._by_split[SPLITS.index(split)]

    def nodes_of(self, split: str) -> Nodes:
        """Return the nodes of a split, (m,).

        Raises:
            ValueError: the split has none.
        """
        nodes = np.flatnonzero(self.node_split == SPLITS.index(split)).astype(np.int64)
        if not len(nodes):
            raise ValueError(f"graph {self.name!r}: of its {self.nodes} nodes none falls to the split {split}; too few")
        return nodes

    @cached_property
    def fingerprint(self) -> str:
        """A hex digest of the content: nodes, edges and features."""
        digest = hashlib.blake2b(f"{self.nodes} {self.features.shape}".encode(), digest_size=16)
        digest.update(self.edges.tobytes())
        digest.update(self.features.tobytes())
        return digest.hexdigest()

    @cached_property
    def _by_split(self) -> list[Nodes]:
        return [self.edges[self._edge_split == code] for code in range(len(SPLITS))]

    @cached_property
    def twins(self) -> NDArray[np.uint64]:
        """A number for each node that it shares with all nodes of equal features, (N,); its own where it has none."""
        if not self.described:
            return hash_rows(np.arange(self.nodes, dtype=np.uint64)[:, None], "node")
        found = np.empty(self.nodes, np.uint64)
        for start in range(0, self.nodes, 65_536):
            part = self.features[start : start + 65_536] + np.float32(0)  # -0.0 and 0.0 are equal
            weights = hash_rows(np.arange(part.shape[1], dtype=np.uint64)[:, None], "feature") | np.uint64(1)
            found[start : start + len(part)] = (part.view(np.uint32).astype(np.uint64) * weights).sum(axis=1, dtype=np.uint64)
        return hash_rows(found[:, None], "twins")

    @cached_property
    def kinds(self) -> bool:
        """Whether features only tell a few kinds of nodes apart, as one-hot categories do: nodes cannot be split by them.

        So it is where more than half of the nodes have the features of another, and either there are fewer than
        `FEWEST_ROWS` different rows, or they are shared so unevenly that a split would get less than half of its nodes.
        """
        rows = len(np.unique(self.twins)) if self.described else self.nodes
        if 2 * rows >= self.nodes:
            return False
        shares = np.bincount(_shares(self.twins, NODE_SHARES), minlength=len(SPLITS)) / self.nodes
        return rows < FEWEST_ROWS or bool((2 * shares < NODE_SHARES).any())

    @cached_property
    def node_split(self) -> NDArray[np.int8]:
        """Which split each node belongs to, (N,), as an index of `SPLITS`: by its features, or its number (see `kinds`)."""
        if self.kinds:
            return _shares(hash_rows(np.arange(self.nodes, dtype=np.uint64)[:, None], "node"), NODE_SHARES)
        return _shares(self.twins, NODE_SHARES)

    @cached_property
    def whole_features(self) -> NDArray[np.int64]:
        """Features as whole numbers (N, F): as they are, or in units of 1/1000."""
        whole = np.rint(self.features)
        return np.rint(self.features.astype(np.float64) * (1 if np.array_equal(whole, self.features) else QUANTUM)).astype(
            np.int64
        )

    @cached_property
    def binary(self) -> bool:
        """Whether every feature is 0 or 1: words that a node has or lacks."""
        return self.described and bool(np.isin(self.features, (0.0, 1.0)).all())

    @cached_property
    def words(self) -> tuple[Nodes, Nodes]:
        """Compressed rows of the features that are not 0: `indptr` (N + 1,) and sorted feature numbers."""
        rows, columns = np.nonzero(self.features)
        counts = np.bincount(rows, minlength=self.nodes)
        return np.concatenate([[0], np.cumsum(counts)]), columns.astype(np.int64)

    def clusters(self, count: int) -> Nodes:
        """Return which of `count` groups of similar features each node belongs to, (N,); the same on every machine."""
        if count not in self._clusters:
            try:
                self._clusters[count] = cluster(self.whole_features, count)
            except ValueError as error:
                raise ValueError(f"graph {self.name!r}: {error}") from error
        return self._clusters[count]

    @cached_property
    def _clusters(self) -> dict[int, Nodes]:
        return {}

    def _buckets(self) -> NDArray[np.float32]:
        """Return one-hot buckets of the train degree: 0, 1, 2-3, 4-7, ..."""
        bucket = degree_buckets(self.degrees)
        return np.eye(int(bucket.max()) + 1, dtype=np.float32)[bucket]


def degree_buckets(degrees: Nodes) -> Nodes:
    """Return 0 for degree 0, 1 for 1, 2 for 2 and 3, 3 for 4 to 7, and so on."""
    return np.array([int(degree).bit_length() for degree in range(int(degrees.max(initial=0)) + 1)], np.int64)[degrees]


def _array(values: ArrayLike, what: str, name: str) -> NDArray[Any]:
    try:
        return np.atleast_1d(dense(values))
    except ValueError as error:
        raise ValueError(f"graph {name!r}: {what} are a {error}") from error


def _pairs(array: NDArray[Any], name: str) -> Nodes:
    if (
        array.ndim != 2
        or array.shape[1] != 2
        or array.dtype.kind not in "iu"
        or (array.size and not 0 <= int(array.min()) <= int(array.max()) < 2**63)
    ):
        raise ValueError(
            f"graph {name!r}: edges must be pairs of node numbers from 0 on, (E, 2) integers, got {array.dtype} {array.shape}"
            + (f" from {array.min()} to {array.max()}" if array.size and array.dtype.kind in "iu" else "")
        )
    return array.astype(np.int64)


def _table(given: NDArray[Any], count: int, name: str) -> NDArray[np.float32] | None:
    """Return features as float32 (N, F), or None where F is 0."""
    if given.ndim != 2 or len(given) != count or given.dtype.kind not in "biuf":
        raise ValueError(f"graph {name!r}: features must be finite numbers ({count}, F), got {given.dtype} {given.shape}")
    with np.errstate(over="ignore"):
        table = np.array(given, np.float32, order="C")
    if not np.isfinite(table).all():
        node, column = np.argwhere(~np.isfinite(table))[0].tolist()
        raise ValueError(
            f"graph {name!r}: features must be finite numbers ({count}, F) of float32, and feature {column} of node {node} "
            f"is {given[node, column]}"
        )
    return table if table.shape[1] else None


def _labels(given: NDArray[Any], count: int, name: str) -> Nodes:
    if given.shape != (count,) or given.dtype.kind not in "iub":
        raise ValueError(f"graph {name!r}: labels must be ({count},) whole numbers, got {given.dtype} {given.shape}")
    return given.astype(np.int64)


def _shares(words: NDArray[np.uint64], shares: tuple[float, ...]) -> NDArray[np.int8]:
    """Cut uniform words into splits of the given shares."""
    bounds = np.array([round(share * 2**32) for share in np.cumsum(shares)[:-1]], np.uint64)
    return np.searchsorted(bounds, words >> np.uint64(32), side="right").astype(np.int8)
