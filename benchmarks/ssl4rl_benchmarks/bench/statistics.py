"""Statistics over runs, by rliable (Agarwal et al. 2021, arXiv 2108.13264): interquartile means, profiles, improvement.

Scores are normalised: 0 is the best that is possible without looking, 1 the right answers. Intervals of what is taken over
several environments are 95 % percentiles of stratified bootstraps (within each environment, seeds are drawn with
replacement); those of a mean over the seeds of one environment are by Student's t, of a difference of two by Welch's.
"""

from __future__ import annotations

import json
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rliable import library, metrics
from scipy.stats import t, ttest_ind

from ssl4rl_benchmarks.bench.rows import Row, number_of

REPEATS = 2_000
FEWER_REPEATS = 200
"""Of what takes a millisecond a time, or is asked for at many points."""

THRESHOLDS = np.linspace(0.0, 1.0, 41)

Scores = dict[str, NDArray[np.float64]]
"""Normalised scores (seeds, environments) by agent."""


@dataclass(frozen=True)
class Estimate:
    """A value and its 95 % interval; where there is none, both ends are the value. All three are NaN where it is unknown."""

    value: float
    low: float
    high: float

    @property
    def known(self) -> bool:
        """Whether it is a number; one score that is none makes all that is taken over it unknown."""
        return bool(np.isfinite([self.value, self.low, self.high]).all())

    @property
    def reaches(self) -> bool:
        """Whether there is an interval."""
        return self.low < self.high

    @property
    def verdict(self) -> str:
        """Of a difference: "better" or "worse" where its interval leaves out 0; if not, or if there is none, "unclear".

        "unknown" where it is no number, which is neither.
        """
        if not self.known:
            return "unknown"
        if not self.reaches or self.low <= 0 <= self.high:
            return "unclear"
        return "better" if self.low > 0 else "worse"


UNKNOWN = Estimate(float("nan"), float("nan"), float("nan"))


@dataclass(frozen=True)
class Table:
    """The rows of a suite that ended well, as scores.

    Args:
        environments, agents: in the order of first appearance.
        scores: by agent and environment, the normalised score by seed.
    """

    environments: tuple[str, ...]
    agents: tuple[str, ...]
    scores: dict[tuple[str, str], dict[int, float]]

    def cell(self, agent: str, env: str) -> Estimate | None:
        """Return the mean over seeds of an agent in an environment, and its interval; None where there is no run."""
        found = self.scores.get((agent, env))
        return mean(list(found.values())) if found else None

    def shared(self, agents: Sequence[str], environments: Sequence[str]) -> tuple[list[str], list[int]]:
        """Return which of these environments all of these agents have runs in, and the seeds that all have in all of them."""
        shared = [env for env in environments if all(self.scores.get((agent, env)) for agent in agents)]
        seeds = [set(self.scores[agent, env]) for agent in agents for env in shared]
        return shared, sorted(set.intersection(*seeds)) if seeds else []

    def matrix(self, agents: Sequence[str], environments: Sequence[str], seeds: Sequence[int]) -> Scores:
        """Return the scores of agents over environments and seeds that all of them have."""
        return {
            agent: np.array([[self.scores[agent, env][seed] for env in environments] for seed in seeds], np.float64)
            for agent in agents
        }


def table_of(rows: Sequence[Row]) -> Table:
    """Return the scores of rows that ended well.

    Raises:
        ValueError: rows of different runs go by the same names, so that they cannot be told apart.
    """
    scores: dict[tuple[str, str], dict[int, float]] = {}
    meant: dict[tuple[str, str], str] = {}
    for row in rows:
        if row["status"] != "done":
            continue
        config = row["config"]
        what = {
            ("environment", row["env"]): [config["env"]["id"], config["env"]["args"], config["episodes"]],
            ("agent", row["agent"]): [config["agent"]["name"], config["agent"]["settings"]],
        }
        for named, given in what.items():
            if meant.setdefault(named, json.dumps(given, sort_keys=True)) != json.dumps(given, sort_keys=True):
                raise ValueError(
                    f"rows of different runs are called by the {named[0]} {named[1]!r}: other arguments, settings or numbers "
                    "of episodes; report them apart"
                )
        seeds = scores.setdefault((row["agent"], row["env"]), {})
        if row["seed"] in seeds:
            raise ValueError(f"there are two rows of {row['agent']} in {row['env']} with seed {row['seed']}")
        seeds[row["seed"]] = number_of(row["result"]["normalised"])
    environments = tuple(dict.fromkeys(row["env"] for row in rows))
    return Table(environments, tuple(dict.fromkeys(row["agent"] for row in rows)), scores)


def mean(values: Sequence[float]) -> Estimate:
    """Return a mean and its 95 % interval by Student's t, which is honest about few seeds.

    Of one value, or of equal ones, it is that value without an interval; of none, or if one is no number, it is unknown.
    """
    found = np.asarray(values, np.float64)
    if not found.size or not np.isfinite(found).all():
        return UNKNOWN
    middle = float(found.mean())
    if np.ptp(found) == 0:  # rounding gives equal numbers a spread
        return Estimate(float(found[0]), float(found[0]), float(found[0]))
    reach = float(t.ppf(0.975, len(found) - 1) * found.std(ddof=1) / np.sqrt(len(found)))
    return Estimate(middle, middle - reach, middle + reach)


