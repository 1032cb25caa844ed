"""Graph tasks: what is shown is true, what is asked about is not shown, and what was drawn can be drawn again."""

from __future__ import annotations

import gymnasium as gym
import networkx as nx
import numpy as np
import pytest
from gymnasium import spaces
from scipy import stats

import ssl4rl_envs
from ssl4rl_envs import Batch, Stream, make_task
from ssl4rl_envs.graphs.base import GraphTask
from ssl4rl_envs.graphs.neighbourhoods import sample_neighbourhoods, size_of
from ssl4rl_envs.graphs.observation import GraphObservation
from ssl4rl_envs.kernels.reference.neighbourhoods import distinct
from ssl4rl_envs.sources.graph_builtin import load_graph
from ssl4rl_envs.sources.graphs import GraphSource
from ssl4rl_envs.stream import SPLITS

GRAPH_IDS = [name for name in ssl4rl_envs.env_ids() if issubclass(ssl4rl_envs.task_class(name), GraphTask)]
PAIRS = {
    "uniform": {},
    "degree": {"negatives": "degree"},
    "two_hop": {"negatives": "two_hop"},
    "karate": {"source": "karate"},
    "by number": {"features": "id", "source": "sbm"},
}


def drawn(task: GraphTask, split: str = "train", count: int = 300, seed: int = 0) -> Batch:
    return task.sample(Stream(split, np.full(count, seed), np.arange(count)))


def global_edges(task: GraphTask, batch: Batch, row: int, source: GraphSource) -> set[tuple[int, int]]:
    """The edges that are shown, in numbers of the source; only for tasks that show numbers."""
    nodes = batch.observation["node_id"][row]
    shown = batch.observation["edge_index"][row][:, batch.observation["edge_mask"][row] == 1]
    return {(int(nodes[a]), int(nodes[b])) for a, b in shown.T}


def by_number(**arguments):
    return make_task("SSL4RL/EdgePrediction-v0", **{"features": "id", **arguments})


# Neighbourhoods


@pytest.mark.parametrize("split", SPLITS)
@pytest.mark.parametrize("arguments", PAIRS.values(), ids=PAIRS)
def test_only_train_edges_are_shown_and_never_the_one_that_is_asked_about(split, arguments):
    task = by_number(**arguments)
    source = task.source
    train = {tuple(pair) for pair in source.edges_of("train").tolist()}
    batch = drawn(task, split)
    for row in range(len(batch)):
        shown = global_edges(task, batch, row, source)
        assert {(b, a) for a, b in shown} == shown, "each edge in both directions"
        assert {(min(pair), max(pair)) for pair in shown} <= train
        asked = set(batch.observation["node_id"][row][batch.observation["target"][row]].tolist())
        assert not any(set(pair) == asked for pair in shown)


@pytest.mark.parametrize("arguments", PAIRS.values(), ids=PAIRS)
def test_pairs_are_joined_in_the_split_or_in_none_and_belong_to_one_split(arguments):
    task = by_number(**arguments)
    source, asked = task.source, {}
    for split in SPLITS:
        batch = drawn(task, split, 600)
        pair = np.take_along_axis(batch.observation["node_id"], batch.observation["target"], axis=1)
        assert np.array_equal(source.joined(pair[:, 0], pair[:, 1]), batch.target == 1)
        assert (source.pair_split(pair[:, 0], pair[:, 1]) == SPLITS.index(split)).all()
        asked[split] = {tuple(sorted(row)) for row in pair.tolist()}
    assert not asked["train"] & asked["test"]
    assert not asked["train"] & asked["validation"]


def test_negatives_are_drawn_as_their_name_says():
    source = load_graph("cora")
    ends = {}
    for negatives in ("uniform", "degree", "two_hop"):
        batch = drawn(by_number(negatives=negatives), count=2_000)
        apart = np.take_along_axis(batch.observation["node_id"], batch.observation["target"], axis=1)[batch.target == 0]
        ends[negatives] = source.degrees[apart].mean()
        if negatives == "two_hop":
            for one, other in apart[:200].tolist():
                neighbours = [set(source.indices[source.indptr[n] : source.indptr[n + 1]].tolist()) for n in (one, other)]
                assert neighbours[0] & neighbours[1]
    joined = source.edges_of("train")
    assert ends["uniform"] == pytest.approx(source.degrees.mean(), rel=0.1)
    assert ends["degree"] == pytest.approx(source.degrees[joined].mean(), rel=0.15)


