"""``ssl4rl better``: do the declared experiment, or a part of it, and write its report."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from ssl4rl_benchmarks.bench.executors import LocalExecutor
from ssl4rl_benchmarks.bench.rows import FILE, Row, Rows, read_rows
from ssl4rl_benchmarks.bench.sweep import WORK, rows_of, sweep
from ssl4rl_benchmarks.better.studies import STUDIES
from ssl4rl_benchmarks.better.trials import arms_of, bases_of
from ssl4rl_benchmarks.commands import flags
from ssl4rl_benchmarks.commands.calls import Outcome, require
from ssl4rl_benchmarks.commands.sweeping import cores_of
from ssl4rl_envs.telling import tell, waiting

if TYPE_CHECKING:
    StudyName = str
else:
    StudyName = Literal[tuple(STUDIES)]


@dataclass(frozen=True)
class BetterFlags:
    """Which part of the experiment is done, and where."""

    out: Path = Path("bench/better")
    """Where rows.jsonl, the bases and the report go. What was killed goes on from there."""
    study: StudyName = "nano"
    """Which study: nano, all that is declared; a part of it; or smoke, which shows that everything runs."""
    bases: int | None = None
    """How many small models with habits; by default the study's."""
    seeds: int | None = None
    """How often each arm is done with each; by default the study's."""
    pretext: tuple[str, ...] = ()
    """Only these pretexts, e.g. "brighter half"."""
    control: tuple[str, ...] = ()
    """Only these controls, e.g. verified coin."""
    cores: int | None = None
    """Cores to use, all by default."""
    retry_failed: bool = False
    """Do failed trials again."""
    rows: tuple[Path, ...] = ()
    """Do nothing, and report over the rows of these files or folders."""
    publish: Path | None = None
    """Also write the report into this folder."""
    json: bool = False
    """Print the rows as JSON."""


def run(arguments: list[str]) -> Outcome:
    """Do what a call names; the status is 1 where a trial failed."""
    text = "Does a pretext make a model better at questions that it was never paid for? With controls, over several bases."
    given = flags.parse(BetterFlags, arguments, "ssl4rl better", text).command
    require("better")
    rows = better(given)
    return Outcome(int(any(row["status"] != "done" for row in rows)), rows, given.json)


def better(given: BetterFlags) -> list[Row]:
    """Do the experiment; return the rows."""
    chosen = STUDIES[given.study]
    bases, seeds = given.bases or chosen.bases, given.seeds or chosen.seeds
    if given.rows:
        rows = read_rows(given.rows)
    else:
        pretexts, controls = given.pretext or chosen.pretexts, given.control or chosen.controls
        kept, executor = Rows(given.out), LocalExecutor(given.out.absolute() / WORK, cores_of(given.cores))
        rows = []
        for trials in (bases_of(chosen.study, bases), arms_of(chosen.study, bases, seeds, pretexts, controls)):
            rows += sweep(trials, kept, executor, retry_failed=given.retry_failed, told=tell)
        rows = rows_of(
            [*bases_of(chosen.study, bases), *arms_of(chosen.study, bases, seeds, chosen.pretexts, chosen.controls)], kept
        )
    from ssl4rl_benchmarks.reports.better import TABLES, write_report

    with waiting("writing the report"):
        reported = read_rows(given.rows or (given.out,))
        for folder in (given.out, given.publish):
            if folder is not None:
                write_report(reported, folder, given.study)
    if not given.json:
        failed = sum(row["status"] != "done" for row in rows)
        print(f"{len(rows)} rows, {failed} of them failed: {given.out / FILE}; report: {given.out / TABLES}")
    return rows
