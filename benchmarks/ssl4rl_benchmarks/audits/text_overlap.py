"""What two texts share: an attacker of graphs whose nodes have texts, which reads no further than words that are equal.

It reads all words, not only those that are features, and whether one text says what the other node is called. A language
model that reads for meaning has to beat it.
"""

from __future__ import annotations

from collections import Counter
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from ssl4rl_envs import Batch
from ssl4rl_envs.graphs.base import NUMBERS, GraphTask
from ssl4rl_envs.sources.graphs import GraphSource
from ssl4rl_envs.sources.word_features import words_of

TEXTS = "text overlap"

TITLE = ":"
"""What stands behind what a node is called, in texts that say more than that."""


def reads_texts(task: GraphTask) -> bool:
    """Return whether the attacker can be put to a task: it asks, in one decision, how nodes with texts are joined."""
    return task.source.texts is not None and task.tells and task.horizon == 1 and task.role in ("pair", "choice")


def text_overlap(task: GraphTask, batch: Batch) -> NDArray[np.float64]:
    """Return what the text of the first target shares with that of each other one, (n, 4 (K - 1)).

    How many words; how much they tell, by the logarithm of how few nodes have each (the inverse document frequency); the
    share of the shorter text; and how much of what one of them is called stands in the text of the other.
    """
    shown = batch.observation
    numbers = shown["node_id"] if "node_id" in shown else batch.memory[NUMBERS]
    nodes = np.take_along_axis(numbers, shown["target"], axis=1)
    words, titles, tells = _words(task.source)
    found = np.zeros((len(nodes), nodes.shape[1] - 1, 4))
    for row, (one, *others) in enumerate(nodes.tolist()):
        for place, other in enumerate(others):
            shared = words[one] & words[other]
            least = max(min(len(words[one]), len(words[other])), 1)
            named = max(len(titles[a] & words[b]) / max(len(titles[a]), 1) for a, b in ((one, other), (other, one)))
            found[row, place] = len(shared), sum(tells[word] for word in sorted(shared)), len(shared) / least, named
    return np.concatenate([found[:, :, kind] for kind in range(4)], axis=1)


@lru_cache(maxsize=4)
def _words(source: GraphSource) -> tuple[list[frozenset[str]], list[frozenset[str]], dict[str, float]]:
    """Return the words of each node's text, of what it is called, and how much each word tells."""
    texts = source.texts or ()
    words = [frozenset(words_of(text)) for text in texts]
    titles = [frozenset(words_of(text.partition(TITLE)[0])) for text in texts]
    counts = Counter(word for of_node in words for word in of_node)
    return words, titles, {word: float(np.log(len(words) / count)) for word, count in counts.items()}
