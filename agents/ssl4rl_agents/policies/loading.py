"""Load models of transformers, and check that every weight arrives."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file
from torch import nn
from transformers import AutoConfig, AutoModelForCausalLM, AutoModelForImageTextToText
from transformers.models.auto.modeling_auto import MODEL_FOR_CAUSAL_LM_MAPPING, MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING
from transformers.utils import logging

from ssl4rl_agents.policies import efficientnet_llava as _assembled  # noqa: F401 (makes its vision tower known to transformers)
from ssl4rl_agents.policies.lora import has_lora
from ssl4rl_agents.policies.processing import load_processor

ADAPTER, ADAPTER_CONFIG = "adapter_model.safetensors", "adapter_config.json"


ALIGNMENT = 64
"""Bytes; what torch gives memory lies on multiples of them."""


@contextmanager
def without_bars() -> Iterator[None]:
    """Keep the progress bars of transformers off the screen; a checkpoint is written in a moment, and often."""
    shown = logging.is_progress_bar_enabled()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        if shown:
            logging.enable_progress_bar()


def load_pretrained(name: str, dtype: torch.dtype = torch.float32, attention: str = "auto") -> tuple[Any, Any]:
    """Load an image-text-to-text model, or a causal one for tasks without pictures, and its processor.

    Args:
        name: a folder or hub name; a folder with adapters brings the model that they adapt.
        dtype: of the weights.
        attention: which implementation its attention uses; "auto" leaves it to transformers.

    Raises:
        OSError: there is no such model, or it is of another kind; the message names it and says why.
    """
    try:
        if name.startswith(("/", "./", "../", "~")) and not Path(name).is_dir():
            raise OSError(f"there is no folder {name}")
        config = AutoConfig.from_pretrained(_adapted(name))
        chosen = {} if attention == "auto" else {"attn_implementation": attention}
        model = _auto_class(config).from_pretrained(name, dtype=dtype, **chosen)
        _align(model)
        return model, load_processor(name)
    except (OSError, ValueError, ImportError) as error:
        raise OSError(f"cannot load a model and its processor from {name!r}: {error}") from error


def _align(model: nn.Module) -> None:
    """Move weights to where torch puts its own: products round by where numbers lie, and in a file they lie anywhere."""
    for parameter in model.parameters():
        if parameter.data_ptr() % ALIGNMENT:
            parameter.data = parameter.data.clone()


def _auto_class(config: Any) -> Any:
    if type(config) in MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING:
        return AutoModelForImageTextToText
    if type(config) in MODEL_FOR_CAUSAL_LM_MAPPING:
        return AutoModelForCausalLM
    raise ValueError(f"a model of type {config.model_type!r} is neither image-text-to-text nor a causal language model")


def _adapted(name: str) -> str:
    """Return the model that the adapters in a folder adapt, or the name itself."""
    adapter = Path(name) / ADAPTER_CONFIG
    if not adapter.exists():
        return name
    base = str(json.loads(adapter.read_text())["base_model_name_or_path"])
    if Path(base).is_absolute() and not Path(base).is_dir():
        raise OSError(f"its adapters adapt {base}, which is not there; set base_model_name_or_path in {adapter}")
    return base


def load_weights_checked(model: Any, folder: Path) -> None:
    """Read the weights that `save_pretrained` wrote into a model of the same shape; with adapters, theirs alone.

    Raises:
        ValueError: a weight is missing, unknown or of another shape.
    """
    name = type(model).__name__
    if has_lora(model):
        from peft import get_peft_model_state_dict, set_peft_model_state_dict

        # peft writes names as if the model were wrapped in its own class.
        weights = {name.removeprefix("base_model.model."): value for name, value in load_file(folder / ADAPTER).items()}
        expected = set(get_peft_model_state_dict(model, adapter_name="default"))
        if set(weights) != expected:
            differing = sorted(expected ^ set(weights))
            raise ValueError(f"the adapters in {folder} do not fit {name}: {', '.join(differing[:5])}")
        set_peft_model_state_dict(model, weights, adapter_name="default")
        return
    auto = _auto_class(model.config)
    loaded, report = auto.from_pretrained(folder, dtype=model.dtype, output_loading_info=True)
    problems = {kind: keys for kind, keys in report.items() if keys}
    if problems:
        raise ValueError(f"the weights in {folder} do not fit {name}: {problems}")
    model.load_state_dict(loaded.state_dict(), strict=True)


def load_value_head(head: nn.Module, folder: Path) -> None:
    """Read the weights of a value head; raises ValueError unless they are just its own."""
    found = load_file(folder / "value_head.safetensors")
    if set(found) != set(head.state_dict()):
        raise ValueError(f"the value head's weights in {folder} are {sorted(found)}, expected {sorted(head.state_dict())}")
    head.load_state_dict(found, strict=True)
