"""A server in a thread of the tests, messages to it, and a clock that moves when a test says so."""

from __future__ import annotations

import asyncio
import json
import urllib.error
import urllib.request
from typing import Any

from ssl4rl_envs import make_task
from ssl4rl_envs.serving.episodes import Episodes

SMALL: dict[str, Any] = {"source": "digits", "image_size": 36}


class Clock:
    """Tells the time that a test sets."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


def episodes(env_id: str = "SSL4RL/Rotation-v0", split: str = "train", **arguments: Any) -> Episodes:
    """Small questions by default."""
    return Episodes(make_task(env_id, **(arguments or SMALL)), split)


def http(url: str, data: Any = None, **headers: str) -> tuple[int, Any]:
    """Post data, or get without; return the status and the JSON."""
    body = None if data is None else data if isinstance(data, bytes) else json.dumps(data).encode()
    request = urllib.request.Request(url, body, {"Content-Type": "application/json", **headers})
    try:
        with urllib.request.urlopen(request) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as error:
        text = error.read()
        return error.code, json.loads(text) if text.startswith(b"{") else text.decode()


def playing(url: str) -> int:
    """Return how many sessions there are."""
    return int(http(f"{url}/health")[1]["sessions"])


async def say(socket: Any, kind: str, **data: Any) -> Any:
    """Send a message over a WebSocket and return what is answered."""
    await socket.send(json.dumps({"type": kind, "data": data}))
    return json.loads(await socket.recv())


async def until(wanted: int, url: str) -> None:
    """Ask how many sessions there are until it is as many as wanted; the server hears of an end a moment later."""
    for _ in range(2000):
        if await asyncio.to_thread(playing, url) == wanted:
            return
    raise AssertionError(f"{playing(url)} sessions are left, {wanted} wanted")
