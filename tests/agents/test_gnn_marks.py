"""What `mark` says of nodes reaches a graph network, and nothing changes where a task shows none."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch

from ssl4rl_agents.policies.gnn import SIZES, GNNPolicy, load_gnn, sizes_of
from ssl4rl_envs import Stream, make_task


def policy_of(name: str) -> tuple[GNNPolicy, dict[str, np.ndarray]]:
    task = make_task(name, source="karate")
    torch.manual_seed(0)
    return GNNPolicy(sizes_of(task, "gin", 16, 2)), task.sample(Stream.span("train", 0, 0, 6)).observation


def logits(policy: GNNPolicy, observation: dict[str, np.ndarray]) -> torch.Tensor:
    with torch.no_grad():
        return policy._judge(policy.encode(observation))[0]


@pytest.mark.parametrize("name", ["GraphWalk", "GraphSearch"])
def test_marks_matter_and_survive_the_folder(name, tmp_path):
    policy, observation = policy_of(name)
    assert policy.sizes.marks == make_task(name, source="karate").observation_space["mark"].high.max() + 1
    said = logits(policy, observation)
    assert not torch.allclose(logits(policy, {**observation, "mark": np.zeros_like(observation["mark"])}), said)
    policy.save(tmp_path)
    assert torch.equal(logits(load_gnn(tmp_path), observation), said)


def test_marks_of_padding_do_not_matter():
    policy, observation = policy_of("GraphWalk")
    padded = np.where(observation["node_mask"] == 1, observation["mark"], 1)
    assert torch.equal(logits(policy, {**observation, "mark": padded}), logits(policy, observation))


def test_networks_that_were_saved_without_marks_are_read(tmp_path):
    policy, observation = policy_of("NeighborChoice")
    assert policy.encoder.marks is None
    policy.save(tmp_path)
    sizes = json.loads((tmp_path / SIZES).read_text())
    del sizes["marks"]
    (tmp_path / SIZES).write_text(json.dumps(sizes))
    assert torch.equal(logits(load_gnn(tmp_path), observation), logits(policy, observation))
