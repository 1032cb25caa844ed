"""Where the work is done, and in which precision."""

from __future__ import annotations

import resource
import sys
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch
from torch import nn


def find_device(name: str) -> torch.device:
    """Return the device that `name` means; "auto" is a CUDA GPU if there is one, else the CPU.

    Raises:
        ValueError: there is no such kind of device, or a GPU was asked for and there is none.
    """
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
    except RuntimeError as error:
        raise ValueError(f"device must be auto, cpu, cuda or cuda:NUMBER, got {name!r}") from error
    if device.type == "meta":
        raise ValueError("device 'meta' keeps no numbers, so nothing can be learned there; use auto, cpu or cuda")
    if device.type == "cuda" and not torch.cuda.is_available():
        raise ValueError(f"device {name!r} was asked for, but torch {torch.__version__} finds no CUDA GPU; use auto or cpu")
    return device


def autocast(device: torch.device) -> AbstractContextManager[Any]:
    """Return bfloat16 autocast on a GPU; float32 elsewhere."""
    return torch.autocast("cuda", torch.bfloat16) if device.type == "cuda" else nullcontext()


def precision(module: nn.Module, device: torch.device) -> torch.dtype:
    """Return the precision of a module's passes: bfloat16 under `autocast` or where weights are kept in less than float32."""
    whole = all(parameter.dtype.itemsize >= 4 for parameter in module.parameters())
    return torch.float32 if device.type != "cuda" and whole else torch.bfloat16


def peak_memory(device: torch.device) -> float:
    """Return the most memory that was in use so far, in MiB: of the GPU, or of this process on the CPU."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device) / 2**20
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (2**20 if sys.platform == "darwin" else 2**10)  # macOS counts bytes, Linux kilobytes
