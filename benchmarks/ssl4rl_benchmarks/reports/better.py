"""The report of the experiment: tables in Markdown, and one picture of what every arm moved."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Sequence
from pathlib import Path

import matplotlib as mpl
from matplotlib.figure import Figure

from ssl4rl_agents.choosing import Paired
from ssl4rl_agents.runs.files import finite
from ssl4rl_benchmarks.bench.rows import Row
from ssl4rl_benchmarks.better.analysis import Table
from ssl4rl_benchmarks.better.declaration import CONTROLS, KINDS, PRETEXTS, TAUGHT, Pretext
from ssl4rl_benchmarks.better.trials import BASE
from ssl4rl_benchmarks.reports.drawing import SETTINGS, svg
from ssl4rl_benchmarks.reports.suite.plots import PALETTE, on_white

TABLES, PICTURE, ROWS = "better.md", "better.svg", "better.jsonl"

NUMBERS = ("accuracy", "congruent", "incongruent", "blank", "swapped", "subtracted", "gain", "greedy", "readable")


def write_report(rows: Sequence[Row], out: Path) -> None:
    """Write tables, picture and rows into a folder."""
    out.mkdir(parents=True, exist_ok=True)
    table = Table(rows)
    (out / TABLES).write_text(markdown(table))
    (out / ROWS).write_text("".join(json.dumps(finite(row), allow_nan=False) + "\n" for row in rows))
    drawn = picture(table)
    if drawn:
        (out / PICTURE).write_text(on_white(drawn))


def markdown(table: Table) -> str:
    """Return all tables: the bases as they are, and what each pretext and each of its controls moved."""
    parts = ["## The bases", "", *_bases(table)]
    for pretext in PRETEXTS:
        if any(arm.startswith(f"{pretext.name}, ") for arm in table.arms):
            parts += ["", f"## {pretext.name[0].upper()}{pretext.name[1:]}", "", *_pretext(table, pretext)]
    return "\n".join(parts) + "\n"


def _bases(table: Table) -> list[str]:
    count = len(table.values(BASE, KINDS, "accuracy"))
    lines = [f"Means over {count} bases, of balanced questions. `gain` in nats, the others are shares.", ""]
    lines += [f"| kind | {' | '.join(NUMBERS)} |", f"| --- |{' --- |' * len(NUMBERS)}"]
    for name, kinds in (*((kind, [kind]) for kind in KINDS), ("taught", list(TAUGHT)), ("all", list(KINDS))):
        found = [table.values(BASE, kinds, number) for number in NUMBERS]
        lines.append(f"| {name} | " + " | ".join(f"{sum(each.values()) / len(each):.2f}" for each in found) + " |")
    return lines


def _pretext(table: Table, pretext: Pretext) -> list[str]:
    near, far = ", ".join(pretext.near), ", ".join(pretext.far)
    lines = [
        f"Declared near: {near}; far: {far}. {pretext.why[0].upper()}{pretext.why[1:]}.",
        "",
        "By how many points the accuracy of choice on balanced questions is above that of the untouched bases, with 95 % "
        "intervals over bases; and after the blank picture's log-probabilities are subtracted, above the same of the bases.",
        "",
        "| | near | far | taught | all | picture gain, all | all, subtracted |",
        "| --- | --- | --- | --- | --- | --- | --- |",
    ]
    alone = {"number": "subtracted", "against": "accuracy"}
    cells = [points(table.between(BASE, BASE, kinds, **alone)) for kinds in (pretext.near, pretext.far, TAUGHT, KINDS)]
    lines.append(f"| subtraction alone: nothing is trained | {' | '.join(cells)} | | +0.0 |")
    for control, says in CONTROLS.items():
        arm = f"{pretext.name}, {control}"
        if arm not in table.arms:
            continue
        cells = [
            points(table.between(arm, BASE, pretext.near)),
            points(table.between(arm, BASE, pretext.far)),
            points(table.between(arm, BASE, TAUGHT)),
            points(table.between(arm, BASE)),
            nats(table.between(arm, BASE, number="gain")),
            points(table.between(arm, BASE, number="subtracted")),
        ]
        lines.append(f"| {control}: {says} | {' | '.join(cells)} |")
    first = f"{pretext.name}, {pretext.controls[0]}"
    if first in table.arms:
        lines += ["", f"Kinds of questions, {first} above the bases, with p by Holm over kinds:", ""]
        found = table.by_kind(lambda kinds: table.between(first, BASE, kinds))
        lines += ["; ".join(f"{kind} {points(each)} (p {p:.3f})" for kind, (each, p) in found.items()) + "."]
    return lines


def points(found: Paired | None) -> str:
    """Write a difference of shares in points."""
    return _written(found, lambda value: f"{100 * value:+.1f}")


def nats(found: Paired | None) -> str:
    """Write a difference of log-odds."""
    return _written(found, lambda value: f"{value:+.2f}")


def _written(found: Paired | None, form: Callable[[float], str]) -> str:
    """Write a difference with its interval, where there is one; nothing where nothing was done."""
    if found is None:
        return ""
    return form(found.mean) if math.isnan(found.p) else f"{form(found.mean)} ({form(found.low)} to {form(found.high)})"


def picture(table: Table) -> str:
    """Draw what every arm moved, near questions and all, as SVG; nothing where no arm is there."""
    arms = [arm for arm in table.arms if arm != BASE]
    if not arms:
        return ""
    near = {pretext.name: pretext.near for pretext in PRETEXTS}
    with mpl.rc_context(SETTINGS):
        figure = Figure(figsize=(9, 0.9 + 0.27 * len(arms)), layout="constrained")
        panels = figure.subplots(1, 2, sharey=True)
        for axes, title in zip(panels, ("near questions", "all questions"), strict=True):
            for place, arm in enumerate(reversed(arms)):
                pretext, control = arm.rsplit(", ", 1)
                kinds = near[pretext] if title == "near questions" else KINDS
                found = table.between(arm, BASE, kinds)
                assert found is not None
                colour = PALETTE[[str(name) for name in CONTROLS].index(control) % len(PALETTE)]
                if not math.isnan(found.p):
                    axes.plot([100 * found.low, 100 * found.high], [place, place], color=colour, linewidth=2)
                axes.plot([100 * found.mean], [place], "o", color=colour, markersize=5)
            axes.axvline(0, color="#20242c", linewidth=0.8)
            axes.set_xlabel(f"points above the untouched bases, {title}")
        panels[0].set_yticks(range(len(arms)), list(reversed(arms)))
    return svg(figure)
