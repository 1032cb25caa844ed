"""Graph tasks whose wrong answers look like right ones: what can be counted tells nothing. Each test tries a rule by hand."""

from __future__ import annotations

import networkx as nx
import numpy as np
import pytest
from hypothesis import given, reject, settings
from hypothesis import strategies as st
from scipy import stats

from ssl4rl_envs import Batch, Stream, make_task
from ssl4rl_envs.graphs.base import GraphTask
from ssl4rl_envs.graphs.matching import EdgeEnds, SharingPairs, degree_key, shared_neighbours
from ssl4rl_envs.graphs.neighbourhoods import sample_neighbourhoods
from ssl4rl_envs.graphs.words import swapped_words
from ssl4rl_envs.sources.graph_builtin import load_graph
from ssl4rl_envs.sources.graphs import GraphSource
from ssl4rl_envs.stream import SPLITS

SOURCES = ("cora", "sbm", "barabasi_albert")


def stream(count: int, split: str = "train", seed: int = 0) -> Stream:
    return Stream(split, np.full(count, seed), np.arange(count))


def ask(name: str, count: int = 2_000, split: str = "train", **arguments) -> tuple[GraphTask, Batch]:
    task = make_task(f"SSL4RL/{name}-v0", **arguments)
    return task, task.sample(stream(count, split))


def adjacency(batch: Batch) -> np.ndarray:
    shown = batch.observation
    near = np.zeros((len(batch), *2 * shown["node_mask"].shape[1:]), bool)
    row, place = np.nonzero(shown["edge_mask"])
    near[row, shown["edge_index"][row, 0, place], shown["edge_index"][row, 1, place]] = True
    return near


def counted(batch: Batch) -> tuple[np.ndarray, np.ndarray]:
    """Edges that each target is shown with, (n, K), and neighbours that it shares with the first, (n, K)."""
    near, row, target = adjacency(batch), np.arange(len(batch))[:, None], batch.observation["target"]
    around = near[row, target]
    return around.sum(axis=2), (around & around[:, :1]).sum(axis=2)


def alike(yes: np.ndarray, no: np.ndarray, p: float = 1e-4) -> bool:
    """Whether two samples of small numbers could be of one law; numbers that are rare count as one."""
    values = np.concatenate([yes, no])
    kinds, index = np.unique(values, return_inverse=True)
    rare = np.bincount(index) < 10
    index = np.where(rare[index], len(kinds), index)
    table = np.stack([np.bincount(part, minlength=len(kinds) + 1) for part in (index[: len(yes)], index[len(yes) :])])
    table = table[:, table.sum(axis=0) > 0]
    return table.shape[1] < 2 or stats.chi2_contingency(table).pvalue > p


def random_graph(seed: int, nodes: int = 40, edges: int = 160) -> GraphSource:
    rng = np.random.default_rng(seed)
    features = (rng.random((nodes, 12)) < 0.3).astype(np.float32)
    try:
        return GraphSource(rng.integers(0, nodes, (edges, 2)), nodes=nodes, features=features)
    except ValueError:  # in one of a thousand no edge falls to one of the splits
        reject()


def as_networkx(source: GraphSource) -> nx.Graph:
    graph = nx.Graph()
    graph.add_nodes_from(range(source.nodes))
    graph.add_edges_from(source.edges_of("train").tolist())
    return graph


# Edge prediction


@pytest.mark.parametrize("split", ["train", "test"])
@pytest.mark.parametrize("source", SOURCES)
def test_no_common_neighbour_is_no_sign_of_an_edge(source, split):
    _, batch = ask("EdgePrediction", 3_000, split, source=source, negatives="two_hop", features="id")
    common = counted(batch)[1][:, 1]
    assert ((common == 0) == batch.target).mean() == pytest.approx(0.5, abs=0.05)
    assert (common > 0).mean() > 0.1


