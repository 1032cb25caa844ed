"""Which models the policy runs, said to those who bring another one."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch

from ssl4rl_agents.policies.finite import DivergedError

RUNS = (
    "VLMPolicy runs decoders whose layers attend to the past, in full or through sliding windows, and that take position_ids "
    "and past_key_values; pictures are the features of get_image_features in the places of the image token. "
    "Families that are tested: docs/training.md, section 4"
)


class UnsupportedModelError(ValueError):
    """A model that the policy cannot run, or would run as something else than it is."""


def kind_of(model: Any) -> str:
    """Return which kind of layer of a model is most unlike those that the policy runs, in words."""
    config = model.config
    text = config.get_text_config()
    layers = {str(kind) for kind in getattr(text, "layer_types", None) or ()}
    others = sorted(layers - {"full_attention", "sliding_attention"})
    if getattr(config, "is_encoder_decoder", False) or getattr(text, "is_encoder_decoder", False):
        return "an encoder beside the decoder"
    if getattr(text, "cross_attention_layers", None):
        return "cross-attention from the text to the pictures"
    if getattr(config, "qformer_config", None) is not None:
        return "a Q-Former between vision tower and language model"
    if getattr(config, "perceiver_config", None) is not None:
        return "a perceiver between vision tower and language model"
    if others:
        return f"layers of {', '.join(others)}"
    if getattr(text, "attention_chunk_size", None):
        return "attention in chunks"
    return "parts that are unlike those of other models"


def base_of(model: Any) -> Any:
    """Return a model without its language-model head.

    Raises:
        UnsupportedModelError: it has no such part, and so its passes are its own.
    """
    base = getattr(model, model.base_model_prefix, None) if model.base_model_prefix else None
    if base is None or base is model:
        raise UnsupportedModelError(
            f"{type(model).__name__} has no part between its words and its language-model head that runs alone; it has "
            f"{kind_of(model)}. {RUNS}"
        )
    return base


@contextmanager
def explained(model: Any) -> Iterator[None]:
    """Say in one sentence what a model's own code says in its own way, when it is not what it is taken for.

    Raises:
        UnsupportedModelError: in place of any error but those that speak for themselves (ValueError, DivergedError) and lack
            of memory.
    """
    try:
        yield
    except (ValueError, DivergedError, torch.OutOfMemoryError):
        raise
    except Exception as error:  # the code of every model runs here, and each fails in its own way
        said = " ".join(str(error).split()) or "no message"
        raise UnsupportedModelError(
            f"{type(model).__name__} cannot be run by VLMPolicy; it has {kind_of(model)}, and its code stopped with "
            f"{type(error).__name__}: {said}. {RUNS}"
        ) from error
