"""Differences between arms: over bases, which are the unit; kind by kind, with Holm's correction over kinds.

A base is a model of its own, so what happens to one says little of another, however many questions it is asked; several
seeds of an arm from one base are averaged first. Intervals are Student's t over bases.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from ssl4rl_agents.choosing import Paired, holm, paired
from ssl4rl_benchmarks.bench.rows import Row, number_of
from ssl4rl_benchmarks.better.declaration import KINDS, Pretext
from ssl4rl_benchmarks.better.trials import BASE

Values = dict[int, float]
"""A number of each base."""


def difference(values: Values) -> Paired:
    """Return the mean over bases of paired differences, with its interval and p; both NaN with one base."""
    if len(values) < 2:
        (only,) = values.values()
        return Paired(only, math.nan, math.nan, math.nan)
    return paired(list(values.values()), list(values))


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

    def first(self, count: int) -> Table:
        """Return the table of the first `count` bases alone."""
        return Table([row for arm in self._rows.values() for rows in arm.values() for row in rows if row["base"] < count])

    def values(self, arm: str, kinds: Sequence[str], number: str) -> Values:
        """Return a number of an arm, averaged over kinds and seeds, for each base."""
        return {
            base: float(np.mean([number_of(row["kinds"][kind][number]) for row in rows for kind in kinds]))
            for base, rows in sorted(self._rows.get(arm, {}).items())
        }

    def between(
        self, arm: str, control: str, kinds: Sequence[str] = KINDS, number: str = "accuracy", against: str = ""
    ) -> Paired | None:
        """Return by how much a number of an arm is above that of another, over the bases that both have; None without any.

        Args:
            arm, control: which.
            kinds: over which it is averaged.
            number: as `Records.summary` calls it.
            against: another number of the control; by default the same.
        """
        one, other = self.values(arm, kinds, number), self.values(control, kinds, against or number)
        both = {base: value - other[base] for base, value in one.items() if base in other}
        return difference(both) if both else None

    def by_kind(self, compare: Callable[[Sequence[str]], Paired | None]) -> dict[str, tuple[Paired, float]]:
        """Return the differences of each kind alone, and their p after Holm's correction (Holm 1979)."""
        found = {kind: compare([kind]) for kind in KINDS}
        known = {kind: each for kind, each in found.items() if each is not None}
        corrected = (
            [math.nan] * len(known)
            if any(math.isnan(each.p) for each in known.values())
            else holm([each.p for each in known.values()])
        )
        return {kind: (each, p) for (kind, each), p in zip(known.items(), corrected, strict=True)}


NEAR_POINTS, ALL_POINTS = 0.10, 0.05
"""By how much accuracy was declared to rise, on near questions and on all."""


CEILING = "ceiling"
"""The control that was told the answers to the near questions themselves, and is not to be beaten."""


@dataclass(frozen=True)
class Claim:
    """A sentence of the declaration, and what was found.

    Args:
        says: what was declared.
        found: the difference that decides it; None where a part of it was not done.
        holds: whether it came true.
    """

    says: str
    found: Paired | None
    holds: bool


def arm_of_control(pretext: Pretext, control: str) -> str:
    """Return what tables call what a control does with a pretext."""
    return f"{pretext.name}, {control}"


def claims(table: Table, pretext: Pretext) -> list[Claim]:
    """Return what was declared of a pretext's first control, and whether it came true.

    A mean decides whether the declared height was reached; whether something is above something else is decided by the lower
    end of the 95 % interval of their paired difference.
    """
    helps, *others = pretext.controls
    first, below = arm_of_control(pretext, helps), [control for control in others if control != CEILING]

    def above(says: str, other: str, kinds: Sequence[str], **numbers: str) -> Claim:
        found = table.between(first, other, kinds, **numbers)
        return Claim(says, found, found is not None and found.low > 0)

    def reached(says: str, kinds: Sequence[str], points: float) -> Claim:
        found = table.between(first, BASE, kinds)
        return Claim(says, found, found is not None and found.low > 0 and found.mean >= points)

    blank = {"number": "accuracy", "against": "subtracted"}
    found = [
        reached("near questions rise by 10 points", pretext.near, NEAR_POINTS),
        reached("all questions rise by 5 points", KINDS, ALL_POINTS),
        above("far questions rise", BASE, pretext.far),
    ]
    if "coin" in others:
        found.append(above("far questions rise more than with a coin", arm_of_control(pretext, "coin"), pretext.far))
    for name, kinds in (("near", pretext.near), ("all", KINDS)):
        found += [above(f"{name}: above {control}", arm_of_control(pretext, control), kinds) for control in below]
        found.append(above(f"{name}: above the subtraction alone", BASE, kinds, **blank))
        found.append(above(f"{name}: with the subtraction, above the subtraction alone", BASE, kinds, number="subtracted"))
    return found
