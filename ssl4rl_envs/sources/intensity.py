"""Which range numbers have that are no bytes: one rule for pictures of 16 and 32 bits, floats and arrays.

Files and arrays say how many bits they use, not which number is white: twelve bits lie in sixteen, bytes in integers of 32,
floats go to 1 or to 255. The rule reads it off the numbers themselves, and is meant to keep the contrast of each picture
without brightening one that is only dark.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

FULL_SCALES = (1.0, 255.0, 1023.0, 4095.0, 16383.0, 65535.0)
"""White in masks and unit floats, and in 8, 10, 12, 14 and 16 bits."""

SLACK = 1.1
"""Floats that were resampled or compressed go a little beyond white and black; so far they are cut off."""

NEARLY_BLACK = 1 / 16
"""A picture whose maximum is a smaller share of the scale would be nearly black, and its maximum is taken for white."""

MISSING = 1e30
"""Numbers this large stand for missing ones in many programs, e.g. -3.4e38 in height maps."""


def finite(values: NDArray[Any]) -> NDArray[np.bool_]:
    """Return which numbers are some: not NaN, infinite, or one of those that stand for missing ones."""
    if values.dtype.kind != "f":
        return np.ones(values.shape, bool)
    known: NDArray[np.bool_] = np.isfinite(values) & (np.abs(values) <= min(MISSING, float(np.finfo(values.dtype).max)))
    return known


def extremes(values: NDArray[Any]) -> tuple[float, float]:
    """Return the smallest and largest finite number.

    Raises:
        ValueError: there is none.
    """
    known = finite(values)
    if not known.any():
        raise ValueError("it holds no finite number")
    kept = values if known.all() else values[known]
    return float(kept.min()), float(kept.max())


def full_scale(most: float, *, exact: bool) -> float:
    """Return the smallest of `FULL_SCALES` that the maximum does not exceed (floats may by 10 %), or else the maximum."""
    return next((scale for scale in FULL_SCALES if most <= scale * (1.0 if exact else SLACK)), most)


def value_range(least: float, most: float, *, exact: bool) -> tuple[float, float]:
    """Return which numbers are black and white.

    - Without negative numbers (floats may go 10 % of white below 0): black is 0, white the smallest of `FULL_SCALES` that is
      not exceeded (floats may by 10 %), and where the picture would be nearly black, its maximum. Beyond all of these the
      minimum is black and the maximum white.
    - With negative numbers: (-1, 1) where none goes beyond, else the minimum and the maximum.

    Args:
        least, most: the extremes of the numbers.
        exact: whether they are integers, which no resampling has pushed beyond white.
    """
    white = full_scale(most, exact=exact)
    if white > FULL_SCALES[-1]:
        return least, most  # no known white: what there is, is what is shown
    if 0 < most < NEARLY_BLACK * white:
        white = most
    if least >= min(0.0, (1 - SLACK) * white):
        return 0.0, white
    if max(-least, most) <= (1.0 if exact else SLACK):
        return -1.0, 1.0
    return least, most


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
