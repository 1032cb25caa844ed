"""Questions about words: does this node have that word? Neither the word nor the node by itself tells."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ssl4rl_envs.kernels import graph_drafts
from ssl4rl_envs.sources.graphs import GraphSource, Nodes
from ssl4rl_envs.stream import Stream


def swapped_words(source: GraphSource, one: Nodes, other: Nodes, stream: Stream) -> tuple[Nodes, Nodes, NDArray[np.bool_]]:
    """Draw for two nodes (n, k) each a word that it has and the other lacks, (n, k) each; and for which there are such.

    Either node may be asked about either word: one answer is yes, the other no. If the nodes are drawn alike and a coin says
    which of them it is, the word and the node are the same for both answers.
    """
    indptr, words, _ = source.entries
    return graph_drafts.swapped_words((indptr, words), one, other, *stream.reserve(2))


def require_words(source: GraphSource, name: str) -> None:
    """Check that the nodes of a graph have words, features of 0 and 1.

    Raises:
        ValueError: they do not.
    """
    if not source.binary:
        raise ValueError(f"{name} asks for words, binary features, and the nodes of graph {source.name!r} have none")
