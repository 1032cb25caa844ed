"""``ssl4rl list``: what environments there are."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from typing import Annotated, Any

import tyro

from ssl4rl_benchmarks import screen
from ssl4rl_benchmarks.commands import flags
from ssl4rl_benchmarks.commands.calls import Outcome
from ssl4rl_envs import env_ids, make_task
from ssl4rl_envs.registration import env_id_of

COLUMNS = {"environment": "env", "action space": "action_space", "chance": "chance", "asks": "asks"}


@dataclass(frozen=True)
class ListFlags:
    """List the environments, those of installed plug-ins included."""

    env: Annotated[tuple[str, ...], tyro.conf.Positional, flags.positional("[ENV ...]")] = ()
    """Only these: by their ids, in short, or as module:Class."""
    json: bool = False
    """Print JSON."""


def run(arguments: list[str]) -> Outcome:
    """Describe environments; print them as a table unless JSON is asked for. The status is 1 where one cannot be built."""
    given = flags.parse(ListFlags, arguments, "ssl4rl list", "List the environments.").command
    rows = [described(name) for name in ([env_id_of(name) for name in given.env] or env_ids())]
    failed = [row for row in rows if "error" in row]
    if not given.json:
        print(table([row for row in rows if row not in failed]))
        for row in failed:
            print(f"{row['env']} cannot be built: {row['error']}", file=sys.stderr)
    return Outcome(int(bool(failed)), rows, given.json)


def described(env_id: str) -> dict[str, Any]:
    """Return what is worth knowing of an environment, or why it cannot be built: a plug-in's fault hides no other."""
    try:
        return describe(env_id)
    except (ValueError, TypeError, OSError, ImportError) as error:
        return {"env": env_id, "error": str(error)}


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
    return screen.table(list(COLUMNS), [[_cell(row[key]) for key in COLUMNS.values()] for row in rows])


def _cell(value: Any) -> str:
    return f"{value:.3f}" if isinstance(value, float) else str(value)
