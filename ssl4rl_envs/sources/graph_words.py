"""What all graphs with words share: options behind their names, and how texts become features."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from ssl4rl_envs.sources.graphs import GraphSource
from ssl4rl_envs.sources.word_features import LEAST, bag_of_words, hashed_words

FEATURES = ("own", "hashed")


def options_of(words: str, known: Sequence[str], name: str) -> dict[str, str]:
    """Take apart what stands behind the question mark of a name, e.g. "features=hashed&under=animal".

    Raises:
        ValueError: an option is unknown, given twice or without a value.
    """
    given: dict[str, str] = {}
    for word in words.split("&") if words else ():
        option, _, value = word.partition("=")
        if option not in known or not value:
            raise ValueError(f"graph {name!r} has the unknown option {word!r}; known are {', '.join(f'{k}=' for k in known)}")
        if option in given:
            raise ValueError(f"graph {name!r} gives {option!r} twice")
        given[option] = value
    return given


def with_words(
    name: str,
    edges: ArrayLike,
    texts: Sequence[str],
    options: Mapping[str, str],
    least: int = LEAST,
    **facts: Any,
) -> GraphSource:
    """Return a graph whose nodes have texts, and words of these as features.

    Args:
        name: how to call it.
        edges: (E, 2).
        texts: (N,).
        options: "features" is "own" (see `bag_of_words`; the default) or "hashed" (`hashed_words`).
        least: nodes that have a word, of its own words.
        facts: labels, names, ..., as of `GraphSource`.

    Raises:
        ValueError: there is no such kind of features.
    """
    kind = options.get("features", FEATURES[0])
    if kind not in FEATURES:
        raise ValueError(f"graph {name!r}: features must be {' or '.join(FEATURES)}, got {kind!r}")
    features, vocabulary = (hashed_words(texts), None) if kind == "hashed" else bag_of_words(texts, least=least)
    pairs = np.asarray(edges, np.int64).reshape(-1, 2)
    return GraphSource(pairs, len(texts), features, name=name, texts=texts, vocabulary=vocabulary, **facts)


def folder_of(package: str) -> Path | None:
    """Return where a package is installed, without importing it; None where it is not."""
    found = find_spec(package)
    places = list(found.submodule_search_locations or ()) if found else []
    return Path(places[0]) if places else None
