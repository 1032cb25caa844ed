"""Differences of small pictures, in NumPy. The arguments are explained in `kernels.looks`."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ssl4rl_envs.kernels.tiles import MIRRORED, TRANSPOSED, UPENDED


def differ(out: NDArray[np.bool_], first: NDArray[np.uint8], second: NDArray[np.uint8], least: int) -> None:
    """See `kernels.looks.differ`."""
    out[...] = np.abs(first.astype(np.int32) - second).sum(axis=1) >= least


def lie_apart(
    out: NDArray[np.bool_], pictures: NDArray[np.uint8], ways: NDArray[np.int64], inside: NDArray[np.int64], least: int
) -> None:
    """See `kernels.looks.lie_apart`."""
    columns = np.arange(len(inside))
    counts = (columns >= inside[:, None]) & (columns < len(inside) - inside[:, None])
    values = pictures.astype(np.int32)
    out[...] = True
    for way in ways:
        other = values.swapaxes(1, 2) if way & TRANSPOSED else values
        flipped = other[:, :, ::-1] if way & (UPENDED if way & TRANSPOSED else MIRRORED) else other
        flipped = flipped[:, ::-1] if way & (MIRRORED if way & TRANSPOSED else UPENDED) else flipped
        out &= (np.abs(values - flipped) * counts[:, :, None]).sum(axis=(1, 2, 3)) >= least