@pytest.mark.parametrize("arguments", [{}, {"fanouts": (60,)}, {"source": "sbm"}, {"source": "karate", "fanouts": (20, 2)}])
@pytest.mark.parametrize("negatives", ["degree", "two_hop"])
def test_ends_of_edges_are_shown_with_as_many_edges_as_others(negatives, arguments):
    _, batch = ask("EdgePrediction", 3_000, negatives=negatives, features="id", **arguments)
    few, many = np.sort(counted(batch)[0], axis=1).T
    both = few * 1_000 + many
    assert alike(both[batch.target == 1], both[batch.target == 0])
    isolated = few == 0
    if isolated.sum() > 100:
        assert batch.target[isolated].mean() == pytest.approx(0.5, abs=2.5 / np.sqrt(isolated.sum()))


def test_isolated_ends_are_asked_about_where_no_node_is_isolated():
    """The leaves of stars lose their only edge when it is asked about; so do those that they are told apart from."""
    stars = [[hub, leaf] for hub in range(8) for leaf in range(8 + 6 * hub, 14 + 6 * hub)]
    source = GraphSource(np.array(stars))
    _, batch = ask("EdgePrediction", 1_000, source=source, negatives="degree", features="id")
    alone = counted(batch)[0].min(axis=1) == 0
    assert alone.all()
    assert batch.target.mean() == pytest.approx(0.5, abs=0.05)


@pytest.mark.parametrize("split", SPLITS)
def test_pairs_that_share_neighbours_are_matched_exactly(split):
    """Both pairs of a draft, with their hidden edges taken out of the train graph, counted anew by networkx."""
    source = load_graph("cora")
    pairs = SharingPairs(source, split, 5)
    edge, apart, partners = pairs.draw(stream(200, split))
    whole = as_networkx(source)

    def count(pair: list[int], hidden: list[tuple[int, int]]) -> tuple[list[int], int]:
        graph = whole.subgraph({*pair, *(n for node in pair for n in whole[node])}).copy()
        graph.remove_edges_from(hidden)
        keys = sorted(degree_key(np.array([graph.degree(node) for node in pair]), 5).tolist())
        return keys, len(list(nx.common_neighbors(graph, *pair)))

    for joined, other, hidden in zip(edge.tolist(), apart.tolist(), partners.tolist(), strict=True):
        told = count(joined, [tuple(joined)])
        assert told == count(other, list(zip(other, hidden, strict=True)) if split == "train" else [])
        assert told[1] > 0
        assert source.joined(*np.array(joined)[:, None]).all()
        assert not source.joined(*np.array(other)[:, None]).any()
    assert (source.pair_split(apart[:, 0], apart[:, 1]) == SPLITS.index(split)).all()


def test_a_graph_without_triangles_has_no_pairs_that_share_neighbours():
    ring = GraphSource(np.stack([np.arange(400), (np.arange(400) + 1) % 400], axis=1))
    with pytest.raises(ValueError, match="'train' split has no edge whose ends have a neighbour in common"):
        make_task("SSL4RL/EdgePrediction-v0", source=ring, negatives="two_hop")


# Neighbor choice


@pytest.mark.parametrize("split", ["train", "test"])
@pytest.mark.parametrize("arguments", [{}, {"source": "les_miserables", "fanouts": (60,)}, {"candidates": 8}])
def test_candidates_are_shown_with_equally_many_edges(arguments, split):
    """So neither the greatest nor the middle of a window of degrees is the true one."""
    task, batch = ask("NeighborChoice", 500, split, features="id", **arguments)
    degrees = np.minimum(counted(batch)[0][:, 1:], task.fanouts[0])
    assert (degrees == degrees[:, :1]).all()
    assert len(np.unique(degrees)) > 2


# Words


