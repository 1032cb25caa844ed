"""GraphSource: one graph, its edges split once, held as compressed rows of those that may be shown."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ssl4rl_envs.kernels import graph_edges
from ssl4rl_envs.kernels.graph_edges import Edges
from ssl4rl_envs.sources.clusters import cluster
from ssl4rl_envs.sources.graph_texts import checked_texts, checked_vocabulary, digest_words, together
from ssl4rl_envs.sources.graph_values import dense
from ssl4rl_envs.stream import SPLITS, hash_rows, hash_seed

EDGE_SHARES = (0.85, 0.05, 0.10)
"""Shares of edges that train, validate and test, as usual for link prediction (Kipf & Welling 2016, arXiv 1611.07308)."""

NODE_SHARES = (0.70, 0.15, 0.15)
"""Shares of nodes whose attributes are asked about in each split."""

MAX_NODES = 2**31
FEWEST_ROWS = 50
"""Different rows of features from which on nodes are split by them, where nodes share rows."""

QUANTUM = 1_000
"""Features that are no whole numbers count in units of 1/1000 where nodes are grouped by them, so that sums are exact."""

CHUNK = 1 << 22
"""Numbers that are worked on at a time."""

SPARSE = 1 / 8
"""The largest share of features that are not 0 in a table that is shown by these alone."""

Nodes = NDArray[np.int64]
Numbers = NDArray[np.integer]
"""Numbers of any width."""


class GraphSource:
    """One undirected graph: immutable, split by pair of nodes and by node.

    The graph that is shown is made of the train edges, whatever is asked. Which split a pair of nodes belongs to is decided
    by a hash of the pair, whether they are joined or not; which split a node belongs to, by a hash of its features, so that
    nodes with equal features fall on one side, and so do nodes with equal texts. Where features only tell kinds of nodes
    (see `kinds`), it is a hash of the node's number, and tasks that ask for features refuse the graph.

    Args:
        edges: (E, 2) pairs of node numbers. Directions are dropped, repeated pairs merged, loops left out.
        nodes: how many there are; by default the greatest number and one.
        features: (N, F) finite numbers, or None (or F = 0): then a node is described by how many train edges it has, as
            one-hot buckets.
        labels: (N,) classes of nodes, or None. Never shown and never asked about: for probes.
        name: how to call it in messages.
        names: (N,) what nodes are called where they come from; by default their numbers.
        left_out: how many of what was left out before, by kind.
        texts: (N,) strings, what a node says of itself: a title, and perhaps more; "" where it says nothing. None if nodes
            have no texts. Prompts tell them where features are shown.
        vocabulary: (F,) different strings, the words that binary features tell a node to have or lack; None if unnamed.

    Attributes:
        edges: (E, 2) int32, the pairs, smaller number first, sorted; put together anew whenever they are asked for.
        names: (N,) what nodes are called where they come from: `names[number]`.
        duplicates, loops: how many of the given edges were merged or left out.
        left_out: how many of what was left out or merged, by kind; kinds of which there were none are not in it.
        features: (N, F) float32.
        described: whether features were given.
        texts, vocabulary: tuples of strings, or None.
        rows: the edges as kernels take them; of it `indptr` and `indices`, compressed rows of the train edges in both
            directions, neighbours sorted; int32, `indptr` int64 from 2**31 entries on.
        degrees: (N,) int32, how many train edges each node has.

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
        texts: Sequence[str] | NDArray[Any] | None = None,
        vocabulary: Sequence[str] | NDArray[Any] | None = None,
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
        self.texts = checked_texts(texts, count, name)
        self.vocabulary = checked_vocabulary(vocabulary, table, name)
        self.labels = None if labels is None else _labels(_array(labels, "labels", name), count, name)
        self._names = None if names is None else np.array(names)
        if self._names is not None and self._names.shape != (count,):
            raise ValueError(f"graph {name!r}: names must be ({count},), got {self._names.shape}")
        keys = _keys(pairs, count)
        self.loops = int(np.count_nonzero(pairs[:, 0] == pairs[:, 1]))
        self.duplicates = len(pairs) - self.loops - len(keys)
        counted = {**(left_out or {}), "loops": self.loops, "repeated edges": self.duplicates}
        self.left_out = {kind: number for kind, number in counted.items() if number}
        if not len(keys):
            raise ValueError(f"graph {name!r} holds no edge between two nodes, only {self.loops} loops")
        split = self.pair_split(*np.divmod(keys, count))
        self._by_split = [_ends(keys[split == code], count) for code in range(len(SPLITS))]
        lacking = [split for split, edges in zip(SPLITS, self._by_split, strict=True) if not len(edges)]
        if lacking:
            raise ValueError(
                f"graph {name!r}: of its {len(keys)} edges none falls to the split {', '.join(lacking)}; too few"
            )
        self.rows = Edges(*graph_edges.compress(self._by_split[0], count), keys[split != 0])
        self.described = table is not None
        self.features = self._buckets() if table is None else table
        self.features.flags.writeable = False

    def __repr__(self) -> str:
        return f"GraphSource({self.name!r}, {self.nodes} nodes, {len(self)} edges, {self.features.shape[1]} features)"

    def __len__(self) -> int:
        return sum(map(len, self._by_split))

    @property
    def edges(self) -> NDArray[np.int32]:
        """All edges, (E, 2), as the class's text says."""
        keys = [edges[:, 0].astype(np.int64) * self.nodes + edges[:, 1] for edges in self._by_split]
        return _ends(np.sort(np.concatenate(keys), kind="stable"), self.nodes)

    @property
    def indptr(self) -> NDArray[np.integer]:
        """Where the neighbours of each node begin among `indices`, (N + 1,)."""
        return self.rows.indptr

    @property
    def indices(self) -> NDArray[np.int32]:
        """The neighbours of all nodes by train edges."""
        return self.rows.indices

    @cached_property
    def degrees(self) -> NDArray[np.int32]:
        """How many train edges each node has, (N,)."""
        return np.diff(self.indptr).astype(np.int32)

    @property
    def names(self) -> NDArray[Any]:
        """What nodes are called where they come from, (N,)."""
        names = np.arange(self.nodes) if self._names is None else self._names
        names.flags.writeable = False
        return names

    def pair_split(self, one: Numbers, other: Numbers) -> NDArray[np.int8]:
        """Return which split pairs of nodes belong to, as an index of `SPLITS`, whether they are joined or not."""
        return graph_edges.splits(*PAIR_SPLITS, one, other)

    def joined(self, one: Numbers, other: Numbers) -> NDArray[np.bool_]:
        """Return which pairs of nodes are joined by an edge of any split; a node is not joined to itself."""
        return graph_edges.joined(self.rows, one, other)

    def position(self, node: Numbers, neighbour: Numbers) -> Nodes:
        """Return the place of a neighbour among the train neighbours of a node, -1 where it is none."""
        return graph_edges.locate(self.rows, node, neighbour)

    def edges_of(self, split: str) -> NDArray[np.int32]:
        """Return the edges of a split, (m, 2), sorted."""
        return self._by_split[SPLITS.index(split)]

    def nodes_of(self, split: str) -> NDArray[np.int32]:
        """Return the nodes of a split, (m,).

        Raises:
            ValueError: the split has none.
        """
        nodes = self._nodes_by_split[SPLITS.index(split)]
        if not len(nodes):
            raise ValueError(f"graph {self.name!r}: of its {self.nodes} nodes none falls to the split {split}; too few")
        return nodes

    @cached_property
    def fingerprint(self) -> str:
        """A hex digest of the content: nodes, edges and features, and texts and vocabulary where there are such."""
        digest = hashlib.blake2b(f"{self.nodes} {self.features.shape}".encode(), digest_size=16)
        edges = self.edges
        for start in range(0, len(edges), CHUNK):
            digest.update(edges[start : start + CHUNK].astype(np.int64).tobytes())
        digest.update(self.features.data)
        for what, strings in (("texts", self.texts), ("vocabulary", self.vocabulary)):
            if strings is not None:
                digest.update(what.encode() + digest_words(strings))
        return digest.hexdigest()

    @property
    def twins(self) -> NDArray[np.int32]:
        """A number for each node that it shares with all nodes of equal features or equal texts, (N,); else its own."""
        return self._by_features[0]

    @property
    def kinds(self) -> bool:
        """Whether features only tell a few kinds of nodes apart, as one-hot categories do: nodes cannot be split by them.

        So it is where more than half of the nodes have the features of another, and either there are fewer than
        `FEWEST_ROWS` different rows, or they are shared so unevenly that a split would get less than half of its nodes.
        """
        return self._by_features[1]

    @property
    def node_split(self) -> NDArray[np.int8]:
        """Which split each node belongs to, (N,), as an index of `SPLITS`: by its features, or its number (see `kinds`)."""
        return self._by_features[2]

    @cached_property
    def _by_features(self) -> tuple[NDArray[np.int32], bool, NDArray[np.int8]]:
        """`twins`, `kinds` and `node_split`."""
        numbers = hash_rows(np.arange(self.nodes, dtype=np.uint64)[:, None], "node")
        hashes = _row_hashes(self.features) if self.described else numbers
        if self.texts is not None:
            numbers, hashes = together(numbers, self.texts), together(hashes, self.texts)
        elif not self.described:
            return np.arange(self.nodes, dtype=np.int32), False, _shares(numbers, NODE_SHARES)
        rows, twins = np.unique(hashes, return_inverse=True)
        split = _shares(hashes, NODE_SHARES)
        shares = np.bincount(split, minlength=len(SPLITS)) / self.nodes
        shared = 2 * len(rows) < self.nodes
        kinds = self.described and shared and (len(rows) < FEWEST_ROWS or bool((2 * shares < NODE_SHARES).any()))
        return twins.astype(np.int32), kinds, _shares(numbers, NODE_SHARES) if kinds else split

    @cached_property
    def _nodes_by_split(self) -> list[NDArray[np.int32]]:
        return [np.flatnonzero(self.node_split == code).astype(np.int32) for code in range(len(SPLITS))]

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
    def entries(self) -> tuple[Nodes, NDArray[np.int32], NDArray[np.float32]]:
        """Compressed rows of the features that are not 0: `indptr` (N + 1,), sorted feature numbers, and the features."""
        rows, columns = np.nonzero(self.features)
        counts = np.bincount(rows, minlength=self.nodes)
        return np.concatenate([[0], np.cumsum(counts)]), columns.astype(np.int32), self.features[rows, columns]

    @cached_property
    def sparse(self) -> bool:
        """Whether so few features are not 0 that they are shown sooner from `entries` than from the table."""
        entries = int(np.count_nonzero(self.features))
        negative_zeros = int(np.count_nonzero(self.features.view(np.uint32))) - entries
        return entries <= SPARSE * self.features.size and not negative_zeros

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

    def with_buckets(self, count: int) -> GraphSource:
        """Return the same graph with its nodes described by `count` buckets of degrees, as another graph may have them.

        A bucket means the same in every graph. Degrees above the last bucket are put into it.

        Raises:
            ValueError: the nodes are described by features that were given, or there would be no bucket.
        """
        if self.described:
            raise ValueError(f"the nodes of graph {self.name!r} have features of their own, and no buckets of degrees")
        if count < 1:
            raise ValueError(f"buckets must be at least 1, got {count}")
        found = object.__new__(type(self))
        cached = {name for name in vars(self) if isinstance(getattr(type(self), name, None), cached_property)}
        vars(found).update({name: value for name, value in vars(self).items() if name not in cached})
        found.features = found._buckets(count)
        found.features.flags.writeable = False
        return found

    def _buckets(self, count: int | None = None) -> NDArray[np.float32]:
        """Return one-hot buckets of the train degree: 0, 1, 2-3, 4-7, ...; as many as there are, or `count`."""
        bucket = degree_buckets(self.degrees)
        last = int(bucket.max()) if count is None else count - 1
        return np.eye(last + 1, dtype=np.float32)[np.minimum(bucket, last)]


