"""What takes how long."""

from __future__ import annotations

import time


class Clock:
    """Seconds of the phases of an iteration, by name."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        self._last = time.perf_counter()

    def lap(self, phase: str) -> None:
        """End a phase, and begin the next one."""
        now = time.perf_counter()
        self.seconds[phase], self._last = now - self._last, now
