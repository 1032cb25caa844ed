"""A sweep: the runs of a grid that have no row yet, done one after the other or side by side."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from contextlib import closing, suppress

from ssl4rl_benchmarks.bench.executors import Executor
from ssl4rl_benchmarks.bench.grid import Doable
from ssl4rl_benchmarks.bench.rows import Row, Rows, number_of

WORK = "work"


def sweep(
    runs: Sequence[Doable],
    rows: Rows,
    executor: Executor,
    *,
    retry_failed: bool = False,
    told: Callable[[str], None] = lambda _: None,
) -> list[Row]:
    """Do the runs that have no row yet, and return the rows of all.

    Args:
        runs: of the grid.
        rows: where rows are and go.
        executor: does the runs.
        retry_failed: do those again whose row says that they failed.
        told: is told of every run that ended.

    Raises:
        ValueError: another sweep is at work in the same folder.
    """
    done = {"done"} if retry_failed else {"done", "failed"}
    with rows.alone():
        missing = [run for run in runs if (rows.get(run.key) or {}).get("status") not in done]
        told(f"{len(runs)} runs, {len(runs) - len(missing)} of them done before")
        start = time.perf_counter()
        with closing(executor.do(missing)) as ended:
            for number, row in enumerate(ended, start=1):
                rows.add(row)
                left = (time.perf_counter() - start) / number * (len(missing) - number)
                told(f"{number} of {len(missing)}  {outcome(row)}  (about {left / 60:.0f} min left)")
        with suppress(OSError):  # other runs may have left something there to go on with
            (rows.file.parent / WORK).rmdir()
    return rows_of(runs, rows)


def rows_of(runs: Sequence[Doable], rows: Rows) -> list[Row]:
    """Return the rows that runs have, under the names that the grid has for them now."""
    found = []
    for run in runs:
        row = rows.get(run.key)
        if row is not None:
            found.append({**row, **run.named, "command": run.command, "config": run.to_json()})
    return found


def outcome(row: Row) -> str:
    """Put how a run ended in a line."""
    named = f"{row['env']}, {row['agent']}, seed {row['seed']}"
    if row["status"] == "failed":
        return f"{named}: FAILED, {row['error']}"
    score = number_of(row["result"]["normalised"])
    said = f"{score:.3f}" if math.isfinite(score) else "unknown"
    return f"{named}: normalised {said} in {row['seconds']['total']:.0f} s"
