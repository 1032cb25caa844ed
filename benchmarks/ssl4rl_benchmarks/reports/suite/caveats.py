"""What a reader must know of rows before believing a table of them; sentences that follow from the rows alone."""

from __future__ import annotations

from collections.abc import Sequence

from ssl4rl_agents.algorithms.estimators import group_advantages
from ssl4rl_agents.readability import NEARLY_NONE
from ssl4rl_benchmarks.bench.grid import REVISION
from ssl4rl_benchmarks.bench.rows import Row

MARK = "†"
"""Stands behind agents whose scores say nothing about their algorithm."""


def caveats(rows: Sequence[Row]) -> list[str]:
    """Return the sentences: of former questions, of refused settings, of unread replies, of searches that not all had."""
    return [sentence for sentence in (_former(rows), _refused(rows), _unread(rows), _searched(rows)) if sentence]


def spoilt(row: Row) -> bool:
    """Return whether a penalty in the reward was compared within groups, which is refused now (`divergence.settled`)."""
    objective = row.get("settings", {}).get("objective", {})
    penalised = objective.get("kl_loss") == "none" and bool(objective.get("kl_coefficient"))
    learned = row.get("settings", {}).get("algorithm") != "sft"
    return learned and penalised and objective.get("advantage") in group_advantages()


def _former(rows: Sequence[Row]) -> str:
    if all(row["config"].get("revision", 1) >= REVISION for row in rows):
        return ""
    return (
        "**Measured before the questions changed**: every environment with one seed asked for the same answers in the same "
        "order then, and some of them left traces that are gone now. These scores cannot be compared with those of later "
        "rows, nor tell which differences hold; the suite is to be measured anew."
    )


def _refused(rows: Sequence[Row]) -> str:
    agents = list(dict.fromkeys(row["agent"] for row in rows if spoilt(row)))
    if not agents:
        return ""
    return (
        f"**Nothing follows from the scores of {', '.join(agents)} ({MARK})**: these runs had the divergence from the "
        "initial policy in the reward, where it was compared, and by GRPO standardised, together with the scores of a group, "
        "so that answers that all scored the same were told apart by it alone. The trainer refuses that now."
    )


def _unread(rows: Sequence[Row]) -> str:
    shares = {f"{row['agent']} in {row['env']}": (row.get("result") or {}).get("readable") for row in rows}
    unread = [name for name, share in shares.items() if share is not None and share < NEARLY_NONE]
    if not unread:
        return ""
    return (
        f"**Nearly no reply could be read of {', '.join(unread)}**: less than {NEARLY_NONE:.0%} of the held-out ones, so "
        "that these scores say how replies are written, not what was seen."
    )


def _searched(rows: Sequence[Row]) -> str:
    learns = [row for row in rows if row["config"]["agent"]["learns"] and not row["config"]["agent"]["ceiling"]]
    tuned = {row["agent"]: row["config"]["agent"].get("tuned", "") for row in learns}
    searches = list(dict.fromkeys(search for search in tuned.values() if search))
    if not searches:
        return ""
    found = [
        f"Settings of {', '.join(agent for agent, by in tuned.items() if by == search)} were chosen by {search}."
        for search in searches
    ]
    defaults = [agent for agent, by in tuned.items() if not by]
    if defaults:
        found.append(f"**{', '.join(defaults)} had no such search**, so that comparisons with them are not even.")
    return " ".join(found)
