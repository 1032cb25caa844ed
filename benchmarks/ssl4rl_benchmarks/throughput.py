"""How fast the environments are: episodes per second, beside copying the same bytes.

python -m ssl4rl_benchmarks.throughput --json
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections.abc import Callable
from functools import partial
from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium.vector import AutoresetMode

from ssl4rl_envs import env_ids

ROUNDS = 5


def _rate(step: Callable[[], Any], episodes: int, seconds: float) -> float:
    """Return episodes per second of repeated calls, the median of some rounds."""
    step()
    rates = []
    for _ in range(ROUNDS):
        calls, start = 0, time.perf_counter()
        while time.perf_counter() - start < seconds / ROUNDS:
            step()
            calls += 1
        rates.append(calls * episodes / (time.perf_counter() - start))
    return statistics.median(rates)


def measure(env_id: str, num_envs: int, image_size: int, seconds: float) -> dict[str, Any]:
    """Measure one environment in all its ways of being stepped."""
    single = gym.make(env_id, image_size=image_size)
    single.reset(seed=0)
    action = single.action_space.sample()

    def one() -> None:
        single.step(action)
        single.reset()

    result: dict[str, Any] = {"env": env_id, "image_size": image_size, "num_envs": num_envs}
    result["single"] = _rate(one, 1, seconds)
    modes: dict[str, dict[str, Any]] = {
        "make_vec": {},
        "make_vec_text": {"interface": "text"},
        "sync": {
            "vectorization_mode": "sync",
            "vector_kwargs": {"autoreset_mode": AutoresetMode.SAME_STEP},
        },
    }
    for name, arguments in modes.items():
        envs = gym.make_vec(env_id, num_envs=num_envs, image_size=image_size, **arguments)
        observations, _ = envs.reset(seed=0)
        replies = ("<answer>0</answer>",) * num_envs
        actions = replies if name == "make_vec_text" else envs.action_space.sample()
        result[name] = _rate(partial(envs.step, actions), num_envs, seconds)
        pictures = [values for values in observations.values() if isinstance(values, np.ndarray)]
        envs.close()
    result["copy"] = _rate(lambda: [values.copy() for values in pictures], num_envs, seconds)
    return {name: round(value) if isinstance(value, float) else value for name, value in result.items()}


def main() -> None:
    """Measure every environment and print."""
    parser = argparse.ArgumentParser(description="Episodes per second of the environments.")
    parser.add_argument("--num-envs", type=int, default=256, help="environments in a vector")
    parser.add_argument("--image-size", type=int, nargs="+", default=[64, 224], help="sides of the pictures, in pixels")
    parser.add_argument("--seconds", type=float, default=3.0, help="for each figure")
    parser.add_argument("--json", action="store_true", help="print JSON")
    flags = parser.parse_args()
    rows = [measure(env, flags.num_envs, size, flags.seconds) for env in env_ids() for size in flags.image_size]
    if flags.json:
        print(json.dumps(rows, indent=2))
        return
    for row in rows:
        print(", ".join(f"{name} {value}" for name, value in row.items()))


if __name__ == "__main__":
    main()
