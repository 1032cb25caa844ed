"""A large folder: how long a process waits for its first batch, and what eight processes hold in memory.

python -m ssl4rl_benchmarks.versus_build.bulk BASE --pictures 20000    beside another commit; without BASE this one alone
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from ssl4rl_benchmarks.versus_build.builds import ROOT, checked_out, environment
from ssl4rl_benchmarks.versus_build.pictures import write_folder

BATCH = 64
PROCESSES = 8
FIRST = f"""
import sys
import gymnasium as gym
import ssl4rl_envs
envs = gym.make_vec("SSL4RL/Rotation-v0", num_envs={BATCH}, source=sys.argv[1])
envs.reset(seed=0)
print("ready", flush=True)
sys.stdin.readline()
"""


class Holder:
    """A process that makes a vector environment and one batch, and holds them until it is closed."""

    def __init__(self, tree: Path, source: str, place: Path) -> None:
        start = time.perf_counter()
        self._process = subprocess.Popen(  # noqa: S603 - our own words
            [sys.executable, "-c", FIRST, source],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=place,
            env={**environment(tree, 1), "SSL4RL_CACHE": str(place)},
        )
        assert self._process.stdout is not None
        if self._process.stdout.readline() != "ready\n":
            raise RuntimeError(f"a process over {source} ended before its first batch")
        self.seconds = time.perf_counter() - start

    @property
    def mebibytes(self) -> float:
        """What it holds, with a share of what it shares with others (Linux's Pss)."""
        lines = Path(f"/proc/{self._process.pid}/smaps_rollup").read_text().splitlines()
        return next(int(line.split()[1]) for line in lines if line.startswith("Pss:")) / 1024

    def close(self) -> None:
        """End the process."""
        self._process.kill()
        self._process.communicate()


def measure(tree: Path, source: str, place: Path, rounds: int, processes: int = PROCESSES) -> dict[str, float]:
    """Measure one commit.

    Returns:
        `first` and `second`: seconds from the start of a process to its first batch, in the first one, which may leave
        something on the disk, and in later ones (the median of `rounds`); `one` and `all`: MiB held by one process and by
        all together; `ratio` of these.
    """
    first = Holder(tree, source, place)
    first.close()
    waits = []
    for _ in range(rounds):
        again = Holder(tree, source, place)
        waits.append(again.seconds)
        again.close()
    holders = [Holder(tree, source, place)]
    one = holders[0].mebibytes
    holders += [Holder(tree, source, place) for _ in range(processes - 1)]
    together = sum(holder.mebibytes for holder in holders)
    for holder in holders:
        holder.close()
    found = {
        "first": first.seconds,
        "second": sorted(waits)[rounds // 2],
        "one": one,
        "all": together,
        "ratio": together / one,
    }
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
