"""What commands that do many runs share: which part of a grid is done, where, and what that needs."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from ssl4rl_benchmarks.bench.executors import Executor, LocalExecutor, RayExecutor
from ssl4rl_benchmarks.bench.grid import Run
from ssl4rl_benchmarks.bench.sweep import WORK
from ssl4rl_envs.installing import need

CONTRIB = ("sb3-trpo", "sb3-qrdqn", "sb3-maskable-ppo")


@dataclass(frozen=True)
class SweepFlags:
    """Which part of a grid is done, and where."""

    env: tuple[str, ...] = ()
    """Only these environments of the suite."""
    agent: tuple[str, ...] = ()
    """Only these agents of the suite."""
    engine: Literal["local", "ray"] = "local"
    """Processes of this machine, or Ray (the extra "ray")."""
    address: str | None = None
    """Of a Ray cluster, e.g. auto or ray://HOST:10001; without one, Ray is started on this machine."""
    cores: int | None = None
    """Cores to use on this machine, all by default."""
    threads: int = 1
    """Threads of each run."""
    device: Literal["cpu", "cuda"] = "cpu"
    """Where networks learn."""
    runs_per_gpu: int = 1
    """Runs that share a GPU at a time, with --device cuda; small networks leave most of one idle."""
    retry_failed: bool = False
    """Do failed runs again."""
    json: bool = False
    """Print what came out as JSON."""


def executor_of(flags: SweepFlags, out: Path) -> Executor:
    """Return what does the runs.

    Raises:
        ValueError: flags do not go together.
    """
    if flags.runs_per_gpu < 1 or (flags.runs_per_gpu > 1 and flags.device != "cuda"):
        raise ValueError(f"--runs-per-gpu is at least 1 and goes with --device cuda, got {flags.runs_per_gpu}")
    if flags.engine == "ray":
        return RayExecutor(flags.address, flags.threads, flags.device, flags.cores, flags.runs_per_gpu)
    if flags.address is not None:
        raise ValueError("--address is of a Ray cluster; it goes with --engine ray")
    return LocalExecutor(out.absolute() / WORK, cores_of(flags.cores), flags.threads, flags.device, flags.runs_per_gpu)


def cores_of(wanted: int | None) -> int:
    """Return how many cores of this machine are used: all where nobody says."""
    there = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return there if wanted is None else wanted


def check_packages(runs: list[Run], *, report: bool) -> None:
    """Refuse at once what would fail in every run, or at the end."""
    contrib = next((run.agent.name for run in runs if run.agent.name in CONTRIB), None)
    if contrib is not None:
        need(f"{contrib} (--agent chooses others)", "bench", "sb3_contrib")
    if report:
        need("the report (--no-report leaves it out)", "bench", "rliable", "jinja2")
