"""Sampling of neighbourhoods, in NumPy. The arguments are explained in `kernels.neighbourhoods`."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ssl4rl_envs.kernels.reference.graph_edges import places as places_of
from ssl4rl_envs.kernels.reference.stream import words

Nodes = NDArray[np.int64]
Keys = NDArray[np.uint64]

LAST = np.uint64(2**64 - 1)
NONE = np.int64(2**62)
"""The place of a neighbour that is none."""


def sample(
    out_nodes: Nodes,
    out_edge_index: Nodes,
    out_edge_mask: NDArray[np.bool_],
    out_local: Nodes,
    indptr: NDArray[np.integer],
    indices: NDArray[np.int32],
    targets: Nodes,
    fanouts: Nodes,
    hidden: Nodes,
    keys: Keys,
    draw: np.uint64,
) -> None:
    """See `kernels.neighbourhoods.sample`."""
    layers: list[Nodes] = [targets]
    exists: list[NDArray[np.bool_]] = [np.ones(targets.shape, bool)]
    parents: list[Nodes] = []
    call = int(draw)
    for fanout in fanouts.tolist():
        found, there = _neighbours(indptr, indices, layers[-1], exists[-1], fanout, hidden, keys, call)
        call += fanout
        layers.append(found.reshape(len(targets), -1))
        exists.append(there.reshape(len(targets), -1))
        parents.append(np.repeat(np.arange(layers[-2].shape[1]), fanout))
    slots, there = np.concatenate(layers, axis=1), np.concatenate(exists, axis=1)
    local, out_nodes[:] = _number(np.where(there, slots, -1), keys, call)
    starts = np.cumsum([0, *(layer.shape[1] for layer in layers)])
    upper = np.concatenate([starts[i] + parents[i] for i in range(len(parents))])
    out_edge_index[:], out_edge_mask[:] = _edges(local, there, upper, targets.shape[1], keys, call + 1)
    out_local[:] = local[:, : targets.shape[1]]


def _neighbours(
    indptr: NDArray[np.integer],
    indices: NDArray[np.int32],
    nodes: Nodes,
    exists: NDArray[np.bool_],
    fanout: int,
    hidden: Nodes,
    keys: Keys,
    draw: int,
) -> tuple[Nodes, NDArray[np.bool_]]:
    """Return neighbours (n, m, fanout) of nodes (n, m), and which exist."""
    first = indptr[nodes].astype(np.int64)
    count = np.where(exists, indptr[nodes + 1] - first, 0)
    skipped = _hidden_places(indptr, indices, nodes, exists, hidden)
    count = count - (skipped < NONE).sum(axis=0)
    place = distinct(count, fanout, keys, draw)
    there = np.arange(fanout) < count[..., None]
    for skip in skipped:  # rising
        place = place + (place >= skip[..., None])
    entry = np.where(there, first[..., None] + place, 0)
    return indices[entry].astype(np.int64), there


def _hidden_places(
    indptr: NDArray[np.integer], indices: NDArray[np.int32], nodes: Nodes, exists: NDArray[np.bool_], hidden: Nodes
) -> Nodes:
    """Return the places of hidden neighbours among those of nodes (n, m), (H, n, m), rising; `NONE` where there is none."""
    places = np.full((hidden.shape[1], *nodes.shape), NONE)
    for number, (one, other) in enumerate(hidden.transpose(1, 2, 0)[..., None]):
        partner = np.where(nodes == one, other, np.where(nodes == other, one, -1))
        concerned = exists & (partner >= 0)
        found = places_of(indptr, indices, nodes[concerned], partner[concerned])
        places[number][concerned] = np.where(found >= 0, found, NONE)
    places.sort(axis=0)
    places[1:][places[1:] == places[:-1]] = NONE  # the same edge twice
    places.sort(axis=0)
    return places


def distinct(count: Nodes, size: int, keys: Keys, draw: int) -> Nodes:
    """Return `size` distinct places below each count (n, m), (n, m, size), uniform among all sets; all where there are fewer.

    R. Floyd's algorithm (Bentley 1987): the j-th draw is from the first count - size + j + 1 places, and one that was
    drawn before is replaced by the last of them.
    """
    places = np.broadcast_to(np.arange(size), (*count.shape, size)).copy()
    many = count > size
    for j in range(size):
        last = count - size + j
        bounds = np.maximum(last + 1, 1).astype(np.uint64)
        high = words_of(keys, draw + j, count.shape[1]) >> np.uint64(32)
        drawn = ((high * bounds) >> np.uint64(32)).astype(np.int64)
        taken = (places[..., :j] == drawn[..., None]).any(axis=-1)
        places[..., j] = np.where(many, np.where(taken, last, drawn), places[..., j])
    return places


def words_of(keys: Keys, draw: int, count: int) -> Keys:
    """Return the words of a draw, (n, count)."""
    found = np.empty((len(keys), count), np.uint64)
    words(found, keys, np.uint64(draw))
    return found


def _edges(
    local: Nodes, there: NDArray[np.bool_], upper: Nodes, targets: int, keys: Keys, draw: int
) -> tuple[Nodes, NDArray[np.bool_]]:
    """Return edges (n, 2, E) between slots and the upper ones that they were met from, each once and back; which exist."""
    width = local.shape[1]
    one, other = local[:, upper], local[:, targets:]
    asked = np.zeros(local.shape, bool)
    np.put_along_axis(asked, local[:, :targets], True, axis=1)
    back = np.take_along_axis(asked, other, axis=1) & (upper >= targets)
    key = np.where(there[:, targets:] & ~back, np.minimum(one, other) * width + np.maximum(one, other), width * width)
    key = np.sort(key, axis=1)
    new = np.ones(key.shape, bool)
    new[:, 1:] = key[:, 1:] != key[:, :-1]
    new &= key < width * width
    order = _shuffled(new, keys, draw)
    key, kept = np.take_along_axis(key, order, axis=1), np.take_along_axis(new, order, axis=1)
    first, second = np.where(kept, key // width, 0), np.where(kept, key % width, 0)
    edge_index = np.stack([np.concatenate([first, second], axis=1), np.concatenate([second, first], axis=1)], axis=1)
    return edge_index, np.concatenate([kept, kept], axis=1)


def _number(slots: Nodes, keys: Keys, draw: int) -> tuple[Nodes, Nodes]:
    """Return local numbers of nodes (n, S), -1 being none, and which node has which number, (n, S)."""
    order = np.argsort(slots, axis=1, kind="stable")
    ranked = np.take_along_axis(slots, order, axis=1)
    first = ranked >= 0
    first[:, 1:] &= ranked[:, 1:] != ranked[:, :-1]
    group = np.maximum(np.cumsum(first, axis=1) - 1, 0)  # of each ranked slot, by rising node
    several = np.arange(slots.shape[1]) < first.sum(axis=1, keepdims=True)
    shuffle = _shuffled(several, keys, draw)  # number -> group
    number = np.argsort(shuffle, axis=1, kind="stable")  # group -> number
    local = np.empty_like(slots)
    np.put_along_axis(local, order, np.take_along_axis(number, group, axis=1), axis=1)
    nodes = np.full(slots.shape, -1, np.int64)
    rows = np.nonzero(first)
    nodes[rows[0], number[rows[0], group[rows]]] = ranked[rows]
    return local, nodes


def _shuffled(kept: NDArray[np.bool_], keys: Keys, draw: int) -> Nodes:
    """Return a random order of each row (n, S) in which what is kept stands first."""
    order = np.where(kept, words_of(keys, draw, kept.shape[1]) >> np.uint64(1), LAST)
    return np.argsort(order, axis=1, kind="stable").astype(np.int64)
