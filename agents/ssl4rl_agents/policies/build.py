"""Build policies: fresh, from a model folder, or from a run's checkpoint."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from transformers import AutoModelForImageTextToText, AutoProcessor

from ssl4rl_agents.policies.nano import build_nano
from ssl4rl_agents.policies.vlm import VLMPolicy
from ssl4rl_agents.ppo.config import PolicyConfig


def build_policy(config: PolicyConfig, prompts: list[str], seed: int, device: torch.device) -> VLMPolicy:
    """Build the policy that the settings name.

    Args:
        config: its `model` is "nano", or what `from_pretrained` takes.
        prompts: examples of what it will read; a fresh nano's tokenizer is trained on them.
        seed: of a fresh nano's weights.
        device: where it goes; weights are float32.
    """
    if config.model == "nano":
        model, processor = build_nano(prompts, seed)
    else:
        model, processor = load_pretrained(config.model)
    return wrap_model(model, processor, config).to(device)


def load_policy(checkpoint: Path, config: PolicyConfig, device: torch.device) -> VLMPolicy:
    """Build the policy of a checkpoint, its weights checked to have all arrived."""
    model, processor = load_pretrained(str(checkpoint))
    policy = wrap_model(model, processor, config)
    policy.load_weights(checkpoint)
    return policy.to(device)


def load_pretrained(name: str) -> tuple[Any, Any]:
    """Load an image-text-to-text model in float32 and its processor from a folder or hub name."""
    try:
        model = AutoModelForImageTextToText.from_pretrained(name, dtype=torch.float32)
        return model, AutoProcessor.from_pretrained(name)
    except (OSError, ValueError) as error:
        raise OSError(f"cannot load an image-text-to-text model and its processor from {name!r}: {error}") from error


def wrap_model(model: Any, processor: Any, config: PolicyConfig) -> VLMPolicy:
    """Wrap a model as the settings say."""
    return VLMPolicy(
        model,
        processor,
        max_new_tokens=config.max_new_tokens,
        temperature=config.temperature,
        freeze_vision=config.freeze_vision,
    ).eval()
