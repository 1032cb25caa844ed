"""Small graphs that are shown bit by bit: what is known of a node is known once somebody has been there.

All is pure and batched over n worlds, graphs of up to M nodes and E directed edges in numbers of their own.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ssl4rl_envs.graphs.neighbourhoods import Neighbourhood
from ssl4rl_envs.sources.graphs import Nodes

NONE = -1
"""Stands where there is no neighbour, and for what has not been found."""


class Unfolded(NamedTuple):
    """What is known of n worlds.

    Args:
        hood: the nodes that have been found and the edges that are known, in numbers by which nodes are shown: they stand in
            the order in which they were found, those of one step in random order, so numbers stay.
        shown_as: (n, M) the number by which each node of the world is shown; arbitrary where it has not been found.
    """

    hood: Neighbourhood
    shown_as: Nodes


def thin(edge_index: Nodes, edge_mask: NDArray[np.bool_], nodes: int, width: int) -> NDArray[np.bool_]:
    """Return which edges are left where each node keeps its first `width`, (n, E): those that both of their ends keep.

    Args:
        edge_index: (n, 2, E), each edge in both directions, in random order.
        edge_mask: (n, E), which edges exist.
        nodes: M.
        width: most edges of a node.
    """
    rows, (one, other) = np.arange(len(edge_index))[:, None], np.moveaxis(edge_index, 1, 0)
    kept = edge_mask & (_places(one, edge_mask, nodes) < width)
    none = nodes * nodes + np.arange(edge_mask.shape[1])  # what is no edge is its own reverse
    there, back = (np.argsort(np.where(edge_mask, a * nodes + b, none), axis=1) for a, b in ((one, other), (other, one)))
    reverse = np.empty_like(there)
    reverse[rows, there] = back
    return np.asarray(kept & kept[rows, reverse])


def neighbour_table(edge_index: Nodes, edge_mask: NDArray[np.bool_], nodes: int, width: int) -> Nodes:
    """Return the neighbours of each node (n, M, width), `NONE` behind the last one; arguments as of `thin`.

    Of more neighbours than `width` the first are in the table.
    """
    place = _places(edge_index[:, 0], edge_mask, nodes)
    row, edge = np.nonzero(edge_mask & (place < width))
    table = np.full((len(edge_index), nodes, width), NONE, np.int64)
    table[row, edge_index[row, 0, edge], place[row, edge]] = edge_index[row, 1, edge]
    return table


def _places(start: Nodes, edge_mask: NDArray[np.bool_], nodes: int) -> Nodes:
    """Return how many edges of the same node stand before each of the edges that there are, (n, E)."""
    rows = np.arange(len(start))[:, None]
    order = np.argsort(np.where(edge_mask, start, nodes), axis=1, kind="stable")
    ordered = np.where(edge_mask, start, nodes)[rows, order]
    count = np.zeros((len(start), nodes + 1), np.int64)
    np.add.at(count, (rows, ordered), 1)
    places = np.empty_like(order)
    places[rows, order] = np.arange(start.shape[1]) - (np.cumsum(count, axis=1) - count)[rows, ordered]
    return places


def find(found: Nodes, table: Nodes, place: Nodes, step: Nodes) -> Nodes:
    """Return at which step each node was found (n, M), once `place` (n,) and its neighbours are found in `step` (n,)."""
    rows = np.arange(len(found))
    around = np.concatenate([table[rows, place], place[:, None]], axis=1)
    fresh = np.zeros((len(found), found.shape[1] + 1), bool)  # the last column takes what stands for no neighbour
    fresh[rows[:, None], around] = True
    return np.where(fresh[:, :-1] & (found == NONE), step[:, None], found)


def unfold(nodes: Nodes, edge_index: Nodes, edge_mask: NDArray[np.bool_], found: Nodes, known: NDArray[np.bool_]) -> Unfolded:
    """Return what is known of worlds.

    Args:
        nodes: (n, M) nodes of the source, in random order.
        edge_index, edge_mask: (n, 2, E) and (n, E) the edges, in random order.
        found: (n, M) at which step each node was found, `NONE` where it was not.
        known: (n, M) of which nodes the edges are known.
    """
    rows, width = np.arange(len(nodes))[:, None], nodes.shape[1]
    there = found != NONE
    order = np.argsort(np.where(there, found, width), axis=1, kind="stable")
    shown_as = np.empty_like(order)
    shown_as[rows, order] = np.arange(width)
    seen = edge_mask & (known[rows, edge_index[:, 0]] | known[rows, edge_index[:, 1]])
    kept = np.argsort(~seen, axis=1, kind="stable")
    mask = seen[rows, kept]
    ends = shown_as[rows[:, None], edge_index[rows[:, None], np.arange(2)[:, None], kept[:, None]]]
    hood = Neighbourhood(
        nodes=np.where(there, nodes, NONE)[rows, order],
        edge_index=np.where(mask[:, None], ends, 0),
        edge_mask=mask,
        targets=np.zeros((len(nodes), 0), np.int64),
    )
    return Unfolded(hood, shown_as)


def wandering(table: Nodes, distance: Nodes, place: Nodes, steps: int) -> NDArray[np.float64]:
    """Return the expected share of the way to the goal that a random walk has behind it where it came nearest, (n,); exact.

    Every step goes to one of the neighbours, each equally likely, until the goal is reached. The distribution over where the
    walk stands and how near it has come is carried from step to step.

    Args:
        table: (n, M, D), see `neighbour_table`.
        distance: (n, M) edges between each node and the goal.
        place: (n,) where walks begin.
        steps: how many steps they have.
    """
    rows = np.arange(len(table))
    way = distance[rows, place]
    most = int(way.max(initial=0))
    likely = np.zeros((len(table), most + 1, table.shape[1] + 1))  # by nearest distance so far, and where it stands
    likely[rows, way, place] = 1
    degree = np.maximum((table != NONE).sum(axis=2), 1)
    far = np.concatenate([distance, np.full((len(table), 1), most)], axis=1)
    for _ in range(steps):
        moved = np.zeros_like(likely)
        moved[:, 0] = likely[:, 0]
        for nearest in range(1, most + 1):
            leaving = likely[:, nearest, :-1] / degree
            for slot in range(table.shape[2]):
                to = table[:, :, slot]
                reached = np.minimum(nearest, np.maximum(far[rows[:, None], to], 0))
                np.add.at(moved, (rows[:, None], reached, to), np.where(to == NONE, 0, leaving))
        likely = moved
    best = (likely.sum(axis=2) * np.arange(most + 1)).sum(axis=1)
    return np.asarray(1 - best / way)
