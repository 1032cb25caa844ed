"""The numbers of a report, worked out once from the rows: what the Markdown and the page both show."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from ssl4rl_benchmarks.bench import statistics
from ssl4rl_benchmarks.bench.rows import Row, number_of
from ssl4rl_benchmarks.bench.statistics import Estimate
from ssl4rl_benchmarks.reports.suite.caveats import MARK, caveats, spoilt
from ssl4rl_benchmarks.reports.suite.controls import Above, above_controls
from ssl4rl_benchmarks.reports.suite.mixtures import Together, together


@dataclass(frozen=True)
class Standing:
    """How an agent did over the environments that all compared agents share.

    Args:
        agent: its name.
        score: interquartile mean of normalised scores.
        beats: how probably one of its runs beats one of the leader's; None for the leader itself.
        episodes: of training, as many numbers as its runs have.
        seconds, memory_mb: medians over its runs, of learning and of the whole process.
        ceiling: whether it is told the right answers.
        spoilt: whether its runs say nothing about its algorithm; see `caveats.spoilt`.
    """

    agent: str
    score: Estimate
    beats: Estimate | None
    episodes: tuple[int, ...]
    seconds: float
    memory_mb: float
    ceiling: bool
    spoilt: bool = False

    @property
    def named(self) -> str:
        """The agent with its marks."""
        return self.agent + " *" * self.ceiling + f" {MARK}" * self.spoilt


@dataclass(frozen=True)
class Winner:
    """Who did best in an environment, of those that learn from reward.

    Args:
        env: the environment.
        agent, score: who, and its mean over seeds.
        episodes: of training.
        seconds: of learning, the median over its runs.
        second, ahead: who comes next, and how much lower.
        ceiling: the best of those that are told the right answers, and its score; None where there is none.
        spoilt: those of the two whose runs say nothing about their algorithm; see `caveats.spoilt`.
    """

    env: str
    agent: str
    score: Estimate
    episodes: tuple[int, ...]
    seconds: float
    second: str
    ahead: Estimate
    ceiling: tuple[str, Estimate] | None
    spoilt: tuple[str, ...] = ()

    @property
    def named(self) -> str:
        """The agent, and whether its score could be chance or is below."""
        if self.score.low > 0:
            return self.marked(self.agent)
        return f"{self.marked(self.agent)}, {'below' if self.score.high < 0 else 'maybe'} chance"

    def marked(self, agent: str) -> str:
        """Return an agent with its mark."""
        return agent + f" {MARK}" * (agent in self.spoilt)


@dataclass(frozen=True)
class Change:
    """What training in one environment did to something else: means over seeds.

    Args:
        env, agent: what was trained where.
        what: the name of the measurement.
        before, after, gain: before training, after it, and the difference, each with its interval.
        beside: other means of reaching it.
    """

    env: str
    agent: str
    what: str
    before: Estimate
    after: Estimate
    gain: Estimate
    beside: dict[str, float]


@dataclass(frozen=True)
class Curves:
    """Learning curves over environments with equally many training episodes.

    Args:
        episodes, environments: how many, and which.
        lines: by agent; see `statistics.efficiency`.
    """

    episodes: int
    environments: list[str]
    lines: dict[str, list[dict[str, float]]]


@dataclass(frozen=True)
class Summary:
    """Everything that a report of one suite shows.

    Args:
        suite: its name.
        rows: of all its runs, failed ones too.
        table: scores of those that ended well.
        standings: from best to worst; empty where fewer than two agents learn.
        winners: of each environment; none where fewer than two agents learn from reward.
        shared, seeds: the environments and seeds over which standings are.
        left_out: sentences that say which agents, environments and seeds standings leave out.
        changes: what else became better or worse.
        above: how far that is above the same under a control.
        together: several tasks at once beside each alone.
        caveats: sentences that a reader must know before the tables.
        command: what does these runs.
    """

    suite: str
    rows: list[Row]
    table: statistics.Table
    standings: list[Standing]
    winners: list[Winner]
    shared: list[str]
    seeds: list[int]
    left_out: list[str]
    changes: list[Change]
    above: list[Above]
    together: list[Together]
    caveats: list[str]
    command: str

    def matrices(self) -> dict[str, dict[str, dict[str, Change]]]:
        """Return the changes by agent, by where it was trained, by what was measured."""
        found: dict[str, dict[str, dict[str, Change]]] = {}
        for change in self.changes:
            found.setdefault(change.agent, {}).setdefault(change.env, {})[change.what] = change
        return found

    @cached_property
    def curves(self) -> list[Curves]:
        """The learning curves of the agents in the standings, apart for each number of training episodes."""
        agents = [place.agent for place in self.standings]
        numbers = {row["env"]: row["config"]["episodes"] for row in self.done if row["agent"] in agents}
        found = []
        for episodes in sorted({numbers[env] for env in self.shared}):
            environments = [env for env in self.shared if numbers[env] == episodes]
            lines = statistics.efficiency(self.rows, agents, environments, self.seeds)
            found.append(Curves(episodes, environments, lines))
        return found

    @cached_property
    def profiles(self) -> dict[str, Any]:
        """The performance profiles of the agents in the standings; see `statistics.profiles`."""
        agents = [place.agent for place in self.standings]
        return statistics.profiles(self.table.matrix(agents, self.shared, self.seeds))

    @property
    def done(self) -> list[Row]:
        """The rows of the runs that ended well."""
        return [row for row in self.rows if row["status"] == "done"]

    @property
    def failed(self) -> list[Row]:
        """The rows of the others."""
        return [row for row in self.rows if row["status"] != "done"]


def summarise(suite: str, rows: Sequence[Row], over: Sequence[str] = (), command: str = "") -> Summary:
    """Work out the numbers of a report.

    Agents are compared over the environments and seeds that all of them have. Those that take no more than half of the
    environments that another takes are left out of the comparison, and stand in the table of environments alone.

    Args:
        suite: its name.
        rows: of its runs.
        over: the environments that agents are compared over; all by default.
        command: what does these runs.

    Raises:
        ValueError: no run ended well, or rows of different runs cannot be told apart.
    """
    rows = list(rows)
    table = statistics.table_of(rows)
    if not table.scores:
        raise ValueError("no run has ended well yet, so there is nothing to report")
    asked = [env for env in table.environments if not over or env in over]
    environments = [env for env in asked if _scored(table, env)]
    learns = [agent for agent in table.agents if any(r["agent"] == agent and r["config"]["agent"]["learns"] for r in rows)]
    compared = _compared(table, learns, environments)
    shared, seeds = table.shared(compared, environments)
    enough = len(compared) > 1 and bool(seeds)
    scores = table.matrix(compared, shared, seeds) if enough else {}
    best = statistics.interquartile_means(scores)
    order = ranked(best)
    told = {agent for agent in order if _is_ceiling(rows, agent)}
    unsound = {row["agent"] for row in rows if spoilt(row)}
    leader = next((agent for agent in order if agent not in told and best[agent].known), None)
    beats = statistics.improvements(scores, leader) if leader is not None else {}
    standings = [
        Standing(
            agent,
            best[agent],
            beats.get(agent),
            _episodes(rows, agent, shared),
            _median(rows, agent, shared, seconds_of),
            _median(rows, agent, shared, lambda row: row["memory_mb"]),
            agent in told,
            agent in unsound,
        )
        for agent in order
    ]
    left_out = [*_left_out(table, learns, compared, environments, shared, seeds), *_unknown(table, asked)]
    winners = _winners(rows, table, learns, unsound)
    return Summary(
        suite,
        rows,
        table,
        standings,
        winners,
        shared,
        seeds,
        left_out,
        changes(rows),
        above_controls(rows),
        together(rows),
        caveats(rows),
        command,
    )


def ranked(found: dict[str, Estimate]) -> list[str]:
    """Return names from the highest value to the lowest, those whose value is unknown at the end."""
    return sorted(found, key=lambda name: (not found[name].known, -found[name].value if found[name].known else 0.0))


def _scored(table: statistics.Table, env: str) -> bool:
    """Return whether any run in an environment has a score that is a number."""
    return any(np.isfinite(score) for (_, where), found in table.scores.items() if where == env for score in found.values())


def _unknown(table: statistics.Table, environments: Sequence[str]) -> list[str]:
    """Say which scores are no numbers: of environments where none is, and of single runs elsewhere."""
    nowhere = [env for env in environments if any(where == env for _, where in table.scores) and not _scored(table, env)]
    runs = [
        f"{agent} in {env} (seed {', '.join(str(seed) for seed in wrong)})"
        for (agent, env), found in table.scores.items()
        if env not in nowhere and (wrong := sorted(seed for seed, score in found.items() if not np.isfinite(score)))
    ]
    sentences = []
    if nowhere:
        sentences.append(f"Not compared, since no score there can be normalised: {', '.join(nowhere)}.")
    if runs:
        sentences.append(f"Unknown is all that is taken over scores that are no numbers: those of {'; '.join(runs)}.")
    return sentences


def changes(rows: Sequence[Row]) -> list[Change]:
    """Return what training did to everything that was measured beside the environment itself."""
    found: dict[tuple[str, str, str], list[dict[str, Any]]] = {}
    for row in rows:
        for entry in row.get("beyond", ()):
            if entry.get("before") is not None:
                found.setdefault((row["env"], row["agent"], entry["what"]), []).append(entry)
    result = []
    for (env, agent, what), entries in found.items():
        before, after = (np.array([number_of(entry[name]) for entry in entries]) for name in ("before", "after"))
        of = {
            name: statistics.mean(values)
            for name, values in {"before": before, "after": after, "gain": after - before}.items()
        }
        beside = {
            name: statistics.mean([number_of(entry["beside"][name]) for entry in entries]).value
            for name in entries[0].get("beside", {})
        }
        result.append(Change(env, agent, what, of["before"], of["after"], of["gain"], beside))
    return result


def _winners(rows: Sequence[Row], table: statistics.Table, learns: Sequence[str], unsound: set[str]) -> list[Winner]:
    found = []
    told = {agent for agent in learns if _is_ceiling(rows, agent)}
    for env in table.environments:
        cells = {agent: score for agent in learns if (score := table.cell(agent, env)) is not None}
        scores = {agent: score for agent, score in cells.items() if score.known}
        best = ranked(scores)
        by_reward, ceilings = [a for a in best if a not in told], [a for a in best if a in told]
        if len(by_reward) < 2:
            continue
        first, second = by_reward[:2]
        ahead = statistics.difference(*(list(table.scores[agent, env].values()) for agent in (first, second)))
        ceiling = (ceilings[0], scores[ceilings[0]]) if ceilings else None
        cost = _episodes(rows, first, [env]), _median(rows, first, [env], seconds_of)
        marked = tuple(sorted(unsound & {first, second}))
        found.append(Winner(env, first, scores[first], *cost, second, ahead, ceiling, marked))
    return found


def _compared(table: statistics.Table, learns: Sequence[str], environments: Sequence[str]) -> list[str]:
    counts = {agent: sum(bool(table.scores.get((agent, env))) for env in environments) for agent in learns}
    most = max(counts.values(), default=0)
    return [agent for agent in learns if 2 * counts[agent] > most]


def _left_out(
    table: statistics.Table,
    learns: Sequence[str],
    compared: Sequence[str],
    environments: Sequence[str],
    shared: Sequence[str],
    seeds: Sequence[int],
) -> list[str]:
    """Say what a comparison leaves out, and why."""
    agents = [agent for agent in learns if agent not in compared]
    others = [env for env in environments if env not in shared]
    every = {seed for found in table.scores.values() for seed in found}
    lacking = sorted(every - set(seeds))
    sentences = []
    if agents:
        sentences.append(f"Not compared, since they have runs in half of the environments or fewer: {', '.join(agents)}.")
    if others and compared:
        sentences.append(f"Not every agent has a run in {', '.join(others)}.")
    if lacking and compared:
        sentences.append(f"Not every agent has a run with seed {', '.join(map(str, lacking))} in all of them.")
    return sentences


def numbers(values: Sequence[int]) -> str:
    """Return numbers of episodes in words."""
    return " or ".join(f"{value:,}" for value in values)


def _episodes(rows: Sequence[Row], agent: str, environments: Sequence[str]) -> tuple[int, ...]:
    found = {row["config"]["episodes"] for row in rows if row["agent"] == agent and row["env"] in environments}
    return tuple(sorted(found))


def seconds_of(row: Row) -> float:
    """Return the seconds that a run learned; format warm-up and measurements are not among them."""
    return float(row["seconds"]["learning"])


def _is_ceiling(rows: Sequence[Row], agent: str) -> bool:
    return any(row["agent"] == agent and row["config"]["agent"]["ceiling"] for row in rows)


def _median(rows: Sequence[Row], agent: str, environments: Sequence[str], of: Any) -> float:
    values = [of(row) for row in rows if row["agent"] == agent and row["env"] in environments and row["status"] == "done"]
    return float(np.median(values)) if values else float("nan")
