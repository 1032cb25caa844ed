"""Boxes whose bounds are the same everywhere, held as two numbers instead of arrays of the space's size.

Gymnasium's `Box` holds four arrays of its shape. For the observations of 4,096 environments with a few pictures each that is
more than a gigabyte that nobody reads.
"""

from __future__ import annotations

import copy
from typing import Any

import numpy as np
from gymnasium import spaces
from gymnasium.vector.utils import batch_space


class UniformBox(spaces.Box):
    """A `Box` of finite bounds that are the same everywhere; `low` and `high` are read-only views of one number each.

    It equals an ordinary `Box` of these bounds, and gives the same samples for the same seed. Batched by Gymnasium's
    `batch_space`, it is one again.

    Args:
        low, high: the bounds, numbers that `dtype` holds.
        shape, dtype, seed: as of `Box`.
    """

    def __init__(self, low: Any, high: Any, shape: tuple[int, ...], dtype: Any, seed: Any = None) -> None:
        super().__init__(low, high, (), dtype, seed)
        self._shape = tuple(shape)
        self.lowest, self.highest = self.low[()], self.high[()]
        for name in ("low", "high", "bounded_below", "bounded_above"):
            setattr(self, name, np.broadcast_to(getattr(self, name), self._shape))
        self.low_repr, self.high_repr = str(self.lowest), str(self.highest)

    def contains(self, x: Any) -> bool:
        """Return whether `x` is an array of the shape, of a type that fits, and within the bounds."""
        if not isinstance(x, np.ndarray) or x.size == 0:
            return super().contains(x)
        fits = np.can_cast(x.dtype, self.dtype) and x.shape == self.shape
        return bool(fits and x.min() >= self.lowest and x.max() <= self.highest)

    def __eq__(self, other: object) -> bool:
        """Return whether the other is a box of the same shape, type and bounds."""
        if not isinstance(other, UniformBox):
            return super().__eq__(other)
        alike = self.shape == other.shape and self.dtype == other.dtype
        return alike and bool(np.allclose([self.lowest, self.highest], [other.lowest, other.highest]))

    __hash__ = None  # type: ignore[assignment]

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle and copy the two numbers, and the generator."""
        return type(self), (self.lowest, self.highest, self.shape, self.dtype), {"_np_random": self._np_random}

    def __setstate__(self, state: Any) -> None:
        """Take the generator of the box that was copied."""
        self.__dict__.update(state)


@batch_space.register(UniformBox)
def _batch(space: UniformBox, n: int = 1) -> UniformBox:
    seed = copy.deepcopy(space.np_random)
    return UniformBox(space.lowest, space.highest, (n, *space.shape), space.dtype, seed)


def slim(space: spaces.Box) -> spaces.Box:
    """Return an equal `UniformBox`, or the box itself where its bounds differ from place to place or are not finite.

    The generator is not taken over.
    """
    bounded = space.low.size and space.is_bounded()
    if not bounded or isinstance(space, UniformBox):
        return space
    low, high = space.low.flat[0], space.high.flat[0]
    uniform = bool((space.low == low).all() and (space.high == high).all())
    return UniformBox(low, high, space.shape, space.dtype) if uniform else space
