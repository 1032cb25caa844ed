"""What a folder of many pictures costs: the first process, a second one to its first batch, and the memory of eight.

    python -m ssl4rl_benchmarks.figures.data --pictures 20000

Writes small JPEG files to a temporary folder, or takes a folder that is there, and a cache of its own. Times are wall seconds
and CPU seconds of whole processes; memory is the proportional set size (Linux), which counts a shared page once.
"""

from __future__ import annotations

import argparse
import os
import re
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from PIL import Image

CHILD = """
import sys
import gymnasium as gym, ssl4rl_envs
envs = gym.make_vec("SSL4RL/Rotation-v0", num_envs=64, source="folder:" + sys.argv[1])
envs.reset(seed=0)
print("ready", flush=True)
if sys.argv[2:]:
    envs.unwrapped.task.source.entry.arrays["pixels"][::4096].sum()  # every page of every picture
    print("touched", flush=True)
    sys.stdin.readline()
"""


def write_jpegs(folder: Path, count: int) -> None:
    """Write JPEG files of 64 to 128 pixels a side: blots, so that they compress as photographs do."""
    for number in range(count):
        rng = np.random.default_rng(number)
        coarse = Image.fromarray(rng.integers(0, 256, (6, 6, 3), dtype=np.uint8))
        width, height = (int(side) for side in rng.integers(64, 129, 2))
        (folder / f"{number // 1000:03}").mkdir(exist_ok=True)
        coarse.resize((width, height), Image.Resampling.BICUBIC).save(folder / f"{number // 1000:03}" / f"{number}.jpg")


def timed(folder: Path) -> tuple[float, float]:
    """Return wall and CPU seconds of a process, and of those that it starts, from its start to its first batch."""
    begun, before = time.perf_counter(), resource.getrusage(resource.RUSAGE_CHILDREN)
    command = [sys.executable, "-c", CHILD, str(folder)]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)  # noqa: S603 (our own code)
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return time.perf_counter() - begun, used.ru_utime + used.ru_stime - before.ru_utime - before.ru_stime


def memory(folder: Path, processes: int) -> tuple[float, float]:
    """Return MiB that processes take together, each after it has touched all pictures, and what one has to itself."""
    started = [
        subprocess.Popen(  # noqa: S603 (our own code)
            [sys.executable, "-c", CHILD, str(folder), "touch"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        for _ in range(processes)
    ]
    for process in started:
        assert process.stdout is not None
        process.stdout.readline()
        process.stdout.readline()
    rolled = [Path(f"/proc/{process.pid}/smaps_rollup").read_text() for process in started]
    for process in started:
        process.communicate("\n")
    together = sum(int(re.findall(r"^Pss:\s+(\d+)", text, re.MULTILINE)[0]) for text in rolled) / 1024
    own = sum(int(number) for number in re.findall(r"^Private_\w+:\s+(\d+)", rolled[0], re.MULTILINE)) / 1024
    return together, own


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description="What a folder of many pictures costs.")
    parser.add_argument("--pictures", type=int, default=20_000, help="how many are written")
    parser.add_argument("--folder", type=Path, help="a folder of pictures to take instead")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as place:
        os.environ["SSL4RL_CACHE"] = f"{place}/cache"
        folder = given.folder
        if folder is None:
            folder = Path(place, "pictures")
            folder.mkdir()
            write_jpegs(folder, given.pictures)
            time.sleep(3)  # younger files are compared once more
        first, later = timed(folder), min(timed(folder) for _ in range(5))
        one, eight = memory(folder, 1), memory(folder, 8)
    print(f"first process: {first[0]:.1f} s, {first[1]:.1f} CPU s")
    print(f"second process to its first batch of 64, best of 5: {later[0]:.2f} s, {later[1]:.2f} CPU s")
    print(
        f"memory of one process: {one[0]:,.0f} MiB; of eight: {eight[0]:,.0f} MiB, {eight[1]:,.0f} MiB of it each one's own"
    )


if __name__ == "__main__":
    main()
