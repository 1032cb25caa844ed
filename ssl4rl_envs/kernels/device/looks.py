"""Small pictures compared by torch. The arguments are explained in `kernels.looks`; answers are arrays."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ssl4rl_envs.kernels.tiles import MIRRORED, TRANSPOSED, UPENDED


def differ(first: Tensor, second: Tensor, least: int) -> NDArray[np.bool_]:
    """See `kernels.looks.differ`."""
    return _said((first.int() - second.int()).abs().sum(dim=1) >= least)


def lie_apart(pictures: Tensor, ways: tuple[int, ...], inside: NDArray[np.int64], least: int) -> NDArray[np.bool_]:
    """See `kernels.looks.lie_apart`."""
    column = np.arange(len(inside))
    counts = (column >= inside[:, None]) & (column < len(inside) - inside[:, None])
    disk = torch.as_tensor(counts, device=pictures.device)[None, :, :, None]
    upright, result = pictures.int(), np.ones(len(pictures), bool)
    for way in ways:
        crossed = bool(way & TRANSPOSED)
        other = upright.transpose(1, 2) if crossed else upright
        other = other.flip(2) if way & (UPENDED if crossed else MIRRORED) else other
        other = other.flip(1) if way & (MIRRORED if crossed else UPENDED) else other
        result &= _said(((upright - other).abs() * disk).sum(dim=(1, 2, 3)) >= least)
    return result


def _said(values: Tensor) -> NDArray[np.bool_]:
    return np.asarray(values.cpu().numpy(), np.bool_)
