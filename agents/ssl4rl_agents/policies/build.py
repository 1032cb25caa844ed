"""Build policies: fresh, from a model folder, or from a run's checkpoint."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from ssl4rl_agents.policies.finite import require_finite
from ssl4rl_agents.policies.loading import ADAPTER_CONFIG, load_pretrained
from ssl4rl_agents.policies.nano import build_nano
from ssl4rl_agents.policies.policy import Policy
from ssl4rl_agents.policies.vlm import VLMPolicy
from ssl4rl_agents.settings import PolicyConfig
from ssl4rl_envs import Stream, Task, hash_seed

EXAMPLES = 8
"""Prompts that a fresh nano's tokenizer is trained on."""


def build_policy(config: PolicyConfig, task: Task, seed: int, device: torch.device, prompt_style: str = "direct") -> Policy:
    """Build the policy that the settings name.

    Args:
        config: its `model` is "nano", a graph network, or what `from_pretrained` takes.
        task: what it will answer; the first questions train a fresh nano's tokenizer, and a graph network has its sizes.
        seed: of the run; by it fresh weights are drawn, and the first questions.
        device: where it goes.
        prompt_style: how the questions are asked.

    Raises:
        ValueError: the model is none to begin with, cannot answer the task, or has weights that are not finite.
    """
    if config.interface == "array":
        return _build_gnn(config, task, hash_seed(seed, "weights"), device)
    if (Path(config.model) / ADAPTER_CONFIG).exists():
        raise ValueError(
            f"{config.model} holds adapters; go on with their run (ssl4rl train --resume), or merge them into their model"
        )
    if config.model == "nano":
        examples = task.sample(Stream.span("train", hash_seed(seed, "questions"), 0, EXAMPLES))
        prompts = task.prompts(examples, prompt_style)
        model, processor = build_nano(prompts, hash_seed(seed, "weights"), config.nano_hidden, config.nano_layers)
    else:
        model, processor = load_pretrained(config.model, weights_dtype(config, device), config.attention)
        require_finite(model, config.model)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(hash_seed(seed, "weights"))
        return wrap_model(model, processor, config, device, prompt_style)


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
    model, processor = load_pretrained(str(checkpoint), weights_dtype(config, device), config.attention)
    require_finite(model, checkpoint)
    policy = wrap_model(model, processor, config, device, prompt_style)
    policy.load_weights(checkpoint)
    return policy


def _build_gnn(config: PolicyConfig, task: Task, seed: int, device: torch.device) -> Policy:
    from ssl4rl_agents.policies import gnn  # here, since PyG takes seconds to import

    sizes = gnn.sizes_of(task, config.model, config.gnn_hidden, config.gnn_layers)
    table = gnn.feature_table(task) if sizes.by_id else None
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return gnn.GNNPolicy(sizes, table, temperature=config.temperature).to(device)


def _load_gnn(checkpoint: Path, config: PolicyConfig, task: Task | None, device: torch.device) -> Policy:
    from ssl4rl_agents.policies import gnn

    by_id = task is not None and "node_id" in task.observation_space.spaces
    table = gnn.feature_table(task) if task is not None and by_id else None
    return gnn.load_gnn(checkpoint, table, temperature=config.temperature).to(device)


def weights_dtype(config: PolicyConfig, device: torch.device) -> torch.dtype:
    """Return the precision that weights are kept in: float32, or bfloat16 on a GPU for those that adapters leave alone."""
    if config.weights == "auto":
        return torch.bfloat16 if config.lora_rank and device.type == "cuda" else torch.float32
    return {"float32": torch.float32, "bfloat16": torch.bfloat16}[config.weights]


def wrap_model(
    model: Any, processor: Any, config: PolicyConfig, device: torch.device, prompt_style: str = "direct"
) -> VLMPolicy:
    """Wrap a model as the settings say, where it will run: there it is checked."""
    policy = VLMPolicy(
        model.to(device),
        processor,
        max_new_tokens=config.max_new_tokens,
        temperature=config.temperature,
        freeze_vision=bool(config.freeze_vision),
        gradient_checkpointing=config.gradient_checkpointing,
        lora_rank=config.lora_rank,
        lora_alpha=config.lora_alpha,
        prompt_style=prompt_style,
        template_arguments=config.template_arguments,
    ).to(device)
    if config.compile:
        policy.compile_layers()
    return policy
