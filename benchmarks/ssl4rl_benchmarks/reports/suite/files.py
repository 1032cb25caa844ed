"""The files of a report: tables in Markdown, the page, and the small ones that are published."""

from __future__ import annotations

import json
from pathlib import Path

from ssl4rl_agents.runs.files import finite
from ssl4rl_benchmarks.bench.grid import Suite
from ssl4rl_benchmarks.bench.rows import Row
from ssl4rl_benchmarks.reports.suite import markdown, page, plots
from ssl4rl_benchmarks.reports.suite.summary import summarise

PAGE, TABLES = "report.html", "report.md"


def write_report(rows: list[Row], suite: Suite, out: Path, publish: Path | None = None) -> None:
    """Write both forms of the report into a folder, and the tables with curves and rows into another.

    Raises:
        ValueError: no run ended well, or rows of different runs go by the same names.
    """
    order = {(run.env.name, run.agent.title, run.seed): number for number, run in enumerate(suite.runs())}
    ordered = sorted(rows, key=lambda row: order.get((row["env"], row["agent"], row["seed"]), len(order)))
    summary = summarise(suite.name, ordered, suite.compared, suite.command())
    out.mkdir(parents=True, exist_ok=True)
    (out / TABLES).write_text(markdown.write(summary, suite.asks))
    (out / PAGE).write_text(page.write(summary, suite.asks))
    if publish is not None:
        publish.mkdir(parents=True, exist_ok=True)
        name = Path(suite.name).stem
        (publish / f"{name}.md").write_text(markdown.write(summary, suite.asks))
        drawn = plots.curves(summary)
        if drawn:
            (publish / f"{name}.svg").write_text(plots.on_white(drawn))
        (publish / f"{name}.jsonl").write_text(
            "".join(json.dumps(finite(row), allow_nan=False) + "\n" for row in summary.rows)
        )
