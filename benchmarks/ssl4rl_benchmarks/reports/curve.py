"""Learning curves: the reward over episodes, in training and held out, between chance and the ceiling."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from io import BytesIO
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from ssl4rl_benchmarks.reports.drawing import SETTINGS, svg


@dataclass(frozen=True)
class HeldOut:
    """A measurement on the way: after how many episodes, and the means of reward and success."""

    episodes: float
    reward: float
    success: float


@dataclass(frozen=True)
class Curve:
    """What was measured while something learned.

    Args:
        chance: expected reward without looking.
        held_out: on the validation split, by greedy answers.
        count: questions of such a measurement.
        training: episodes and rewards of the sampled answers that were learned from, where they were noted.
        ceiling: reward of the supervised ceiling, where there is one.
    """

    chance: float
    held_out: Sequence[HeldOut]
    count: int
    training: tuple[Sequence[float], Sequence[float]] = ((), ())
    ceiling: float | None = None

    def draw(self) -> Figure:
        """Draw it."""
        with mpl.rc_context(SETTINGS):
            figure = Figure(figsize=(5.6, 3.6), dpi=150, layout="constrained")
            axes = figure.add_subplot()
            episodes, rewards = map(np.asarray, self.training)
            if len(rewards) and not np.isnan(rewards).all():
                axes.plot(episodes, rewards, color="#9fb4d8", linewidth=0.8)
                label = "training questions (sampled answers)"
                axes.plot(episodes, _smooth(rewards), color="#2f5fb3", linewidth=1.8, label=label)
            if self.held_out:
                self._draw_held_out(axes)
            axes.axhline(self.chance, color="#8a8f98", linestyle=":", label="chance")
            if self.ceiling is not None:
                axes.axhline(self.ceiling, color="#2f8f5b", linestyle="--", label="supervised ceiling (test)")
            axes.set(xlabel="episodes", ylabel="reward", xlim=(0, None), ylim=(0, 1.02))
            axes.legend(loc="best", facecolor="white", framealpha=0.9, edgecolor="none")
        return figure

    def _draw_held_out(self, axes: Axes) -> None:
        """Draw measurements, with their interval where they are shares of right answers, whose error is known."""
        at, rewards = [point.episodes for point in self.held_out], [point.reward for point in self.held_out]
        axes.plot(at, rewards, "o-", color="#d1662a", markersize=4, label="held out, greedy")
        if all(point.reward == point.success for point in self.held_out):
            low, high = zip(*(_interval(point.success, self.count) for point in self.held_out), strict=True)
            axes.fill_between(at, low, high, color="#d1662a", alpha=0.18, linewidth=0, label="its 95 % interval")


def drawn(curve: Curve) -> tuple[bytes, str]:
    """Return a curve as a PNG and as SVG for a page."""
    figure, buffer = curve.draw(), BytesIO()
    figure.savefig(buffer, format="png")
    return buffer.getvalue(), svg(figure)


def _interval(share: float, count: int) -> tuple[float, float]:
    """Return Wilson's 95 % interval of a share of `count` independent questions."""
    z = 1.96
    middle = (share + z**2 / (2 * count)) / (1 + z**2 / count)
    reach = z / (1 + z**2 / count) * np.sqrt(share * (1 - share) / count + z**2 / (4 * count**2))
    return middle - reach, middle + reach


def _smooth(values: NDArray[Any], width: int = 9) -> NDArray[Any]:
    """Return the mean of up to `width` values round each."""
    half = width // 2
    return np.array([np.nanmean(values[max(0, i - half) : i + half + 1]) for i in range(len(values))])
