"""Agents for tests: one whose process dies, one that sleeps until it is killed, one that stops early."""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path

import numpy as np


class Dying:
    """Takes its process down while it learns."""

    interface = "array"

    def __init__(self, envs) -> None:
        del envs

    def learn(self, lesson) -> None:
        print("going down", file=sys.stderr, flush=True)
        os._exit(7)

    def act(self, observations, *, deterministic=False):
        return np.zeros(len(observations["image"]), int)


class Sleeping(Dying):
    """Says in the file that SLEEPING names which process it is, and sleeps; learns at once if there is no path in it."""

    def learn(self, lesson) -> None:
        file = Path(os.environ["SLEEPING"])
        if file.is_absolute():
            file.write_text(str(os.getpid()))
            time.sleep(600)


class Short(Dying):
    """Stops a few episodes after a point of its curve."""

    def learn(self, lesson) -> None:
        lesson.begin(self)
        lesson.progress(self, 56)
        lesson.progress(self, 60)
