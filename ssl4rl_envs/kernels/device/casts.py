"""Things over pictures that are tensors: they are drawn on the host. The arguments are explained in `kernels.casts`."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ssl4rl_envs.kernels import casts
from ssl4rl_envs.kernels.tensors import as_array


def paint(out: Tensor, backdrop: Tensor, things: NDArray[np.int64], poses: NDArray[np.float64]) -> None:
    """See `kernels.casts.paint`."""
    drawn = np.empty(tuple(out.shape), np.uint8)
    casts.paint(drawn, as_array(backdrop), things, poses)
    out.copy_(torch.from_numpy(drawn))


def changed(pictures: Tensor, pairs: NDArray[np.int64], least: int) -> NDArray[np.int64]:
    """See `kernels.casts.changed`."""
    one, other = (pictures[:, torch.as_tensor(side, device=pictures.device)].int() for side in pairs.T.copy())
    counts = ((one - other).abs().sum(dim=-1) >= least).sum(dim=(2, 3))
    return np.asarray(counts.cpu().numpy(), np.int64)
