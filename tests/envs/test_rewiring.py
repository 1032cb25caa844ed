"""Rewired graphs: the same questions about other edges, of which nothing but what was to be kept is as it was."""

from __future__ import annotations

import networkx as nx
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import ssl4rl_envs
from ssl4rl_agents.rules.graph_rules import read_off
from ssl4rl_envs import Batch, Stream, make_task
from ssl4rl_envs.graphs.base import GraphTask
from ssl4rl_envs.graphs.rewiring import KEEPS, rewired
from tests.envs.test_graph_qa import graph_of

GRAPH_IDS = [name for name in ssl4rl_envs.env_ids() if issubclass(ssl4rl_envs.task_class(name), GraphTask)]


@pytest.mark.parametrize("keep", KEEPS)
@pytest.mark.parametrize("graph_id", GRAPH_IDS)
def test_every_task_about_graphs_has_the_same_questions_about_other_edges(graph_id, keep, build):
    task, stream = build(graph_id), Stream.span("test", 3, 0, 60)
    batch = task.sample(stream)
    other = rewired(task, batch, stream.branch("rewired"), keep)
    moved = 0
    for name, values in other.observation.items():
        assert values in task.observation_space[name] or len(values) == 60
        assert values.dtype == batch.observation[name].dtype
        assert name == "edge_index" or values is batch.observation[name]
    assert other.target is batch.target
    for row in range(60):
        before, after = graph_of(batch, row), graph_of(other, row)
        assert len(after.edges) == len(before.edges), "no edge is lost, and none is drawn twice"
        assert not list(nx.selfloop_edges(after))
        one, two = (set(map(frozenset, graph.edges)) for graph in (before, after))
        moved += one != two
        if keep == "degrees":
            assert dict(after.degree) == dict(before.degree)
        else:
            assert sorted(dict(after.degree).values()) == sorted(dict(before.degree).values())
        shown = other.observation["edge_index"][row][:, other.observation["edge_mask"][row] == 1].T.tolist()
        assert {(b, a) for a, b in shown} == {(a, b) for a, b in shown}, "each edge in both directions"
    if max(len(graph_of(batch, row).edges) for row in range(60)) > 5:
        assert moved > 25
    if task.has_text and graph_id != "SSL4RL/GraphSearch-v0":
        assert [words.rpartition("Edges: ")[0] for words in task.question(other)] == [
            words.rpartition("Edges: ")[0] for words in task.question(batch)
        ]


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 2**32), keep=st.sampled_from(KEEPS))
def test_a_row_is_drawn_alike_in_any_batch(seed, keep):
    task, stream = make_task("GraphQA", source="karate"), Stream.span("test", seed, 0, 7)
    batch = task.sample(stream)
    whole = rewired(task, batch, stream, keep)
    alone = rewired(task, batch.rows(slice(4, 5)), stream.rows(np.array([4])), keep)
    assert np.array_equal(alone.observation["edge_index"][0], whole.observation["edge_index"][4])
    again = rewired(task, batch, stream.branch("again"), keep).observation["edge_index"]
    assert (again != whole.observation["edge_index"]).any(), "by another branch of the stream it is another graph"


def read(task, batch: Batch) -> float:
    """What the rule earns that reads the answer off, when it reads one graph and is judged by the question's own truth."""
    return float(task.score(read_off(task, batch.observation), batch).reward.mean())


def test_what_is_read_off_another_graph_is_right_by_chance_and_with_degrees_kept_where_these_are_asked():
    stream = Stream.span("test", 0, 0, 1_500)
    for kinds, kept in (("edge", 0.5), ("degree", 1.0), ("count", 1.0)):
        task = make_task("GraphQA", kinds=kinds)
        batch = task.sample(stream)
        assert read(task, batch) == 1
        assert read(task, rewired(task, batch, stream.branch("a"))) == pytest.approx(0.5, abs=0.07)
        assert read(task, rewired(task, batch, stream.branch("b"), "degrees")) == pytest.approx(kept, abs=0.12)


def test_what_cannot_be_rewired_is_an_error(build):
    stream = Stream.span("test", 0, 0, 4)
    pictures = build("SSL4RL/Rotation-v0")
    turned = pictures.sample(stream)
    with pytest.raises(TypeError, match="Rotation shows no edges that could be drawn anew; it shows image"):
        rewired(pictures, turned, stream)
    task = build("SSL4RL/EdgePrediction-v0")
    batch = task.sample(stream)
    with pytest.raises(ValueError, match="a row for each of 4 instances, it has 3"):
        rewired(task, batch, Stream.span("test", 0, 0, 3))
    with pytest.raises(ValueError, match="keep must be one of degrees, shape, got 'words'"):
        rewired(task, batch, stream, "words")