def test_an_edge_that_is_hidden_leaves_no_gap():
    """A node of which one edge is hidden is shown with as many neighbours as one that never had it."""
    star = [[0, leaf] for leaf in range(1, 60)] + [[leaf, leaf + 60] for leaf in range(1, 60)]
    source = GraphSource(np.array(star))
    shown = source.indices[source.indptr[0] : source.indptr[1]]
    count = 4_000
    pair = np.stack([np.zeros(count, int), np.full(count, shown[0])], axis=1)
    hood = sample_neighbourhoods(source, pair, (5,), Stream("train", np.zeros(count, int), np.arange(count)), hidden=pair)
    row = np.arange(count)[:, None]
    one, other = (hood.nodes[row, hood.edge_index[:, end]] for end in (0, 1))
    from_centre = hood.edge_mask & (one == 0)
    assert (from_centre.sum(axis=1) == 5).all()
    seen = np.bincount(other[from_centre], minlength=source.nodes)[shown]
    assert seen[0] == 0
    assert stats.chisquare(seen[1:]).pvalue > 1e-4, "all others are equally likely"


def test_places_are_distinct_and_uniform():
    stream = Stream("train", np.zeros(6_000, int), np.arange(6_000))
    found = distinct(np.full((6_000, 1), 6), 3, *stream.reserve(3))[:, 0]
    assert (np.diff(np.sort(found, axis=1), axis=1) > 0).all()
    sets = np.unique(np.sort(found, axis=1), axis=0, return_counts=True)[1]
    assert len(sets) == 20
    assert stats.chisquare(sets).pvalue > 1e-4
    few = distinct(np.array([[2], [0]]), 3, *Stream("train", [0, 0], [0, 1]).reserve(3))
    assert few[0, 0].tolist() == [0, 1, 2]


def test_a_node_that_is_met_twice_is_shown_once():
    source = load_graph("les_miserables")
    pair = source.edges_of("train")[:50]
    hood = sample_neighbourhoods(source, pair, (10, 5), Stream("train", np.zeros(50, int), np.arange(50)))
    nodes, edges = size_of(2, (10, 5))
    assert hood.nodes.shape == (50, nodes)
    assert hood.edge_index.shape == (50, 2, edges)
    for row in range(50):
        there = hood.nodes[row][hood.nodes[row] >= 0]
        assert len(np.unique(there)) == len(there)
        assert (hood.nodes[row][: len(there)] >= 0).all(), "those that exist stand first"
        kept = hood.edge_index[row][:, hood.edge_mask[row]]
        assert len(np.unique(kept, axis=1).T) == kept.shape[1]
        assert np.array_equal(hood.nodes[row][hood.targets[row]], pair[row])


def test_where_a_node_stands_tells_nothing():
    """Local numbers are random: the targets stand anywhere among the nodes that there are."""
    batch = drawn(by_number(), count=4_000)
    place = batch.observation["target"][:, 0] / np.maximum(batch.observation["node_mask"].sum(axis=1) - 1, 1)
    assert place.mean() == pytest.approx(0.5, abs=0.03)
    assert abs(np.corrcoef(place, batch.target)[0, 1]) < 4 / np.sqrt(4_000)


# Choices


@pytest.mark.parametrize("split", SPLITS)
def test_one_candidate_is_a_neighbour_and_the_others_are_none(split):
    task = make_task("SSL4RL/NeighborChoice-v0", features="id")
    source, batch = task.source, drawn(task, split, 600)
    asked = np.take_along_axis(batch.observation["node_id"], batch.observation["target"], axis=1)
    joined = source.joined(asked[:, :1], asked[:, 1:])
    assert np.array_equal(joined, np.arange(4) == batch.target[:, None])
    assert all(len(set(row)) == 5 for row in asked.tolist())
    true, node = asked[np.arange(len(batch)), 1 + batch.target], asked[:, 0]
    for row in range(100):
        assert not {(node[row], true[row]), (true[row], node[row])} & global_edges(task, batch, row, source)


# Hidden features


@pytest.mark.parametrize("name", ["SSL4RL/NodeAttribute-v0", "SSL4RL/WordOfNode-v0", "SSL4RL/MaskedFeatures-v0"])
def test_what_is_asked_about_is_hidden_by_the_mask(name, build):
    task = build(name)
    shown = drawn(task).observation
    targets = np.take_along_axis(shown["x_mask"], shown["target"], axis=1)
    assert not targets.any()
    assert not shown["x"][shown["x_mask"] == 0].any()
    assert (shown["x_mask"] <= shown["node_mask"]).all()
    assert shown["x_mask"].sum() > 0


