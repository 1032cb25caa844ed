"""What is said on standard error while somebody waits; nothing with SSL4RL_QUIET in the environment (``ssl4rl --quiet``).

A variable of the environment rather than an argument, because most of what takes long is deep inside, or in other processes.
"""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager

VARIABLE = "SSL4RL_QUIET"
PATIENCE = 2.0
"""Seconds that nobody needs an explanation for."""


def quiet() -> bool:
    """Return whether nothing is to be said: it was asked for, or another of several processes speaks for all."""
    return bool(os.environ.get(VARIABLE)) or os.environ.get("RANK", "0") != "0"


def tell(line: str, end: str = "\n") -> None:
    """Say something at once."""
    if not quiet():
        print(line, end=end, file=sys.stderr, flush=True)


@contextmanager
def waiting(what: str, patience: float = PATIENCE) -> Iterator[None]:
    """Say what is being done, e.g. "loading the model", if it takes longer than `patience` seconds."""
    word = threading.Timer(patience, lambda: tell(f"ssl4rl: {what} ..."))
    word.daemon = True
    word.start()
    try:
        yield
    finally:
        word.cancel()
