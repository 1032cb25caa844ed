"""Pictures of the experiment: what every arm moved, and the one that opens the README."""

from __future__ import annotations

import math

import matplotlib as mpl
from matplotlib.figure import Figure

from ssl4rl_benchmarks.better.analysis import Table, arm_of_control
from ssl4rl_benchmarks.better.declaration import CONTROLS, KINDS, PRETEXTS
from ssl4rl_benchmarks.better.trials import BASE
from ssl4rl_benchmarks.reports.drawing import INK, SETTINGS, svg
from ssl4rl_benchmarks.reports.suite.plots import PALETTE

HELPS, TOLD, OTHER = PALETTE[0], PALETTE[2], "#9aa3b2"
"""Colours of what was to help, of what was told the answers, and of the rest."""

WITH_ANSWERS = ("supervised", "ceiling")

SAID: dict[str, str] = {
    "contrast": "paid for what the picture speaks for",
    "own": "paid for the answer that was likeliest",
    "looking": "a coin, and a bonus for looking",
    "coin": "a coin for well-formed answers",
    "random": "a coin for every reply",
    "format": "paid for well-formed answers",
    "blank": "paid for right answers, pictures grey",
    "captions": "captions instead",
    "supervised": "told the answers to the same questions",
    "ceiling": "told the answers to balanced questions",
}
"""Controls in few words."""


def moved(table: Table) -> str:
    """Draw what every arm moved, near questions and all, as SVG; nothing where no arm is there."""
    declared = [arm_of_control(pretext, control) for pretext in PRETEXTS for control in pretext.controls]
    arms = [arm for arm in declared if arm in table.arms]
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
            axes.axvline(0, color=INK, linewidth=0.8)
            axes.set_title(title, fontsize=10)
            axes.set_xlabel("points above the untouched bases")
        panels[0].set_yticks(range(len(arms)), list(reversed(arms)))
    return svg(figure)


def opening(table: Table) -> str:
    """Draw right answers of the first pretext's arms, a dot for each base, as SVG; nothing where it was not done."""
    pretext = PRETEXTS[0]
    there = [control for control in CONTROLS if arm_of_control(pretext, control) in table.arms]
    if not there or BASE not in table.arms:
        return ""
    ordered = sorted(there, key=lambda control: (control in WITH_ANSWERS, control != pretext.controls[0]))
    lines = [
        ("untouched", BASE, "accuracy", OTHER),
        *(
            (
                SAID[control],
                arm_of_control(pretext, control),
                "accuracy",
                HELPS if control == pretext.controls[0] else TOLD if control in WITH_ANSWERS else OTHER,
            )
            for control in ordered
        ),
    ]
    lines.insert(2, ("untouched, a grey picture's answer subtracted", BASE, "subtracted", OTHER))
    with mpl.rc_context(SETTINGS):
        figure = Figure(figsize=(9, 0.9 + 0.3 * len(lines)), layout="constrained")
        panels = figure.subplots(1, 2, sharey=True)
        for axes, kinds, title in (
            (panels[0], pretext.near, f"asked about {', '.join(pretext.near)}"),
            (panels[1], KINDS, f"asked all {len(KINDS)} kinds of questions"),
        ):
            for place, (_, arm, number, colour) in enumerate(reversed(lines)):
                values = [100 * value for value in table.values(arm, kinds, number).values()]
                axes.plot(values, [place] * len(values), "o", color=colour, markersize=3.5, alpha=0.55, markeredgewidth=0)
                mean = sum(values) / len(values)
                axes.plot([mean], [place], "|", color=colour, markersize=15, markeredgewidth=3)
                axes.annotate(f"{mean:.0f}", (mean, place), (0, 9), textcoords="offset points", ha="center", fontsize=8)
            axes.axvline(50, color=INK, linewidth=0.8, linestyle=":")
            axes.set_title(title, fontsize=10)
            axes.set_xlabel("right answers in 100; dotted: guessing")
        panels[0].set_yticks(range(len(lines)), [line[0] for line in reversed(lines)])
        for label, (_, _, _, colour) in zip(panels[0].get_yticklabels(), reversed(lines), strict=True):
            label.set_color(INK if colour == OTHER else colour)
    return svg(figure)