def degree_buckets(degrees: Numbers) -> Nodes:
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


def _keys(pairs: Nodes, count: int) -> Nodes:
    """Return smaller node times `count` plus larger node of all pairs of two nodes, each once, rising."""
    proper = pairs[pairs[:, 0] != pairs[:, 1]]
    return np.unique(proper.min(axis=1) * count + proper.max(axis=1))


def _ends(keys: Nodes, count: int) -> NDArray[np.int32]:
    """Return the nodes (m, 2) of such keys."""
    ends = np.empty((len(keys), 2), np.int32)
    ends[:, 0], ends[:, 1] = keys // count, keys % count
    return ends


def _row_hashes(table: NDArray[np.float32]) -> NDArray[np.uint64]:
    """Return a hash of each row of features, (N,)."""
    found = np.empty(len(table), np.uint64)
    weights = hash_rows(np.arange(table.shape[1], dtype=np.uint64)[:, None], "feature") | np.uint64(1)
    step = max(1, CHUNK // table.shape[1])
    for start in range(0, len(table), step):
        part = table[start : start + step] + np.float32(0)  # -0.0 and 0.0 are equal
        found[start : start + len(part)] = (part.view(np.uint32).astype(np.uint64) * weights).sum(axis=1, dtype=np.uint64)
    return hash_rows(found[:, None], "twins")


def _bounds(shares: tuple[float, ...]) -> NDArray[np.uint64]:
    """Return where splits of the given shares begin, behind the first, among the upper halves of words."""
    return np.array([round(share * 2**32) for share in np.cumsum(shares)[:-1]], np.uint64)


PAIR_SPLITS = hash_seed("rows", "pair"), _bounds(EDGE_SHARES)
"""What decides which split a pair of nodes belongs to: what it is hashed from, as by `hash_rows`, and where splits begin."""


def _shares(words: NDArray[np.uint64], shares: tuple[float, ...]) -> NDArray[np.int8]:
    """Cut uniform words into splits of the given shares."""
    return np.searchsorted(_bounds(shares), words >> np.uint64(32), side="right").astype(np.int8)