@pytest.mark.parametrize("split", ["train", "test"])
@pytest.mark.parametrize(("name", "arguments"), [("NodeAttribute", {"attribute": "word"}), ("MaskedFeatures", {"masked": 2})])
def test_a_word_alone_is_no_sign_that_a_node_has_it(name, arguments, split):
    """Nor is how many words a node has, or edges; there are words that most nodes have and words of few."""
    rng = np.random.default_rng(0)
    often = np.linspace(0.05, 0.9, 16) * rng.uniform(0.3, 1, (400, 1))
    source = GraphSource(rng.integers(0, 400, (1_600, 2)), nodes=400, features=rng.random((400, 16)) < often)
    _, batch = ask(name, 4_000, split, source=source, **arguments)
    answers, words = batch.target.ravel(), batch.observation["query"].ravel()
    assert alike(words[answers == 1], words[answers == 0])
    assert len(np.unique(words)) > 10
    edges = counted(batch)[0].ravel()
    assert alike(edges[answers == 1], edges[answers == 0])
    if name == "NodeAttribute":
        said = source.features.sum(axis=1)[batch.items]
        assert alike(said[answers == 1], said[answers == 0])


# Any graph


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 10_000), split=st.sampled_from(SPLITS))
def test_what_is_drawn_beside_an_edge_is_left_with_as_many(seed, split):
    source = random_graph(seed)
    ends = EdgeEnds(source, 3)
    edges = source.edges_of(split)
    edge = edges[stream(50, split).integers(0, len(edges))]
    keys = degree_key(source.degrees[edge[:, 0]] - (split == "train"), 3)
    away, end = ends.draw(keys, 4, stream(50, split, seed))
    assert source.joined(away, end).all()
    left = source.degrees[end] - (source.position(end, away) >= 0)
    assert (degree_key(left, 3) == keys[:, None]).all()


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 10_000))
def test_shared_neighbours_are_those_of_networkx(seed):
    source = random_graph(seed)
    one, other = stream(30).integers(0, 40), stream(30, seed=seed).integers(0, 40)
    rows, middles = shared_neighbours(source, one, other)
    graph = as_networkx(source)
    for row, (a, b) in enumerate(zip(one.tolist(), other.tolist(), strict=True)):
        assert set(middles[rows == row].tolist()) == (set(graph[a]) & set(graph[b]))


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 10_000), fanout=st.integers(1, 12))
def test_edges_that_are_hidden_are_as_if_they_were_not_there(seed, fanout):
    """Targets are shown with all their other edges, as far as the fanout reaches, and with no more."""
    source = random_graph(seed)
    edges = source.edges_of("train")
    draws = stream(20, seed=seed)
    hidden = edges[draws.integers(0, len(edges), (3,))]
    targets = np.stack([hidden[:, 0, 0], hidden[:, 0, 1]], axis=1)
    hood = sample_neighbourhoods(source, targets, (fanout, 2), draws, hidden)
    graph = as_networkx(source)
    for row in range(20):
        left = graph.copy()
        left.remove_edges_from(hidden[row].tolist())
        shown = nx.Graph(hood.nodes[row][hood.edge_index[row][:, hood.edge_mask[row]]].T.tolist())
        assert all(left.has_edge(*edge) for edge in shown.edges)
        for node in targets[row].tolist():
            degree = shown.degree(node) if node in shown else 0
            assert degree == min(left.degree(node), fanout)


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 10_000))
def test_words_are_had_by_one_node_and_lacked_by_the_other(seed):
    source = random_graph(seed)
    nodes = stream(60, seed=seed).integers(0, 40, (2, 3))
    of_one, of_other, good = swapped_words(source, nodes[:, 0], nodes[:, 1], stream(60))
    has = source.features > 0
    for node, other, word in ((nodes[:, 0], nodes[:, 1], of_one), (nodes[:, 1], nodes[:, 0], of_other)):
        assert has[node, word][good].all()
        assert not has[other, word][good].any()
    assert good.mean() > 0.5


def test_what_is_equal_at_a_level_is_not_excused_there():
    excused = {
        negatives: {name for name in ("degree", "common neighbours", "longer ways") if task.reason_for(name)}
        for negatives in ("uniform", "degree", "two_hop")
        for task in [make_task("SSL4RL/EdgePrediction-v0", source="sbm", negatives=negatives)]
    }
    assert excused["uniform"] - excused["degree"] == {"degree"}
    assert excused["degree"] - excused["two_hop"] == {"common neighbours"}
