"""Whether a run looked at its pictures, as a drawing: answers by choice with true and altered ones, and the picture gain."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from ssl4rl_benchmarks.reports.drawing import SETTINGS

WAYS = {
    "shown": ("true picture", "#2f5fb3", "-"),
    "blank": ("blank picture", "#d1662a", "-"),
    "swapped": ("another question's", "#8a6fc2", "--"),
    "noise": ("its pixels shuffled", "#6c7a89", ":"),
    "rewired": ("other edges", "#d1662a", "-"),
}
"""By how pictures were altered: how that is called, in which colour and line."""


@dataclass(frozen=True)
class Looks:
    """The looks of a run, one after the other.

    Args:
        lines: those of its metrics that hold a look.
        count: questions of a look.
    """

    lines: list[dict[str, Any]]
    count: int

    @property
    def ways(self) -> list[str]:
        """How the questions were put."""
        return [how for how in WAYS if f"looking/{how}" in self.lines[-1]]

    @property
    def alarms(self) -> list[float]:
        """After how many episodes the alarm sounded."""
        return [line["episodes"] for line in self.lines if line["looking/alarm"]]

    def draw(self) -> Figure:
        """Draw accuracies by choice beside the picture gain, both over episodes."""
        with mpl.rc_context(SETTINGS):
            figure = Figure(figsize=(7.2, 3.2), dpi=150, layout="constrained")
            shares, gains = figure.subplots(1, 2)
            for how in self.ways:
                label, color, style = WAYS[how]
                self._line(shares, f"looking/{how}", label=label, color=color, linestyle=style)
            at = [self.lines[0]["episodes"], self.lines[-1]["episodes"]]
            shares.plot(at, [self.lines[-1]["looking/chance"]] * 2, color="#8a8f98", linestyle=":", label="chance")
            shares.set(xlabel="episodes", ylabel="right by choice", xlim=(0, None), ylim=(0, 1.02))
            shares.legend(loc="best", facecolor="white", framealpha=0.9, edgecolor="none")
            self._line(gains, "looking/picture_gain", color="#2f5fb3")
            gains.axhline(0, color="#8a8f98", linestyle=":")
            gains.set(xlabel="episodes", ylabel="picture gain, nats", xlim=(0, None))
            for number, episodes in enumerate(self.alarms):
                for axes in (shares, gains):
                    called = "alarm" if not number and axes is gains else None
                    axes.axvline(episodes, color="#c0392b", linewidth=0.8, alpha=0.6, label=called)
            if self.alarms:
                gains.legend(loc="best", facecolor="white", framealpha=0.9, edgecolor="none")
        return figure

    def _line(self, axes: Axes, name: str, **how: Any) -> None:
        axes.plot(
            [line["episodes"] for line in self.lines], [line[name] for line in self.lines], marker="o", markersize=3, **how
        )

    def told(self) -> str:
        """Say what was found last, in a sentence."""
        last, without = self.lines[-1], self.ways[1]
        other = {"rewired": "other edges"}.get(without, "a blank one")
        return (
            f"The same {self.count} held-out questions, answered by choice with their pictures and with altered ones. At the "
            f"end {last['looking/shown']:.1%} were right with the true picture, and {last[f'looking/{without}']:.1%} with "
            f"{other}. The picture gain is by how much the picture raises the log-odds of the truth: at the end "
            f"{last['looking/picture_gain']:+.2f} nats."
        )


def looks_of(lines: list[dict[str, Any]], count: int) -> Looks | None:
    """Return the looks among the lines of a run's metrics; None where there are none."""
    found = [line for line in lines if "looking/shown" in line]
    return Looks(found, count) if found else None
