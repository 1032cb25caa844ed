"""A large folder: how long a process waits for its first batch, and what eight processes hold in memory.

python -m ssl4rl_benchmarks.versus_build.bulk BASE --pictures 20000    beside another commit; without BASE this one alone
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import statistics
import subprocess
import sys
import time
from collections.abc import Sequence
from contextlib import ExitStack, suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from ssl4rl_benchmarks.versus_build.builds import ROOT, checked_out, environment
from ssl4rl_benchmarks.versus_build.pictures import write_folder

BATCH = 64
PROCESSES = 8
CHILD = """
import os, sys, time
import gymnasium as gym
import ssl4rl_envs
envs = gym.make_vec("SSL4RL/Rotation-v0", num_envs=BATCH, source=sys.argv[1])
envs.reset(seed=0)
print("ready", time.process_time(), flush=True)
sys.stdin.readline()  # told to look at every picture, in as many processes
pids, (heard, told) = [os.getpid()], os.pipe()
for _ in range(int(sys.argv[2]) - 1):
    pid = os.fork()
    if not pid:
        pids = []
        break
    pids.append(pid)
import numpy as np
source = envs.unwrapped.task.source
for start in range(0, len(source), 256):
    source.pixels(source.whole(np.arange(start, min(start + 256, len(source)))), 32)
if pids:
    for _ in pids[1:]:
        os.read(heard, 1)
    print("touched", *pids, flush=True)
else:
    os.write(told, b".")
time.sleep(600)
""".replace("BATCH", str(BATCH))


class Holder:
    """A process that makes a vector environment and one batch, and then looks at all pictures, in itself and its forks.

    Args:
        tree: whose packages it imports.
        source: of pictures.
        place: for a cache.
        processes: itself and forks.

    Attributes:
        seconds, cpu_seconds: from its start to its first batch.
        pids: of the processes, once they have looked.
    """

    def __init__(self, tree: Path, source: str, place: Path, processes: int = 1) -> None:
        start = time.perf_counter()
        self.pids: list[int] = []
        self._process = subprocess.Popen(  # noqa: S603 - our own words
            [sys.executable, "-c", CHILD, source, str(processes)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=place,
            env={**environment(tree, 1), "SSL4RL_CACHE": str(place)},
            start_new_session=True,  # so that its forks end with it
        )
        self.cpu_seconds = float(self._hear("ready")[0])
        self.seconds = time.perf_counter() - start

    def touch(self) -> None:
        """Look at every picture."""
        assert self._process.stdin is not None
        self._process.stdin.write("\n")
        self._process.stdin.flush()
        self.pids = [int(pid) for pid in self._hear("touched")]

    def close(self) -> None:
        """End the processes."""
        with suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.communicate()

    def _hear(self, word: str) -> list[str]:
        assert self._process.stdout is not None
        said = self._process.stdout.readline().split()
        if not said or said[0] != word:
            self.close()
            raise RuntimeError(f"a process ended before it was {word}")
        return said[1:]


def together(pids: Sequence[int]) -> float:
    """Return how many MiB processes hold: what each has to itself, and once what they share.

    Not the sum of Linux's Pss, in which whatever else runs on the machine pays for a part of NumPy and LLVM.
    """
    own, shared = 0, 0
    for pid in pids:
        lines = (line.split() for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()[1:])
        sizes = {name.rstrip(":"): int(size) for name, size, *_ in lines}
        own += sizes["Private_Clean"] + sizes["Private_Dirty"]
        shared = max(shared, sizes["Shared_Clean"] + sizes["Shared_Dirty"])
    return (own + shared) / 1024


def measure(tree: Path, source: str, place: Path, rounds: int, processes: int = PROCESSES) -> dict[str, float]:
    """Measure one commit.

    Returns:
        `first` and `second`: seconds from the start of a process to its first batch, in the first one, which may leave
        something on the disk, and in later ones (the median of `rounds`), and those of the processor; `one`, `apart` and
        `forked`: MiB held by one process that has seen all pictures, by several that were started one by one, and by as many
        that were forked from one.
    """
    waits: list[tuple[float, float]] = []
    for _ in range(1 + rounds):
        holder = Holder(tree, source, place)
        waits.append((holder.seconds, holder.cpu_seconds))
        holder.close()
    seconds, cpu_seconds = zip(*waits[1:], strict=True)
    found = {"first": waits[0][0], "second": statistics.median(seconds), "second, cpu": statistics.median(cpu_seconds)}
    holders = [Holder(tree, source, place)]
    holders[0].touch()
    found["one"] = together(holders[0].pids)
    for _ in range(processes - 1):
        holders.append(Holder(tree, source, place))
        holders[-1].touch()
    found["apart"] = together([pid for holder in holders for pid in holder.pids])
    for holder in holders:
        holder.close()
    forked = Holder(tree, source, place, processes)
    forked.touch()
    found["forked"] = together(forked.pids)
    forked.close()
    return {name: round(value, 3) for name, value in found.items()}


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description="A large folder: time to the first batch, and memory.")
    parser.add_argument("base", nargs="?", help="the commit that this is compared with")
    parser.add_argument("--pictures", type=int, default=20_000, help="JPEG files in the folder")
    parser.add_argument("--rounds", type=int, default=3, help="later processes that are timed")
    flags = parser.parse_args(arguments)
    found: dict[str, Any] = {"pictures": flags.pictures}
    with ExitStack() as stack:
        folder = Path(stack.enter_context(TemporaryDirectory(prefix="ssl4rl-pictures-")))
        write_folder(folder, flags.pictures, shrink=2)
        trees = {"base": stack.enter_context(checked_out(flags.base))} if flags.base else {}
        for name, tree in {**trees, "head": ROOT}.items():
            place = Path(stack.enter_context(TemporaryDirectory(prefix="ssl4rl-cache-")))
            found[name] = measure(tree, f"folder:{folder}", place, flags.rounds)
    print(json.dumps(found, indent=2))


if __name__ == "__main__":
    main()
