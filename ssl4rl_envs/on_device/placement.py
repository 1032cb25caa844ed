"""Tasks whose pictures are drawn on a device."""

from __future__ import annotations

import copy
from typing import Any, TypeVar, cast

import torch

from ssl4rl_envs.composite import Composite
from ssl4rl_envs.images.base import ImageTask
from ssl4rl_envs.on_device.sources import DeviceSource
from ssl4rl_envs.sources.base import PictureSource
from ssl4rl_envs.task import Task

TaskT = TypeVar("TaskT", bound=Task)


def on_device(task: TaskT, device: torch.device | str) -> TaskT:
    """Return a copy of a task whose pictures are tensors on a device, drawn there from a copy of its pool.

    The instances are the task's own, bit for bit: `sample`, `score` and `advance` take and give the same numbers, on the
    host, and pictures of a `Batch` are tensors. A task without pictures is returned as it is.

    Args:
        task: any; of a mixture or attempts, the tasks inside.
        device: of torch: "cuda", "cpu", ...

    Raises:
        ValueError: torch cannot use the device.
    """
    return _placed(task, usable(device), {})


def usable(device: torch.device | str) -> torch.device:
    """Return a device of torch, with its number.

    Raises:
        ValueError: torch cannot use it here.
    """
    try:
        return torch.empty(0, device=torch.device(device)).device
    except (AssertionError, RuntimeError) as error:  # the former where torch was built without CUDA
        raise ValueError(f"torch cannot use the device {str(device)!r} here ({error}); device='cpu' always works") from error


def _placed(task: TaskT, device: torch.device, sources: dict[int, PictureSource]) -> TaskT:
    if isinstance(task, Composite):
        around: Any = task.around(tuple(_placed(each, device, sources) for each in task.tasks))
        return cast(TaskT, around)
    if not isinstance(task, ImageTask) or isinstance(task.source, DeviceSource):
        return task
    placed: Any = copy.copy(task)
    key = id(task.source)
    if key not in sources:  # a pool is copied once, however many tasks ask about it
        sources[key] = DeviceSource(task.source, device)
    placed.source = sources[key]
    return cast(TaskT, placed)
