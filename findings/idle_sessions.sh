#!/usr/bin/env bash
# openenv: where sessions time out (ConcurrencyConfig(session_timeout=...)), close() is called on the environment of a WebSocket
# session that says nothing for that long, but the connection stays open and its next steps are taken in that closed environment.
#
# One would guess that a connection whose session is over is closed, or told at its next message that there is none any more;
# or that a session lives as long as its connection, as it does without a time-out. What happens is none of these: steps are
# answered as before, by an environment that has let go of what it held. The documentation of
# session_timeout does not say so.
#
# Whoever sets a time-out to get back what dead clients hold (a browser, a container, a file) pulls it from under a slow policy
# too: an environment that reopens lazily leaks, and one that does not pays for steps into nothing. Keep a WebSocket busy, or let
# step() raise after close().
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
"${PYTHON:-python3}" -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check openenv==0.10.0 uvicorn==0.54.0 websockets==17.4
cat > "$folder/idle.py" <<'PYTHON'
import importlib.metadata
import socket
import threading
import time

import uvicorn
from fastapi import FastAPI
from openenv.core import GenericEnvClient
from openenv.core.env_server import Action, Environment, HTTPEnvServer, Observation, State
from openenv.core.env_server.types import ConcurrencyConfig


class Move(Action):
    number: int = 0


class Seen(Observation):
    closed: bool = False
    steps: int = 0


class Counter(Environment):
    SUPPORTS_CONCURRENT_SESSIONS = True

    def __init__(self):
        super().__init__()
        self.closed, self.steps = False, 0

    def reset(self, seed=None, episode_id=None, **_):
        return Seen(closed=self.closed)

    def step(self, action, timeout_s=None, **_):
        self.steps += 1
        return Seen(closed=self.closed, steps=self.steps)

    @property
    def state(self):
        return State()

    def close(self):
        self.closed = True


limits = ConcurrencyConfig(max_concurrent_envs=4, session_timeout=1.0)
server = HTTPEnvServer(Counter, Move, Seen, concurrency_config=limits)
app = FastAPI()
server.register_routes(app)
listening = socket.create_server(("127.0.0.1", 0))
runner = uvicorn.Server(uvicorn.Config(app, log_level="error"))
thread = threading.Thread(target=runner.run, kwargs={"sockets": [listening]})
thread.start()
url = f"http://127.0.0.1:{listening.getsockname()[1]}"
print("openenv", importlib.metadata.version("openenv"))
try:
    with GenericEnvClient(base_url=url).sync() as first:
        first.reset()
        before = first.step({"number": 1}).observation, server.active_sessions
        print("a step, and the sessions that the server counts:", *before)
        time.sleep(8)  # it looks for idle sessions every 5 seconds
        idle = server.active_sessions
        after = first.step({"number": 1}).observation
        print("after 8 idle seconds:", after, idle)
finally:
    runner.should_exit = True
    thread.join()
assert (before[0]["closed"], before[1]) == (False, 1)
assert idle == 0
assert (after["closed"], after["steps"]) == (True, 2), "the connection does not play on in the closed environment any more"
print("The connection was neither closed nor told; its steps went on in an environment on which close() had been called.")
PYTHON
"$folder/venv/bin/python" "$folder/idle.py"
