"""``ssl4rl bench``: do a suite, or a part of it, and write its report."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from ssl4rl_benchmarks.bench import choices
from ssl4rl_benchmarks.bench.grid import Suite, check
from ssl4rl_benchmarks.bench.rows import FILE, Row, Rows, read_rows
from ssl4rl_benchmarks.bench.suites import SUITES, suite_of
from ssl4rl_benchmarks.bench.sweep import rows_of, sweep
from ssl4rl_benchmarks.commands import flags
from ssl4rl_benchmarks.commands.calls import Outcome, UserError, names_nothing, require, wants_help
from ssl4rl_benchmarks.commands.sweeping import SweepFlags, check_packages, executor_of
from ssl4rl_envs.telling import tell, waiting


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


def run(arguments: list[str]) -> Outcome:
    """Do the suite that a call names; the status is 1 where a run failed."""
    text = "Do the runs of a suite that have no row yet, side by side, and write a report over all rows."
    if wants_help(arguments):
        known = "; ".join(f"{name}: {suite.asks}" for name, suite in SUITES.items())
        flags.parse(BenchFlags, arguments, "ssl4rl bench SUITE", f"{text} Suites: {known}")
    if names_nothing(arguments):
        raise UserError(f"name a suite: ssl4rl bench smoke; known are {', '.join(SUITES)} and .json files")
    given = flags.parse(BenchFlags, arguments[1:], f"ssl4rl bench {arguments[0]}", text).command
    require("bench SUITE")
    rows = bench(given, arguments[0])
    return Outcome(int(any(row["status"] != "done" for row in rows)), rows, given.json)


def bench(given: BenchFlags, name: str) -> list[Row]:
    """Do a suite; return the rows."""
    suite = _tuned(suite_of(name).sized(given.seeds, given.episodes), given)
    out = given.out or Path("bench") / Path(name).stem
    runs = suite.runs(given.env, given.agent, given.seed)
    check_packages(runs, report=given.report)
    check(suite)
    if given.rows:
        rows = shown = read_rows(given.rows)
    else:
        kept = Rows(out)
        rows = sweep(runs, kept, executor_of(given, out), retry_failed=given.retry_failed, told=tell)
        shown = rows_of(suite.runs(), kept)  # a part of the grid adds to the report of the whole
    if not given.json:
        failed = sum(row["status"] != "done" for row in rows)
        print(f"{len(rows)} rows, {failed} of them failed" + f": {out / FILE}" * (not given.rows))
    if given.report and any(row["status"] == "done" for row in shown):
        from ssl4rl_benchmarks.reports.suite.files import PAGE, TABLES, write_report  # its packages are an extra

        with waiting("drawing the report"):
            write_report(shown, suite, out, given.publish)
        if not given.json:
            print(f"report: {out / PAGE}, {out / TABLES}")
    return rows


def _tuned(suite: Suite, given: BenchFlags) -> Suite:
    """Return the suite with the settings that were chosen for it."""
    if given.defaults:
        if given.tuned is not None:
            raise ValueError("--defaults leaves every agent as it is, and --tuned takes settings from a file; leave one out")
        return replace(suite, flags=f"{suite.flags} --defaults".strip())
    own = choices.FOLDER / f"{Path(suite.name).stem}.json"
    if given.tuned is None and (suite.name not in SUITES or not own.exists()):
        return suite
    tuned = choices.with_choices(suite, given.tuned or own, named=given.tuned is not None)
    untuned = [entry.title for entry in tuned.agents if entry.learns and not (entry.ceiling or entry.tuned)]
    if untuned:
        tell(f"{given.tuned or own} has chosen nothing for {', '.join(untuned)}, which keep their defaults")
    return tuned
