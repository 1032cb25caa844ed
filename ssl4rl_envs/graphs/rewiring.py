"""The same questions about graphs whose edges were drawn anew: what is answered right then, words and features give."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ssl4rl_envs.arguments import one_of
from ssl4rl_envs.stream import Stream
from ssl4rl_envs.task import Batch, Task

KEEPS = ("degrees", "shape")

SWAPS = 4
"""How often two edges exchange their ends, for each edge: after so many hardly any is where it was (Milo et al. 2003)."""

_CELLS = 1 << 24
"""Cells of adjacency matrices that are held at a time."""

Edges = NDArray[np.int64]


def rewired(task: Task, batch: Batch, stream: Stream, keep: str = "shape") -> Batch:
    """Return the same questions about graphs whose shown edges were drawn anew, for one decision.

    Nodes, features, what is asked and the targets stay. The words of the new batch tell the new edges, and its targets are
    those of the old ones: who answers as before has not looked at the edges.

    Args:
        task: any that shows `edge_index` and `edge_mask`, as `GraphTask` does.
        batch: n of its instances.
        stream: of n rows.
        keep: "shape" puts the same graph on other nodes, drawn at random: nothing of a node's edges stays. With "degrees"
            pairs of edges exchange their ends (Maslov & Sneppen 2002), so that each node keeps how many it has, and what is
            asked of that keeps its answer.

    Raises:
        TypeError: the task shows no edges.
        ValueError: `keep` is unknown, or there are not as many rows in the stream as in the batch.
    """
    one_of("keep", keep, KEEPS)
    shown = batch.observation
    if not {"edge_index", "edge_mask", "node_mask"} <= set(shown):
        raise TypeError(f"{type(task).__name__} shows no edges that could be drawn anew; it shows {', '.join(sorted(shown))}")
    if len(stream) != len(batch):
        raise ValueError(f"the stream must have a row for each of {len(batch)} instances, it has {len(stream)}")
    width = shown["node_mask"].shape[1]
    size, index = max(1, _CELLS // width**2), np.empty_like(shown["edge_index"])
    for start in range(0, len(batch), size):
        rows = np.arange(start, min(start + size, len(batch)))
        part, drawn = batch.rows(rows).observation, stream.redraw(rows, 1)
        slots, many = paired(part["edge_index"], part["edge_mask"], width)
        edges = ends(part["edge_index"], slots)
        edges = swapped(edges, many, width, drawn) if keep == "degrees" else moved(edges, part["node_mask"], drawn)
        index[rows] = written(part["edge_index"], slots, many, edges)
    return dataclasses.replace(batch, observation={**shown, "edge_index": index})


def paired(edge_index: Edges, edge_mask: NDArray[Any], width: int) -> tuple[Edges, Edges]:
    """Return where both directions of each edge stand, (n, E / 2, 2), those that exist first, and how many exist, (n,)."""
    low, high = edge_index.min(axis=1), edge_index.max(axis=1)
    keys = np.where(edge_mask == 1, low * width + high, width * width)
    slots = np.argsort(keys, axis=1, kind="stable").reshape(len(keys), -1, 2)
    return slots.astype(np.int64), (edge_mask == 1).sum(axis=1) // 2


def ends(edge_index: Edges, slots: Edges) -> Edges:
    """Return the two ends of each edge, (n, E / 2, 2), of `paired`."""
    first = slots[:, :, 0]
    return np.stack([np.take_along_axis(edge_index[:, end], first, axis=1) for end in (0, 1)], axis=2)


def written(edge_index: Edges, slots: Edges, many: Edges, edges: Edges) -> Edges:
    """Return `edge_index` with other edges in the places of those of `paired`."""
    result = edge_index.copy()
    there = np.arange(slots.shape[1]) < many[:, None]
    row = np.repeat(np.arange(len(edges))[:, None], slots.shape[1], axis=1)[there]
    for direction in (0, 1):
        place = slots[:, :, direction][there]
        result[row, 0, place], result[row, 1, place] = edges[there][:, direction], edges[there][:, 1 - direction]
    return result


def moved(edges: Edges, node_mask: NDArray[Any], stream: Stream) -> Edges:
    """Return edges (n, m, 2) between other nodes: those that exist are exchanged at random."""
    width = node_mask.shape[1]
    keys = np.where(node_mask == 1, stream.words((width,)) >> np.uint64(1), np.uint64(2**64 - 1))
    to = np.argsort(keys, axis=1, kind="stable")
    return np.take_along_axis(to, edges.reshape(len(edges), -1), axis=1).reshape(edges.shape)


def swapped(edges: Edges, many: Edges, width: int, stream: Stream) -> Edges:
    """Return edges (n, m, 2) of which pairs have exchanged an end, again and again; every node keeps its number of edges.

    An exchange that would join a node with itself, or two nodes twice, is left out.

    Args:
        edges: of `ends`.
        many: (n,) how many of them exist.
        width: above all numbers of nodes.
        stream: of n rows.
    """
    edges, row, every = edges.copy(), np.arange(len(edges)), np.arange(edges.shape[1])
    joined = np.zeros((len(edges), width, width), np.bool_)
    there = np.nonzero(every < many[:, None])
    one, other = edges[there].T
    joined[there[0], one, other] = joined[there[0], other, one] = True
    for done in range(SWAPS * int(many.max(initial=0))):
        first, second, turned = stream.below(many), stream.below(many), stream.integers(0, 2)
        (a, b), (c, d) = edges[row, first].T, np.where(turned[:, None] == 1, edges[row, second, ::-1], edges[row, second]).T
        new = (a != d) & (c != b) & ~joined[row, a, d] & ~joined[row, c, b] & (first != second)
        at = np.flatnonzero(new & (done < SWAPS * many))
        for x, y, value in ((a, b, False), (c, d, False), (a, d, True), (c, b, True)):
            joined[at, x[at], y[at]] = joined[at, y[at], x[at]] = value
        edges[at, first[at]], edges[at, second[at]] = np.stack([a, d], axis=1)[at], np.stack([c, b], axis=1)[at]
    return edges
