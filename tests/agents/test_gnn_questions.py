"""Graph networks answer questions: what is asked matters, which node is the first, and what is not offered is not said."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from ssl4rl_agents.policies.constraint import constrain
from ssl4rl_agents.policies.gnn import GNNPolicy, load_gnn, sizes_of
from ssl4rl_envs import Batch, Stream, make_task
from ssl4rl_envs.interface import Interface

TASK = make_task("GraphQA", source="karate")


@pytest.fixture
def policy() -> GNNPolicy:
    torch.manual_seed(0)
    return GNNPolicy(sizes_of(TASK, "gin", 16, 2))


def batch(count: int = 8) -> Batch:
    return TASK.sample(Stream.span("train", 0, 0, count))


def logits(policy: GNNPolicy, observation: dict[str, np.ndarray]) -> torch.Tensor:
    with torch.no_grad():
        return policy._judge(policy.encode(observation))[0]


def test_the_question_its_options_and_the_order_of_two_nodes_matter(policy, tmp_path):
    shown = batch().observation
    said = logits(policy, shown)
    two = shown["target"][:, 0] != shown["target"][:, 1]
    changed = np.abs((logits(policy, {**shown, "target": shown["target"][:, ::-1]}) - said).numpy()).max(axis=(1, 2)) > 1e-6
    assert np.array_equal(changed, two), "of two nodes the first is another than the second"
    for slot in range(3):
        query = shown["query"].copy()
        query[:, slot] = (query[:, slot] + 1) % 5
        assert not torch.allclose(logits(policy, {**shown, "query": query}), said)
    policy.save(tmp_path)
    assert torch.equal(logits(load_gnn(tmp_path), shown), said)


def test_what_is_not_offered_is_not_said(policy):
    constrain(policy, TASK)
    states = batch(32)
    inputs = policy.encode(policy.observe(Interface(TASK, "array", "direct"), states))
    samples = policy.generate(inputs, 4, generator=torch.Generator().manual_seed(0))
    actions = policy.decode(samples.tokens, samples.mask, samples.truncated)
    mask = np.repeat(TASK.info(states)["action_mask"], 4, axis=0)
    assert (mask[np.arange(128), actions] == 1).all()
