"""What a reader of words makes of a graph: its hidden states at the end of a prompt, before it has said anything.

The state of the last token of a prompt is what a causal language model answers from. A node is read by a prompt that tells
its neighbourhood, features and all, and asks what the node is about, which nobody is trained to answer.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from ssl4rl_agents.policies.vlm import VLMPolicy
from ssl4rl_agents.runtime.device import autocast
from ssl4rl_envs import Stream, hash_seed
from ssl4rl_envs.graphs.edge_prediction import EdgePrediction
from ssl4rl_envs.graphs.neighbourhoods import sample_neighbourhoods
from ssl4rl_envs.sources.graphs import GraphSource
from ssl4rl_envs.task import Batch

CHUNK = 32
"""Prompts that are read at a time."""

NODES = 3_000
"""Most nodes of a graph that are read, each in a prompt of its own; of a larger graph some are drawn, always the same."""

FANOUTS = (5, 3)
"""Most neighbours that are told at each distance, where training does not say."""

ASKED = "What is node {node} about?"


@torch.no_grad()
def hidden_states(policy: VLMPolicy, observations: dict[str, Any]) -> NDArray[np.float32]:
    """Return the hidden states (n, H) from which the first tokens of answers to n questions would be chosen."""
    count, found = len(observations["prompt"]), []
    for first in range(0, count, CHUNK):
        part = {name: values[first : first + CHUNK] for name, values in observations.items()}
        with autocast(policy, policy.device), policy.copied_adapters():
            found.append(policy.decoder.prefill(policy.encode(part)).hidden.float().cpu().numpy())
    return np.concatenate(found)


def chosen_nodes(source: GraphSource) -> NDArray[np.int64]:
    """Return which nodes of a graph are read: all, or `NODES` of them."""
    if source.nodes <= NODES:
        return np.arange(source.nodes)
    drawn = np.random.default_rng(hash_seed(0, "read nodes")).permutation(source.nodes)[:NODES]
    return np.sort(drawn)


def node_prompts(source: GraphSource, nodes: NDArray[np.int64], fanouts: tuple[int, ...]) -> tuple[str, ...]:
    """Return prompts that tell the neighbourhoods of nodes by train edges, and ask what each is about.

    Args:
        source: the graph.
        nodes: (n,).
        fanouts: most neighbours that are told at each distance.
    """
    task = EdgePrediction(source, fanouts)  # which tells graphs in words; its own question is not put
    hood = sample_neighbourhoods(source, nodes[:, None], fanouts, Stream.span("test", hash_seed(0, "nodes"), 0, len(nodes)))
    batch = Batch(task.observe(hood), np.zeros(len(nodes), np.int64), nodes)
    asked = [ASKED.format(node=node) for node in hood.targets[:, 0].tolist()]
    return tuple(f"{task.describe(batch, row)} {question}" for row, question in enumerate(asked))


def read_nodes(policy: VLMPolicy, source: GraphSource, fanouts: tuple[int, ...]) -> NDArray[np.float32]:
    """Return what a reader makes of the nodes of `chosen_nodes`, (n, H)."""
    return hidden_states(policy, {"prompt": node_prompts(source, chosen_nodes(source), fanouts)})
