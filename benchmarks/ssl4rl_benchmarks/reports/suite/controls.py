"""What an agent moved beside the same agent under a control, which learned as long, with something taken away."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from ssl4rl_agents.settings import merged
from ssl4rl_benchmarks.bench import statistics
from ssl4rl_benchmarks.bench.rows import Row, number_of
from ssl4rl_benchmarks.bench.statistics import Estimate

CONTROL = "control"
"""Under which name an agent's settings say what is taken away; see `ssl4rl_agents.control_settings`."""


@dataclass(frozen=True)
class Above:
    """How far something that was measured is above what it is under a control.

    Args:
        env, agent: what was trained where.
        control: the agent that was trained with something taken away.
        what: the name of the measurement.
        value, under: after training, and after training under the control; means over seeds that both have.
        ahead: the difference, paired by seed, whose networks began alike.
    """

    env: str
    agent: str
    control: str
    what: str
    value: Estimate
    under: Estimate
    ahead: Estimate


def above_controls(rows: Sequence[Row]) -> list[Above]:
    """Return what every agent moved beside each control of its own: the same agent, whose settings differ in these alone."""
    runs: dict[tuple[str, str], dict[int, Row]] = {}
    for row in rows:
        if row["status"] == "done" and row.get("beyond"):
            runs.setdefault((row["env"], row["agent"]), {})[row["seed"]] = row
    found = []
    for (env, agent), own in runs.items():
        for (where, control), others in runs.items():
            if where == env and _controls(next(iter(others.values())), next(iter(own.values()))):
                found += _above(env, agent, control, own, others)
    return found


def _controls(row: Row, beside: Row) -> bool:
    """Return whether a row is of a control of another's agent."""
    agent, other = row["config"]["agent"], beside["config"]["agent"]
    given: dict[str, Any] = agent["settings"].get(CONTROL, {})
    if not given or CONTROL in other["settings"] or agent["name"] != other["name"]:
        return False
    return bool(merged(other["settings"], {CONTROL: given}) == agent["settings"])


def _above(env: str, agent: str, control: str, own: dict[int, Row], others: dict[int, Row]) -> list[Above]:
    values, under = ({seed: _after(row) for seed, row in runs.items()} for runs in (own, others))
    found = []
    for what in next(iter(values.values())):
        seeds = [seed for seed in values if what in values[seed] and what in under.get(seed, {})]
        pairs = [(values[seed][what], under[seed][what]) for seed in seeds]
        if pairs:
            value, under_it = (statistics.mean([pair[place] for pair in pairs]) for place in (0, 1))
            ahead = statistics.mean([one - other for one, other in pairs])
            found.append(Above(env, agent, control, what, value, under_it, ahead))
    return found


def _after(row: Row) -> dict[str, float]:
    return {entry["what"]: number_of(entry["after"]) for entry in row["beyond"] if "after" in entry}
