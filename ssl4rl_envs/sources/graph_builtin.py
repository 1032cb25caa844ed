"""The graphs that come along, and the one way to name any graph."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any

import networkx as nx
import numpy as np
import scipy.sparse

from ssl4rl_envs.sources.graph_airlines import airlines
from ssl4rl_envs.sources.graph_files import read_graph
from ssl4rl_envs.sources.graph_models import barabasi_albert, stochastic_block_model
from ssl4rl_envs.sources.graph_networkx import from_networkx
from ssl4rl_envs.sources.graph_pyg import from_pyg
from ssl4rl_envs.sources.graph_sparse import from_sparse
from ssl4rl_envs.sources.graph_triples import kinships, nations, umls
from ssl4rl_envs.sources.graph_wordnet import read_wordnet, wordnet
from ssl4rl_envs.sources.graphs import GraphSource
from ssl4rl_envs.sources.named import SourceTable, count_of

CORA_TOPICS = (
    "Neural_Networks",
    "Rule_Learning",
    "Reinforcement_Learning",
    "Probabilistic_Methods",
    "Theory",
    "Genetic_Algorithms",
    "Case_Based",
)
"""The topics of Cora's papers, by label."""

GraphSourceLike = GraphSource | str | Path | Any
"""A source, a name, a file, a networkx graph, data of PyTorch Geometric, or a sparse adjacency matrix of scipy."""


@cache
def cora() -> GraphSource:
    """Return Cora: 2,708 papers, 1,433 words that they hold or not, 5,278 pairs that cite; labels are topics.

    McCallum et al. 2000, "Automating the construction of internet portals with machine learning"; Sen et al. 2008.
    """
    with (files("ssl4rl_envs") / "data" / "cora.npz").open("rb") as file, np.load(file) as data:
        features = np.zeros((len(data["label"]), int(data["num_features"])), np.float32)
        features[data["feature_node"], data["feature_word"]] = 1
        return GraphSource(data["cites"].T.astype(np.int64), features=features, labels=data["label"], name="cora")


@cache
def karate() -> GraphSource:
    """Return Zachary's karate club (1977): 34 members, 78 friendships."""
    return _joined(nx.karate_club_graph(), "karate")


@cache
def les_miserables() -> GraphSource:
    """Return who appears with whom in Les Miserables (Knuth 1993): 77 characters, 254 pairs."""
    return _joined(nx.les_miserables_graph(), "les_miserables")


def _joined(graph: nx.Graph, name: str) -> GraphSource:
    """Return who is joined with whom, without what nodes and edges carry."""
    bare = nx.Graph()
    bare.add_nodes_from(graph)
    bare.add_edges_from(graph.edges)
    return from_networkx(bare, name)


IN_PACKAGES: dict[str, Callable[..., GraphSource]] = {
    "airlines": airlines,
    "umls": umls,
    "kinships": kinships,
    "nations": nations,
}
"""Graphs with words whose data comes inside packages of Python."""

GRAPHS: SourceTable[GraphSource] = SourceTable(
    "graph",
    {
        "cora": cora,
        "karate": karate,
        "les_miserables": les_miserables,
        "sbm": cache(stochastic_block_model),
        "barabasi_albert": cache(barabasi_albert),
        "sbm:NODES": lambda nodes: stochastic_block_model(count_of(nodes, "sbm:NODES")),
        "barabasi_albert:NODES": lambda nodes: barabasi_albert(count_of(nodes, "barabasi_albert:NODES")),
        "file:PATH": read_graph,
        "wordnet": wordnet,
        "wordnet?OPTIONS": wordnet,
        "wordnet:PATH": read_wordnet,
        **{written: load for name, load in IN_PACKAGES.items() for written in (name, f"{name}?OPTIONS")},
    },
)
"""The graphs by name, one row each; see `named`. A row that is added here is a source like these."""


def load_graph(source: GraphSourceLike) -> GraphSource:
    """Return the graph that a source names.

    Args:
        source: a name of `GRAPHS`: "cora", "karate", "les_miserables", "sbm", "barabasi_albert" (these two also with a
            number of nodes, "sbm:10000"), "file:PATH", "wordnet", "wordnet:PATH", "airlines", "umls", "kinships", "nations"
            (these also with options, "wordnet?under=animal&features=hashed"); a `Path` (see `read_graph`), a `GraphSource`,
            a networkx graph (`from_networkx`), a `Data` or dataset of PyTorch Geometric (`from_pyg`), or a sparse adjacency
            matrix of scipy (`from_sparse`).

    Raises:
        ValueError: the name is unknown, or what it names does not make a source.
        TypeError: it is none of these.
    """
    if isinstance(source, GraphSource):
        return source
    if isinstance(source, Path):
        return read_graph(source)
    if isinstance(source, nx.Graph):
        return from_networkx(source)
    if scipy.sparse.issparse(source):
        return from_sparse(source)
    if any(hasattr(source, held) for held in ("edge_index", "adj_t", "edge_types")):
        return from_pyg(source)
    if not isinstance(source, str):
        raise TypeError(
            "a graph is a name, a Path, a GraphSource, a networkx graph, PyTorch Geometric's Data or a sparse matrix of "
            f"scipy, got {type(source).__name__}; an array of pairs (E, 2) is one as GraphSource(pairs), an adjacency matrix "
            "(N, N) as scipy.sparse.coo_array(matrix)"
        )
    return GRAPHS.load(source)
