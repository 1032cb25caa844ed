"""The search for settings of a suite's algorithms as a grid of runs, equally large for each, on the validation split."""

from __future__ import annotations

import shlex
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from ssl4rl_agents.settings import merged
from ssl4rl_benchmarks.bench.choices import Search, asked, tried_by
from ssl4rl_benchmarks.bench.grid import REVISION, Entry, Environment, Run, Suite
from ssl4rl_benchmarks.bench.rows import Row, versions
from ssl4rl_benchmarks.bench.spaces import Settings, candidates, space_of
from ssl4rl_envs import hash_seed

FIRST_SEED = 2**20
"""Seeds of a search lie above it, those of suites below."""


@dataclass(frozen=True)
class Tuning:
    """A search over a suite, or a part of it; like a suite, a grid of runs.

    Args:
        suite: whose algorithms are searched.
        count: candidates of each.
        seed: decides which.
        seeds: of the runs, how many.
        envs, agents: names of the part; all by default.

    Raises:
        ValueError: the suite has no such part, nothing in it can be searched, or a number is out of range.
    """

    suite: Suite
    count: int
    seed: int = 0
    seeds: int = 1
    envs: tuple[str, ...] = ()
    agents: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.seeds < 1:
            raise ValueError(f"--seeds must be at least 1, got {self.seeds}")
        if not self.searched:
            raise ValueError(f"no algorithm of this part of {self.suite.name} has a declared search")

    @cached_property
    def searched(self) -> dict[str, tuple[Entry, list[Environment]]]:
        """The agents with the environments that they are searched over, by title."""
        found: dict[str, tuple[Entry, list[Environment]]] = {}
        for run in self.suite.runs(self.envs, self.agents, [self.suite.first_seed]):
            if space_of(run.agent.name) is not None:
                env = replace(run.env, beyond=())  # what else changed decides nothing here
                found.setdefault(run.agent.title, (run.agent, []))[1].append(env)
            elif run.agent.title in self.agents:
                candidates(run.agent, self.count, self.seed)  # says what there is a search for
        return found

    @property
    def without(self) -> dict[str, str]:
        """The learners that have no search, and why."""
        every = {run.agent.title: run.agent for run in self.suite.runs(self.envs, self.agents, [self.suite.first_seed])}
        return {
            title: "told the right answers" if entry.ceiling else f"no search is declared for {entry.name}"
            for title, entry in every.items()
            if entry.learns and title not in self.searched
        }

    @cached_property
    def run_seeds(self) -> tuple[int, ...]:
        """The seeds of the runs: hashed, and none that a suite has."""
        span = 2**31 - FIRST_SEED
        return tuple(
            FIRST_SEED + hash_seed(self.seed, "tuning", Path(self.suite.name).stem, number) % span
            for number in range(self.seeds)
        )

    @cached_property
    def tried(self) -> dict[str, list[Settings]]:
        """The candidates of each agent."""
        return {title: candidates(entry, self.count, self.seed) for title, (entry, _) in self.searched.items()}

    def runs_of(self, title: str, number: int) -> list[Run]:
        """Return the runs of a candidate."""
        entry, environments = self.searched[title]
        settings = merged(entry.settings, self.tried[title][number])
        candidate = replace(entry, settings=settings, label=f"{title} #{number}")
        return [
            Run(
                f"{self.suite.name}, search",
                env,
                candidate,
                seed,
                env.episodes or self.suite.episodes,
                self.suite.test_episodes,
                self.command((env.name,), (title,)),
                split="validation",
            )
            for env in environments
            for seed in self.run_seeds
        ]

    def runs(self) -> list[Run]:
        """Return all runs, every algorithm's first candidate before anybody's second."""
        return [run for number in range(self.count) for title in self.searched for run in self.runs_of(title, number)]

    def searches(self, rows: dict[str, Row]) -> list[Search]:
        """Return what came out, from rows by key."""
        found = []
        for title, (entry, _) in self.searched.items():
            tried = []
            for number, settings in enumerate(self.tried[title]):
                runs = self.runs_of(title, number)
                own = [{**rows[run.key], "env": run.env.name} for run in runs if run.key in rows]
                tried.append(tried_by(own, number, settings, len(runs)))
            found.append(Search(entry, tuple(tried)))
        return found

    def command(self, envs: tuple[str, ...] = (), agents: tuple[str, ...] = ()) -> str:
        """Return the command that does the search, or a part of it."""
        words = ["ssl4rl", "bench", "tune", self.suite.name, "--runs", str(self.count)]
        words += ["--seed", str(self.seed)] * bool(self.seed) + ["--seeds", str(self.seeds)] * (self.seeds > 1)
        words += ["--env", *envs] * bool(envs) + ["--agent", *agents] * bool(agents)
        return shlex.join(words) + f" {self.suite.flags}" * bool(self.suite.flags)

    def choices(self, searches: list[Search], rows: list[Row]) -> dict[str, Any]:
        """Return what was chosen and how, as plain data: `choices.with_choices` gives it to the suite."""
        environments = {env.name: env for _, found in self.searched.values() for env in found}
        return {
            "suite": self.suite.name,
            "revision": REVISION,
            "search": {
                "command": self.command(self.envs, self.agents),
                "candidates": self.count,
                "seed": self.seed,
                "run_seeds": list(self.run_seeds),
                "environments": list(environments),
                "asked": {name: asked(env) for name, env in environments.items()},
                "episodes": {name: env.episodes or self.suite.episodes for name, env in environments.items()},
                "split": "validation",
                "validation_episodes": self.suite.test_episodes,
                "learning_seconds": round(sum(row["seconds"]["learning"] for row in rows if row["status"] == "done"), 1),
                "machines": sorted({f"{row['machine']['cores']} cores, {row['threads']} a run" for row in rows}),
                "commits": sorted({str(row["commit"]) for row in rows}),
                "versions": versions(),
            },
            "agents": {search.entry.title: search.to_json() for search in searches},
            "not_searched": self.without,
        }
