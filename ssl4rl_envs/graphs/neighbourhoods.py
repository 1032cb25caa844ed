"""Neighbourhoods of nodes, sampled for whole batches from compressed rows: what a question about a graph shows.

The cost of an instance depends on how many neighbours are asked for, not on the size of the graph. Only train edges are ever
walked or shown. Edges that are hidden are left out in both directions before anything is drawn, as if they were not there.

A target is shown with as many edges as it has, at most the first fanout: what is met later does not lead back to one.
Otherwise a target with more edges than that would tell by its number of edges how many neighbours it shares with another.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ssl4rl_envs.sources.graphs import GraphSource, Nodes
from ssl4rl_envs.stream import Stream

LAST = np.uint64(2**64 - 1)
NONE = np.int64(2**62)
"""The place of a neighbour that is none."""


@dataclass(frozen=True)
class Neighbourhood:
    """Small graphs, one an instance, in local numbers.

    Args:
        nodes: (n, M) nodes of the source, -1 where there is none; those that exist stand first, in random order.
        edge_index: (n, 2, E) local numbers, each edge in both directions, in random order; 0 where there is none.
        edge_mask: (n, E) bool, which edges exist.
        targets: (n, K) local numbers of the nodes that were asked for.
    """

    nodes: Nodes
    edge_index: Nodes
    edge_mask: NDArray[np.bool_]
    targets: Nodes


def size_of(targets: int, fanouts: tuple[int, ...]) -> tuple[int, int]:
    """Return how many nodes and how many directed edges a neighbourhood has room for."""
    nodes, layer = targets, targets
    for fanout in fanouts:
        layer *= fanout
        nodes += layer
    return nodes, 2 * (nodes - targets)


def sample_neighbourhoods(
    source: GraphSource,
    targets: Nodes,
    fanouts: tuple[int, ...],
    stream: Stream,
    hidden: Nodes | None = None,
) -> Neighbourhood:
    """Sample up to `fanouts[0]` neighbours of each target, up to `fanouts[1]` of each of those, and so on.

    Neighbours are drawn uniformly without replacement (Hamilton et al. 2017, arXiv 1706.02216, draw them so too); a node that
    is met on several ways is shown once, with all edges on which it was met. Edges of a target are those that were drawn from
    one.

    Args:
        source: the graph.
        targets: (n, K) nodes, different within a row.
        fanouts: most neighbours at each distance.
        stream: draws.
        hidden: (n, 2) pairs whose edge is not there, or (n, H, 2) several a row, or None; -1 where there is none.
    """
    layers: list[Nodes] = [targets]
    exists: list[NDArray[np.bool_]] = [np.ones(targets.shape, bool)]
    parents: list[Nodes] = []
    for fanout in fanouts:
        found, there = _neighbours(source, layers[-1], exists[-1], fanout, stream, hidden)
        layers.append(found.reshape(len(targets), -1))
        exists.append(there.reshape(len(targets), -1))
        parents.append(np.repeat(np.arange(layers[-2].shape[1]), fanout))
    return _assemble(layers, exists, parents, targets.shape[1], stream)


def _neighbours(
    source: GraphSource, nodes: Nodes, exists: NDArray[np.bool_], fanout: int, stream: Stream, hidden: Nodes | None
) -> tuple[Nodes, NDArray[np.bool_]]:
    """Return neighbours (n, m, fanout) of nodes (n, m), and which exist."""
    count = np.where(exists, source.degrees[nodes], 0)
    skipped = _hidden_places(source, nodes, exists, hidden)
    count = count - (skipped < NONE).sum(axis=0)
    place = _distinct(count, fanout, stream)
    there = np.arange(fanout) < count[..., None]
    for skip in skipped:  # rising
        place = place + (place >= skip[..., None])
    entry = np.where(there, source.indptr[nodes][..., None] + place, 0)
    return source.indices[entry], there


def _hidden_places(source: GraphSource, nodes: Nodes, exists: NDArray[np.bool_], hidden: Nodes | None) -> Nodes:
    """Return the places of hidden neighbours among those of nodes (n, m), (H, n, m), rising; `NONE` where there is none."""
    if hidden is None:
        return np.zeros((0, *nodes.shape), np.int64)
    pairs = hidden.reshape(len(nodes), -1, 2)
    places = np.full((pairs.shape[1], *nodes.shape), NONE)
    for number, (one, other) in enumerate(pairs.transpose(1, 2, 0)[..., None]):
        partner = np.where(nodes == one, other, np.where(nodes == other, one, -1))
        concerned = exists & (partner >= 0)
        found = source.position(nodes[concerned], partner[concerned])
        places[number][concerned] = np.where(found >= 0, found, NONE)
    places.sort(axis=0)
    places[1:][places[1:] == places[:-1]] = NONE  # the same edge twice
    places.sort(axis=0)
    return places


def _distinct(count: Nodes, size: int, stream: Stream) -> Nodes:
    """Return `size` distinct places below each count (n, m), (n, m, size), uniform among all sets; all where there are fewer.

    R. Floyd's algorithm (Bentley 1987): the j-th draw is from the first count - size + j + 1 places, and one that was
    drawn before is replaced by the last of them.
    """
    places = np.broadcast_to(np.arange(size), (*count.shape, size)).copy()
    many = count > size
    for j in range(size):
        last = count - size + j
        drawn = stream.below(last + 1)
        taken = (places[..., :j] == drawn[..., None]).any(axis=-1)
        places[..., j] = np.where(many, np.where(taken, last, drawn), places[..., j])
    return places


def _assemble(
    layers: list[Nodes], exists: list[NDArray[np.bool_]], parents: list[Nodes], targets: int, stream: Stream
) -> Neighbourhood:
    """Give nodes that were met several times one number, and edges too."""
    slots, there = np.concatenate(layers, axis=1), np.concatenate(exists, axis=1)
    local, nodes = _number(np.where(there, slots, -1), stream)
    starts = np.cumsum([0, *(layer.shape[1] for layer in layers)])
    upper = np.concatenate([starts[i] + parents[i] for i in range(len(parents))]) if parents else np.zeros(0, np.int64)
    one, other = local[:, upper], local[:, targets:]
    width = slots.shape[1]
    asked = np.zeros(slots.shape, bool)
    np.put_along_axis(asked, local[:, :targets], True, axis=1)
    back = np.take_along_axis(asked, other, axis=1) & (upper >= targets)
    key = np.where(there[:, targets:] & ~back, np.minimum(one, other) * width + np.maximum(one, other), width * width)
    key = np.sort(key, axis=1)
    new = np.ones(key.shape, bool)
    new[:, 1:] = key[:, 1:] != key[:, :-1]
    new &= key < width * width
    order = _shuffled(new, stream)
    key, kept = np.take_along_axis(key, order, axis=1), np.take_along_axis(new, order, axis=1)
    first, second = np.where(kept, key // width, 0), np.where(kept, key % width, 0)
    edge_index = np.stack([np.concatenate([first, second], axis=1), np.concatenate([second, first], axis=1)], axis=1)
    return Neighbourhood(nodes, edge_index, np.concatenate([kept, kept], axis=1), local[:, :targets])


def _number(slots: Nodes, stream: Stream) -> tuple[Nodes, Nodes]:
    """Return local numbers of nodes (n, S), -1 being none, and which node has which number, (n, S)."""
    order = np.argsort(slots, axis=1, kind="stable")
    ranked = np.take_along_axis(slots, order, axis=1)
    first = ranked >= 0
    first[:, 1:] &= ranked[:, 1:] != ranked[:, :-1]
    group = np.maximum(np.cumsum(first, axis=1) - 1, 0)  # of each ranked slot, by rising node
    distinct = np.arange(slots.shape[1]) < first.sum(axis=1, keepdims=True)
    shuffle = _shuffled(distinct, stream)  # number -> group
    number = np.argsort(shuffle, axis=1, kind="stable")  # group -> number
    local = np.empty_like(slots)
    np.put_along_axis(local, order, np.take_along_axis(number, group, axis=1), axis=1)
    nodes = np.full(slots.shape, -1, np.int64)
    rows = np.nonzero(first)
    nodes[rows[0], number[rows[0], group[rows]]] = ranked[rows]
    return local, nodes


def _shuffled(kept: NDArray[np.bool_], stream: Stream) -> Nodes:
    """Return a random order of each row (n, S) in which what is kept stands first."""
    keys = np.where(kept, stream.words(kept.shape[1:]) >> np.uint64(1), LAST)
    return np.argsort(keys, axis=1, kind="stable").astype(np.int64)
