"""The figures of a report, as SVG that stands in the page itself."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.figure import Figure

from ssl4rl_benchmarks.bench.statistics import THRESHOLDS, Estimate
from ssl4rl_benchmarks.reports.drawing import SETTINGS, svg
from ssl4rl_benchmarks.reports.suite.summary import Standing, Summary

PALETTE = (
    "#2f6fde",
    "#d9622b",
    "#1c9a6c",
    "#a24bc4",
    "#b8860b",
    "#d1386f",
    "#3d8fa6",
    "#6b7280",
    "#7a5230",
    "#5b5bd6",
    "#111827",
)
DASHES = ("-", "--", "-.", ":")


def look_of(agents: Sequence[str]) -> dict[str, dict[str, str]]:
    """Return a colour and a dash for each agent, the same in all figures: families of names share a dash."""
    families = list(dict.fromkeys(agent.split("-")[0] for agent in agents))
    return {
        agent: {
            "color": PALETTE[number % len(PALETTE)],
            "linestyle": DASHES[families.index(agent.split("-")[0]) % len(DASHES)],
        }
        for number, agent in enumerate(sorted(agents))
    }


def scores(summary: Summary) -> str:
    """Draw interquartile means with their intervals, the best on top."""
    found = {place: place.score for place in summary.standings}
    return _ranked(summary, found, "normalised score, interquartile mean", 0) if found else ""


def curves(summary: Summary) -> str:
    """Draw held-out scores over training episodes."""
    if not summary.standings:
        return ""
    look = look_of([place.agent for place in summary.standings])
    figure, panels = _axes(4.2, len(summary.curves))
    for axes, found in zip(panels, summary.curves, strict=True):
        for agent, line in found.lines.items():
            if not line:
                continue
            episodes, value, low, high = (
                np.array([point[name] for point in line]) for name in ("episodes", "value", "low", "high")
            )
            axes.plot(episodes, value, label=agent if axes is panels[0] else None, lw=1.8, **look[agent])
            axes.fill_between(episodes, low, high, color=look[agent]["color"], alpha=0.1, lw=0)
        axes.set(xlabel="training episodes")
        if len(panels) > 1:
            axes.set_title(f"{', '.join(found.environments)}: {found.episodes:,}", fontsize=9)
    panels[0].set(ylabel="normalised score, held out")
    _legend(figure)
    return svg(figure)


def on_white(svg: str) -> str:
    """Return a figure as a file of its own, readable on a dark page too."""
    return re.sub(r"(<svg[^>]*>)", r'\1<rect width="100%" height="100%" fill="white"/>', svg, count=1)


def profiles(summary: Summary) -> str:
    """Draw which share of runs scores more than a threshold."""
    if not summary.standings:
        return ""
    look = look_of([place.agent for place in summary.standings])
    figure, (axes,) = _axes(4.2)
    for place in summary.standings:
        found, band = summary.profiles[place.agent]
        axes.plot(THRESHOLDS, found, label=place.agent, lw=1.8, **look[place.agent])
        axes.fill_between(THRESHOLDS, *band, color=look[place.agent]["color"], alpha=0.08, lw=0)
    axes.set(xlabel="normalised score", ylabel="share of runs above it", ylim=(-0.02, 1.02), xlim=(0, 1))
    _legend(figure)
    return svg(figure)


def improvements(summary: Summary) -> str:
    """Draw how probably each agent beats the leader."""
    found = {place: place.beats for place in summary.standings if place.beats is not None}
    if not found:
        return ""
    leader = next(place.agent for place in summary.standings if not place.ceiling)
    return _ranked(summary, found, f"probability of beating {leader}", 0.5)


def cost(summary: Summary) -> str:
    """Draw scores over seconds of learning."""
    if not summary.standings:
        return ""
    look = look_of([place.agent for place in summary.standings])
    figure, (axes,) = _axes(4.2)
    for place in summary.standings:
        colour = look[place.agent]["color"]
        axes.plot([place.seconds] * 2, [place.score.low, place.score.high], color=colour, lw=5, alpha=0.3)
        axes.plot(
            place.seconds, place.score.value, "o", color=colour, mfc="white" if place.ceiling else colour, label=place.agent
        )
    axes.set(xlabel="seconds of learning, median of runs", ylabel="normalised score, IQM", xscale="log")
    _legend(figure)
    return svg(figure)


def _ranked(summary: Summary, found: dict[Standing, Estimate], label: str, line: float) -> str:
    """Draw a value and its interval for each agent, the first on top; ceilings are hollow."""
    look = look_of([place.agent for place in summary.standings])
    places = list(found)[::-1]
    figure, (axes,) = _axes(1.4 + 0.32 * len(places))
    for row, place in enumerate(places):
        colour, value = look[place.agent]["color"], found[place]
        axes.plot([value.low, value.high], [row, row], color=colour, lw=6, alpha=0.35, solid_capstyle="round")
        axes.plot(value.value, row, "o", color=colour, mfc="white" if place.ceiling else colour)
    axes.set_yticks(range(len(places)), [place.agent + " *" * place.ceiling for place in places])
    axes.set(xlabel=label, ylim=(-0.6, len(places) - 0.4))
    axes.axvline(line, color="#9aa3b2", lw=1)
    axes.grid(visible=False, axis="y")
    return svg(figure)


def _axes(height: float, panels: int = 1) -> tuple[Figure, Any]:
    """Return a figure and its axes, side by side."""
    with mpl.rc_context(SETTINGS):
        figure = Figure(figsize=(7.2, height), layout="constrained")
        return figure, figure.subplots(1, panels, sharey=True, squeeze=False)[0]


def _legend(figure: Figure) -> None:
    figure.legend(loc="outside lower center", ncols=4, frameon=False, fontsize=9, handlelength=3)
