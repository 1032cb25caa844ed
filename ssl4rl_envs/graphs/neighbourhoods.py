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

from ssl4rl_envs.kernels import neighbourhoods
from ssl4rl_envs.kernels.neighbourhoods import size_of
from ssl4rl_envs.sources.graphs import GraphSource, Nodes
from ssl4rl_envs.stream import Stream

__all__ = ["Neighbourhood", "sample_neighbourhoods", "size_of"]


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
    pairs = np.zeros((len(targets), 0, 2), np.int64) if hidden is None else hidden.reshape(len(targets), -1, 2)
    keys, draw = stream.reserve(neighbourhoods.draws_of(fanouts))
    return Neighbourhood(*neighbourhoods.sample(source.rows, targets, fanouts, pairs, keys, draw))
