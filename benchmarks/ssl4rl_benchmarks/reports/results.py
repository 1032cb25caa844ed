"""What was reached, as a table: for the screen and for the page of whatever was trained."""

from __future__ import annotations

from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table

from ssl4rl_agents.readability import READABLE

COLUMNS = ("", "success", "95 % interval", "reward", "normalised")


def rows(results: dict[str, Any]) -> list[tuple[str, str, str, str, str]]:
    """Return the lines of the results' table: what, success, its 95 % interval, reward, normalised score."""
    named = {
        "before training, held out": results.get("before"),
        "after training, held out": results["after"],
        "after training, seen items": results["train"],
        "supervised ceiling, held out": results.get("ceiling"),
    }
    lines = [("chance", "", "", f"{results['chance']:.3f}", "0.000")]
    for name, result in named.items():
        if result is not None:
            low, high = result["interval"]
            numbers = (f"{result['reward']:.3f}", _normalised(result))
            lines.append((name, f"{result['success']:.3f}", f"{low:.3f} to {high:.3f}", *numbers))
    return lines


def _normalised(result: dict[str, Any]) -> str:
    """Return a normalised score in words: replies that cannot be read are no worse understanding than chance."""
    value, readable = result["normalised"], result.get("readable")
    if readable is not None and readable < READABLE:
        return f"{readable:.0%} readable"
    return f"{value:.3f}" if value is not None and np.isfinite(value) else "unknown"


def print_table(results: dict[str, Any]) -> None:
    """Print the results, and where the rest is."""
    after = results["after"]
    table = Table(title=f"{after['env']}: trained for {results['seconds']:.0f} s", title_justify="left")
    for column in COLUMNS:
        table.add_column(column, justify="left" if not column else "right")
    for line in rows(results):
        table.add_row(*line)
    console = Console()
    console.print(table)
    console.print(
        f"{after['episodes']} held-out questions about {after['items']} items that training never saw. "
        f"Curve, board and report: {results['out']}/",
        highlight=False,
    )


def note(results: dict[str, Any]) -> str:
    """Return what the table's numbers are of."""
    after = results["after"]
    return (
        f"{after['episodes']} held-out questions about {after['items']} items that training never saw. Normalised: 0 is the "
        "best that is possible without looking, 1 the right answers."
    )
