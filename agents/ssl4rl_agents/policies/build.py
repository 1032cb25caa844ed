"""Build policies: fresh, from a model folder, or from a run's checkpoint."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch

from ssl4rl_agents.policies.finite import require_finite
from ssl4rl_agents.policies.policy import Policy
from ssl4rl_agents.policy_settings import PolicyConfig
from ssl4rl_envs import Task, hash_seed


def build_policy(
    config: PolicyConfig,
    task: Task,
    seed: int,
    device: torch.device,
    prompt_style: str = "direct",
    corpus: Sequence[str] | None = None,
) -> Policy:
    """Build the policy that the settings name.

    Args:
        config: its `model` is "nano", a graph network, or what `from_pretrained` takes.
        task: what it will answer; a graph network has its sizes.
        seed: of the run; by it fresh weights are drawn, and the first questions.
        device: where it goes.
        prompt_style: how the questions are asked.
        corpus: what a fresh nano's tokenizer is trained on; by default the first questions, see `language.corpus_of`.

    Raises:
        ValueError: the model is none to begin with, cannot answer the task, or has weights that are not finite.
    """
    if config.interface == "array":
        return _build_gnn(config, task, hash_seed(seed, "weights"), device)
    from ssl4rl_agents.policies import language  # here, since transformers takes seconds to import

    return language.build_language(config, task, seed, device, prompt_style, corpus)


def load_policy(
    checkpoint: Path,
    config: PolicyConfig,
    device: torch.device,
    task: Task | None = None,
    prompt_style: str = "direct",
) -> Policy:
    """Build the policy of a checkpoint, its weights checked to have all arrived.

    Args:
        checkpoint: its folder.
        config: how the policy was built.
        device: where it goes.
        task: what it will answer. A policy that reads words needs none, and a graph network only where nodes come by their
            numbers, for the table of their features.
        prompt_style: how the questions are asked.

    Raises:
        ValueError: weights are missing, of another shape, or not finite; the message names file and tensor.
    """
    policy = _load(checkpoint, config, device, task, prompt_style)
    require_finite(policy, checkpoint)
    return policy


def _load(checkpoint: Path, config: PolicyConfig, device: torch.device, task: Task | None, prompt_style: str) -> Policy:
    if config.interface == "array":
        return _load_gnn(checkpoint, config, task, device)
    from ssl4rl_agents.policies import language

    return language.load_language(checkpoint, config, device, prompt_style, task)


def _build_gnn(config: PolicyConfig, task: Task, seed: int, device: torch.device) -> Policy:
    from ssl4rl_agents.policies import gnn  # here, since PyG takes seconds to import

    sizes = gnn.sizes_of(task, config.model, config.gnn_hidden, config.gnn_layers)
    table = gnn.feature_table(task)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return gnn.GNNPolicy(sizes, table, temperature=config.temperature).to(device)


def _load_gnn(checkpoint: Path, config: PolicyConfig, task: Task | None, device: torch.device) -> Policy:
    from ssl4rl_agents.policies import gnn

    table = None if task is None else gnn.feature_table(task)
    policy = gnn.load_gnn(checkpoint, table, temperature=config.temperature)
    if task is not None:
        gnn.require_fit(policy.sizes, task, checkpoint)
    return policy.to(device)
