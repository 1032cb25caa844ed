"""The learned attacker of graph tasks: it counts rightly, finds what tells, and earns chance where nothing does."""

from __future__ import annotations

import networkx as nx
import numpy as np
import pytest

from ssl4rl_benchmarks.audits.graph_features import describe_graphs
from ssl4rl_benchmarks.audits.structure import (
    COMMON,
    COUNTS,
    DEGREE,
    WAYS,
    WORD,
    among_others,
    groups_of,
    measure_structure,
    structure,
    table,
)
from ssl4rl_envs import Stream, make_task

EDGES, CHOICE = "SSL4RL/EdgePrediction-v0", "SSL4RL/NeighborChoice-v0"


def drawn(task, count: int = 20):
    return task.sample(Stream("train", np.zeros(count, int), np.arange(count)))


def graph_of(batch, row: int) -> nx.Graph:
    shown = {name: values[row] for name, values in batch.observation.items()}
    graph = nx.Graph()
    graph.add_nodes_from(range(int(shown["node_mask"].sum())))
    graph.add_edges_from(shown["edge_index"][:, shown["edge_mask"] == 1].T.tolist())
    return graph


@pytest.mark.parametrize("fanouts", [(5, 3), (12,)])
def test_what_is_counted_is_what_networkx_counts(fanouts):
    task = make_task(EDGES, source="les_miserables", features="id", fanouts=fanouts)
    batch = drawn(task)
    counted = structure(task, batch)
    for row in range(len(batch)):
        graph = graph_of(batch, row)
        one, other = batch.observation["target"][row].tolist()
        few, many = sorted([graph.degree(one), graph.degree(other)])
        assert counted[DEGREE][row, 0].tolist() == [few, many, many - few]
        assert counted[COUNTS][row, 0, :2].tolist() == [len(graph), 2 * graph.number_of_edges()]
        assert counted[COMMON][row, 0, 0] == len(list(nx.common_neighbors(graph, one, other)))
        near = nx.to_numpy_array(graph, nodelist=range(len(graph)))
        ways = [np.linalg.matrix_power(near, length)[one, other] for length in (3, 4)]
        assert counted[WAYS][row, 0].tolist() == ways


def test_candidates_are_compared_with_each_other():
    figures = np.array([[[3.0], [1.0], [2.0], [2.0]]])
    found = among_others(figures)[0]
    assert found[:, 1].tolist() == [1, -1, 0, 0], "off the mean"
    assert found[:, 2].tolist() == [3, 0, 1.5, 1.5], "ranks, ties in the middle of theirs"
    assert found[:, 3].tolist() == [1.5, 1.5, 0, 0], "off the middle"


def test_it_finds_what_tells_and_nothing_where_ends_are_matched():
    earned = {
        level: measure_structure(make_task(EDGES, source="cora", level=level, features="id"), "train", 1_200)
        for level in ("uniform", "degree", "two_hop")
    }
    assert earned["uniform"][DEGREE][1] > 0.55
    for level, groups in {"degree": [DEGREE], "two_hop": [DEGREE, COMMON]}.items():
        for group in groups:
            low, high = earned[level][group][1:]
            assert low - 0.02 < 0.5 < high + 0.02
    assert earned["degree"][COMMON][1] > 0.55


def test_equal_candidates_earn_chance_exactly():
    earned = measure_structure(make_task(CHOICE, source="sbm", features="id"), "test", 400)
    assert earned[DEGREE][0] == pytest.approx(0.25)


def test_it_sees_the_word_where_one_is_asked_about():
    task = make_task("SSL4RL/MaskedFeatures-v0", source="sbm", masked=2)
    batch = drawn(task)
    words = structure(task, batch)[WORD]
    assert np.array_equal(words[:, :, 0], batch.observation["query"])
    assert np.array_equal(words[:, :, 1], task.source.features.sum(axis=0)[batch.observation["query"]])
    assert groups_of(make_task("SSL4RL/Rotation-v0")) == ()


def test_a_graph_that_a_level_refuses_is_told_with_the_reason():
    lines = list(table(EDGES, ["les_miserables"], ["test"], None, 60))
    assert [line["level"] for line in lines if "refused" in line] == ["two_hop"]
    assert "neighbour in common" in lines[-1]["refused"]


@pytest.mark.parametrize("name", ["EdgePrediction", "NeighborChoice", "MaskedFeatures", "GraphWalk", "GraphSearch"])
def test_compact_questions_are_counted_as_whole_ones(name):
    """Hidden features and nodes that are not there count for nothing in either."""
    task = make_task(name)
    stream = Stream.span("train", 0, 0, 12)
    whole, compact = task.sample(stream), task.compact(stream)
    assert "x" in whole.observation
    assert "x" not in compact.observation
    for group, counted in structure(task, whole).items():
        assert np.array_equal(counted, structure(task, compact)[group]), group
    if task.role != "node":
        assert np.array_equal(*(describe_graphs("feature overlap", task, batch) for batch in (whole, compact)))
