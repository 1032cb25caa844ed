"""``ssl4rl list``: what environments there are."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from ssl4rl_benchmarks.commands import flags
from ssl4rl_benchmarks.commands.calls import Outcome
from ssl4rl_envs import env_ids, make_task

COLUMNS = {"environment": "env", "action space": "action_space", "chance": "chance", "asks": "asks"}


@dataclass(frozen=True)
class ListFlags:
    """List the environments."""

    json: bool = False
    """Print JSON."""


def run(arguments: list[str]) -> Outcome:
    """Describe all environments; print them as a table unless JSON is asked for."""
    given = flags.parse(ListFlags, arguments, "ssl4rl list", "List the environments.").command
    rows = [describe(env_id) for env_id in env_ids()]
    if not given.json:
        print(table(rows))
    return Outcome(0, rows, given.json)


def describe(env_id: str) -> dict[str, Any]:
    """Return what is worth knowing of an environment, as plain data."""
    task = make_task(env_id)
    return {
        "env": env_id,
        "asks": type(task).asks,
        "observation_space": str(task.observation_space),
        "action_space": str(task.action_space),
        "interfaces": ["array", "text"] if task.has_text else ["array"],
        "chance": task.chance,
        "horizon": task.horizon,
    }


def table(rows: list[dict[str, Any]]) -> str:
    """Return descriptions as the lines of a table."""
    cells = [list(COLUMNS), *([_cell(row[key]) for key in COLUMNS.values()] for row in rows)]
    widths = [max(len(line[column]) for line in cells) for column in range(len(COLUMNS))]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip() for line in cells
    )


def _cell(value: Any) -> str:
    return f"{value:.3f}" if isinstance(value, float) else str(value)
