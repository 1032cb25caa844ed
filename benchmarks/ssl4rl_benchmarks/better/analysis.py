"""Differences between arms: over bases, which are the unit; kind by kind, with Holm's correction over kinds.

A base is a model of its own, so what happens to one says little of another, however many questions it is asked; several
seeds of an arm from one base are averaged first. Intervals are Student's t over bases.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.stats import t

from ssl4rl_benchmarks.bench.rows import Row, number_of
from ssl4rl_benchmarks.better.declaration import KINDS
from ssl4rl_benchmarks.better.trials import BASE

LEVEL = 0.05

Values = dict[int, float]
"""A number of each base."""


@dataclass(frozen=True)
class Difference:
    """A mean over bases of paired differences.

    Args:
        mean: of them.
        low, high: its 95 % interval by Student's t; NaN with one base.
        p: of the two-sided t test against 0; NaN with one base.
        bases: how many.
    """

    mean: float
    low: float
    high: float
    p: float
    bases: int

    @property
    def clear(self) -> bool:
        """Whether the interval leaves out 0."""
        return self.low > 0 or self.high < 0


def difference(values: Sequence[float] | NDArray[np.float64]) -> Difference:
    """Return the mean of paired differences, one a base, with its interval and p (Student 1908)."""
    found = np.asarray(values, np.float64)
    count, mean = len(found), float(found.mean())
    if count < 2:
        return Difference(mean, float("nan"), float("nan"), float("nan"), count)
    error = float(found.std(ddof=1) / np.sqrt(count))
    reach = float(t.ppf(1 - LEVEL / 2, count - 1)) * error
    p = float(2 * t.sf(abs(mean) / error, count - 1)) if error > 0 else float(mean == 0)
    return Difference(mean, mean - reach, mean + reach, p, count)


class Table:
    """The rows of a study, by arm, base and kind.

    Args:
        rows: of trials that are done; others are left out.
    """

    def __init__(self, rows: Sequence[Row]) -> None:
        self._rows: dict[str, dict[int, list[Row]]] = defaultdict(lambda: defaultdict(list))
        for row in rows:
            if row["status"] == "done":
                self._rows[row["agent"]][row["base"]].append(row)

    @property
    def arms(self) -> list[str]:
        """What was done, in the order of the rows; the untouched bases first."""
        return sorted(self._rows, key=lambda arm: arm != BASE)

    def values(self, arm: str, kinds: Sequence[str], number: str) -> Values:
        """Return a number of an arm, averaged over kinds and seeds, for each base."""
        return {
            base: float(np.mean([number_of(row["kinds"][kind][number]) for row in rows for kind in kinds]))
            for base, rows in sorted(self._rows[arm].items())
        }

    def between(
        self, arm: str, control: str, kinds: Sequence[str] = KINDS, number: str = "accuracy", against: str = ""
    ) -> Difference | None:
        """Return by how much a number of an arm is above that of another, over the bases that both have; None without any.

        Args:
            arm, control: which.
            kinds: over which it is averaged.
            number: as `Records.summary` calls it.
            against: another number of the control; by default the same.
        """
        one, other = self.values(arm, kinds, number), self.values(control, kinds, against or number)
        both = sorted(set(one) & set(other))
        return difference([one[base] - other[base] for base in both]) if both else None

    def by_kind(self, compare: Callable[[Sequence[str]], Difference | None]) -> dict[str, tuple[Difference, float]]:
        """Return the differences of each kind alone, and their p after Holm's correction (Holm 1979)."""
        found = {kind: compare([kind]) for kind in KINDS}
        known = {kind: each for kind, each in found.items() if each is not None}
        corrected = holm([each.p for each in known.values()])
        return {kind: (each, p) for (kind, each), p in zip(known.items(), corrected, strict=True)}


def holm(ps: Sequence[float]) -> list[float]:
    """Return p values corrected for how many there are, step by step from the smallest (Holm 1979).

    NaN stays NaN and counts for nothing.
    """
    order = sorted((p, place) for place, p in enumerate(ps) if p == p)
    found, largest = [float("nan")] * len(ps), 0.0
    for rank, (p, place) in enumerate(order):
        largest = max(largest, min(1.0, p * (len(order) - rank)))
        found[place] = largest
    return found
