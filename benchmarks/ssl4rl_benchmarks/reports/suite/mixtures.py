"""Mixtures beside their tasks alone: what learning several tasks at once is worth."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ssl4rl_benchmarks.bench import statistics
from ssl4rl_benchmarks.bench.grid import short
from ssl4rl_benchmarks.bench.rows import Row, number_of
from ssl4rl_benchmarks.bench.statistics import Estimate

EACH = "mean"
"""In place of a task: the mean of all that were learned together."""


@dataclass(frozen=True)
class Together:
    """How an agent that learned several tasks at once does on one of them, beside one that learned this task alone.

    Args:
        env, agent: what was trained on which mixture.
        task: the task, or `EACH` for the mean of them.
        together, alone: normalised scores, means over seeds.
        ahead: how much higher the first is.
    """

    env: str
    agent: str
    task: str
    together: Estimate
    alone: Estimate
    ahead: Estimate


def together(rows: Sequence[Row]) -> list[Together]:
    """Return how agents that learned a mixture (one that names its `tasks`) do on each of them, beside runs on it alone.

    Those are by the same agent, or else by one that goes by the same name with other settings.
    """
    mixed: dict[tuple[str, str], list[Row]] = {}
    for row in rows:
        if row["status"] == "done" and "tasks" in row["config"]["env"]["args"]:
            mixed.setdefault((row["env"], row["agent"]), []).append(row)
    found = []
    for (env, agent), runs in mixed.items():
        tasks = [short(task) for task in runs[0]["config"]["env"]["args"]["tasks"]]
        both = {task: (_after(runs, task), _alone(rows, runs[0], task)) for task in tasks}
        both[EACH] = _mean_by_seed([pair[0] for pair in both.values()]), _mean_by_seed([pair[1] for pair in both.values()])
        for task, pair in both.items():
            values, others = (list(scores.values()) for scores in pair)
            if values and others:
                ahead = statistics.difference(values, others)
                found.append(Together(env, agent, task, statistics.mean(values), statistics.mean(others), ahead))
    return found


def _after(runs: Sequence[Row], task: str) -> dict[int, float]:
    """Return what runs score on another task after training, by seed."""
    return {
        row["seed"]: number_of(entry["after"])
        for row in runs
        for entry in row["beyond"]
        if entry["what"] == f"task:{task}" and "after" in entry
    }


def _alone(rows: Sequence[Row], mixed: Row, task: str) -> dict[int, float]:
    """Return the scores of runs on one task of a mixture, over the same pictures, by seed."""
    agent, args = mixed["config"]["agent"]["name"], mixed["config"]["env"]["args"]
    shared = {name: value for name, value in args.items() if name not in ("tasks", "weights")}
    found: dict[str, dict[int, float]] = {}
    for row in rows:
        env, name = row["config"]["env"], row["config"]["agent"]["name"]
        if row["status"] == "done" and (short(env["id"]), env["args"], name) == (task, shared, agent):
            found.setdefault(row["agent"], {})[row["seed"]] = number_of(row["result"]["normalised"])
    return found.get(mixed["agent"]) or next(iter(found.values()), {})


def _mean_by_seed(scores: Sequence[dict[int, float]]) -> dict[int, float]:
    seeds = sorted(set.intersection(*(set(each) for each in scores)))
    return {seed: float(np.mean([each[seed] for each in scores])) for seed in seeds}
