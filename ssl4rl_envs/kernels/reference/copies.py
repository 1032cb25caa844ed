"""Which pictures may be copies, by NumPy. The arguments are explained in `kernels.copies`."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def close_pairs(
    hashes: NDArray[np.uint64],
    tones: NDArray[np.int16],
    ends: NDArray[np.int64],
    least: NDArray[np.int64],
    start: int,
    stop: int,
) -> NDArray[np.int64]:
    """Return the pairs whose earlier picture is one of `start` to `stop` - 1."""
    found = [np.zeros((0, 3), np.int64)]
    for one in range(start, stop):
        different = np.ascontiguousarray((hashes[:, one + 1 : ends[one]] ^ hashes[:, one, None]).T)
        bits = np.unpackbits(different.view(np.uint8), axis=1).sum(axis=1, dtype=np.int64)
        near = np.flatnonzero(bits < len(least))
        products = tones[one + 1 + near].astype(np.int64) @ tones[one].astype(np.int64)
        near = near[products >= least[bits[near]]]
        found.append(np.stack([np.full(len(near), one), one + 1 + near, bits[near]], axis=1))
    return np.concatenate(found)
