"""Spaces of actions: their bounds, what lies within, and what is wrong with what does not."""

from __future__ import annotations

from collections.abc import Mapping, Sequence, Set
from typing import Any

import numpy as np
from gymnasium import spaces
from numpy.typing import NDArray

from ssl4rl_envs.briefly import briefly


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


def check_count(actions: Any, count: int) -> None:
    """Check that there are `count` actions in an order.

    Raises:
        TypeError: it is no sequence or array: one action, say.
        ValueError: there are more or fewer.
    """
    if not (type(actions) in (list, tuple) or (isinstance(actions, np.ndarray) and actions.ndim) or _ordered(actions)):
        raise TypeError(f"need a sequence of {count} actions, one an environment, got one {type(actions).__name__}")
    if len(actions) != count:
        raise ValueError(f"need {count} actions, one an environment, got {len(actions)}")


def as_rows(actions: Sequence[Any], space: spaces.Space[Any]) -> NDArray[Any]:
    """Return n actions as an array (n, ...).

    Raises:
        ValueError: they are not of one shape.
    """
    try:
        return np.asarray(actions)
    except ValueError as error:  # NumPy says where, and nothing of what was asked for
        shapes = sorted({np.shape(action) for action in actions if not isinstance(action, (list, tuple))})
        seen = f", got {', '.join(map(str, shapes))}" if shapes else ""
        raise ValueError(
            f"actions must each be of the shape {space.shape} of the action space {briefly(space)}{seen}: {error}"
        ) from error


def fault(space: spaces.Space[Any], values: NDArray[Any]) -> str:
    """Return what keeps n values out of a space at first sight, for the end of a message; "" where it is their size."""
    if values.shape[1:] != space.shape:
        return f"; it is of shape {values.shape[1:]}, and {space.shape} is needed"
    kinds, needed = ("iuf", "numbers") if isinstance(space, spaces.Box) else ("iu", "whole numbers")
    return "" if values.dtype.kind in kinds else f"; it is of type {values.dtype}, and {needed} are needed"


def _ordered(actions: Any) -> bool:
    """Return whether something that is neither list, tuple nor array holds actions in an order."""
    several = hasattr(actions, "__len__") and not isinstance(actions, (str, bytes, Mapping, Set))
    return several and np.ndim(actions) > 0


def _holds(space: spaces.Discrete | spaces.MultiDiscrete, value: list[int]) -> bool:
    """Return whether a space holds a value, which is given as a flat list."""
    if isinstance(space, spaces.Discrete):
        first = int(space.start)
        return first <= value[0] < first + int(space.n)
    starts, counts = space.start.ravel().tolist(), space.nvec.ravel().tolist()
    return all(0 <= number - first < count for number, first, count in zip(value, starts, counts, strict=True))
