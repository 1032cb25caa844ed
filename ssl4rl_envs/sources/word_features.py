"""Words of texts as features: which of a graph's own words a node has, or which of a fixed number of buckets hold its words.

A graph network then reads what a language model is told, and nothing else. Words are found by one simple rule, and chosen by
counts alone, so that features are the same on every machine.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from ssl4rl_envs.sources.graph_texts import unmarked
from ssl4rl_envs.stream import hash_seed

WORDS = 1_024
"""Words of its own that a graph is described by, at most."""

LEAST, MOST = 3, 0.5
"""A word is chosen if at least so many nodes have it, and at most such a share."""

BUCKETS = 512
"""Buckets that words of all graphs are hashed into: features of one width and meaning."""

_ANYWHERE = """
about above after again against all along also although among an and another any are as at be because been before
being below between both but by can cannot could did do does done during each either else etc even ever every few for from
had has have having he her here hers him his how however if in into is it its itself just like made make makes many may me
might more most much must my neither no nor not of off often on once one only or other others our out over own per same
several shall she should since so some such than that the their them themselves then there these they this those though
through thus to too under until up upon us used using usually very was we were what when where whether which while who whom
whose why will with within without would you your
"""

FUNCTION_WORDS = frozenset(_ANYWHERE.split())
"""Words of English that stand in any text and tell nothing of what it is about: they are no features."""

_WORD, _ASCII_WORD = re.compile(r"[^\W_]{2,}"), re.compile("[a-z0-9]{2,}")


def words_of(text: str) -> list[str]:
    """Return the words of a text in their order: runs of two or more letters and digits, in small letters, without marks.

    "Café-au-lait, 41N" has "cafe", "au", "lait" and "41n". `FUNCTION_WORDS` are left out; endings are kept.
    """
    words = _ASCII_WORD.findall(text.lower()) if text.isascii() else _WORD.findall(unmarked(text).casefold())
    return [word for word in words if word not in FUNCTION_WORDS]


def bag_of_words(
    texts: Sequence[str], words: int = WORDS, least: int = LEAST, most: float = MOST
) -> tuple[NDArray[np.float32], tuple[str, ...]]:
    """Return which words nodes have: binary features (N, F), and the F words, in the order of the alphabet.

    Of the words that at least `least` nodes and at most a share `most` of them have, those are chosen that tell most of a
    node: whether a node has a word is the less certain the nearer the share of nodes is to a half (the entropy of the
    answer), so these are the commonest below that share. Equally common ones are chosen in the order of the alphabet.

    Args:
        texts: N, one a node.
        words: F at most.
        least: nodes.
        most: share of nodes, at most 0.5.

    Raises:
        ValueError: an argument is out of its range.
    """
    if words < 1 or least < 1 or not 0 < most <= 0.5:
        raise ValueError(
            "need words >= 1, least >= 1 and 0 < most <= 0.5 (a word that more nodes have tells less again), "
            f"got words={words}, least={least}, most={most}"
        )
    of_nodes = [sorted(set(words_of(text))) for text in texts]
    counts = Counter(word for of_node in of_nodes for word in of_node)
    fitting = [word for word, count in counts.items() if least <= count <= most * len(texts)]
    chosen = tuple(sorted(sorted(fitting, key=lambda word: (-counts[word], word))[:words]))
    column = {word: number for number, word in enumerate(chosen)}
    return _table([[column[word] for word in of_node if word in column] for of_node in of_nodes], len(chosen)), chosen


def hashed_words(texts: Sequence[str]) -> NDArray[np.float32]:
    """Return which of `BUCKETS` buckets the words of nodes are in, binary features (N, BUCKETS).

    A word is in the same bucket in every graph (Weinberger et al. 2009, "Feature hashing for large scale multitask learning",
    without signs), so that features of all graphs with words have one width and one meaning. A bucket holds many words.
    """
    return _table([[bucket_of(word) for word in set(words_of(text))] for text in texts], BUCKETS)


@lru_cache(maxsize=1 << 18)
def bucket_of(word: str) -> int:
    """Return the bucket of a word, which is the same on every machine and in every graph."""
    return hash_seed("bucket of a word", word) % BUCKETS


def _table(columns: Sequence[Sequence[int]], width: int) -> NDArray[np.float32]:
    table = np.zeros((len(columns), width), np.float32)
    rows = np.repeat(np.arange(len(columns)), [len(of_node) for of_node in columns])
    table[rows, np.array([column for of_node in columns for column in of_node], np.int64)] = 1
    return table
