"""The probes of graph networks, and the sampler's benchmark, in small."""

from __future__ import annotations

import random

import networkx as nx
import numpy as np
import pytest
import torch

from ssl4rl_agents.policies.gnn import GNNPolicy, feature_table, sizes_of
from ssl4rl_benchmarks.bench import nodes
from ssl4rl_benchmarks.figures import graph_throughput, transfer
from ssl4rl_envs import Stream, make_task
from ssl4rl_envs.sources.graph_builtin import karate, load_graph


def policy_of(task, kind="sage") -> GNNPolicy:
    torch.manual_seed(0)
    return GNNPolicy(sizes_of(task, kind, 16, 2), feature_table(task) if not task.inline else None).eval()


def test_representations_are_those_of_whole_neighbourhoods():
    """With fanouts that no neighbourhood exceeds, a question shows all there is within two hops."""
    task = make_task("SSL4RL/GraphDistance-v0", source="karate", fanouts=(20, 20, 1, 1))
    policy = policy_of(task)
    batch = task.sample(Stream("train", np.zeros(20, int), np.arange(20)))
    everywhere = nodes.represent(policy, karate())
    assert everywhere.shape == (34, 16)
    centre = policy.embed(policy.encode(batch.observation)).detach().numpy()
    found = np.abs(centre[:, :, None] - everywhere[batch.items][:, None, None]).max(axis=3).min(axis=1)[:, 0]
    assert found.max() < 1e-4


def test_numbers_of_nodes_and_features_give_the_same():
    tables = []
    for features in ("inline", "id"):
        tables.append(
            nodes.represent(
                policy_of(make_task("SSL4RL/EdgePrediction-v0", source="sbm:300", features=features)), load_graph("sbm:300")
            )
        )
    assert np.allclose(*tables, atol=1e-5)


def test_probes_find_labels_where_there_are_any():
    labels = np.random.default_rng(0).integers(0, 4, 600)
    assert nodes.probe(np.eye(4, dtype=np.float32)[labels], labels, 0) == 1
    noise = np.random.default_rng(1).standard_normal((600, 8)).astype(np.float32)
    assert nodes.probe(noise, labels, 0) < 0.4


def test_intervals_by_hand():
    found = transfer.summary([[0.5, 0.7], [0.7, 0.9]])
    assert found["accuracy"] == pytest.approx(0.7)
    assert found["high"] - 0.7 == pytest.approx(12.706 * 0.1, rel=1e-3)  # t of one degree of freedom, error 0.1


def test_everything_is_measured_in_small(monkeypatch):
    monkeypatch.setattr(nodes, "SPLITS", 2)
    monkeypatch.setattr(nodes, "INFOMAX_EPOCHS", 2)
    arguments = [
        "--source",
        "sbm:300",
        "--iterations",
        "2",
        "--prompts",
        "16",
        "--seeds",
        "1",
        "--hidden",
        "8",
        "--test-episodes",
        "64",
    ]
    result = transfer.measure(transfer.parser().parse_args([*arguments, "--device", "cpu"]))
    assert set(result["probes"]) == {
        "raw features",
        "untrained network",
        "PPO",
        "cross-entropy (supervised ceiling of the task)",
        "Deep Graph Infomax",
    }
    assert all(row["low"] <= row["accuracy"] <= row["high"] for row in result["probes"].values())
    assert all(0 <= row["accuracy"] <= 1 for row in result["probes"].values())
    assert transfer.table(result).count("\n") == 6
    with pytest.raises(ValueError, match="no labels"):
        transfer.measure(transfer.parser().parse_args(["--source", "karate"]))


def test_the_sampler_is_measured_and_drawn(tmp_path, monkeypatch):
    monkeypatch.setattr(graph_throughput, "EDGES", (1_000, 2_000))
    rows = graph_throughput.by_size(16, 0.02)
    assert [row["edges"] > 900 for row in rows] == [True, True]
    graph_throughput.draw(rows, tmp_path / "curve.png")
    assert (tmp_path / "curve.png").stat().st_size > 5_000
    assert all(0 < row["bytes_an_edge"] < 30 for row in rows)
    found = graph_throughput.beside(karate(), 16, 0.02)
    assert min(found["ours, by id"], found["ours, inline"], found["NetworkX, no features"]) > 0


def test_the_walk_by_hand_collects_a_neighbourhood():
    graph = nx.star_graph(9)
    nodes, edges = graph_throughput.walk(graph, (0, 3), random.Random(0))
    assert {0, 3} <= nodes <= set(range(10))
    assert edges <= {tuple(sorted(edge)) for edge in graph.edges}
    assert len([edge for edge in edges if 0 in edge]) >= 5
