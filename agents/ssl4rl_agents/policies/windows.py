"""Attention of a vision tower over all its windows at once.

Towers of the Qwen family (and those made after them) attend within windows of a long row of patches, and without flash
attention run one window after the other: thousands of small products a batch, each launched by itself. Windows of one length
are a batch, and pictures of one size have few lengths.
"""

from __future__ import annotations

import inspect
from itertools import pairwise
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.nn.functional import scaled_dot_product_attention
from transformers import AttentionInterface

from ssl4rl_agents.policies.pictures import TOWERS

NAME = "ssl4rl_flash_windows"
"""Transformers hands attention whose name holds "flash" all windows together, and their ends; others get them one by one."""


def batch_windows(base: nn.Module) -> None:
    """Let the towers of a model attend over all windows at once, where they have windows and would take them one by one.

    Args:
        base: the model without its language-model head.
    """
    for name in TOWERS:
        tower = getattr(base, name, None)
        config: Any = getattr(tower, "config", None)
        if getattr(config, "_attn_implementation", None) == "sdpa" and _has_windows(cast(nn.Module, tower)):
            config._attn_implementation = NAME


def _has_windows(tower: nn.Module) -> bool:
    return any("cu_seqlens" in inspect.signature(module.forward).parameters for module in tower.modules())


def attend(
    module: nn.Module,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor | None = None,
    scaling: float | None = None,
    cu_seq_lens_q: Tensor | None = None,
    **_: Any,
) -> tuple[Tensor, None]:
    """Attend within each window.

    Args:
        module: who asks.
        query, key, value: (1, heads, patches, size).
        attention_mask: None.
        scaling: of the products.
        cu_seq_lens_q: (windows + 1,) where windows begin, and the last one ends.

    Returns:
        (1, patches, heads, size), and None for the weights.

    Raises:
        ValueError: the tower does not say where its windows are, or masks them.
    """
    if cu_seq_lens_q is None or attention_mask is not None or len(query) != 1:
        raise ValueError(f"{type(module).__name__} attends in another way than within windows of a row of patches")
    windows = _by_length(cu_seq_lens_q)
    triple = (query[0], key[0], value[0])
    if len(windows) == 1:
        ((length, _places),) = windows.items()
        return _attend(triple, length, scaling).reshape(1, query.shape[2], *query.shape[1::2]), None
    whole = query.new_empty(query.shape[2], *query.shape[1::2])
    for length, places in windows.items():
        one = cast(tuple[Tensor, Tensor, Tensor], tuple(each[:, places] for each in triple))
        whole = whole.index_copy(0, places, _attend(one, length, scaling).to(whole.dtype).flatten(0, 1))
    return whole[None], None


def _attend(triple: tuple[Tensor, Tensor, Tensor], length: int, scaling: float | None) -> Tensor:
    """Return (windows, length, heads, size) for three of (heads, windows * length, size)."""
    split = [each.reshape(len(each), -1, length, each.shape[2]).transpose(0, 1) for each in triple]
    return scaled_dot_product_attention(split[0], split[1], split[2], scale=scaling).transpose(1, 2)


def _by_length(ends: Tensor) -> dict[int, Tensor]:
    """Return which patches the windows of each length hold; found once for a tensor, which all layers of a pass share."""
    found: dict[int, Tensor] | None = getattr(ends, "windows_by_length", None)
    if found is None:
        starts = ends.tolist()
        lengths = torch.tensor([after - before for before, after in pairwise(starts)])
        first = torch.tensor(starts[:-1])
        found = {
            length: (first[lengths == length, None] + torch.arange(length)).flatten().to(ends.device)
            for length in sorted(set(lengths.tolist()) - {0})
        }
        ends.windows_by_length = found  # type: ignore[attr-defined]
    return found


AttentionInterface.register(NAME, attend)
