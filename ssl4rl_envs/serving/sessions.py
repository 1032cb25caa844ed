"""Sessions: who is playing, for how long nothing was heard of them, and how many there may be."""

from __future__ import annotations

import secrets
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

from ssl4rl_envs.arguments import checked, whole_number
from ssl4rl_envs.serving.refusals import RefusedError

T = TypeVar("T")


@dataclass
class _Place(Generic[T]):
    value: T
    size: int
    heard: float


class Sessions(Generic[T]):
    """The sessions of a server: values by ids that nobody can guess, forgotten when nothing is heard of them for long.

    It knows neither threads nor sockets; a server calls it from one thread.

    Args:
        limit: how many places there are; a session takes as many as it has questions.
        timeout: seconds after which a session that is not used is over.
        clock: tells the time, in seconds.

    Raises:
        ValueError: an argument is not positive.
    """

    def __init__(self, limit: int, timeout: float, clock: Callable[[], float] = time.monotonic) -> None:
        self.limit, self.timeout = whole_number("sessions", limit, 1), checked("timeout", timeout, float)
        if self.timeout <= 0:
            raise ValueError(f"timeout must be positive, in seconds, got {timeout!r}")
        self._clock = clock
        self._places: OrderedDict[str, _Place[T]] = OrderedDict()  # by when they were heard of last
        self._taken = 0

    def __len__(self) -> int:
        return len(self._places)

    def __contains__(self, session: str) -> bool:
        return session in self._places

    @property
    def taken(self) -> int:
        """How many places are taken."""
        return self._taken

    def open(self, value: T, size: int = 1) -> str:
        """Take in a session of `size` places and return its id; those that timed out make room first.

        Raises:
            RefusedError: there is not that much room.
        """
        self.expire()
        if self._taken + size > self.limit:
            raise RefusedError(
                "CAPACITY_REACHED",
                f"the server has {self.limit} places, {self._taken} of them taken, and {size} are asked for; close sessions, "
                f"or wait: those that are not used for {self.timeout:g} s are over",
            )
        session = secrets.token_urlsafe(16)
        self._places[session] = _Place(value, size, self._clock())
        self._taken += size
        return session

    def use(self, session: str) -> T:
        """Return the value of a session, of which something is heard now.

        Raises:
            RefusedError: there is none of this id (any more).
        """
        self.expire()
        place = self._places.get(session)
        if place is None:
            raise RefusedError(
                "SESSION_ERROR",
                f"there is no session {session[:64]!r}: it was closed, or timed out after {self.timeout:g} s; a reset "
                "without one begins another",
            )
        place.heard = self._clock()
        self._places.move_to_end(session)
        return place.value

    def close(self, session: str) -> bool:
        """Forget a session; return whether there was one."""
        place = self._places.pop(session, None)
        self._taken -= place.size if place is not None else 0
        return place is not None

    def expire(self) -> int:
        """Forget the sessions that timed out; return how many these were."""
        last, over = self._clock() - self.timeout, 0
        while self._places:
            session, place = next(iter(self._places.items()))
            if place.heard > last:
                break
            over += self.close(session)
        return over
