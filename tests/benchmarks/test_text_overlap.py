"""The attacker that reads which words two texts share: what it sees, where it is tried, and that its gain is declared."""

from __future__ import annotations

import numpy as np

from ssl4rl_benchmarks.audits import tables
from ssl4rl_benchmarks.audits.graph_features import graph_solvers_of
from ssl4rl_benchmarks.audits.shortcuts import measure
from ssl4rl_benchmarks.audits.text_overlap import TEXTS, text_overlap
from ssl4rl_envs import Batch, Stream, make_task
from ssl4rl_envs.sources.graphs import GraphSource

NODES = 400


def source(texts):
    ring = np.stack([np.arange(NODES), (np.arange(NODES) + 1) % NODES], axis=1)
    return GraphSource(ring, NODES, texts=texts)


def test_what_two_texts_share_is_counted():
    texts = ["red dog: a tame wolf", "puppy: a young red dog", "pigeon: a grey bird", "wolf: a wild beast"]
    graph = source([*texts, *["nothing"] * (NODES - 4)])
    task = make_task("SSL4RL/NeighborChoice-v0", source=graph, features="id", candidates=3)
    shown = {"node_id": np.array([[2, 0, 3, 1]]), "target": np.array([[1, 3, 0, 2]])}
    found = text_overlap(task, Batch(shown, np.zeros(1), np.zeros(1, np.int64))).reshape(4, 3)
    assert found[0].tolist() == [2, 0, 1], "red dog shares red and dog with puppy, nothing with pigeon, wolf with wolf"
    assert np.allclose(found[1], [2 * np.log(NODES / 2), 0, np.log(NODES / 2)])
    assert np.allclose(found[2], [2 / 4, 0, 1 / 3])
    assert found[3].tolist() == [1, 0, 1], "what one is called stands in the text of the other"


def test_it_is_tried_where_texts_are_told_and_earns_what_they_tell():
    """Every node names the next one; then the words tell all edges, and that is declared."""
    graph = source([f"name{node}: before name{(node + 1) % NODES}" for node in range(NODES)])
    task = make_task("SSL4RL/EdgePrediction-v0", source=graph)
    assert TEXTS in graph_solvers_of(task)
    lessons, questions = (task.sample(Stream.span(split, 0, 0, 200)) for split in ("train", "test"))
    assert measure(TEXTS, task, lessons, questions).mean() > 0.99
    assert "baseline to beat" in task.reason_for(TEXTS)
    for name, where in (("EdgePrediction", "cora"), ("GraphQA", graph), ("GraphWalk", "cora")):
        assert TEXTS not in graph_solvers_of(make_task(f"SSL4RL/{name}-v0", source=where))
    assert make_task("SSL4RL/EdgePrediction-v0").reason_for(TEXTS) is None


def test_tables_have_its_column_only_where_it_was_tried():
    entry = {"reward": 0.5, "beats_chance": False}
    row = {"policies": {}, "shortcuts": {"numbering": entry}}
    assert TEXTS not in tables._kinds([row])[0][0]
    assert TEXTS in tables._kinds([row, {"policies": {}, "shortcuts": {"numbering": entry, TEXTS: entry}}])[0][0]
