"""Where the work is done, and in which precision."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch


def find_device(name: str) -> torch.device:
    """Return the device that `name` means; "auto" is a CUDA GPU if there is one, else the CPU.

    Raises:
        ValueError: a GPU was asked for and there is none.
    """
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    device = torch.device(name)
    if device.type == "cuda" and not torch.cuda.is_available():
        raise ValueError(f"device {name!r} was asked for, but torch {torch.__version__} finds no CUDA GPU; use auto or cpu")
    return device


def autocast(device: torch.device) -> AbstractContextManager[Any]:
    """Return bfloat16 autocast on a GPU; float32 elsewhere."""
    return torch.autocast("cuda", torch.bfloat16) if device.type == "cuda" else nullcontext()
