"""Many sessions at once over loopback: all are served, one more is refused, and afterwards nothing is left of them."""

from __future__ import annotations

import asyncio
import gc
import itertools
import threading
import tracemalloc

import psutil
import pytest

pytest.importorskip("starlette")
pytest.importorskip("uvicorn")
pytest.importorskip("websockets")

from websockets.asyncio.client import connect

from ssl4rl_envs.serving.server import Server
from ssl4rl_envs.serving.service import Player
from tests.clients.serving import Clock, episodes, http, say, until

TRUTH = "<answer>{}</answer>"


@pytest.mark.parametrize("many", [120, pytest.param(1000, marks=pytest.mark.slow)])
def test_sessions_leave_nothing_behind(many):
    clock = Clock()
    server = Server("SSL4RL/Rotation-v0", episodes(), sessions=many, timeout=600.0, clock=clock)
    with server.running() as url:
        asyncio.run(a_round(server, url, clock, many))  # what is built once is built now
        before, memory = held(), []
        tracemalloc.start()
        try:
            for _ in range(4):
                asyncio.run(a_round(server, url, clock, many))
                assert held() == before
                memory.append(tracemalloc.get_traced_memory()[0])
        finally:
            tracemalloc.stop()  # it slows all that comes after
    # Tables grow now and then to where they stay; what leaks grows in every round.
    least = min(after - before for before, after in itertools.pairwise(memory))
    assert least < 200 * many, f"every round leaves at least {least / many:.0f} bytes a session"


def held() -> dict[str, int]:
    """Count what a session takes: players, threads, open files and sockets."""
    gc.collect()
    return {
        "players": sum(isinstance(each, Player) for each in gc.get_objects()),
        "threads": threading.active_count(),
        "files": psutil.Process().num_fds(),
    }


async def a_round(server: Server, url: str, clock: Clock, many: int) -> None:
    """Fill the server by sessions over WebSocket and HTTP, play in all, and let them end in all ways."""
    ten = many // 10
    sockets = await fill(url, many - ten)
    by_http = [(await asyncio.to_thread(http, f"{url}/reset", {"seed": 7}))[1]["session"] for _ in range(ten)]
    assert len(server.service.sessions) == many
    async with opened(url) as late:
        refused = await say(late, "reset")
        assert refused["data"]["code"] == "CAPACITY_REACHED"
    rewards = await asyncio.gather(*(play(socket, seed) for seed, socket in enumerate(sockets)))
    assert rewards == [1.0] * len(sockets)
    await asyncio.gather(*(end(socket, seed) for seed, socket in enumerate(sockets)))
    await until(ten, url)
    assert (await asyncio.to_thread(http, f"{url}/close", {"session": by_http[0]}))[1] == {"closed": True}
    clock.now += 601.0  # nothing is heard of the others any more
    await until(0, url)


def opened(url: str) -> connect:
    """Open a connection, however long that takes on a machine that does much else."""
    return connect(f"{url.replace('http', 'ws')}/ws", open_timeout=None, ping_timeout=None)


async def fill(url: str, many: int) -> list:
    """Open connections, a few at a time, with a question asked in each."""
    few = asyncio.Semaphore(50)

    async def one(seed: int):
        async with few:
            socket = await opened(url)
            assert (await say(socket, "reset", seed=seed))["type"] == "observation"
            return socket

    return await asyncio.gather(*(one(seed) for seed in range(many)))


async def play(socket, seed: int) -> float:
    """Guess, be told the truth, ask the same question again and know better."""
    truth = (await say(socket, "step", action=0))["data"]["metadata"]["truth"]
    await say(socket, "reset", seed=seed)
    return float((await say(socket, "step", reply=TRUTH.format(truth)))["data"]["reward"])


async def end(socket, number: int) -> None:
    """Say goodbye, hang up, drop the line in silence, or drop it while a message is being answered."""
    if number % 4 == 0:
        await socket.send('{"type": "close"}')
        await socket.wait_closed()
    elif number % 4 == 1:
        await socket.close()
    else:
        if number % 4 == 3:
            await socket.send('{"type": "reset"}')
        socket.transport.abort()
        await socket.wait_closed()
