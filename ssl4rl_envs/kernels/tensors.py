"""Pixels as arrays, or as tensors where they lie on a device: what is the same for both, without importing torch.

A kernel's function is for arrays; `over_tensors` hands pictures that are tensors to the module of its area in `device`.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Sequence
from functools import wraps
from typing import Any, TypeVar, cast

import numpy as np
from numpy.typing import NDArray

from ssl4rl_envs.memory import recycled

Function = TypeVar("Function", bound=Callable[..., Any])


def is_tensor(pixels: Any) -> bool:
    """Return whether pixels are a tensor of torch rather than an array."""
    return not isinstance(pixels, np.ndarray)


def over_tensors(function: Function) -> Function:
    """Let a kernel take tensors: where its first argument is one, `kernels.device` has a function of the same name."""
    area = function.__module__.rpartition(".")[2]

    @wraps(function)
    def either(first: Any, *others: Any, **named: Any) -> Any:
        if not is_tensor(first):
            return function(first, *others, **named)
        return getattr(importlib.import_module(f"ssl4rl_envs.kernels.device.{area}"), function.__name__)(
            first, *others, **named
        )

    return cast(Function, either)


def room_beside(pixels: Any, shape: Sequence[int], fill: int | None = None) -> NDArray[np.uint8]:
    """Return room for bytes where other pixels lie: an array, or a tensor of their device.

    Args:
        pixels: others.
        shape: of the room.
        fill: what all bytes are; by default anything.
    """
    room = pixels.new_empty(tuple(shape)) if is_tensor(pixels) else recycled(tuple(shape), np.uint8)
    if fill is not None:
        room[...] = fill
    return cast("NDArray[np.uint8]", room)


def as_array(values: Any) -> NDArray[Any]:
    """Return an array as it is, and what a tensor holds as an array on the host."""
    return cast("NDArray[Any]", values.cpu().numpy() if is_tensor(values) else values)


def beside(pixels: Any, values: NDArray[Any]) -> NDArray[Any]:
    """Return an array where other pixels lie: as it is, or as a tensor on their device."""
    return cast("NDArray[Any]", pixels.new_tensor(values) if is_tensor(pixels) else values)


def joined(parts: Sequence[Any]) -> Any:
    """Return arrays or tensors (n, ...) one after the other."""
    if not is_tensor(parts[0]):
        return np.concatenate(parts)
    return importlib.import_module("torch").cat(tuple(parts))
