"""Questions about words: does this node have that word? Half of them true, words as frequent either way."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ssl4rl_envs.sources.graphs import GraphSource, Nodes
from ssl4rl_envs.stream import Stream


def draw_words(source: GraphSource, nodes: Nodes, stream: Stream) -> tuple[Nodes, Nodes, NDArray[np.bool_]]:
    """Draw for nodes (n, k) a word that each has and one that it lacks, (n, k) each; and for which there are both.

    The one that it lacks is drawn as a word of a random other node, so that words which many nodes have are drawn as
    often on either side.
    """
    indptr, words = source.words
    counts = np.diff(indptr)
    others = stream.integers(0, source.nodes, nodes.shape[1:])
    own, foreign = (
        np.where(counts[of] > 0, words[np.minimum(indptr[of] + stream.below(counts[of]), len(words) - 1)], -1)
        for of in (nodes, others)
    )
    lacking = source.features[nodes, np.maximum(foreign, 0)] == 0
    return own, foreign, (own >= 0) & (foreign >= 0) & lacking


def require_words(source: GraphSource, name: str) -> None:
    """Check that the nodes of a graph have words, features of 0 and 1.

    Raises:
        ValueError: they do not.
    """
    if not source.binary:
        raise ValueError(f"{name} asks for words, binary features, and the nodes of graph {source.name!r} have none")