def test_nodes_with_the_features_of_a_hidden_one_are_hidden_too():
    rng = np.random.default_rng(0)
    base = (rng.random((80, 12)) < 0.4).astype(np.float32)
    base[:, 0] = 1
    features = np.repeat(base, 3, axis=0)  # every node has two twins
    source = GraphSource(rng.integers(0, 240, (2_000, 2)), nodes=240, features=features)
    task = make_task("SSL4RL/NodeAttribute-v0", source=source, groups=2, fanouts=(10, 5))
    batch = drawn(task)
    shown = batch.observation
    assert ((shown["node_mask"] - shown["x_mask"]).sum(axis=1) > 1).any(), "there were twins"
    for row in range(len(batch)):
        seen = shown["x"][row][shown["x_mask"][row] == 1]
        assert not (seen == features[batch.items[row]]).all(axis=1).any()


def test_features_by_number_are_refused_where_the_answer_follows_from_them():
    for arguments in ({}, {"attribute": "word"}, {"attribute": "vector"}, {"attribute": "degree", "source": "karate"}):
        with pytest.raises(ValueError, match="use features='inline'"):
            make_task("SSL4RL/NodeAttribute-v0", features="id", **arguments)
    make_task("SSL4RL/NodeAttribute-v0", features="id", attribute="degree")


@pytest.mark.parametrize("split", SPLITS)
def test_answers_are_those_of_the_source(split, build):
    source = load_graph("cora")
    batch = drawn(build("SSL4RL/NodeAttribute-v0"), split)
    assert np.array_equal(batch.target, source.clusters(5)[batch.items])
    assert set(batch.items.tolist()) <= set(source.nodes_of(split).tolist())
    batch = drawn(build("SSL4RL/WordOfNode-v0"), split)
    assert np.array_equal(batch.target, source.features[batch.items, batch.observation["query"][:, 0]])
    batch = drawn(build("SSL4RL/DegreeOfNode-v0"), split)
    assert np.array_equal(batch.target, np.digitize(load_graph("barabasi_albert").degrees, (2, 4, 8))[batch.items])


def test_frequent_words_are_asked_about_as_often_where_they_are_absent(build):
    source = load_graph("cora")
    frequency = source.features.mean(axis=0)
    batch = drawn(build("SSL4RL/WordOfNode-v0"), count=4_000)
    asked = frequency[batch.observation["query"][:, 0]]
    assert asked[batch.target == 1].mean() == pytest.approx(asked[batch.target == 0].mean(), rel=0.2)


def test_masked_nodes_belong_to_the_split_and_are_scored_by_share(build):
    task = build("SSL4RL/MaskedFeatures-v0")
    source = task.source
    for split in SPLITS:
        batch = drawn(task, split, 100)
        rows = {features.tobytes(): number for number, features in enumerate(source.features)}
        assert len(rows) > 2_600
        assert (source.node_split[batch.items] == SPLITS.index(split)).all()
    answers = batch.target.copy()
    answers[0] = 1 - answers[0]
    answers[1, 0] = 1 - answers[1, 0]
    score = task.score(answers, batch)
    assert score.reward[:3].tolist() == pytest.approx([0, 2 / 3, 1])
    assert score.success[:3].tolist() == [False, False, True]


def test_a_vector_is_scored_by_its_mean_error(build):
    task = build("SSL4RL/PlaceOfNode-v0")
    batch = drawn(task, count=3)
    answers = batch.target.copy()
    answers[1] = np.clip(answers[1] + np.where(answers[1] > 0, -0.5, 0.5), -1, 1)
    score = task.score(answers, batch)
    assert score.reward.tolist() == pytest.approx([1, 0.75, 1], abs=1e-6)
    assert score.success.tolist() == [True, False, True]


# Distances


@pytest.mark.parametrize("source", ["cora", "karate", "sbm"])
def test_distances_are_those_of_what_is_shown(source):
    task = make_task("SSL4RL/GraphDistance-v0", source=source)
    batch = drawn(task, "test")
    for row in range(len(batch)):
        shown = {name: values[row] for name, values in batch.observation.items()}
        graph = nx.Graph()
        graph.add_nodes_from(range(int(shown["node_mask"].sum())))
        graph.add_edges_from(shown["edge_index"][:, shown["edge_mask"] == 1].T.tolist())
        one, other = shown["target"].tolist()
        hops = nx.shortest_path_length(graph, one, other)
        assert batch.target[row] == min(hops, 4) - 1


# Words, spaces, errors


