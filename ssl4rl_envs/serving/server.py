"""Running a service by uvicorn, on a socket of this machine, until it is interrupted."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import uvicorn

from ssl4rl_envs import __version__
from ssl4rl_envs.serving.app import MAX_MESSAGE, make_app
from ssl4rl_envs.serving.description import Description
from ssl4rl_envs.serving.episodes import Episodes
from ssl4rl_envs.serving.service import Heard, Service

LOOPBACK = ("127.0.0.1", "localhost", "::1")
OWN_NAMES = ["127.0.0.1", "localhost", "[::1]"]
"""What requests may call a server that listens on a loopback address."""

SPARE = 64
"""Connections beside those of sessions: health, the page, who is to be told that there is no room."""


class Server:
    """A service on a socket that listens.

    Args:
        name: of the environment, for people.
        episodes: asks and scores.
        host, port: where it listens, from 0 to 65535; port 0 takes a free one. On a loopback address it answers to names of
            this machine alone.
        sessions: how many questions may be asked at a time, over all sessions.
        timeout: seconds after which a session that is not used is over.
        clock: tells the time by which they are over, in seconds.
        heard: is told each question that a reply in words has ended, and the reply.

    Attributes:
        url: where it is reached.

    Raises:
        OSError: it cannot listen there.
        ValueError: an argument is out of its range.
    """

    def __init__(
        self,
        name: str,
        episodes: Episodes,
        host: str = "127.0.0.1",
        port: int = 0,
        sessions: int = 1000,
        timeout: float = 300.0,
        clock: Callable[[], float] = time.monotonic,
        heard: Heard | None = None,
    ) -> None:
        if not 0 <= port < 1 << 16:
            raise ValueError(f"port must be from 0 to {(1 << 16) - 1}, got {port}")
        if not host:
            raise ValueError("host must be an address, e.g. 127.0.0.1, or 0.0.0.0 for all of this machine; got ''")
        self.service = Service(episodes, sessions, timeout, clock, heard)
        hosts = OWN_NAMES if host in LOOPBACK else None
        app = make_app(self.service, Description(name, episodes, __version__), hosts)
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        self._socket = socket.create_server((host, port), family=family, backlog=2048)
        listening = self._socket.getsockname()[1]
        self.url = f"http://[{host}]:{listening}" if ":" in host else f"http://{host}:{listening}"
        self._uvicorn = uvicorn.Server(
            uvicorn.Config(
                app,
                lifespan="on",
                log_level="warning",
                access_log=False,
                server_header=False,
                ws="websockets-sansio",
                ws_max_size=MAX_MESSAGE,
                ws_per_message_deflate=False,  # pictures are packed already, and what is small may unpack to much
                limit_concurrency=2 * sessions + SPARE,
                backlog=2048,
                timeout_graceful_shutdown=5,
            )
        )

    def run(self) -> None:
        """Serve until interrupted; what is going on then is given a few seconds."""
        self._uvicorn.run(sockets=[self._socket])

    @contextmanager
    def running(self) -> Iterator[str]:
        """Serve in a thread, and stop when the block ends; gives the address, for programs that play beside it."""
        thread = threading.Thread(target=self._uvicorn.run, kwargs={"sockets": [self._socket]}, name="ssl4rl-serve-http")
        thread.start()
        try:
            yield self.url
        finally:
            self._uvicorn.should_exit = True
            thread.join()
