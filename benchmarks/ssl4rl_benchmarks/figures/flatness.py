"""Whether cost stays flat as things grow: pictures of a source, environments of a vector, edges of a graph.

python -m ssl4rl_benchmarks.figures.flatness --out FILE.svg    measure all three, print JSON and draw

Pictures are 16 x 16 noise, kept as every source keeps them, so that a million take 1 GiB; environments are of
`SSL4RL/Rotation-v0` over photographs; graphs are block models of degree 10. Each is measured in a process of its own, in
processor seconds of one thread.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np

from ssl4rl_envs import Stream
from ssl4rl_envs.graphs.edge_prediction import EdgePrediction
from ssl4rl_envs.images.rotation import Rotation
from ssl4rl_envs.sources.graph_models import stochastic_block_model
from ssl4rl_envs.sources.images import ImageSource
from ssl4rl_envs.sources.stored import Stored, entry, reduced
from ssl4rl_envs.task import Task

BATCH = 1024
SIDE = 16
SIZES = {
    "pictures": (10**3, 10**4, 10**5, 10**6),
    "environments": (64, 256, 1024, 4096, 16384),
    "edges": (10**4, 10**5, 10**6, 10**7),
}
TITLES = {"pictures": "pictures in the source", "environments": "environments in a vector", "edges": "edges of the graph"}


def rate(step: Callable[[], Any], items: int, seconds: float, rounds: int = 5) -> float:
    """Return items a second of the processor, the median of some rounds."""
    step()
    found = []
    for _ in range(rounds):
        done, clock, start = 0, time.perf_counter(), time.process_time()
        while time.perf_counter() - clock < seconds / rounds:
            step()
            done += items
        found.append(done / (time.process_time() - start))
    return sorted(found)[rounds // 2]


def noise(count: int) -> ImageSource:
    """Return a source of `count` pictures of noise, of which 256 are different: reducing them is not at issue."""
    rng = np.random.default_rng(0)
    kinds = [reduced(rng.integers(0, 256, (SIDE, SIDE, 3), np.uint8)) for _ in range(256)]
    length = len(kinds[0])
    pixels = np.concatenate(kinds)[None].repeat(-(-count // len(kinds)), axis=0).reshape(-1)[: count * length]
    table = np.array([entry(np.empty((SIDE, SIDE, 3), np.uint8), number * length) for number in range(count)], np.int64)
    keys = [(number * 0x9E3779B97F4A7C15 % 2**64).to_bytes(8, "big") + number.to_bytes(8, "big") for number in range(count)]
    return ImageSource(Stored(pixels, table), keys=keys, name=f"noise {count}")


def steps_of(kind: str, size: int) -> tuple[Callable[[], Any], int]:
    """Return one step of a measurement, and how many questions it asks."""
    if kind == "environments":
        envs = gym.make_vec("ssl4rl_envs:SSL4RL/Rotation-v0", num_envs=size, source="photos")
        envs.reset(seed=0)
        actions = envs.action_space.sample()
        return lambda: envs.step(actions), size
    if kind == "pictures":
        task: Task = Rotation(noise(size), image_size=64)
    else:
        task = EdgePrediction(stochastic_block_model(size // 5, blocks=4, degree=10, features=8, words=2), features="id")
    made = 0

    def step() -> None:
        nonlocal made
        made += BATCH
        task.sample(Stream.span("train", 0, made, BATCH))

    return step, BATCH


def measured(kind: str, size: int, seconds: float) -> float:
    """Measure one size in a process of its own."""
    command = [
        sys.executable,
        "-m",
        "ssl4rl_benchmarks.figures.flatness",
        "--one",
        kind,
        str(size),
        "--seconds",
        str(seconds),
    ]
    env = {**os.environ, "SSL4RL_THREADS": "1", "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, capture_output=True, text=True, check=True, env=env)  # noqa: S603 - our own module
    return float(done.stdout)


def draw(found: dict[str, list[tuple[int, float]]], file: Path) -> None:
    """Draw a panel a kind: microseconds a question over the size."""
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot as plt

    figure, panels = plt.subplots(1, len(found), figsize=(3.4 * len(found), 3.0))
    for axes, (kind, points) in zip(panels, found.items(), strict=True):
        costs = [1e6 / per_second for _, per_second in points]
        axes.plot([size for size, _ in points], costs, "o-", color="#205cbe")
        axes.set(xscale="log", xlabel=TITLES[kind], ylim=(0, 1.3 * max(costs)))
        axes.grid(alpha=0.3)
        axes.spines[["top", "right"]].set_visible(False)
    panels[0].set_ylabel("µs a question, one thread")
    figure.tight_layout()
    file.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(file)


def main() -> None:
    """Measure, print and draw."""
    parser = argparse.ArgumentParser(description="Cost by size.")
    parser.add_argument("--out", type=Path, help="the picture to write")
    parser.add_argument("--seconds", type=float, default=2.0, help="for each point")
    parser.add_argument("--most", type=int, default=10**9, help="leave out sizes above")
    parser.add_argument("--one", nargs=2, metavar=("KIND", "SIZE"), help="measure one point and print it")
    flags = parser.parse_args()
    if flags.one:
        print(rate(*steps_of(flags.one[0], int(flags.one[1])), flags.seconds))
        return
    found = {
        kind: [(size, measured(kind, size, flags.seconds)) for size in sizes if size <= flags.most]
        for kind, sizes in SIZES.items()
    }
    print(json.dumps(found, indent=2))
    if flags.out:
        draw(found, flags.out)


if __name__ == "__main__":
    main()
