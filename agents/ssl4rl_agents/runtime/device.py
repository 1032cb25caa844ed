"""Where the work is done, and in which precision."""

from __future__ import annotations

import re
import resource
import sys
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch
from torch import nn

_NAME = re.compile(r"auto|cpu|cuda(:[0-9]{1,4})?")


def find_device(name: str) -> torch.device:
    """Return the device that `name` means; "auto" is a CUDA GPU if there is one, else the CPU.

    Raises:
        ValueError: there is no such kind of device, or a GPU was asked for and there is none, or not so many.
    """
    if not _NAME.fullmatch(name):
        gpu = "; a GPU is called cuda" if "gpu" in name.lower() else ""
        raise ValueError(f"device must be auto, cpu, cuda or cuda:NUMBER, got {name!r}{gpu}")
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    if name == "cpu":
        return torch.device("cpu")
    if not torch.cuda.is_available():
        raise ValueError(f"device {name!r} was asked for, but torch {torch.__version__} finds no CUDA GPU; use auto or cpu")
    number, there = int(name.partition(":")[2] or 0), torch.cuda.device_count()
    if number >= there:
        raise ValueError(f"device {name!r} was asked for, but the last of {there} CUDA GPUs here is cuda:{there - 1}")
    return torch.device(name)


def autocast(policy: nn.Module, device: torch.device) -> AbstractContextManager[Any]:
    """Return what a policy's passes run in: bfloat16 autocast on a GPU, or where the policy asks for it; else float32."""
    return torch.autocast(device.type, torch.bfloat16) if _in_bfloat16(policy, device) else nullcontext()


def precision(policy: nn.Module, device: torch.device) -> torch.dtype:
    """Return the precision of a policy's passes: bfloat16 under `autocast` or where weights are kept in less than float32."""
    whole = all(parameter.dtype.itemsize >= 4 for parameter in policy.parameters())
    return torch.float32 if whole and not _in_bfloat16(policy, device) else torch.bfloat16


def _in_bfloat16(policy: nn.Module, device: torch.device) -> bool:
    return device.type == "cuda" or getattr(policy, "precision", "auto") == "bfloat16"


def peak_memory(device: torch.device) -> float:
    """Return the most memory that was in use so far, in MiB: of the GPU, or of this process on the CPU."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device) / 2**20
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (2**20 if sys.platform == "darwin" else 2**10)  # macOS counts bytes, Linux kilobytes
