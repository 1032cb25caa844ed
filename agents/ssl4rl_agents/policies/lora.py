"""Low-rank adapters (Hu et al. 2021, arXiv 2106.09685) by peft, put into a model in place."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from ssl4rl_agents.policies.pictures import CONNECTORS, TOWERS


def add_lora(model: Any, rank: int, alpha: int, *, vision: bool) -> None:
    """Adapt every linear layer of the decoder, and of the vision tower and connector if `vision`; the rest is frozen.

    Args:
        model: a model of transformers.
        rank: of the adapters.
        alpha: what they add is scaled by alpha / rank.
        vision: adapt the tower and connector too.

    Raises:
        ValueError: there is no linear layer to adapt.
    """
    from peft import LoraConfig

    head = model.get_output_embeddings()
    targets = [
        name
        for name, module in model.named_modules()
        if isinstance(module, nn.Linear)
        and module is not head
        and (vision or not set(name.split(".")) & {*TOWERS, *CONNECTORS})
    ]
    if not targets:
        raise ValueError(f"{type(model).__name__} has no linear layers that LoRA could adapt")
    # Dropout stays off in sampling and update, so that both see the same network.
    model.add_adapter(LoraConfig(r=rank, lora_alpha=alpha, lora_dropout=0.0, target_modules=targets))
    train_lora(model)


def has_lora(model: Any) -> bool:
    """Return whether a model holds adapters."""
    return bool(getattr(model, "_hf_peft_config_loaded", False))


def train_lora(model: Any) -> None:
    """Let the adapters learn, in float32, and nothing else: the small steps of an optimizer are lost in bfloat16."""
    for name, parameter in model.named_parameters():
        parameter.requires_grad_("lora_" in name)
        if "lora_" in name:
            parameter.data = parameter.data.float()


def merged_weights(model: Any) -> Iterator[tuple[str, Tensor]]:
    """Give a model's weights by the names of the model without adapters, with what the adapters add."""
    changes: dict[str, Any] = {
        f"{name}.base_layer.weight": module for name, module in model.named_modules() if hasattr(module, "get_delta_weight")
    }
    with torch.no_grad():
        for name, value in model.state_dict().items():
            if "lora_" in name:
                continue
            layer = changes.get(name)
            merged = value if layer is None else value + layer.get_delta_weight("default").to(value)
            yield name.replace(".base_layer.", "."), merged


@contextmanager
def without_lora(model: Any) -> Iterator[None]:
    """Make the model what it was before it was adapted."""
    model.disable_adapters()
    try:
        yield
    finally:
        model.enable_adapters()
