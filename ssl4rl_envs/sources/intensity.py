"""Which range numbers have that are no bytes: one rule for pictures of 16 and 32 bits, floats and arrays.

Files and arrays say how many bits they use, not which number is white: twelve bits lie in sixteen, bytes in integers of 32,
floats go to 1 or to 255, heights and temperatures lie anywhere. The rule reads it off the numbers themselves. It is meant to
keep the contrast of each picture, whatever single numbers stand far off, without brightening one that is only dark; pictures
of one folder that have to be stretched are stretched alike.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

Range = tuple[float, float]
"""Which numbers are black and white."""

FULL_SCALES = (1.0, 255.0, 1023.0, 4095.0, 16383.0, 65535.0)
"""White in masks and unit floats, and in 8, 10, 12, 14 and 16 bits."""

SLACK = 0.1
"""Floats that were resampled or compressed go a little beyond white and black; this share is cut off."""

LEAST_SHARE = 1 / 8
"""A picture whose numbers fill a smaller share of their scale would keep fewer than 32 grey levels, and is stretched."""

OUTLIERS = 0.001
"""This share of the numbers at each end, at least one, does not count where the rest fills less than `LEAST_SHARE`."""

MISSING = 1e30
"""Numbers this large stand for missing ones in many programs, e.g. -3.4e38 in height maps."""

NO_DATA = (
    -(2**31),
    -99999,
    -32768,
    -32767,
    -9999,
    -999,
    -1,
    0,
    32767,
    32768,
    55537,
    65535,
    99999,
    2**31 - 1,
    2**32 - 1,
    1e20,
)
"""Numbers that often stand for missing ones, where they lie far from all others; 55537 is -9999 in 16 bits."""

_LOOKED_AT = 65_536  # numbers that are looked at before all are

FARTHER = 4
"""0 and -1 are numbers before they are missing: they must lie so many times as far from the rest as the others must."""


class Spread(NamedTuple):
    """How the numbers of a picture lie.

    Attributes:
        least, most: the extremes of those that count.
        kind: NumPy's name of their type.
        apart: how many finite ones do not count, since they lie apart from the rest.
        lowest, highest: the extremes of all finite ones.
    """

    least: float
    most: float
    kind: str
    apart: int
    lowest: float
    highest: float

    @property
    def exact(self) -> bool:
        """Whether they are integers, which no resampling has pushed beyond white."""
        return not self.kind.startswith("float")

    @property
    def own_range(self) -> Range:
        """The range of the picture by itself; see `value_range`."""
        return value_range(self.least, self.most, exact=self.exact)

    @property
    def stretched(self) -> bool:
        """Whether no known scale suits the picture, so that its own numbers say what is black and white."""
        return self.least < self.most and self.own_range != known_scale(self.least, self.most, exact=self.exact)


def finite(values: NDArray[Any]) -> NDArray[np.bool_]:
    """Return which numbers are some: not NaN, infinite, or one of those that stand for missing ones."""
    if values.dtype.kind != "f":
        return np.ones(values.shape, bool)
    known: NDArray[np.bool_] = np.isfinite(values) & (np.abs(values) <= min(MISSING, float(np.finfo(values.dtype).max)))
    return known


def spread_of(values: NDArray[Any]) -> Spread:
    """Return how the finite numbers lie.

    Numbers of `NO_DATA` do not count where they are an end of the range and lie farther from the rest than the rest is wide,
    0 and -1 at `FARTHER` times that. Nor do `OUTLIERS`, where the rest then fills less than `LEAST_SHARE` of the range. Where
    all other numbers are equal, as in masks, every one counts.

    Raises:
        ValueError: there is none.
    """
    known = finite(values)
    numbers = values.reshape(-1) if known.all() else values[known]
    if not numbers.size:
        raise ValueError("it holds no finite number")
    lowest, highest = _ends(numbers)
    least, most = _without_outliers(_without_no_data(numbers))
    apart = int(np.count_nonzero((numbers < least) | (numbers > most)))
    return Spread(least, most, values.dtype.name, apart, lowest, highest)


def together(spreads: Sequence[Spread]) -> Spread:
    """Return how the numbers of several pictures lie, as if they were one; where some are floats, all count as such."""
    least, most, kinds, apart, lowest, highest = zip(*spreads, strict=True)
    kind = next((kind for kind in kinds if kind.startswith("float")), kinds[0])
    return Spread(min(least), max(most), kind, sum(apart), min(lowest), max(highest))


def known_scale(least: float, most: float, *, exact: bool) -> Range | None:
    """Return the scale that numbers are likely to have been written in.

    - Without negative numbers: 0 to the smallest of `FULL_SCALES` that is not exceeded. What lies a little beyond is cut off:
      of floats 10 % of what they use of the scale, at either end; of integers -1, which often stands for missing.
    - With negative numbers: -1 to 1, if none goes beyond (floats may by 10 %).
    - None for all others.
    """
    white = full_scale(most, least, exact=exact)
    below = min(SLACK * most, 1.0) if exact else SLACK * most
    if white is not None and least >= min(0.0, -below):
        return 0.0, white
    return (-1.0, 1.0) if max(-least, most) <= (1.0 if exact else 1.0 + SLACK) else None


def full_scale(most: float, least: float = 0.0, *, exact: bool) -> float | None:
    """Return the smallest of `FULL_SCALES` that the maximum does not exceed, floats by more than `SLACK`; None beyond all."""
    return next((scale for scale in FULL_SCALES if most - scale <= (0.0 if exact else SLACK * (scale - least))), None)


def value_range(least: float, most: float, *, exact: bool) -> Range:
    """Return which numbers are black and white: those of the known scale, or else the extremes.

    The extremes are also taken where the numbers fill less than `LEAST_SHARE` of the known scale, and are not all equal.

    Args:
        least, most: the extremes of the numbers.
        exact: whether they are integers.
    """
    scale = known_scale(least, most, exact=exact)
    if scale is None or 0 < most - least < LEAST_SHARE * (scale[1] - scale[0]):
        return least, most
    return scale


def shared_ranges(spreads: Sequence[Spread | None]) -> list[Range | None]:
    """Return the range of each picture of a collection; None for those of bytes, which have no spread.

    A picture that suits a known scale has that. All others of one type of numbers share one range, from the smallest of their
    numbers to the largest, so that their brightness can be compared. Those that would fill less than `LEAST_SHARE` of it
    share another one among themselves, and so on; where all would, each is shown by itself.
    """
    ranges = [None if spread is None else spread.own_range for spread in spreads]
    stretched = {number: spread for number, spread in enumerate(spreads) if spread is not None and spread.stretched}
    for kind in {spread.kind for spread in stretched.values()}:
        rest = {number: spread for number, spread in stretched.items() if spread.kind == kind}
        while rest:
            common = together(list(rest.values()))
            enough = LEAST_SHARE * (common.most - common.least)
            suited = [number for number, spread in rest.items() if spread.most - spread.least >= enough]
            if not suited:
                break
            for number in suited:
                ranges[number] = (common.least, common.most)
                del rest[number]
    return ranges


def remarks(spread: Spread, shown: Range) -> list[str]:
    """Return what a user should know of how numbers are shown: that they were stretched, and that some do not count."""
    black, white = shown
    notes = []
    if spread.stretched:
        notes.append(
            f"its numbers from {spread.least:.6g} to {spread.most:.6g} are stretched: {black:.6g} is black, {white:.6g} white"
        )
    if spread.apart and value_range(spread.lowest, spread.highest, exact=spread.exact) != shown:
        notes.append(
            f"{spread.apart} of its numbers, which go from {spread.lowest:.6g} to {spread.highest:.6g}, lie apart from the "
            "rest and are cut off to black or white"
        )
    return notes


def as_bytes(values: NDArray[Any], black: float, white: float) -> NDArray[np.uint8]:
    """Return numbers as bytes, `black` as 0 and `white` as 255, those beyond cut off; NaN and missing numbers are black."""
    known = finite(values)
    wide = values.dtype.itemsize > 2 and values.dtype.kind in "iuf"
    numbers: NDArray[Any] = values.astype(np.float64 if wide else np.float32)
    if not known.all():
        infinite = np.isinf(values) & (values > 0)
        numbers = np.where(known, numbers, np.where(infinite, white, black))
    share = (numbers - black) * (255 / (white - black)) if white > black else np.zeros(numbers.shape)
    rounded: NDArray[np.uint8] = np.rint(share.clip(0, 255)).astype(np.uint8)
    return rounded


def _ends(numbers: NDArray[Any]) -> Range:
    return float(numbers.min()), float(numbers.max())


def _without_outliers(numbers: NDArray[Any]) -> Range:
    """Return the ends of numbers, without `OUTLIERS` where those take up nearly the whole range."""
    least, most = _ends(numbers)
    enough, few = LEAST_SHARE * (most - least), max(1, int(OUTLIERS * numbers.size))
    sample = np.quantile(numbers[:: 1 + numbers.size // _LOOKED_AT], (5 * OUTLIERS, 1 - 5 * OUTLIERS))
    if sample[1] - sample[0] >= enough or numbers.size <= 2 * few:  # as nearly always: spares the sorting of millions
        return least, most
    ordered = np.partition(numbers, (few, numbers.size - 1 - few))
    low, high = float(ordered[few]), float(ordered[-1 - few])
    return (low, high) if 0 < high - low < enough else (least, most)


def _without_no_data(numbers: NDArray[Any]) -> NDArray[Any]:
    """Return the numbers without those of `NO_DATA` that lie far from the rest, at whichever end."""
    while True:
        for end in _ends(numbers):
            rest = numbers[numbers != end] if end in NO_DATA else numbers[:0]
            if not rest.size:
                continue
            least, most = _ends(rest)
            if 0 < (most - least) * (FARTHER if end in (0, -1) else 1) <= max(least - end, end - most):
                numbers = rest
                break
        else:
            return numbers
