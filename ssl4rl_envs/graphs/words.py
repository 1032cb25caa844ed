"""Questions about words: does this node have that word? Neither the word nor the node by itself tells."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ssl4rl_envs.sources.graphs import GraphSource, Nodes
from ssl4rl_envs.stream import Stream

TRIES = 4
"""Words of both nodes that are drawn at a time until neither has the other's."""


def swapped_words(source: GraphSource, one: Nodes, other: Nodes, stream: Stream) -> tuple[Nodes, Nodes, NDArray[np.bool_]]:
    """Draw for two nodes (n, k) each a word that it has and the other lacks, (n, k) each; and for which there are such.

    Either node may be asked about either word: one answer is yes, the other no. If the nodes are drawn alike and a coin says
    which of them it is, the word and the node are the same for both answers.
    """
    indptr, words, _ = source.entries
    counts = np.diff(indptr)
    drawn = [
        np.where(counts[of] > 0, words[np.minimum(indptr[of] + stream.below(counts[of]), len(words) - 1)].astype(np.int64), -1)
        for of in (np.repeat(nodes[:, :, None], TRIES, axis=2) for nodes in (one, other))
    ]
    good = (drawn[0] >= 0) & (drawn[1] >= 0)
    good &= source.features[other[:, :, None], np.maximum(drawn[0], 0)] == 0
    good &= source.features[one[:, :, None], np.maximum(drawn[1], 0)] == 0
    first = good.argmax(axis=2)[:, :, None]
    of_one, of_other = (np.take_along_axis(found, first, axis=2)[:, :, 0] for found in drawn)
    return of_one, of_other, np.asarray(good.any(axis=2), np.bool_)


def require_words(source: GraphSource, name: str) -> None:
    """Check that the nodes of a graph have words, features of 0 and 1.

    Raises:
        ValueError: they do not.
    """
    if not source.binary:
        raise ValueError(f"{name} asks for words, binary features, and the nodes of graph {source.name!r} have none")
