"""Ahead: what will be asked for next is made in a thread of its own while the caller does something else.

What is made must be a pure function of its key. Then it cannot be told whether a value was made ahead or when it was asked
for; a wrong guess costs time and nothing else.
"""

from __future__ import annotations

import os
import threading
from collections import deque
from collections.abc import Callable, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, Generic, TypeVar

Key = TypeVar("Key")
Value = TypeVar("Value")


class _Thread(ThreadPoolExecutor):
    """One thread, which knows itself."""

    def __init__(self) -> None:
        self._names: list[int] = []
        names = self._names
        super().__init__(1, "ssl4rl-ahead", lambda: names.append(threading.get_ident()))

    def end(self) -> None:
        """End the thread, and wait for it; unless it is itself that collects what nobody needs any more."""
        self.shutdown(wait=threading.get_ident() not in self._names, cancel_futures=True)


class Ahead(Generic[Key, Value]):
    """Makes values by key, and the next ones ahead of being asked for.

    One thread makes one value after the other. It lives as long as the object, or until `close`; a copy, an unpickled one and
    a forked process begin without it. An error in the thread is raised where the value is asked for, and never if it is not.

    Args:
        make: gives the value of a key; called in the thread or by `ask`, also in both at once. It should not hold whoever
            owns this object: while a value is being made, the thread would keep that alive.
    """

    def __init__(self, make: Callable[[Key], Value]) -> None:
        self.make = make
        """Makes a value here and now."""
        self._thread: _Thread | None = None
        self._foreseen: deque[tuple[Key, Future[Value]]] = deque()
        self._process = os.getpid()

    def ask(self, key: Key, following: Iterable[Key] = ()) -> Value:
        """Return the value of a key, and begin to make those that will be asked for next.

        Args:
            key: compared by ``==`` with those that were foreseen; what was foreseen before it is thrown away.
            following: the keys that are likely to be asked for next, in this order.
        """
        self._forget_other_process()
        found = self._found(key)
        if found is None:  # nothing foreseen is right, so what waits to be made is not wanted
            value = self.make(key)
            self.foresee(following)
            return value
        self.foresee(following)  # before waiting, so that the thread never rests
        return found.result()

    def foresee(self, keys: Iterable[Key]) -> None:
        """Begin to make the values of the keys that are likely to be asked for next; others are thrown away."""
        self._forget_other_process()
        wanted, known = list(keys), [each for each, _ in self._foreseen]
        kept = next(size for size in range(len(known), -1, -1) if known[:size] == wanted[:size])
        while len(self._foreseen) > kept:
            self._foreseen.pop()[1].cancel()
        for key in wanted[kept:]:
            if self._thread is None:
                self._thread = _Thread()
            self._foreseen.append((key, self._thread.submit(self.make, key)))

    def close(self) -> None:
        """Throw away what was made ahead, and end the thread; `ask` still works and starts it anew."""
        self._forget_other_process()
        self._drop()
        if self._thread is not None:
            self._thread.end()
            self._thread = None

    def _found(self, key: Key) -> Future[Value] | None:
        while self._foreseen:
            known, value = self._foreseen.popleft()
            if known == key:
                return value
            value.cancel()
        return None

    def _drop(self) -> None:
        while self._foreseen:
            self._foreseen.pop()[1].cancel()

    def _forget_other_process(self) -> None:
        if self._process != os.getpid():  # after a fork there is no thread, and what it was making never comes
            self._process, self._thread = os.getpid(), None
            self._foreseen.clear()

    def __getstate__(self) -> dict[str, Any]:
        """Keep what a copy needs: it makes everything anew."""
        return {"make": self.make}

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Begin without a thread."""
        self.__init__(state["make"])  # type: ignore[misc]
