"""The report of the paper's halves: what was learned of each task, by which model, and two models side by side."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from ssl4rl_agents.runs.files import finite
from ssl4rl_benchmarks.bench.rows import Row
from ssl4rl_benchmarks.paper.declaration import ABLATIONS, QUESTIONS, Half
from ssl4rl_benchmarks.paper.sides import sides_of
from ssl4rl_benchmarks.reports.paper_transfer import transfer

TABLES, ROWS = "paper_{half}.md", "paper_{half}.jsonl"


def write_report(half: Half, rows: Sequence[Row], out: Path) -> Path:
    """Write tables and rows into a folder; return the file of the tables."""
    out.mkdir(parents=True, exist_ok=True)
    tables = out / TABLES.format(half=half)
    tables.write_text(markdown(half, rows))
    lines = [json.dumps(finite(row), allow_nan=False) + "\n" for row in rows]
    (out / ROWS.format(half=half)).write_text("".join(lines))
    return tables


def markdown(half: Half, rows: Sequence[Row]) -> str:
    """Return all tables of a half: one for each part of it, and models side by side where two learned the same."""
    parts = [f"# The paper: {half}", "", *_tasks(half)]
    for ablation in ABLATIONS[half]:
        found = [row for row in rows if row["ablation"] == ablation]
        if found:
            parts += ["", f"## {ablation.capitalize()}", "", *_learned(found)]
            parts += transfer(found)
            parts += _side_by_side(found)
    return "\n".join(parts) + "\n"


def _tasks(half: Half) -> list[str]:
    lines = ["| task | the paper | ours | what differs |", "| --- | --- | --- | --- |"]
    return lines + [f"| {each.name} | {each.theirs} | {each.env} | {each.differs} |" for each in QUESTIONS[half]]


def _learned(rows: Sequence[Row]) -> list[str]:
    """Return what models answered before and after; questions of the test split, the same for all."""
    lines = [
        "| task | model | seed | chance | success before | success after | normalised | readable | s | run |",
        "| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |",
    ]
    for row in sorted(rows, key=lambda row: (row["task"], row["change"], row["model"], row["seed"])):
        name = f"{row['task']}: {row['change']}" if row["change"] else row["task"]
        if row["status"] != "done":
            lines.append(f"| {name} | {row['model']} | {row['seed']} | failed: {row['error']} | | | | | | |")
            continue
        before, after = row["before"], row["result"]
        low, high = after["interval"]
        cells = [
            name,
            row["model"],
            str(row["seed"]),
            f"{row['chance']:.3f}",
            f"{before['success']:.3f}",
            f"{after['success']:.3f} ({low:.3f} to {high:.3f})",
            f"{after['normalised']:.3f}",
            f"{after['readable']:.2f}",
            f"{row['seconds']['learning']:.0f}",
            f"`{row['run']}`",
        ]
        lines.append(f"| {' | '.join(cells)} |")
    return lines


def _side_by_side(rows: Sequence[Row]) -> list[str]:
    found = sides_of(rows)
    if not found:
        return []
    lines = [
        "",
        "The same questions side by side: shares that both, one or neither answered right, and the first's success minus the "
        "second's, paired by question, with 95 % intervals over items.",
        "",
        "| task | seed | first | second | both | first alone | second alone | neither | difference |",
        "| --- | --- | --- | --- | --- | --- | --- | --- | --- |",
    ]
    for each in found:
        name = f"{each.task}: {each.change}" if each.change else each.task
        shares = " | ".join(f"{share:.3f}" for share in (each.both, each.first, each.second, each.neither))
        gap = each.difference
        lines.append(
            f"| {name} | {each.seed} | {' | '.join(each.models)} | {shares} | "
            f"{gap.mean:+.3f} ({gap.low:+.3f} to {gap.high:+.3f}) |"
        )
    return lines
