"""Memory of large arrays that is used again: fresh memory costs the system time, page by page, before anything is written.

`recycled` gives an array like ``np.empty``; when the last reference to it and to its views dies, its memory waits for the
next array of about its size. Nothing of this shows: an array is its owner's until nobody holds it.
"""

from __future__ import annotations

import math
import os
import threading
from collections import deque
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from ssl4rl_envs.kernels import threads

LEAST = 1 << 19
"""Arrays of fewer bytes are left to NumPy: the allocator keeps what they need anyway."""

MOST_IDLE = 512 << 20
"""So many bytes wait at most, or as many as are in use where that is more; of the rest, what is of a size that was not asked
for lately goes back to the system."""

_STEPS = 8
"""Sizes are rounded up to one of so many between a power of two and the next."""

_COPIED_BY_A_THREAD = 1 << 21
"""Bytes that are worth a thread."""


class _Lease:
    """What an array's memory belongs to: the base of the array and of all its views. It gives the memory back."""

    __slots__ = ("__array_interface__", "_memory", "_return")

    def __init__(self, memory: NDArray[np.uint8], give_back: Callable[[NDArray[np.uint8]], None]) -> None:
        self._memory, self._return = memory, give_back
        self.__array_interface__ = memory.__array_interface__

    def __del__(self) -> None:
        self._return(self._memory)


class Pool:
    """Memory that waits to be used again, for all threads of a process.

    Args:
        most_idle: so many bytes wait at most.
    """

    def __init__(self, most_idle: int = MOST_IDLE) -> None:
        self._most = most_idle
        self._returned: deque[NDArray[np.uint8]] = deque()  # appended to wherever a reference dies, so without a lock
        self._idle: dict[int, list[NDArray[np.uint8]]] = {}  # by size; the size that was asked for last comes last
        self._bytes = self._in_use = 0
        self._lock = threading.Lock()

    @property
    def idle(self) -> int:
        """How many bytes wait."""
        with self._lock:
            self._collect()
            return self._bytes

    def array(self, shape: tuple[int, ...], dtype: DTypeLike) -> NDArray[Any]:
        """Return an array whose values are arbitrary, as ``np.empty``."""
        kind = np.dtype(dtype)
        count = math.prod(shape) * kind.itemsize
        if count < LEAST:
            return np.empty(shape, kind)
        lease = _Lease(self._take(_rounded(count)), self._returned.append)
        return np.asarray(lease)[:count].view(kind).reshape(shape)

    def release(self) -> None:
        """Give all that waits back to the system."""
        with self._lock:
            self._collect()
            self._idle.clear()
            self._bytes = 0

    def after_fork(self) -> None:
        """Begin anew in a child process, where another thread may have held the lock."""
        self._lock = threading.Lock()

    def _take(self, size: int) -> NDArray[np.uint8]:
        with self._lock:
            self._collect()
            waiting = self._idle.pop(size, [])
            self._idle[size] = waiting
            if waiting:
                self._bytes -= size
                self._in_use += size
                return waiting.pop()
        fresh = np.empty(size, np.uint8)
        with self._lock:
            self._in_use += size
        return fresh

    def _collect(self) -> None:
        while self._returned:
            memory = self._returned.popleft()
            self._idle.setdefault(memory.nbytes, []).append(memory)
            self._bytes += memory.nbytes
            self._in_use -= memory.nbytes
        while self._bytes > max(self._most, self._in_use):
            size, waiting = next(iter(self._idle.items()))
            if waiting:
                waiting.pop()
                self._bytes -= size
            else:
                del self._idle[size]


_POOL = Pool()
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_POOL.after_fork)


def recycled(shape: tuple[int, ...], dtype: DTypeLike) -> NDArray[Any]:
    """Return an array with arbitrary values, as ``np.empty``; a large one in memory that another one no longer needs."""
    return _POOL.array(shape, dtype)


def release() -> None:
    """Give the memory that waits for further arrays back to the system."""
    _POOL.release()


def copy_of(values: NDArray[Any]) -> NDArray[Any]:
    """Return a copy in C order, of a large array in recycled memory and by several threads; of a tensor, its clone."""
    if not isinstance(values, np.ndarray):
        return values.clone()
    if values.nbytes < LEAST or values.dtype.hasobject:
        return values.copy()
    copy = recycled(values.shape, values.dtype)
    row = max(1, values.nbytes // max(1, len(values)))

    def work(rows: slice) -> None:
        np.copyto(copy[rows], values[rows])

    threads.share(len(values), work, max(1, _COPIED_BY_A_THREAD // row))
    return copy


def _rounded(count: int) -> int:
    step = 1 << max(0, (count - 1).bit_length() - _STEPS.bit_length())
    return -(-count // step) * step
