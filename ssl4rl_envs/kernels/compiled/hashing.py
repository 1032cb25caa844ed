"""What kernels need that draw as streams do, in the midst of other work."""

from __future__ import annotations

from typing import Any

import numpy as np

from ssl4rl_envs.kernels.compiled import jit
from ssl4rl_envs.kernels.compiled.stream import _chain as chain

__all__ = ["HALF", "ONE", "below", "chain"]

ONE, HALF = np.uint64(1), np.uint64(32)


@jit
def below(word: Any, bound: Any) -> Any:
    """Return the number in [0, bound) that a word draws, int64; as `Stream.below`."""
    return np.int64(((word >> HALF) * np.uint64(bound)) >> HALF)
