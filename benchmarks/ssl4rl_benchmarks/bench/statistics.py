"""Statistics over runs, by rliable (Agarwal et al. 2021, arXiv 2108.13264): interquartile means, profiles, improvement.

Scores are normalised: 0 is the best that is possible without looking, 1 the right answers. Intervals are 95 % percentiles of
stratified bootstraps: within each environment, seeds are drawn with replacement.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rliable import library, metrics

from ssl4rl_benchmarks.bench.rows import Row

REPEATS = 2_000
PAIRED_REPEATS = 500
THRESHOLDS = np.linspace(0.0, 1.0, 41)

Scores = dict[str, NDArray[np.float64]]
"""Normalised scores (seeds, environments) by agent."""


@dataclass(frozen=True)
class Estimate:
    """A value and its 95 % interval."""

    value: float
    low: float
    high: float


@dataclass(frozen=True)
class Table:
    """The rows of a suite that ended well, as scores.

    Args:
        environments, agents: in the order of first appearance.
        scores: by agent and environment, the normalised score of each seed.
    """

    environments: tuple[str, ...]
    agents: tuple[str, ...]
    scores: dict[tuple[str, str], tuple[float, ...]]

    def cell(self, agent: str, env: str) -> Estimate | None:
        """Return the mean over seeds of an agent in an environment, and its interval; None where there is no run."""
        found = self.scores.get((agent, env))
        if not found:
            return None
        values = np.array(found)[:, None]
        return interval({agent: values}, metrics.aggregate_mean)[agent]

    def shared(self, agents: Sequence[str]) -> tuple[list[str], int]:
        """Return the environments in which all of these agents have runs, and the fewest seeds that any has there."""
        shared = [env for env in self.environments if all(self.scores.get((agent, env)) for agent in agents)]
        counts = [len(self.scores[agent, env]) for agent in agents for env in shared]
        return shared, min(counts, default=0)

    def matrix(self, agents: Sequence[str]) -> tuple[Scores, list[str]]:
        """Return the scores of agents over the environments that all of them share, and these environments."""
        shared, seeds = self.shared(agents)
        scores = {
            agent: np.array([self.scores[agent, env][:seeds] for env in shared], np.float64).T.reshape(seeds, len(shared))
            for agent in agents
        }
        return scores, shared


def table_of(rows: Sequence[Row]) -> Table:
    """Return the scores of rows that ended well."""
    scores: dict[tuple[str, str], dict[int, float]] = {}
    for row in rows:
        if row["status"] == "done":
            scores.setdefault((row["agent"], row["env"]), {})[row["seed"]] = row["result"]["normalised"]
    environments = tuple(dict.fromkeys(row["env"] for row in rows))
    agents = tuple(dict.fromkeys(row["agent"] for row in rows))
    return Table(environments, agents, {key: tuple(seeds[s] for s in sorted(seeds)) for key, seeds in scores.items()})


def interval(scores: Scores, statistic: Any, repeats: int = REPEATS) -> dict[str, Estimate]:
    """Return a statistic of each agent's scores with its interval; the interval of a single number is that number."""
    found = {}
    for agent, values in scores.items():
        if values.size == 1:
            value = float(values.reshape(-1)[0])
            found[agent] = Estimate(value, value, value)
            continue
        with _repeatable():
            points, reach = library.get_interval_estimates({agent: values}, lambda x: np.array([statistic(x)]), reps=repeats)
        low, high = reach[agent][:, 0]
        found[agent] = Estimate(float(points[agent][0]), float(low), float(high))
    return found


def interquartile_means(scores: Scores) -> dict[str, Estimate]:
    """Return the interquartile mean over all seeds and environments of each agent."""
    return interval(scores, metrics.aggregate_iqm)


def profiles(scores: Scores) -> tuple[dict[str, NDArray[np.float64]], dict[str, NDArray[np.float64]]]:
    """Return the share of runs that score above each of `THRESHOLDS`, by agent, and its interval (2, thresholds)."""
    found, reach = {}, {}
    for agent, values in scores.items():
        with _repeatable():
            points, bands = library.create_performance_profile({agent: values}, THRESHOLDS, reps=PAIRED_REPEATS)
        found[agent], reach[agent] = points[agent], bands[agent]
    return found, reach


def improvements(scores: Scores, over: str) -> dict[str, Estimate]:
    """Return how probably a run of each agent beats one of the agent `over` in an environment drawn at random."""
    found = {}
    for agent, values in scores.items():
        if agent == over:
            continue
        pair = f"{agent},{over}"
        with _repeatable():
            points, reach = library.get_interval_estimates(
                {pair: (values, scores[over])}, metrics.probability_of_improvement, reps=PAIRED_REPEATS
            )
        low, high = np.asarray(reach[pair]).reshape(-1)
        found[agent] = Estimate(float(points[pair]), float(low), float(high))
    return found


def efficiency(rows: Sequence[Row], agents: Sequence[str], environments: Sequence[str]) -> dict[str, list[dict[str, float]]]:
    """Return the interquartile mean of held-out scores while learning, by agent: episodes, value, low, high.

    Scores are those on the validation split; a point is there where all runs of the agent have one.
    """
    curves: dict[str, list[dict[str, float]]] = {}
    for agent in agents:
        runs = [row for row in rows if row["agent"] == agent and row["env"] in environments and row["status"] == "done"]
        points = min((len(row["curve"]) for row in runs), default=0)
        seeds = min((sum(row["env"] == env for row in runs) for env in environments), default=0)
        line = []
        for number in range(points):
            by_env = [
                [_score(row, number) for row in sorted(runs, key=lambda row: row["seed"]) if row["env"] == env][:seeds]
                for env in environments
            ]
            found = interval({agent: np.array(by_env).T}, metrics.aggregate_iqm, PAIRED_REPEATS)[agent]
            episodes = float(np.mean([row["curve"][number]["episodes"] for row in runs]))
            line.append({"episodes": episodes, "value": found.value, "low": found.low, "high": found.high})
        curves[agent] = line
    return curves


@contextmanager
def _repeatable() -> Iterator[None]:
    """Let rliable, which draws from numpy's global generator, draw the same each time, and leave that as it was."""
    state = np.random.get_state()  # noqa: NPY002
    np.random.seed(0)  # noqa: NPY002
    try:
        yield
    finally:
        np.random.set_state(state)  # noqa: NPY002


def _score(row: Row, number: int) -> float:
    chance = row["result"]["chance"]
    return float((row["curve"][number]["reward"] - chance) / (row["result"]["oracle"] - chance))
