"""Spaces of actions: their bounds, and what lies within."""

from __future__ import annotations

from typing import Any

import numpy as np
from gymnasium import spaces
from numpy.typing import NDArray


def bounds(space: spaces.Space[Any]) -> tuple[NDArray[Any], NDArray[Any]]:
    """Return the least and the greatest value of an action space, each of its shape.

    Raises:
        TypeError: it is no space of actions.
    """
    if isinstance(space, spaces.Discrete):
        return np.asarray(space.start), np.asarray(space.start + space.n - 1)
    if isinstance(space, spaces.MultiDiscrete):
        return space.start, space.start + space.nvec - 1
    if isinstance(space, spaces.MultiBinary):
        return np.zeros(space.shape, np.int8), np.ones(space.shape, np.int8)
    if isinstance(space, spaces.Box):
        return space.low, space.high
    raise TypeError(f"actions of tasks are Discrete, MultiDiscrete, MultiBinary or Box, got {space}")


def inside(space: spaces.Space[Any], values: NDArray[Any]) -> NDArray[np.bool_]:
    """Return which of n values (n, ...) lie in an action space, (n,); any integer type will do for integers."""
    if isinstance(space, (spaces.Discrete, spaces.MultiDiscrete)):
        if values.dtype.kind not in "iu" or values.shape[1:] != space.shape:
            return np.zeros(len(values), bool)
        if len(values) == 1:  # of a single environment, where every call counts
            return np.array([_holds(space, values.ravel().tolist())])
    low, high = bounds(space)
    whole = isinstance(space, spaces.Box) or values.dtype.kind in "iu"
    if not whole or values.dtype.kind not in "iuf" or values.shape[1:] != low.shape:
        return np.zeros(len(values), bool)
    within = (values >= low) & (values <= high)
    return within if within.ndim == 1 else np.asarray(within.all(axis=tuple(range(1, values.ndim))), np.bool_)


def _holds(space: spaces.Discrete | spaces.MultiDiscrete, value: list[int]) -> bool:
    """Return whether a space holds a value, which is given as a flat list."""
    if isinstance(space, spaces.Discrete):
        first = int(space.start)
        return first <= value[0] < first + int(space.n)
    starts, counts = space.start.ravel().tolist(), space.nvec.ravel().tolist()
    return all(0 <= number - first < count for number, first, count in zip(value, starts, counts, strict=True))