def difference(values: Sequence[float], others: Sequence[float]) -> Estimate:
    """Return how much higher a mean is than another, and its 95 % interval by Welch's t; without spread there is none.

    It is unknown where a value is no number, or there are none.
    """
    one, other = np.asarray(values, np.float64), np.asarray(others, np.float64)
    if not (one.size and other.size and np.isfinite(one).all() and np.isfinite(other).all()):
        return UNKNOWN
    gap = float(one.mean() - other.mean())
    if min(len(one), len(other)) < 2 or np.ptp(one) + np.ptp(other) == 0:
        return Estimate(gap, gap, gap)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # one of them may be without spread
        reach = ttest_ind(one, other, equal_var=False).confidence_interval(0.95)
    if not np.isfinite([reach.low, reach.high]).all():  # spreads too small to be squared
        return Estimate(gap, gap, gap)
    return Estimate(gap, float(reach.low), float(reach.high))


def interval(scores: Scores, statistic: Any, repeats: int | None = None) -> dict[str, Estimate]:
    """Return a statistic of each agent's scores with its interval; of one seed there is none, and it is the value itself."""
    found = {}
    for agent, values in scores.items():
        if not _all_known(values):
            found[agent] = UNKNOWN  # bootstraps that miss the one NaN would give an interval all the same
            continue
        if len(values) == 1:
            value = float(statistic(values))
            found[agent] = Estimate(value, value, value)
            continue
        with _repeatable():
            points, reach = library.get_interval_estimates(
                {agent: values}, lambda x: np.array([statistic(x)]), reps=repeats or REPEATS
            )
        low, high = reach[agent][:, 0]
        found[agent] = Estimate(float(points[agent][0]), float(low), float(high))
    return found


def _all_known(values: NDArray[np.float64]) -> bool:
    return bool(values.size and np.isfinite(values).all())


def interquartile_means(scores: Scores) -> dict[str, Estimate]:
    """Return the interquartile mean over all seeds and environments of each agent."""
    return interval(scores, metrics.aggregate_iqm)


def profiles(scores: Scores) -> dict[str, tuple[NDArray[np.float64], NDArray[np.float64]]]:
    """Return the share of runs that score above each of `THRESHOLDS`, (thresholds,), and its interval, (2, thresholds).

    Both are NaN where a score is.
    """
    found = {}
    for agent, values in scores.items():
        if not _all_known(values):
            found[agent] = (np.full(len(THRESHOLDS), np.nan), np.full((2, len(THRESHOLDS)), np.nan))
            continue
        with _repeatable():
            points, bands = library.create_performance_profile({agent: values}, THRESHOLDS, reps=FEWER_REPEATS)
        found[agent] = (points[agent], bands[agent])
    return found


def improvements(scores: Scores, over: str) -> dict[str, Estimate]:
    """Return how probably a run of each agent beats one of the agent `over` in an environment drawn at random."""
    found = {}
    for agent, values in scores.items():
        if agent == over:
            continue
        if not (_all_known(values) and _all_known(scores[over])):
            found[agent] = UNKNOWN
            continue
        pair = f"{agent},{over}"
        with _repeatable():
            points, reach = library.get_interval_estimates(
                {pair: (values, scores[over])}, metrics.probability_of_improvement, reps=FEWER_REPEATS
            )
        low, high = np.asarray(reach[pair]).reshape(-1)
        found[agent] = Estimate(float(points[pair]), float(low), float(high))
    return found


def efficiency(
    rows: Sequence[Row], agents: Sequence[str], environments: Sequence[str], seeds: Sequence[int]
) -> dict[str, list[dict[str, float]]]:
    """Return the interquartile mean of held-out scores while learning, by agent: episodes, value, low, high.

    Scores are those on the validation split, normalised as those on the test split; a point is there where all of these
    runs of the agent have one.
    """
    curves: dict[str, list[dict[str, float]]] = {}
    for agent in agents:
        runs = {(row["seed"], row["env"]): row for row in rows if row["agent"] == agent and row["status"] == "done"}
        grid = [[runs[seed, env] for env in environments] for seed in seeds]
        line = []
        for number in range(min((len(row["curve"]) for part in grid for row in part), default=0)):
            values = np.array([[_score(row, number) for row in part] for part in grid])
            found = interval({agent: values}, metrics.aggregate_iqm, FEWER_REPEATS)[agent]
            episodes = float(np.mean([row["curve"][number]["episodes"] for part in grid for row in part]))
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
    chance, oracle = number_of(row["result"]["chance"]), number_of(row["result"]["oracle"])
    if not oracle > chance or row["result"]["normalised"] is None:
        return float("nan")
    return (number_of(row["curve"][number]["reward"]) - chance) / (oracle - chance)
