"""Logits of a decoder: which belong to something that can be said, and what the decoder does to them behind its head."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

IMPOSSIBLE = -1e9
"""Logit of what cannot be chosen: its probability is exactly 0, and finite times 0 stays 0 in gradients."""


def unsayable(model: Any, tokenizer: Any, size: int) -> Tensor:
    """Return which of `size` logits belong to nothing that can be said, (size,) bool.

    Those are the tokens in whose places pictures, videos and sounds stand, and ids that the tokenizer has no token for: many
    models have more logits than tokens, so that their number is a round one, and such an id could not be read again.
    """
    forbidden = torch.ones(size, dtype=torch.bool)
    known = torch.tensor(list(tokenizer.get_vocab().values()))
    forbidden[known[known < size]] = False
    for kind in ("image", "video", "audio"):
        token = getattr(model.config, f"{kind}_token_id", None)
        if token is not None and token < size:
            forbidden[token] = True
    return forbidden


def unscaled(logits: Tensor) -> Tensor:
    """Return logits as they are."""
    return logits


def logit_scaling(text_config: Any) -> Callable[[Tensor], Tensor]:
    """Return what a decoder does to its logits behind the language-model head."""
    cap = getattr(text_config, "final_logit_softcapping", None)
    factor = (getattr(text_config, "logit_scale", None) or 1.0) / (getattr(text_config, "logits_scaling", None) or 1.0)

    def scaled(logits: Tensor) -> Tensor:
        if factor != 1.0:
            logits = logits * factor
        return logits if cap is None else torch.tanh(logits / cap) * cap

    return scaled
