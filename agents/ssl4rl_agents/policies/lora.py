"""Low-rank adapters (Hu et al. 2021, arXiv 2106.09685) by peft, put into a model in place."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from ssl4rl_agents.policies.pictures import CONNECTORS, TOWERS

LOGGER = logging.getLogger("ssl4rl_agents")

ROUTERS = {"gate", "router"}
"""What modules are called that choose among experts."""


def add_lora(model: Any, rank: int, alpha: int, *, vision: bool) -> None:
    """Adapt every linear layer and all experts of the decoder, and linear layers of the vision side if `vision`.

    The experts of a mixture are one parameter a layer, (experts, ..., ...), and no linear layers; each has its own adapters.
    The rest is frozen: routers, embeddings, the language-model head, norms. Other matrices that stay are named in a warning.

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
        if isinstance(module, nn.Linear) and module is not head and (vision or not _of_vision(name))
    ]
    experts = [name for name, parameter in model.named_parameters() if is_experts(name, parameter) and not _of_vision(name)]
    if not targets:
        raise ValueError(f"{type(model).__name__} has no linear layers that LoRA could adapt")
    _name_what_stays(model, {*(f"{name}.weight" for name in targets), *experts})
    # Dropout stays off in sampling and update, so that both see the same network.
    settings: dict[str, Any] = {"target_parameters": experts} if experts else {}
    model.add_adapter(LoraConfig(r=rank, lora_alpha=alpha, lora_dropout=0.0, target_modules=targets, **settings))
    train_lora(model)


def is_experts(name: str, parameter: Tensor) -> bool:
    """Return whether a parameter holds the matrices of several experts, (experts, ..., ...)."""
    return parameter.ndim == 3 and parameter.shape[0] > 1 and "conv" not in name


def _of_vision(name: str) -> bool:
    return bool(set(name.split(".")) & {*TOWERS, *CONNECTORS})


def _name_what_stays(model: Any, adapted: set[str]) -> None:
    """Warn of matrices of the decoder that no adapter reaches, and that are no embeddings, head or routers."""
    usual = {id(embedding.weight) for embedding in model.modules() if isinstance(embedding, nn.Embedding)}
    usual.add(id(model.get_output_embeddings().weight))
    left = {
        name: parameter.numel()
        for name, parameter in model.named_parameters()
        if parameter.ndim > 1 and name not in adapted and id(parameter) not in usual and not _of_vision(name)
    }
    left = {name: count for name, count in left.items() if not set(name.split(".")) & ROUTERS and "bias" not in name}
    if left:
        shown = ", ".join(f"{name} ({count:,})" for name, count in list(left.items())[:5])
        more = f" and {len(left) - 5} others" if len(left) > 5 else ""
        LOGGER.warning(
            "LoRA leaves %s parameters of %s as they are, in layers that it cannot adapt: %s%s",
            f"{sum(left.values()):,}",
            type(model).__name__,
            shown,
            more,
        )


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
        f"{_without_wrappers(name)}.{getattr(module, 'parameter_name', 'weight')}": module
        for name, module in model.named_modules()
        if hasattr(module, "get_delta_weight")
    }
    with torch.no_grad():
        for wrapped, value in model.state_dict().items():
            if "lora_" in wrapped:
                continue
            name = _without_wrappers(wrapped)
            layer = changes.get(name)
            yield name, value if layer is None else value + layer.get_delta_weight("default").to(value)


def _without_wrappers(name: str) -> str:
    """Return the name that something had before adapters were wrapped around it, several around the experts of a layer."""
    return ".".join(part for part in name.split(".") if part != "base_layer")


@contextmanager
def without_lora(model: Any) -> Iterator[None]:
    """Make the model what it was before it was adapted."""
    model.disable_adapters()
    try:
        yield
    finally:
        model.enable_adapters()
