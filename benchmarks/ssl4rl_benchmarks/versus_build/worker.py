"""One commit's process: prepares a case, then takes as many steps as it is told to, again and again.

It is run as a script under the packages of either commit, so it uses what both offer and imports nothing of this package.
It reads one line of JSON for the case, then a number of seconds a line; it answers each with a line of JSON.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from typing import Any

Step = Callable[[], Any]


def scalar(env: str, source: str, **arguments: Any) -> tuple[Step, int]:
    """Return one step and one reset of a single environment."""
    import gymnasium as gym

    import ssl4rl_envs  # noqa: F401 (registers)

    single = gym.make(f"SSL4RL/{env}", source=source, **arguments)
    single.reset(seed=0)
    action = single.action_space.sample()

    def step() -> None:
        over = False
        while not over:
            _, _, terminated, truncated, _ = single.step(action)
            over = terminated or truncated
        single.reset()

    return step, 1


def vector(env: str, source: str, count: int, **arguments: Any) -> tuple[Step, int]:
    """Return one step of `count` environments."""
    import gymnasium as gym

    import ssl4rl_envs  # noqa: F401

    envs = gym.make_vec(f"SSL4RL/{env}", num_envs=count, source=source, **arguments)
    envs.reset(seed=0)
    actions = envs.action_space.sample()
    return lambda: envs.step(actions), count


KINDS: dict[str, Callable[..., tuple[Step, int]]] = {"scalar": scalar, "vector": vector}


def serve(kinds: dict[str, Callable[..., tuple[Step, int]]]) -> None:
    """Prepare what the first line says, then time it as often as further lines ask."""
    out, sys.stdout = sys.stdout, sys.stderr  # nothing else may be said there

    def answer(what: dict[str, float]) -> None:
        print(json.dumps(what), file=out, flush=True)

    case = json.loads(sys.stdin.readline())
    start = time.perf_counter()
    step, items = kinds[case["kind"]](**case["arguments"])
    begun = time.perf_counter()
    while time.perf_counter() - begun < case["warm"]:  # whatever is compiled, cached or built up on the way
        step()
    answer({"prepared": time.perf_counter() - start})
    for line in sys.stdin:
        seconds, done = float(line), 0
        wall, cpu = time.perf_counter(), time.process_time()
        while time.perf_counter() - wall < seconds:
            step()
            done += items
        answer({"items": done, "wall": time.perf_counter() - wall, "cpu": time.process_time() - cpu})


if __name__ == "__main__":
    serve(KINDS)
