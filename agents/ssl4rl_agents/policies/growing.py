"""Keys and values of conversations: in memory with room for more, or in parts; and where one turn has left them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, cast

import torch
from torch import Tensor
from transformers import Cache
from transformers.cache_utils import CacheLayerMixin

from ssl4rl_agents.policies.prefix import Prefix
from ssl4rl_agents.policies.static_cache import Pairs


class GrowingLayer(CacheLayerMixin):
    """Keys and values of a layer in memory with room for more: what comes is written there, and nothing is copied.

    Args:
        keys, values: (rows, heads, capacity, size), of which the first `end` places hold something.
        end: how many.
        fresh: (rows, 1, T, 1) bool, which of the T tokens that come next are any; in the places of the others stays what is
            there. None: all.
    """

    is_sliding = False

    def __init__(self, keys: Tensor, values: Tensor, end: int, fresh: Tensor | None = None) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.held, self._end, self._fresh = (keys, values), end, fresh
        self.keys, self.values = keys[:, :, :end], values[:, :, :end]
        self.is_initialized = True

    def lazy_initialization(self, key_states: Tensor, value_states: Tensor) -> None:
        """Do nothing: the memory is there."""

    def update(self, key_states: Tensor, value_states: Tensor, *_: Any, **__: Any) -> tuple[Tensor, Tensor]:
        """Put the next tokens behind the others; return all."""
        stop = self._end + key_states.shape[2]
        for held, states in zip(self.held, (key_states, value_states), strict=True):
            there = held[:, :, self._end : stop]
            there.copy_(states if self._fresh is None else torch.where(self._fresh, states, there))
        self._end, self._fresh = stop, None
        self.keys, self.values = (held[:, :, :stop] for held in self.held)
        return self.keys, self.values

    def get_mask_sizes(self, query_length: int) -> tuple[int, int]:
        """Return how many places are seen with the next tokens, from the first on."""
        return self._end + query_length, 0

    def get_seq_length(self) -> int:
        """Return how many places hold something."""
        return self._end

    def get_max_length(self) -> int:
        """Return how many places there are."""
        return self.held[0].shape[2]


class PartedLayer(CacheLayerMixin):
    """Keys and values of a layer in parts that stay what they are, so that a pass may be made again.

    Args:
        parts: keys and values (rows, heads, length, size) each; empty at the beginning.
    """

    is_sliding = False

    def __init__(self, parts: Sequence[tuple[Tensor, Tensor]]) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._parts, self.is_initialized = parts, True

    def lazy_initialization(self, key_states: Tensor, value_states: Tensor) -> None:
        """Do nothing: nothing is kept."""

    def update(self, key_states: Tensor, value_states: Tensor, *_: Any, **__: Any) -> tuple[Tensor, Tensor]:
        """Return all parts and the next tokens, of which the latter are then `keys` and `values`."""
        self.keys, self.values = key_states, value_states
        keys, values = zip(*self._parts, (key_states, value_states), strict=True)
        return torch.cat(keys, dim=2), torch.cat(values, dim=2)

    def get_mask_sizes(self, query_length: int) -> tuple[int, int]:
        """Return how many places are seen with the next tokens, from the first on."""
        return self.get_seq_length() + query_length, 0

    def get_seq_length(self) -> int:
        """Return how many places the parts have."""
        return sum(keys.shape[2] for keys, _ in self._parts)

    def get_max_length(self) -> int:
        """Return that there is no limit."""
        return -1


@dataclass
class Grown:
    """Where what was read and said stands in a cache.

    Args:
        pairs: keys and values of its layers.
        row: (n,) int64, the row of the cache of each answer.
        columns: (n, width) int64, what stands where in the conversation of each: its places, in order.
        valid: (n, width) bool, which of these are any.
    """

    pairs: Pairs
    row: Tensor
    columns: Tensor
    valid: Tensor

    def cut(self, rows: Tensor) -> Grown:
        """Return the same of some answers."""
        return Grown(self.pairs, self.row[rows], self.columns[rows], self.valid[rows])


def grown(prefix: Prefix, prompt: Tensor, said: Tensor) -> Grown:
    """Find what answers have left in the cache behind their prompts; the cache is taken away from `prefix`.

    Args:
        prefix: after the answers.
        prompt: (rows of the cache before the answers, length) which of it is no padding.
        said: (n, steps) bool, which tokens of the answers were run, step by step.
    """
    count, length, device = len(said), prompt.shape[1], said.device
    if prefix.steps is None:
        layers = cast(list[Any], prefix.cache.layers)
        pairs = [layer.held if isinstance(layer, GrowingLayer) else (layer.keys, layer.values) for layer in layers]
        base = length
    else:
        pairs, base = prefix.steps.held, prefix.steps.shape.start
    answer = torch.arange(count, device=device)
    row = answer * len(pairs[0][0]) // count
    before = torch.arange(base - length, base, device=device).expand(count, -1)
    steps = torch.arange(said.shape[1], device=device) * prefix.abreast + base
    columns = torch.cat([before, steps + (answer % prefix.abreast)[:, None]], dim=1)
    valid = torch.cat([prompt.bool()[answer * len(prompt) // count], said], dim=1)
    prefix.cache = Cache(layers=[])
    return Grown(pairs, row, columns, valid)
