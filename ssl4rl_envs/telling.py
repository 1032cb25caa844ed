"""What is said on standard error while somebody waits; nothing with SSL4RL_QUIET in the environment (``ssl4rl --quiet``).

A variable of the environment rather than an argument, because most of what takes long is deep inside, or in other processes.
"""

from __future__ import annotations

import os
import shutil
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

VARIABLE = "SSL4RL_QUIET"
PATIENCE = 2.0
"""Seconds that nobody needs an explanation for."""

EVERY = 10.0
"""Seconds between two lines about how far something is, where standard error is no terminal."""


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


class Line:
    """A line that says how far something is: written over on a terminal, elsewhere a new one now and then."""

    def __init__(self) -> None:
        self._terminal = sys.stderr.isatty()
        self._next = time.monotonic() + PATIENCE

    @property
    def due(self) -> bool:
        """Whether it is time for a word."""
        return time.monotonic() >= self._next

    def show(self, words: str, *, last: bool = False) -> None:
        """Say it; the last words stay."""
        line = f"ssl4rl: {words}"
        if self._terminal:  # what is longer than its width could not be written over
            tell(f"\r{line[: shutil.get_terminal_size().columns - 1]}\x1b[K", end="\n" if last else "")
        else:
            tell(line)
        self._next = time.monotonic() + (0.5 if self._terminal else EVERY)


class Progress:
    """How much is done, how fast, and what is left; nothing of what is done soon.

    Args:
        what: is done, for people.
        total: how much there is.
    """

    def __init__(self, what: str, total: int) -> None:
        self._what, self._total, self._done, self._begun = what, total, 0, time.monotonic()
        self._first: tuple[float, int] | None = None
        self._line = Line()

    def tell(self, done: int) -> None:
        """Say that so much is done, if it is time for it; the rate is that since the first time, when all has started."""
        now, self._done = time.monotonic(), done
        self._first = self._first or (now, done)
        if not self._line.due or done == self._first[1] or done >= self._total:
            return
        rate = (done - self._first[1]) / (now - self._first[0])
        pace = f"{rate:,.0f} a second" if rate >= 1 else f"{60 * rate:.2g} a minute"
        left = (self._total - done) / rate
        self._line.show(f"{self._what}: {done:,} of {self._total:,}, {pace}, {left:,.0f} s left")

    def end(self) -> None:
        """Say how much was done and how long it took, if it took long."""
        took = time.monotonic() - self._begun
        if took > PATIENCE:
            self._line.show(f"{self._what}: {self._done:,} in {took:,.0f} s", last=True)
