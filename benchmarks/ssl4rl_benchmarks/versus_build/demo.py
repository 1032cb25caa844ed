"""What `make demo` costs here and at another commit, and what is learned by it.

    python -m ssl4rl_benchmarks.versus_build.demo BASE --seeds 2

Each commit trains as its own Makefile says, by turns; seconds of the processor count the whole command, imports included.
What was learned is then measured on held-out pictures, which is not counted.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shlex
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

from ssl4rl_benchmarks.versus_build.builds import ROOT, checked_out, environment

CALL = "import sys; from ssl4rl_benchmarks.cli import main; sys.exit(main())"


def arguments_of(makefile: str) -> list[str]:
    """Return what a Makefile's demo gives the command `ssl4rl`, without where to write.

    Raises:
        ValueError: there is no demo that calls it.
    """
    found = re.search(r"^demo:.*\n\t\S*ssl4rl (.*)$", makefile, re.MULTILINE)
    if found is None:
        raise ValueError("the Makefile has no demo that calls ssl4rl")
    words = shlex.split(found[1])
    where = words.index("--out")
    return [word for word in (*words[:where], *words[where + 2 :]) if word != "--overwrite"]


def measure(tree: Path, extra: Sequence[str], threads: int, episodes: int = 2048) -> dict[str, float]:
    """Train as a checkout's demo does; return `cpu` and `wall` seconds, and the share of right answers, `success`.

    Args:
        tree: the checkout.
        extra: further words for the command.
        threads: that it may use.
        episodes: that `success` is measured on.

    Raises:
        RuntimeError: training failed; the message ends with what it said.
    """
    with TemporaryDirectory(prefix="ssl4rl-demo-") as folder:
        run = str(Path(folder) / "run")
        words = [*arguments_of((tree / "Makefile").read_text()), *extra, "--out", run]
        before, begun = os.times(), time.perf_counter()
        _ssl4rl(tree, words, threads)
        after, wall = os.times(), time.perf_counter() - begun
        cpu = after.children_user + after.children_system - before.children_user - before.children_system
        held_out = ["--split", "test", "--episodes", str(episodes), "--json"]
        found = json.loads(_ssl4rl(tree, ["eval", run, *held_out], threads))
    return {"cpu": cpu, "wall": wall, "success": found["success"]}


def _ssl4rl(tree: Path, words: Sequence[str], threads: int) -> str:
    command = [sys.executable, "-c", CALL, *words]
    done = subprocess.run(  # noqa: S603 - our own command, by the words of our own Makefile
        command, env=environment(tree, threads), cwd=tree, capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise RuntimeError(f"ssl4rl {' '.join(words)} failed in {tree}: {done.stderr.strip()[-500:]}")
    return done.stdout


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure and print."""
    flags = argparse.ArgumentParser(
        prog="python -m ssl4rl_benchmarks.versus_build.demo", description="What make demo costs, beside another commit's."
    )
    flags.add_argument("base", help="the commit that this is compared with")
    flags.add_argument("--seeds", type=int, default=2, help="how many runs of each")
    flags.add_argument("--threads", type=int, default=2, help="of each run")
    given = flags.parse_args(arguments)
    try:
        with checked_out(given.base) as tree:
            print("| seed | | CPU seconds | wall | right answers, held out |\n| --- | --- | --- | --- | --- |")
            for seed in range(given.seeds):
                for name, place in (("base", tree), ("now", ROOT)):
                    found = measure(place, ["--seed", str(seed)], given.threads)
                    print(
                        f"| {seed} | {name} | {found['cpu']:.0f} | {found['wall']:.0f} s | {found['success']:.3f} |",
                        flush=True,
                    )
    except (ValueError, RuntimeError) as error:
        sys.exit(f"error: {error}")


if __name__ == "__main__":
    main()
