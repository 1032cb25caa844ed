"""What pictures hold, added up by torch. The arguments are explained in `kernels.tallies`; sums are arrays."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor


def tally(pictures: Tensor, parts: int) -> NDArray[np.int64]:
    """See `kernels.tallies.tally`."""
    values, side = pictures.int(), pictures.shape[2]
    width = side // parts
    halves = [values[:, :, left : left + width] for left in (0, side - width)[:parts]]
    return np.asarray(torch.stack([_of(half) for half in halves], dim=1).cpu().numpy(), np.int64)


def _of(part: Tensor) -> Tensor:
    """Return what is added up of parts (n, side, width, 3), (n, 5)."""
    chroma = (part.amax(dim=3) - part.amin(dim=3)).sum(dim=(1, 2))
    down, right = part.diff(dim=1).abs().sum(dim=(1, 2, 3)), part.diff(dim=2).abs().sum(dim=(1, 2, 3))
    return torch.cat([part.sum(dim=(1, 2)), torch.stack([chroma, down + right], dim=1)], dim=1)
