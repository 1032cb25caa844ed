"""Small knowledge graphs from the package pykeen: who is joined with whom by any relation."""

from __future__ import annotations

from functools import cache, partial
from pathlib import Path

from ssl4rl_envs.arguments import did_you_mean
from ssl4rl_envs.sources.graph_words import folder_of, options_of, with_words
from ssl4rl_envs.sources.graphs import GraphSource

PACKAGE = "pykeen"
FILES = ("train.txt", "valid.txt", "test.txt")

OPTIONS = ("features", "relation")

LEAST = 1
"""Nodes that have a word: as entities are called by few words, most by one of their own, all words are features."""

Triple = tuple[str, str, str]


@cache
def triples(name: str, options: str = "") -> GraphSource:
    """Return a knowledge graph that comes inside pykeen (MIT), whose files are read without importing it.

    Its three parts are put together, and ours are split anew. Relations and their directions are dropped: two entities are
    joined where any relation holds between them. A text is what an entity is called, underscores read as blanks; there are no
    labels.

    Args:
        name: "umls", "kinships" or "nations", the folder in pykeen.
        options: "features=hashed" (see `with_words`), and "relation=NAME" or "relation=ONE+OTHER", which keeps these
            relations and all entities; joined by "&".

    Raises:
        ImportError: pykeen is not installed, or lacks the files.
        ValueError: an option or a relation is unknown, or a line is no triple.
    """
    written = f"{name}{'?' if options else ''}{options}"
    given = options_of(options, OPTIONS, written)
    package = folder_of(PACKAGE)
    folder = package and package / "datasets" / name
    if folder is None or not all((folder / file).is_file() for file in FILES):
        raise ImportError(
            f"graph {name!r} reads files of the package pykeen{'' if folder is None else f', which are not in {folder}'}: "
            "pip install --no-deps pykeen (nothing else of it is needed)"
        )
    found = [triple for file in FILES for triple in _read(folder / file)]
    entities = sorted({end for one, _, other in found for end in (one, other)})
    number = {entity: node for node, entity in enumerate(entities)}
    kept = _related(found, given["relation"], written) if "relation" in given else found
    edges = [(number[one], number[other]) for one, _, other in kept]
    return with_words(written, edges, [entity.replace("_", " ") for entity in entities], given, LEAST, names=entities)


umls, kinships, nations = (partial(triples, name) for name in ("umls", "kinships", "nations"))
"""Biomedical concepts (McCray 2003), relatives of an Australian people (Denham 1973), and states (Rummel 1976)."""


def _read(file: Path) -> list[Triple]:
    found = []
    for count, line in enumerate(file.read_text(encoding="utf-8").splitlines(), 1):
        fields = line.split("\t")
        if len(fields) != 3:
            raise ValueError(f"{file}, line {count}: must be three names between tabs, got {line[:60]!r}")
        found.append((fields[0], fields[1], fields[2]))
    return found


def _related(found: list[Triple], names: str, written: str) -> list[Triple]:
    """Return the triples of some relations."""
    known = sorted({relation for _, relation, _ in found})
    wanted = names.split("+")
    for name in wanted:
        if name not in known:
            nearest = did_you_mean(name, known) or ";"
            raise ValueError(f"graph {written!r}: unknown relation {name!r}{nearest} known are {', '.join(known)}")
    return [triple for triple in found if triple[1] in wanted]
