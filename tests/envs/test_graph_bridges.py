"""Graph questions as PyTorch Geometric and networkx take them: all that is shown, and no padding."""

from __future__ import annotations

import pickle
from typing import Any

import gymnasium as gym
import numpy as np
import pytest

from ssl4rl_envs import env_ids, to_networkx, to_pyg
from tests.envs.conftest import task_of

GRAPHS = [env_id for env_id in env_ids() if "edge_index" in task_of(env_id).observation_space.spaces]


def shown(name: str, count: int = 5) -> dict[str, Any]:
    observation, _ = gym.make_vec(name, num_envs=count).reset(seed=2)
    return observation


def rows(observation: dict[str, Any]) -> list[dict[str, Any]]:
    return [
        {name: values[row] for name, values in observation.items()} for row in range(len(next(iter(observation.values()))))
    ]


def test_there_are_graphs():
    assert len(GRAPHS) >= 8


@pytest.mark.parametrize("name", GRAPHS)
def test_pyg_gets_all_that_is_shown_and_no_padding(name):
    pytest.importorskip("torch_geometric")
    observation = shown(name)
    batch = to_pyg(observation)
    assert batch.num_graphs == 5
    assert batch.num_nodes == observation["node_mask"].sum() == len(batch.x_mask)
    assert batch.num_edges == observation["edge_mask"].sum()
    assert batch.validate()
    assert not batch.has_self_loops()
    assert batch.is_undirected()
    for number, (one, data) in enumerate(zip(rows(observation), batch.to_data_list(), strict=True)):
        there, edges = one["node_mask"] == 1, one["edge_mask"] == 1
        assert there[: data.num_nodes].all()  # so that numbers are as they were
        assert np.array_equal(data.edge_index, one["edge_index"][:, edges])
        assert np.array_equal(data.x_mask, one["x_mask"][there] == 1)
        assert np.array_equal(data.target[0], one["target"])
        for own in {"x", "node_id"} & set(one):
            assert np.array_equal(data[own], one[own][there])
            assert np.array_equal(batch[own][batch.target[number]], one[own][one["target"]])  # targets of the whole batch
        if "query" in one:
            assert np.array_equal(batch.query[number], one["query"])


@pytest.mark.parametrize("name", GRAPHS)
def test_networkx_gets_all_that_is_shown_and_no_padding(name):
    observation = shown(name)
    for one, graph in zip(rows(observation), to_networkx(observation), strict=True):
        assert list(graph) == list(range(one["node_mask"].sum()))
        assert graph.number_of_edges() * 2 == one["edge_mask"].sum()
        pairs = one["edge_index"][:, one["edge_mask"] == 1].T.tolist()
        assert {tuple(pair) for pair in pairs} == {pair for a, b in graph.edges for pair in ((a, b), (b, a))}
        assert graph.graph["target"] == one["target"].tolist()
        assert graph.graph.get("query") == (one["query"].tolist() if "query" in one else None)
        for node, has in graph.nodes(data=True):
            assert has["x_mask"] == (one["x_mask"][node] == 1)
            assert all(np.array_equal(has[own], one[own][node]) for own in {"x", "node_id"} & set(one))


def test_one_environment_gives_one_graph():
    pytest.importorskip("torch_geometric")
    observation, _ = gym.make("SSL4RL/MaskedFeatures-v0").reset(seed=2)
    batch, graph = to_pyg(observation), to_networkx(observation)
    assert batch.num_graphs == 1
    assert batch.num_nodes == graph.number_of_nodes() == observation["node_mask"].sum()
    assert batch.target.tolist() == [graph.graph["target"]] == [observation["target"].tolist()]
    again = pickle.loads(pickle.dumps(batch))
    assert again.target.tolist() == batch.target.tolist()


def test_tries_and_earlier_answers_come_along():
    pytest.importorskip("torch_geometric")
    envs = gym.make_vec("SSL4RL/NodeAttribute-v0", num_envs=3, attempts=3)
    observation, _ = envs.reset(seed=0)
    batch = to_pyg(observation)
    assert batch.tries.shape == (3, 1)
    assert np.array_equal(batch.previous_answers, observation["previous_answers"])
    assert to_networkx(observation)[1].graph["tries"] == [0]


def test_a_graph_network_of_pyg_learns_from_the_batch():
    torch, nn = pytest.importorskip("torch"), pytest.importorskip("torch_geometric.nn")
    torch.manual_seed(0)
    envs = gym.make_vec("SSL4RL/EdgePrediction-v0", num_envs=64, source="karate")
    observation, _ = envs.reset(seed=0)
    batch, truth = to_pyg(observation), torch.as_tensor(envs.unwrapped.batch.target).float()
    network = nn.GraphSAGE(batch.x.shape[1], 16, 2)
    body = torch.optim.Adam(network.parameters(), 0.02)

    def logits() -> Any:
        ends = network(batch.x, batch.edge_index)[batch.target]  # (questions, 2, 16)
        return (ends[:, 0] * ends[:, 1]).sum(-1)

    apart = torch.cat([network(one.x, one.edge_index)[one.target] for one in batch.to_data_list()])
    assert torch.allclose(network(batch.x, batch.edge_index)[batch.target], apart, atol=1e-5)
    losses = []
    for _ in range(25):
        loss = torch.nn.functional.binary_cross_entropy_with_logits(logits(), truth)
        body.zero_grad()
        loss.backward()
        body.step()
        losses.append(float(loss.detach()))
    assert losses[-1] < 0.8 * losses[0]
    answers = (logits() > 0).long().numpy()
    assert envs.step(answers)[1].mean() > 0.6  # what it gave is what the environment takes


@pytest.mark.parametrize("convert", [to_pyg, to_networkx])
def test_what_shows_no_graph_is_an_error(convert):
    if convert is to_pyg:
        pytest.importorskip("torch_geometric")
    pictures, _ = gym.make("SSL4RL/Rotation-v0", source="digits", image_size=36).reset(seed=0)
    with pytest.raises(ValueError, match="arrays that graph tasks show; this observation has image"):
        convert(pictures)
    words, _ = gym.make("SSL4RL/EdgePrediction-v0", interface="text").reset(seed=0)
    with pytest.raises(ValueError, match="this observation has prompt"):
        convert(words)
