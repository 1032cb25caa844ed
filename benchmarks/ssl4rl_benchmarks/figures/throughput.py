"""How fast the environments are: instances made and scored per second, and episodes stepped, beside copying the same bytes.

python -m ssl4rl_benchmarks.figures.throughput            every task at several sizes and batches
python -m ssl4rl_benchmarks.figures.throughput --steps    Rotation in all the ways an environment is stepped

Graphs have their own: `ssl4rl_benchmarks.figures.graph_throughput`.
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

from ssl4rl_envs import Stream, env_ids, make_task, task_class

ROUNDS = 3


def _rate(step: Callable[[], Any], episodes: int, seconds: float) -> float:
    """Return episodes per second of repeated calls, the median of some rounds; of one call where it takes long enough."""
    step()
    start = time.perf_counter()
    step()
    if time.perf_counter() - start > seconds:
        return episodes / (time.perf_counter() - start)
    rates = []
    for _ in range(ROUNDS):
        calls, start = 0, time.perf_counter()
        while time.perf_counter() - start < seconds / ROUNDS:
            step()
            calls += 1
        rates.append(calls * episodes / (time.perf_counter() - start))
    return statistics.median(rates)


def measure_task(env_id: str, source: str, image_size: int, batch: int, seconds: float) -> dict[str, Any]:
    """Measure how many instances of a task are made, and scored, and copied, per second in batches of one size."""
    arguments: dict[str, Any] = {"image_size": image_size, "source": source}
    if "2x2" in [level.name for level in task_class(env_id).levels]:
        arguments["level"] = "2x2"  # the grid that fits every size
    task = make_task(env_id, **arguments)
    made = 0

    def sample() -> Any:
        nonlocal made
        made += batch
        return task.sample(Stream("train", np.zeros(batch, np.uint64), np.arange(made - batch, made)))

    one = sample()
    answers = task.oracle(one)
    rates = {
        "sample": _rate(sample, batch, seconds),
        "score": _rate(lambda: task.score(answers, one), batch, seconds),
        "copy": _rate(lambda: [values.copy() for values in one.observation.values()], batch, seconds),
    }
    return {"env": env_id, "source": source, "image_size": image_size, "batch": batch} | {
        k: round(v) for k, v in rates.items()
    }


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
    parser.add_argument("--steps", action="store_true", help="step environments of Rotation instead")
    parser.add_argument("--source", default="scenes", help="of the pictures")
    parser.add_argument("--batch", type=int, nargs="+", default=[1, 1024], help="instances at a time")
    parser.add_argument("--num-envs", type=int, default=256, help="environments in a vector")
    parser.add_argument("--image-size", type=int, nargs="+", default=[64, 224], help="sides of the pictures, in pixels")
    parser.add_argument("--seconds", type=float, default=3.0, help="for each figure")
    parser.add_argument("--json", action="store_true", help="print JSON")
    flags = parser.parse_args()
    if flags.steps:
        rows = [measure(env_ids()[0], flags.num_envs, size, flags.seconds) for size in flags.image_size]
    else:
        rows = [
            measure_task(env, flags.source, size, batch, flags.seconds)
            for env in env_ids()
            if make_task(env).images
            for size in flags.image_size
            for batch in flags.batch
        ]
    if flags.json:
        print(json.dumps(rows, indent=2))
        return
    print("| " + " | ".join(rows[0]) + " |\n" + "| --- " * len(rows[0]) + "|")
    for row in rows:
        print("| " + " | ".join(map(str, row.values())) + " |")


if __name__ == "__main__":
    main()
