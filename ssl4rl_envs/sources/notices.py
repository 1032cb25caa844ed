"""What a user should know of the data, as warnings that point to the user's own line."""

from __future__ import annotations

import inspect
import warnings
from collections.abc import Mapping
from pathlib import Path


def warn(message: str) -> None:
    """Warn as if from the innermost caller outside this package."""
    frame, level = inspect.currentframe(), 0
    while frame is not None and str(frame.f_globals.get("__name__", "")).partition(".")[0] == "ssl4rl_envs":
        frame, level = frame.f_back, level + 1
    warnings.warn(message, stacklevel=level + 1)


def listed(reasons: Mapping[str, str] | Mapping[Path, str], most: int = 100) -> str:
    """Return what was noticed, a line each, of the first ones."""
    lines = [f"  {what}: {reason}" for what, reason in reasons.items()]
    return "\n".join(lines[:most] + [f"  and {len(lines) - most} more"] * (len(lines) > most))
