"""``ssl4rl bench tune``: an equal search for the settings of every algorithm of a suite, chosen on the validation split."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ssl4rl_agents.runs.files import write_json
from ssl4rl_benchmarks.bench.rows import Rows
from ssl4rl_benchmarks.bench.suites import suite_of
from ssl4rl_benchmarks.bench.sweep import sweep
from ssl4rl_benchmarks.bench.tuning import Tuning
from ssl4rl_benchmarks.commands import flags
from ssl4rl_benchmarks.commands.calls import Outcome, UserError, names_nothing, require, wants_help
from ssl4rl_benchmarks.commands.sweeping import SweepFlags, check_packages, executor_of
from ssl4rl_envs.telling import tell

CHOICES, TABLES = "choices.json", "tuning.md"


@dataclass(frozen=True)
class TuneFlags(SweepFlags):
    """Try as many settings of every algorithm of a suite, and keep those that did best on the validation split.

    Every candidate is a run in each environment; runs that have a row are not done again.
    """

    out: Path | None = None
    """Where rows.jsonl, choices.json and tuning.md go; bench/tune-SUITE by default. A killed search goes on from there."""
    runs: int = 12
    """Candidates of each algorithm, the defaults among them: each is one run in each environment, for each of the seeds."""
    seed: int = 0
    """Decides which candidates are drawn, and by which seeds they learn; never those of the suite."""
    seeds: int = 1
    """Seeds of each candidate."""
    episodes: int | None = None
    """Another number of training episodes than the suite's."""
    publish: Path | None = None
    """Also write choices, table and rows into this folder, as SUITE.json, SUITE.md, SUITE.jsonl."""


def run(arguments: list[str]) -> Outcome:
    """Search the settings of the suite that a call names."""
    text = "Try as many settings of every algorithm of a suite, and keep those that did best on the validation split."
    if wants_help(arguments):
        flags.parse(TuneFlags, arguments, "ssl4rl bench tune SUITE", text)
    if names_nothing(arguments):
        raise UserError("name a suite whose algorithms are searched: ssl4rl bench tune images")
    given = flags.parse(TuneFlags, arguments[1:], f"ssl4rl bench tune {arguments[0]}", text).command
    require("bench tune")
    status, choices = tune(given, arguments[0])
    return Outcome(status, choices, given.json)


def tune(given: TuneFlags, name: str) -> tuple[int, dict[str, Any]]:
    """Search; return the exit status, 1 where all candidates of an algorithm failed, and the choices."""
    from ssl4rl_benchmarks.reports import tuning as report  # its packages are an extra

    suite = suite_of(name).sized(None, given.episodes)
    search = Tuning(suite, given.runs, given.seed, given.seeds, given.env, given.agent)
    out = given.out or Path("bench") / f"tune-{Path(name).stem}"
    runs = search.runs()
    check_packages(runs, report=False)
    for title, reason in search.without.items():
        tell(f"{title} is not searched: {reason}")
    kept = Rows(out)
    sweep(runs, kept, executor_of(given, out), retry_failed=given.retry_failed, told=tell)
    by_key = {run.key: row for run in runs if (row := kept.get(run.key)) is not None}
    searches = search.searches(by_key)
    choices = search.choices(searches, list(by_key.values()))
    text = report.write(choices)
    write_json(out / CHOICES, choices)
    (out / TABLES).write_text(text)
    if given.publish is not None:
        given.publish.mkdir(parents=True, exist_ok=True)
        stem = Path(suite.name).stem
        write_json(given.publish / f"{stem}.json", choices)
        (given.publish / f"{stem}.md").write_text(text)
        (given.publish / f"{stem}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in by_key.values()))
    lacking = [search.entry.title for search in searches if search.chosen is None]
    if lacking:
        tell(f"every candidate failed of {', '.join(lacking)}, which keep their defaults")
    if not given.json:
        print(report.summary(choices))
        print(f"\nchoices: {out / CHOICES}; all candidates: {out / TABLES}; ssl4rl bench {name} --tuned {out / CHOICES}")
    return int(bool(lacking)), choices
