"""Build policies: fresh, from a model folder, or from a run's checkpoint."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from ssl4rl_agents.policies.loading import ADAPTER_CONFIG, load_pretrained
from ssl4rl_agents.policies.nano import build_nano
from ssl4rl_agents.policies.vlm import VLMPolicy
from ssl4rl_agents.ppo.config import PolicyConfig


def build_policy(config: PolicyConfig, prompts: list[str], seed: int, device: torch.device) -> VLMPolicy:
    """Build the policy that the settings name.

    Args:
        config: its `model` is "nano", or what `from_pretrained` takes.
        prompts: examples of what it will read; a fresh nano's tokenizer is trained on them.
        seed: of a fresh nano's weights, and of fresh adapters.
        device: where it goes.
    """
    if (Path(config.model) / ADAPTER_CONFIG).exists():
        raise ValueError(
            f"{config.model} holds adapters; go on with their run (ssl4rl train --resume), or merge them into their model"
        )
    if config.model == "nano":
        model, processor = build_nano(prompts, seed)
    else:
        model, processor = load_pretrained(config.model, weights_dtype(config, device), config.attention)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return wrap_model(model, processor, config).to(device)


def load_policy(checkpoint: Path, config: PolicyConfig, device: torch.device) -> VLMPolicy:
    """Build the policy of a checkpoint, its weights checked to have all arrived."""
    model, processor = load_pretrained(str(checkpoint), weights_dtype(config, device), config.attention)
    policy = wrap_model(model, processor, config)
    policy.load_weights(checkpoint)
    return policy.to(device)


def weights_dtype(config: PolicyConfig, device: torch.device) -> torch.dtype:
    """Return the precision that weights are kept in: float32, or bfloat16 on a GPU for those that adapters leave alone."""
    if config.weights == "auto":
        return torch.bfloat16 if config.lora_rank and device.type == "cuda" else torch.float32
    return {"float32": torch.float32, "bfloat16": torch.bfloat16}[config.weights]


def wrap_model(model: Any, processor: Any, config: PolicyConfig) -> VLMPolicy:
    """Wrap a model as the settings say."""
    policy = VLMPolicy(
        model,
        processor,
        max_new_tokens=config.max_new_tokens,
        temperature=config.temperature,
        freeze_vision=bool(config.freeze_vision),
        gradient_checkpointing=config.gradient_checkpointing,
        lora_rank=config.lora_rank,
        lora_alpha=config.lora_alpha,
    ).eval()
    if config.compile:
        policy.compile_layers()
    return policy
