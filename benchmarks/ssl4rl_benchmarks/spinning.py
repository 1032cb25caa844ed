"""Threads that wait for each other sleep soon, rather than spin: set before torch is imported, which reads it then."""

from __future__ import annotations

import os


def sleep_soon() -> None:
    """Let OpenMP's threads sleep where a core is busy with something else; what the user has set stays."""
    os.environ.setdefault("GOMP_SPINCOUNT", "10000")
