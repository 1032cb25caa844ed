"""What pictures hold, added up in NumPy. The arguments are explained in `kernels.tallies`."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def tally(out: NDArray[np.int64], pictures: NDArray[np.uint8]) -> None:
    """See `kernels.tallies.tally`."""
    values, parts = pictures.astype(np.int64), out.shape[1]
    side = values.shape[2]
    width = side // parts
    for number, left in enumerate((0, side - width)[:parts]):
        part = values[:, :, left : left + width]
        out[:, number, :3] = part.sum(axis=(1, 2))
        out[:, number, 3] = (part.max(axis=3) - part.min(axis=3)).sum(axis=(1, 2))
        out[:, number, 4] = sum(np.abs(np.diff(part, axis=axis)).sum(axis=(1, 2, 3)) for axis in (1, 2))
