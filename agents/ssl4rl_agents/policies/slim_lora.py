"""What adapters add to a linear layer, in as few products as it takes.

peft brings what an adapter reads to the adapter's own precision, and scales and adds what it gives in passes over the whole
output of the layer; under autocast the weights of adapters, which are kept in float32, are brought to lower precision each
time. In a step of sampling, where a layer sees a few tokens, those are most of the kernels that a GPU runs. Here one product
goes down, and one comes up, scales and adds; and while answers are sampled, weights of lower precision are made once.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from peft.tuners.lora import Linear
from torch import Tensor, nn
from torch.nn.functional import linear

ADAPTER = "default"
"""What peft calls the only adapter."""


class SlimLinear(Linear):
    """A linear layer with one adapter; it takes the place of peft's own class."""

    copies: tuple[Tensor, Tensor] | None = None
    """The adapter's weights in the precision that products are made in, for a while."""

    def forward(self, x: Tensor, *args: Any, **kwargs: Any) -> Tensor:
        """Return x W + b + scale * (x A) B, for x (..., in)."""
        if self.disable_adapters or self.merged or args or kwargs:
            return super().forward(x, *args, **kwargs)
        result: Tensor = self.base_layer(x)
        down, up = self.weights if self.copies is None else self.copies
        if not torch.is_autocast_enabled(x.device.type) and not x.dtype == down.dtype == result.dtype:
            return super().forward(x)
        hidden = linear(x, down).flatten(0, -2)
        return torch.addmm(result.flatten(0, -2), hidden, up.t(), alpha=self.scaling[ADAPTER]).view(result.shape)

    @property
    def weights(self) -> tuple[Tensor, Tensor]:
        """The adapter's, down and up."""
        down: Any = self.lora_A[ADAPTER]
        up: Any = self.lora_B[ADAPTER]
        return down.weight, up.weight


class SlimAdapters:
    """The adapted linear layers of a model, made to take few products.

    Args:
        model: with one adapter, or none.
    """

    def __init__(self, model: nn.Module) -> None:
        self._layers: list[Any] = [module for module in model.modules() if _is_plain(module)]
        self._copies: list[Tensor] = []
        for layer in self._layers:
            layer.__class__ = SlimLinear

    def __deepcopy__(self, memo: dict[int, Any]) -> SlimAdapters:
        other = object.__new__(SlimAdapters)
        other._layers, other._copies = [memo[id(layer)] for layer in self._layers], []
        return other

    def leave(self) -> None:
        """Let peft do it again: where weights are spread over processes, it asks the modules that gather them."""
        for layer in self._layers:
            layer.__class__ = Linear
        self._layers = []

    @contextmanager
    def copied(self, dtype: torch.dtype) -> Iterator[None]:
        """Use copies of the adapters in a lower precision, made here; they lie where the last ones lay."""
        weights = [weight.detach() for layer in self._layers for weight in layer.weights]
        if self._fit(weights, dtype):
            torch._foreach_copy_(self._copies, weights)
        else:
            self._copies = [weight.to(dtype, copy=True) for weight in weights]
        for layer, down, up in zip(self._layers, self._copies[::2], self._copies[1::2], strict=True):
            layer.copies = down, up
        try:
            yield
        finally:
            for layer in self._layers:
                layer.copies = None

    def _fit(self, weights: list[Tensor], dtype: torch.dtype) -> bool:
        return len(self._copies) == len(weights) and all(
            copy.dtype == dtype and copy.shape == weight.shape and copy.device == weight.device
            for copy, weight in zip(self._copies, weights, strict=True)
        )


def _is_plain(module: Any) -> bool:
    """Return whether a module is a linear layer with one adapter as Hu et al. describe it."""
    return (
        type(module) in (Linear, SlimLinear)
        and list(module.lora_A) == [ADAPTER]
        and type(module.lora_dropout[ADAPTER]) is nn.Identity
        and not module.lora_variant
        and not module.lora_bias[ADAPTER]
        and not module.fan_in_fan_out
    )
