"""Graphs that are drawn, of any size, in arrays: the same for the same arguments."""

from __future__ import annotations

import numpy as np

from ssl4rl_envs.sources.graphs import GraphSource
from ssl4rl_envs.stream import hash_seed


def stochastic_block_model(
    nodes: int = 2_000,
    blocks: int = 4,
    degree: float = 8.0,
    mixing: float = 0.2,
    features: int = 64,
    words: int = 8,
    noise: float = 0.5,
    seed: int = 0,
) -> GraphSource:
    """Draw a graph of blocks whose nodes are mostly joined within their block, with words that the block makes likely.

    Args:
        nodes, blocks: how many; blocks are equally likely, and are the labels.
        degree: mean number of edges of a node (Holland et al. 1983, with as many edges as that makes).
        mixing: share of edges whose ends are drawn from anywhere, rather than from one block.
        features: binary words there are; each block has an equal part of them for its own.
        words: words drawn for a node; those drawn twice count once.
        noise: share of words drawn from all rather than from the block's own.
        seed: of the drawing.

    Raises:
        ValueError: there are fewer words than blocks, or a number is out of its range.
    """
    if features < blocks or nodes < 2 * blocks or not (0 <= mixing <= 1 and 0 <= noise <= 1) or degree <= 0 or words < 1:
        raise ValueError(
            f"need features >= blocks, nodes >= 2 * blocks, shares in [0, 1], degree > 0 and words >= 1, got nodes={nodes}, "
            f"blocks={blocks}, degree={degree}, mixing={mixing}, features={features}, words={words}, noise={noise}"
        )
    rng = np.random.Generator(np.random.PCG64(hash_seed("sbm", seed)))
    block = rng.permutation(np.arange(nodes) % blocks)
    members = np.argsort(block, kind="stable")
    starts = np.searchsorted(block[members], np.arange(blocks + 1))
    count = round(nodes * degree / 2)
    one = rng.integers(0, nodes, count)
    within = starts[block[one]] + rng.integers(0, np.diff(starts)[block[one]])
    other = np.where(rng.random(count) < mixing, rng.integers(0, nodes, count), members[within])
    share = features // blocks
    own = block[:, None] * share + rng.integers(0, share, (nodes, words))
    said = np.where(rng.random((nodes, words)) < noise, rng.integers(0, features, (nodes, words)), own)
    table = np.zeros((nodes, features), np.float32)
    np.put_along_axis(table, said, 1.0, axis=1)
    return GraphSource(np.stack([one, other], axis=1), nodes=nodes, features=table, labels=block, name=f"sbm:{nodes}")


def barabasi_albert(nodes: int = 2_000, edges: int = 4, seed: int = 0) -> GraphSource:
    """Draw a graph that grows by preferential attachment (Barabasi & Albert 1999): new nodes prefer those with many edges.

    Args:
        nodes: how many.
        edges: of each new node; those drawn twice are merged.
        seed: of the drawing.

    Raises:
        ValueError: there are not more nodes than edges of each.
    """
    if not 1 <= edges < nodes:
        raise ValueError(f"need 1 <= edges < nodes, got edges={edges}, nodes={nodes}")
    rng = np.random.Generator(np.random.PCG64(hash_seed("barabasi-albert", seed)))
    # An end of a random earlier edge is a node with a chance in proportion to its edges (Batagelj & Brandes 2005).
    ends = np.empty(2 * edges * nodes, np.int64)
    ends[0::2] = np.repeat(np.arange(nodes), edges)
    places = rng.integers(0, 2 * np.arange(edges * nodes) + 1)
    for number, place in enumerate(places.tolist()):
        ends[2 * number + 1] = ends[place]
    return GraphSource(ends.reshape(-1, 2), nodes=nodes, name=f"barabasi_albert:{nodes}")
