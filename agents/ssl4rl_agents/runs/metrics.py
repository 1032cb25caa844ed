"""Where a run's numbers go: metrics.jsonl, TensorBoard and a live display."""

from __future__ import annotations

import json
import math
import os
import sys
import time
from pathlib import Path
from typing import Any, Self

from rich.console import Console, Group
from rich.live import Live
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.table import Table
from torch.utils.tensorboard import SummaryWriter

from ssl4rl_agents.runs.files import finite, write_text
from ssl4rl_envs import telling

SHOWN = {
    "reward": "reward",
    "success": "success",
    "validation/success": "held out",
    "kl/reference": "KL ref",
    "approx_kl": "KL step",
    "entropy": "entropy",
    "truncated": "cut off",
    "turns/mean": "turns",
    "skipped_steps": "skipped",
    "skipped_in_a_row": "in a row",
    "episodes_per_second": "episodes/s",
}
TROUBLE = ("skipped_steps", "skipped_in_a_row")
"""Shown where they are not 0."""

PLAIN_SECONDS = 10.0


class MetricsLog:
    """Writes one JSON line an iteration and the same numbers for TensorBoard.

    Args:
        folder: the run's folder.
        iteration: iterations done; what an earlier, killed run wrote beyond them is cut off.
        active: whether this process writes; if not, all of this does nothing.
    """

    def __init__(self, folder: Path, iteration: int, *, active: bool = True) -> None:
        self._active = active
        if not active:
            return
        path = folder / "metrics.jsonl"
        kept = [line for line in read_metrics(folder) if line["iteration"] <= iteration] if path.exists() else []
        write_text(path, "".join(json.dumps(finite(line)) + "\n" for line in kept))
        self._file = path.open("a")
        self._board = SummaryWriter(str(folder), purge_step=iteration + 1)

    def write(self, iteration: int, values: dict[str, float]) -> None:
        """Write the numbers of one iteration."""
        if not self._active:
            return
        self._file.write(json.dumps(finite({"iteration": iteration, **values}), allow_nan=False) + "\n")
        self._file.flush()
        os.fsync(self._file.fileno())  # a checkpoint is never newer on the disk than the lines that lead to it
        for name, value in values.items():
            self._board.add_scalar(name, value, iteration)

    def close(self) -> None:
        """Finish both files."""
        if not self._active:
            return
        self._file.close()
        self._board.close()


def read_metrics(folder: Path) -> list[dict[str, Any]]:
    """Return the lines of a run's metrics.jsonl; a last line that was cut off by a kill is left out, and null is NaN."""
    lines = []
    for line in (folder / "metrics.jsonl").read_text().splitlines():
        try:
            lines.append({name: math.nan if value is None else value for name, value in json.loads(line).items()})
        except json.JSONDecodeError:
            break
    return lines


class Display:
    """A progress bar with the newest numbers on a terminal; a line every ten seconds elsewhere; nothing when quiet.

    Everything goes to standard error, so that standard output stays free for results.
    """

    def __init__(self, title: str, total: int, done: int = 0, *, quiet: bool = False) -> None:
        self._console = Console(file=sys.stderr, quiet=quiet or telling.quiet())
        self._progress = Progress(
            TextColumn("[bold]{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TextColumn("left"),
            TimeRemainingColumn(),
            console=self._console,
        )
        self._task = self._progress.add_task(title, total=total, completed=done)
        self._title, self._total = title, total
        self._values: dict[str, float] = {}
        self._live = Live(self._progress, console=self._console, refresh_per_second=4)
        self._printed, self._started = time.monotonic(), time.monotonic()
        self._first = done

    def __enter__(self) -> Self:
        if self._console.is_terminal:
            self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._console.is_terminal:
            self._live.stop()

    def update(self, done: int, values: dict[str, float]) -> None:
        """Show the newest numbers."""
        self._values |= {name: value for name, value in values.items() if name in SHOWN}
        self._values = {name: value for name, value in self._values.items() if value or name not in TROUBLE}
        self._progress.update(self._task, completed=done)
        if self._console.is_terminal:
            self._live.update(Group(self._progress, self._table()))
        elif time.monotonic() - self._printed >= PLAIN_SECONDS or done == self._total:
            self._printed = time.monotonic()
            left = (self._printed - self._started) / max(1, done - self._first) * (self._total - done)
            numbers = ", ".join(f"{SHOWN[name]} {value:.3g}" for name, value in self._values.items())
            told = ", ".join(part for part in (numbers, f"{left:.0f} s left") if part)
            self._console.print(f"{self._title} {done}/{self._total}: {told}", soft_wrap=True)

    def _table(self) -> Table:
        table = Table(box=None, padding=(0, 2, 0, 0))
        for name in self._values:
            table.add_column(SHOWN[name], justify="right")
        table.add_row(*(f"{value:.3g}" for value in self._values.values()))
        return table
