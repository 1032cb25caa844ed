"""A measurement in parts that can be compared in pairs: what each question, or each draw of labels, adds to a value.

The same questions are put before and after, and to every model, so a difference between two measurements has an interval of
its own, which is far narrower than those of the two. Every value is the mean of its parts, the area under the ROC curve too.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ssl4rl_agents.choosing import Paired, paired

DIGITS = 4
"""Of parts, as they are kept."""

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Measured:
    """A value as the mean of its parts.

    Args:
        parts: (n,) what each question or draw adds to the value.
        units: (n,) what each is about; parts of one unit are not independent of each other.
    """

    parts: Floats
    units: NDArray[np.int64]

    @property
    def value(self) -> float:
        """The mean of the parts."""
        return float(self.parts.mean())

    def to_json(self) -> dict[str, Any]:
        """Return it as plain data, whole numbers as such."""
        parts = [int(part) if part.is_integer() else round(part, DIGITS) for part in self.parts.tolist()]
        return {"value": self.value, "parts": parts, "units": self.units.tolist()}


def of_answers(right: Any, units: Any) -> Measured:
    """Measure by the share of right answers, or by anything else that is a mean over questions.

    Args:
        right: (n,) bools, or numbers.
        units: (n,).
    """
    return Measured(np.asarray(right, np.float64), np.asarray(units, np.int64))


def of_draws(values: Sequence[float]) -> Measured:
    """Measure by the mean over draws, each of which is a unit of its own."""
    return Measured(np.asarray(values, np.float64), np.arange(len(values)))


def of_ranking(scores: Any, positive: Any, units: Any) -> Measured:
    """Measure by the area under the ROC curve: how often one that is positive has the higher score, ties counting half.

    The part of a question is the area, and how far its own place lies from that, so that the mean of the parts is the area
    and the variance of that mean is the one of DeLong et al. 1988, "Comparing the areas under two or more correlated receiver
    operating characteristic curves". Parts may lie outside of 0 to 1.

    Args:
        scores: (n,) higher for what is taken to be positive.
        positive: (n,) bool, which are.
        units: (n,).

    Raises:
        ValueError: a score is no number, or all or none are positive.
    """
    values, truth = np.asarray(scores, np.float64), np.asarray(positive, np.bool_)
    if not np.isfinite(values).all():
        raise ValueError(f"scores to be ranked must be finite, got {values[~np.isfinite(values)][0]}")
    if truth.all() or not truth.any():
        raise ValueError(f"a ranking needs both kinds, and of {len(truth)} questions {int(truth.sum())} are positive")
    above = _share_below(values[truth], values[~truth])
    below = 1 - _share_below(values[~truth], values[truth])
    area, count = float(above.mean()), len(values)
    parts = np.empty(count)
    parts[truth] = area + count / len(above) * (above - area)
    parts[~truth] = area + count / len(below) * (below - area)
    return Measured(parts, np.asarray(units, np.int64))


def _share_below(values: Floats, others: Floats) -> Floats:
    """Return which share of the others lies below each of some values, ties counting half."""
    ordered = np.sort(others)
    sides = [np.searchsorted(ordered, values, side=side) for side in ("left", "right")]
    return np.asarray((sides[0] + sides[1]) / 2 / len(ordered), np.float64)


def difference(after: dict[str, Any], before: dict[str, Any]) -> Paired:
    """Return one measurement minus another, paired by question or draw; both as `Measured.to_json` gave them.

    Raises:
        ValueError: they are not about the same questions, or there are too few.
    """
    if after["units"] != before["units"]:
        raise ValueError("two measurements are of different questions, so that nothing is paired; do both by one call")
    return paired(np.asarray(after["parts"], np.float64) - np.asarray(before["parts"], np.float64), after["units"])