@pytest.mark.parametrize("name", GRAPH_IDS)
def test_words_tell_what_arrays_show(name, build):
    task = build(name)
    batch = drawn(task, count=5)
    for row in range(5):
        text = task.describe(batch, row)
        shown = {name: values[row] for name, values in batch.observation.items()}
        listed = text.split("Edges: ")[1].split(".")[0].split(", ")
        edges = {tuple(map(int, edge.split("-"))) for edge in listed if edge != "none"}
        arrays = shown["edge_index"][:, shown["edge_mask"] == 1].T
        assert edges == {(int(a), int(b)) for a, b in arrays if a < b}
        if task.source.described and name != "SSL4RL/GraphQA-v0":  # which asks nothing of words
            told = {int(part.split(":")[0]) for part in text.split("node ")[1:]}
            assert told == set(np.flatnonzero(shown["x_mask"]).tolist())


@pytest.mark.parametrize(
    ("name", "arguments", "message"),
    [
        ("EdgePrediction", {"negatives": "hard"}, "uniform, degree, two_hop"),
        ("EdgePrediction", {"fanouts": ()}, "fanouts must be at least 1"),
        ("EdgePrediction", {"features": "none"}, "inline, id"),
        ("NeighborChoice", {"candidates": 1}, "2 to 26"),
        ("GraphDistance", {"fanouts": (3, 2)}, "reach 4 hops"),
        ("NodeAttribute", {"attribute": "label"}, "cluster, word, degree, vector"),
        ("NodeAttribute", {"groups": 1}, "groups must be 2 to 26"),
        ("NodeAttribute", {"attribute": "word", "source": "karate"}, "nodes of graph 'karate' have none"),
        ("NodeAttribute", {"attribute": "degree", "source": "karate"}, "use a larger graph"),
        ("MaskedFeatures", {"source": "karate"}, "nodes of graph 'karate' have none"),
        ("MaskedFeatures", {"masked": 0}, "at least 1"),
        ("MaskedFeatures", {"masked": 99}, "cannot be masked"),
    ],
)
def test_wrong_arguments_say_what_would_be_right(name, arguments, message):
    with pytest.raises(ValueError, match=message):
        make_task(f"SSL4RL/{name}-v0", **arguments)


@pytest.mark.parametrize("name", GRAPH_IDS)
def test_graph_spaces_on_request(name):
    env = GraphObservation(gym.make(name))
    plain = gym.make(name)
    observation, _ = env.reset(seed=0)
    arrays, _ = plain.reset(seed=0)
    assert observation in env.observation_space
    assert isinstance(env.observation_space["graph"], spaces.Graph)
    graph = observation["graph"]
    count = int(arrays["node_mask"].sum())
    assert len(graph.nodes) == count
    kept = arrays["edge_index"][:, arrays["edge_mask"] == 1].T
    assert np.array_equal(graph.edge_links, kept)
    assert np.array_equal(observation["target"], arrays["target"])
    if "x" in arrays:
        assert np.array_equal(graph.nodes[:, :-1], arrays["x"][:count])
    assert np.array_equal(graph.nodes[:, -1], arrays["x_mask"][:count])


def test_graph_spaces_are_for_graphs():
    with pytest.raises(ValueError, match="shows no graph"):
        GraphObservation(gym.make("SSL4RL/Rotation-v0"))


@pytest.mark.parametrize("name", GRAPH_IDS)
def test_compact_questions_are_the_same_and_name_no_node_whose_features_are_hidden(name):
    task = make_task(name)
    stream = Stream.span("test", 3, 0, 40)
    compact, whole = task.compact(stream), task.sample(stream)
    assert "x" not in compact.observation
    hidden = compact.observation["x_mask"] == 0
    assert (compact.observation["node_id"][hidden] == -1).all()
    assert not (compact.observation["node_id"][~hidden] == -1).any()
    for again in (task.complete(compact), task.complete(whole), task.complete(compact.rows(slice(None)))):
        assert list(again.observation) == list(whole.observation)
        assert all(np.array_equal(again.observation[key], values) for key, values in whole.observation.items())
    assert np.array_equal(compact.target, whole.target)
    if task.answer_format is not None:
        assert task.prompts(compact, "direct") == task.prompts(whole, "direct")
    assert np.array_equal(task.pictures(compact, 0)["neighbourhood"], task.pictures(whole, 0)["neighbourhood"])


def test_what_an_agent_writes_into_its_observation_changes_no_later_one():
    env, fresh = gym.make("SSL4RL/EdgePrediction-v0"), gym.make("SSL4RL/EdgePrediction-v0")
    seen, _ = env.reset(seed=0)
    seen["x"][:] = 9
    right, _ = fresh.reset(seed=0)
    after = env.step(0)[0]
    assert np.array_equal(after["x"], right["x"])
    after["x"][:] = 9
    assert np.array_equal(env.unwrapped.batch.observation["x"][0], right["x"])
    assert np.array_equal(env.reset()[0]["x"], fresh.reset()[0]["x"])
