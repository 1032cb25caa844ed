"""Rows of a batch shared among threads: for kernels, which run without the interpreter's lock.

``SSL4RL_THREADS`` says how many threads; by default as many as this process may use cores. The threads are started on first
use, in each process of its own, so forking is safe.
"""

from __future__ import annotations

import itertools
import os
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

VARIABLE = "SSL4RL_THREADS"

_PIECES = 4
"""So many pieces there are for each thread: whichever is free takes the next, so that none waits for a slow one."""

Work = Callable[[slice], None]

_pool: tuple[int, ThreadPoolExecutor] | None = None


def count() -> int:
    """Return how many threads work at once.

    Raises:
        ValueError: the variable is no whole number from 1 on.
    """
    given = os.environ.get(VARIABLE, "")
    if not given:
        return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    if not given.isdecimal() or int(given) < 1:
        raise ValueError(f"{VARIABLE} must be a whole number from 1 on, or not be set, got {given!r}")
    return int(given)


def share(rows: int, work: Work, least: int) -> None:
    """Do something for all rows: in one piece, or in several that the threads take one after the other.

    Args:
        rows: how many.
        work: does it for a slice of the rows; must release the interpreter's lock to gain anything, and write nothing but
            its own rows.
        least: fewest rows that are worth a piece.
    """
    parts = rows // max(1, least)
    workers = min(parts, count()) if parts > 1 else 1
    if workers <= 1:
        work(slice(0, rows))
        return
    parts = min(parts, _PIECES * workers)
    edges = [rows * part // parts for part in range(parts + 1)]
    pieces = itertools.starmap(slice, itertools.pairwise(edges))
    lock = threading.Lock()

    def some() -> None:
        while True:
            with lock:
                piece = next(pieces, None)
            if piece is None:
                return
            work(piece)

    others = [_workers(workers - 1).submit(some) for _ in range(workers - 1)]
    try:
        some()
    finally:
        begun = [other for other in others if not other.cancel()]
        for other in begun:
            other.exception()  # nothing may go on writing behind the caller's back
    for other in begun:
        other.result()


def _workers(size: int) -> ThreadPoolExecutor:
    """Return this process's threads, at least as many."""
    global _pool
    if _pool is None or _pool[0] < size:
        _pool = size, ThreadPoolExecutor(size, thread_name_prefix="ssl4rl-kernels")
    return _pool[1]


def _forget() -> None:
    global _pool
    _pool = None


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget)  # the child has none of the threads
