"""``ssl4rl bench``: do a suite, or a part of it, and write its report."""

from __future__ import annotations

import json
import os
import sys
from dataclasses import dataclass, replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Literal

from ssl4rl_agents.ppo.files import finite
from ssl4rl_benchmarks.bench import choices
from ssl4rl_benchmarks.bench.executors import BenchEngine, LocalEngine, RayEngine
from ssl4rl_benchmarks.bench.grid import Run, Suite, check, from_file
from ssl4rl_benchmarks.bench.rows import FILE, Row, Rows, read_rows
from ssl4rl_benchmarks.bench.suites import SUITES
from ssl4rl_benchmarks.bench.sweep import WORK, rows_of, sweep

CONTRIB = ("sb3-trpo", "sb3-qrdqn", "sb3-maskable-ppo")
PAGE, TABLES = "report.html", "report.md"


@dataclass(frozen=True)
class SweepFlags:
    """Which part of a grid is done, and where."""

    env: tuple[str, ...] = ()
    """Only these environments of the suite."""
    agent: tuple[str, ...] = ()
    """Only these agents of the suite."""
    engine: Literal["local", "ray"] = "local"
    """Processes of this machine, or Ray (an extra: pip install 'ssl4rl[ray]')."""
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


@dataclass(frozen=True)
class BenchFlags(SweepFlags):
    """Do the runs of a suite that have no row yet, side by side, and write a report over all of its rows in the folder."""

    out: Path | None = None
    """Where rows.jsonl and the report go; bench/SUITE by default. A killed sweep goes on from there."""
    seed: tuple[int, ...] = ()
    """Only these seeds."""
    seeds: int | None = None
    """Another number of seeds than the suite's."""
    episodes: int | None = None
    """Another number of training episodes than the suite's."""
    tuned: Path | None = None
    """Choices of `ssl4rl bench tune` to take settings from; by default those that come with the package, if there are any."""
    defaults: bool = False
    """Leave every agent as it is by default, whatever was chosen by a search."""
    report: bool = True
    """Write the report."""
    rows: tuple[Path, ...] = ()
    """Do nothing, and report over the rows of these files or folders."""
    publish: Path | None = None
    """Also write tables, curves and rows into this folder, as small files: SUITE.md, SUITE.svg, SUITE.jsonl."""


def suite_of(name: str) -> Suite:
    """Return a declared suite, or the one of a file.

    Raises:
        ValueError: there is none.
    """
    if name in SUITES:
        return SUITES[name]
    if name.endswith(".json"):
        return from_file(Path(name))
    raise ValueError(f"unknown suite {name!r}; known are {', '.join(SUITES)}, and files that end in .json")


def bench(flags: BenchFlags, name: str) -> list[Row]:
    """Do a suite; return the rows."""
    suite = _tuned(suite_of(name).sized(flags.seeds, flags.episodes), flags)
    out = flags.out or Path("bench") / Path(name).stem
    runs = suite.runs(flags.env, flags.agent, flags.seed)
    check_packages(runs, report=flags.report)
    check(suite)
    if flags.rows:
        rows = shown = read_rows(flags.rows)
    else:
        kept = Rows(out)
        rows = sweep(runs, kept, engine_of(flags, out), retry_failed=flags.retry_failed, told=tell)
        shown = rows_of(suite.runs(), kept)  # a part of the grid adds to the report of the whole
    if not flags.json:
        failed = sum(row["status"] != "done" for row in rows)
        print(f"{len(rows)} rows, {failed} of them failed" + f": {out / FILE}" * (not flags.rows))
    if flags.report and any(row["status"] == "done" for row in shown):
        write_report(shown, suite, out, flags.publish)
        if not flags.json:
            print(f"report: {out / PAGE}, {out / TABLES}")
    return rows


def write_report(rows: list[Row], suite: Suite, out: Path, publish: Path | None = None) -> None:
    """Write both forms of the report into a folder, and the tables with curves and rows into another.

    Raises:
        ValueError: no run ended well, or rows of different runs go by the same names.
    """
    from ssl4rl_benchmarks.reports.suite import markdown, page, plots
    from ssl4rl_benchmarks.reports.suite.summary import summarise

    order = {(run.env.name, run.agent.title, run.seed): number for number, run in enumerate(suite.runs())}
    ordered = sorted(rows, key=lambda row: order.get((row["env"], row["agent"], row["seed"]), len(order)))
    summary = summarise(suite.name, ordered, suite.compared, suite.command())
    out.mkdir(parents=True, exist_ok=True)
    (out / TABLES).write_text(markdown.write(summary, suite.asks))
    (out / PAGE).write_text(page.write(summary, suite.asks))
    if publish is not None:
        publish.mkdir(parents=True, exist_ok=True)
        name = Path(suite.name).stem
        (publish / f"{name}.md").write_text(markdown.write(summary, suite.asks))
        drawn = plots.curves(summary)
        if drawn:
            (publish / f"{name}.svg").write_text(plots.on_white(drawn))
        (publish / f"{name}.jsonl").write_text(
            "".join(json.dumps(finite(row), allow_nan=False) + "\n" for row in summary.rows)
        )


def _tuned(suite: Suite, flags: BenchFlags) -> Suite:
    """Return the suite with the settings that were chosen for it."""
    if flags.defaults:
        if flags.tuned is not None:
            raise ValueError("--defaults leaves every agent as it is, and --tuned takes settings from a file; leave one out")
        return replace(suite, flags=f"{suite.flags} --defaults".strip())
    own = choices.FOLDER / f"{Path(suite.name).stem}.json"
    if flags.tuned is None and (suite.name not in SUITES or not own.exists()):
        return suite
    return choices.with_choices(suite, flags.tuned or own, named=flags.tuned is not None)


def engine_of(flags: SweepFlags, out: Path) -> BenchEngine:
    """Return what does the runs.

    Raises:
        ValueError: flags do not go together.
    """
    if flags.runs_per_gpu < 1 or (flags.runs_per_gpu > 1 and flags.device != "cuda"):
        raise ValueError(f"--runs-per-gpu is at least 1 and goes with --device cuda, got {flags.runs_per_gpu}")
    if flags.engine == "ray":
        return RayEngine(flags.address, flags.threads, flags.device, flags.cores, flags.runs_per_gpu)
    if flags.address is not None:
        raise ValueError("--address is of a Ray cluster; it goes with --engine ray")
    there = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    cores = there if flags.cores is None else flags.cores
    return LocalEngine(out.absolute() / WORK, cores, flags.threads, flags.device, flags.runs_per_gpu)


def check_packages(runs: list[Run], *, report: bool) -> None:
    """Refuse at once what would fail in every run, or at the end."""
    if find_spec("sb3_contrib") is None and any(run.agent.name in CONTRIB for run in runs):
        raise ImportError("some of these agents need sb3-contrib: pip install 'ssl4rl[bench]'; --agent chooses others")
    missing = [name for name in ("rliable", "jinja2") if find_spec(name) is None]
    if report and missing:
        raise ImportError(f"the report needs {' and '.join(missing)}: pip install 'ssl4rl[bench]'; --no-report leaves it out")


def tell(line: str) -> None:
    """Say what is going on, on standard error."""
    print(line, file=sys.stderr, flush=True)


def names() -> dict[str, Any]:
    """Return what suites there are, and what they ask."""
    return {name: suite.asks for name, suite in SUITES.items()}
