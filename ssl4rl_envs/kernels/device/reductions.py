"""Reductions, by torch. The arguments are explained in `kernels.reductions`."""

from __future__ import annotations

import torch
from torch import Tensor

_TAPS = (1, 5, 10, 10, 5, 1)


def halve(out: Tensor, pictures: Tensor) -> None:
    """See `kernels.reductions.halve`."""
    half = out.shape[1]
    values = pictures.int()
    rows = sum(
        (tap * values[:, k : k + 2 * half : 2] for k, tap in enumerate(_TAPS)),
        torch.zeros((), dtype=torch.int32, device=out.device),
    )
    both = sum(
        (tap * rows[:, :, k : k + 2 * half : 2] for k, tap in enumerate(_TAPS)),
        torch.zeros((), dtype=torch.int32, device=out.device),
    )
    out.copy_((both + 512) >> 10)
