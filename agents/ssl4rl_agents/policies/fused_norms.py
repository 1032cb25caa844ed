"""Root-mean-square norms as one kernel of torch's on a GPU, where transformers writes them as eight.

A norm is a tenth of a thousandth of a layer's work, and in a step of sampling, which sees a few tokens, a quarter of its
kernels. Whether a norm is the usual one, scaled by its weight, is found by trying it.
"""

from __future__ import annotations

import copy
from functools import cache
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.nn.functional import rms_norm

EPSILONS = ("variance_epsilon", "eps")
"""What the small number under the root is called."""


def fuse_norms(model: nn.Module) -> None:
    """Let the usual norms of a model be one kernel on a GPU, where input and weight are of one precision; others stay."""
    for module in model.modules():
        kind: Any = type(module)
        if not hasattr(kind, "unfused") and kind.__name__.endswith("RMSNorm") and _is_usual(module):
            module.__class__ = _fused(kind)


def _is_usual(module: Any) -> bool:
    """Return whether a norm divides by the root of the mean square, and multiplies with its weight."""
    weight = getattr(module, "weight", None)
    if not isinstance(weight, Tensor) or weight.ndim != 1 or _epsilon(module) is None or len(list(module.parameters())) > 1:
        return False
    generator = torch.Generator().manual_seed(0)
    tried = copy.copy(module)
    tried._parameters = {"weight": nn.Parameter(torch.rand(weight.shape, generator=generator), requires_grad=False)}
    x = torch.randn(3, len(weight), generator=generator) * torch.tensor([[1e-3], [1.0], [30.0]])
    try:
        found = tried(x)
    except Exception:  # norms that take more than an input, and whatever else the code of a model does
        return False
    expected = rms_norm(x, weight.shape, tried.weight, _epsilon(module))
    return isinstance(found, Tensor) and found.shape == x.shape and bool(torch.allclose(found, expected, rtol=1e-5))


def _epsilon(module: Any) -> float | None:
    return next((float(getattr(module, name)) for name in EPSILONS if isinstance(getattr(module, name, None), float)), None)


def takes(x: Tensor, weight: Tensor) -> bool:
    """Return whether torch has one kernel for this input."""
    return x.is_cuda and x.dtype == weight.dtype


@cache
def _fused(kind: type[nn.Module]) -> type[nn.Module]:
    """Return a kind of norm as one kernel; of the same name, which is what some code asks for."""

    def forward(self: Any, x: Tensor) -> Tensor:
        if not takes(x, self.weight):
            return cast(Tensor, kind.forward(self, x))
        with torch.autocast("cuda", enabled=False):  # which would bring it to float32
            return rms_norm(x, self.weight.shape, self.weight, _epsilon(self))

    named = {"__module__": kind.__module__, "__doc__": kind.__doc__}
    return type(kind.__name__, (kind,), {**named, "forward": forward, "unfused": kind})
