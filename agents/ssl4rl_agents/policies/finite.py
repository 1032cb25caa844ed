"""Numbers that are none: NaN and infinities in weights and in what an optimizer remembers, where they are kept and read."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from pathlib import Path

import torch
from safetensors import safe_open
from torch import Tensor, nn


class DivergedError(RuntimeError):
    """A policy is lost: its weights, gradients or probabilities are not finite numbers."""


def require_probabilities(logits: Tensor) -> None:
    """Check that tokens can be chosen by these logits (..., vocabulary); -inf is a token that is never chosen.

    Raises:
        DivergedError: they hold NaN or +inf, or -inf alone.
    """
    if not bool(torch.isfinite(logits.float().logsumexp(-1)).all()):
        raise DivergedError(
            "the policy's probabilities are not finite numbers, so it can answer nothing: its weights have diverged, or "
            "activations overflow in this precision. In training a smaller learning rate may help"
        )


def unsound(tensors: Iterable[tuple[str, Tensor]], buffers: Collection[str] = ()) -> str | None:
    """Return the name of the first tensor that holds NaN or an infinity; None where all are finite.

    Args:
        tensors: by name.
        buffers: names of those that may hold infinities, as masks of attention do, but no NaN.
    """
    for name, tensor in tensors:
        if tensor.is_floating_point() or tensor.is_complex():
            wrong = torch.isnan(tensor).any() if name in buffers else ~torch.isfinite(tensor).all()
            if bool(wrong):
                return name
    return None


def buffers_of(module: nn.Module) -> set[str]:
    """Return the names of what a module keeps beside its weights."""
    return {name for name, _ in module.named_buffers()}


def require_finite(module: nn.Module, origin: str | Path) -> None:
    """Check the weights of a module that were read from somewhere.

    Args:
        module: with whole weights.
        origin: the folder or name they came from.

    Raises:
        ValueError: some are not finite; the message names the tensor, and the file where it lies.
    """
    name = unsound(module.state_dict().items(), buffers_of(module))
    if name is None:
        return
    file, inside = _where(Path(origin))
    raise ValueError(
        f"{file or origin}: tensor {inside or name} holds numbers that are not finite, and no answer can come of it; take "
        "other weights (a run goes on from the checkpoint before if this one's folder is deleted)"
    )


def _where(folder: Path) -> tuple[Path | None, str | None]:
    """Return the first file of weights in a folder with a number that is not finite, and the tensor's name there."""
    if folder.is_dir():
        for file in sorted(folder.glob("*.safetensors"), key=lambda file: file.name.startswith("optimizer")):
            with safe_open(file, "pt") as held:
                found = unsound((key, held.get_tensor(key)) for key in held.keys())  # noqa: SIM118 - it is no dict
            if found is not None:
                return file, found
    return None, None
