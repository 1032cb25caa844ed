"""``ssl4rl audit``: whether environments reward what they say, and nothing else."""

from __future__ import annotations

import dataclasses
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ssl4rl_benchmarks.audits.audit import AuditSettings, audit
from ssl4rl_benchmarks.audits.everything import audit_all, copies_over_splits, quick_audit, related
from ssl4rl_benchmarks.audits.tables import markdown, print_table
from ssl4rl_benchmarks.commands import flags
from ssl4rl_benchmarks.commands.calls import Outcome, named_env, names_nothing
from ssl4rl_envs.stream import Split

QUICK = AuditSettings(60, 120, replies=2)


@dataclass(frozen=True)
class AuditFlags:
    """Audit an environment, or all of them: chance, oracle, shortcuts, hostile replies."""

    episodes: int = 3000
    """How many questions each solver is asked; it has learned from half as many, of other items."""
    split: Split = "test"
    """Whose items are asked about; solvers have learned from those of "train"."""
    seed: int = 0
    """Of the questions."""
    all: bool = False
    """Audit every level of every environment over several sources, and what they share; an hour on two cores."""
    quick: bool = False
    """With --all: 60 questions of every environment as it is registered, in a minute or two; finds gross faults alone."""
    jobs: int = 0
    """Processes, with --all; 0 takes as many as there are cores."""
    rows: Path | None = None
    """With --all: a file that keeps each row once it is measured; the same command again goes on from there."""
    markdown: bool = False
    """Print the table for a document."""
    json: bool = False
    """Print JSON."""


def run(arguments: list[str]) -> Outcome:
    """Audit what a call names; the status is 1 where anything failed."""
    env = None if names_nothing(arguments) else named_env(arguments, "audit")
    text = "Look for shortcuts, wrong chance levels and replies that are paid by mistake. Exits with 1 where it finds any."
    parsed = flags.parse(AuditFlags, arguments[1:] if env else arguments, f"ssl4rl audit {env or 'ENV'}", text, env)
    results = audited(parsed.command, env, parsed.env_args if env else {})
    failed = any(result["failures"] for result in results)
    return Outcome(int(failed), results, parsed.command.json)


def audited(given: AuditFlags, env_id: str | None, env_args: dict[str, Any]) -> list[dict[str, Any]]:
    """Audit an environment, or all with ``--all``; return the results, printed unless they are to be JSON.

    Raises:
        ValueError: there is neither an environment nor ``--all``, or there are both.
    """
    if given.all == (env_id is not None):
        raise ValueError("name one environment, or --all")
    if given.quick and not given.all:
        raise ValueError("--quick is for --all; give one environment fewer --episodes instead")
    if given.rows is not None and (given.quick or not given.all):
        raise ValueError("--rows is for --all without --quick")
    if given.jobs < 0:
        raise ValueError(f"--jobs must be a whole number from 0 on, got {given.jobs}")
    settings = AuditSettings(given.episodes, -(-given.episodes // 2), given.split, seed=given.seed)
    if env_id is not None:
        results = audit(env_id, env_args, settings)
    elif given.quick:
        results = quick_audit(dataclasses.replace(QUICK, split=given.split, seed=given.seed))
    else:
        results = audit_all(settings, given.jobs or os.cpu_count() or 1, given.rows)
        results += [related(results), *copies_over_splits()]
    results = [{name: value for name, value in row.items() if name != "answers"} for row in results]
    if given.markdown:
        print(markdown(results))
    elif not given.json:
        print_table(results)
    return results
