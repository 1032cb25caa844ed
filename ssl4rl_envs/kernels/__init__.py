"""Loops that can be compiled: each exists as a NumPy reference and compiled by numba, and both give the same bits.

Functions here take plain arrays and give plain arrays; they know no task and no source. A new one is a function of one
name in `reference` and in `compiled`, and one here that hands its arguments to the implementation chosen.

numba is optional (`pip install '.[fast]'`). Where it can be imported it is used; the environment variable ``SSL4RL_KERNELS``
forces one of them: "numpy" or "numba".
"""

from __future__ import annotations

import importlib
import os
from functools import cache
from types import ModuleType

import numpy as np
from numpy.typing import NDArray

VARIABLE = "SSL4RL_KERNELS"
Arrays = tuple[NDArray[np.integer], ...]

MODULES = {"numpy": "ssl4rl_envs.kernels.reference", "numba": "ssl4rl_envs.kernels.compiled"}


@cache
def implementation(forced: str = "") -> ModuleType:
    """Return the module of functions that is used.

    Args:
        forced: "numpy" or "numba"; by default numba where it can be imported, else NumPy.

    Raises:
        ValueError: there is no such implementation.
        ImportError: numba is forced and cannot be imported.
    """
    if forced and forced not in MODULES:
        raise ValueError(f"{VARIABLE} must be one of {', '.join(MODULES)}, or not be set, got {forced!r}")
    if forced != "numpy":
        try:
            return importlib.import_module(MODULES["numba"])
        except (ImportError, RuntimeError) as error:  # the latter where numba may nowhere keep what it compiled
            if forced:
                raise ImportError(
                    f"{VARIABLE}={forced} needs numba, which cannot be imported ({error}); pip install '.[fast]'"
                ) from error
    return importlib.import_module(MODULES["numpy"])


def interpolate(
    out: NDArray[np.uint8],
    pixels: NDArray[np.uint32],
    pictures: Arrays,
    middle: Arrays,
    steps: Arrays,
) -> None:
    """Draw turned squares of pictures, blending the four pixels round each position with one rounding.

    Args:
        out: (n, size, size, 3), which is written.
        pixels: (m,) of all pictures, row by row; red in the lowest byte, then green and blue.
        pictures: where the pixels of each of n pictures begin, their widths and their heights, (n,) int64 each.
        middle: x and y of the middles of the squares, (n,) int32 each, in 1/4096 of a pixel from the middle of the first.
        steps: along and across, (n, size) int32 each, in the same unit: output pixel (r, c) is drawn from
            x + along[c] - across[r], y + along[r] + across[c]. Outside a picture its edge pixels are repeated.
    """
    implementation(os.environ.get(VARIABLE, "")).interpolate(out, pixels, *pictures, *middle, *steps)
