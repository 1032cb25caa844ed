"""What pictures are compared by: brightness, hues, how busy and how colourful they are, as exact sums over their pixels."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ssl4rl_envs.kernels import tallies
from ssl4rl_envs.kernels.tallies import TALLIED
from ssl4rl_envs.kinds import some_of

Whole = NDArray[np.int64]


@dataclass(frozen=True)
class Measure:
    """A mean over the pixels of a picture, or over pairs of neighbours, in grey levels of 255.

    Args:
        weights: of what `tallies.tally` adds up.
        divisor: by what their weighted sum is divided, beside the number of pixels or pairs.
        margin: how far two pictures must lie apart to be clearly different, in grey levels.
        hue: whether it tells colours apart, which grey pictures do not have.
    """

    weights: tuple[int, ...]
    divisor: int
    margin: float
    hue: bool = False

    def unit(self, side: int, parts: int) -> int:
        """Return how much a grey level is in a weighted sum over a part of pictures of a side."""
        by_pairs = bool(self.weights[TALLIED.index("change")])
        return self.divisor * (tallies.pairs(side, parts) if by_pairs else side * (side // parts))


MEASURES = {
    "brightness": Measure((1, 1, 1, 0, 0), 3, 8.0),
    "redness": Measure((2, -1, -1, 0, 0), 2, 6.0, hue=True),
    "greenness": Measure((-1, 2, -1, 0, 0), 2, 2.5, hue=True),
    "blueness": Measure((-1, -1, 2, 0, 0), 2, 6.0, hue=True),
    "colourfulness": Measure((0, 0, 0, 1, 0), 1, 6.0, hue=True),
    "busyness": Measure((0, 0, 0, 0, 1), 3, 2.0),
}
"""Brightness is the mean of the channels, a hue how far a channel is above the mean of the others, colourfulness the
strongest channel less the weakest (chroma, as in HSV), and busyness by how much neighbouring pixels differ."""


@dataclass(frozen=True)
class Aspect:
    """A way to compare: by a measure, and which of two has more of it, or less, in a word."""

    measure: str
    sign: int
    word: str


ASPECTS = {
    "brightness": Aspect("brightness", 1, "brighter"),
    "darkness": Aspect("brightness", -1, "darker"),
    "redness": Aspect("redness", 1, "redder"),
    "greenness": Aspect("greenness", 1, "greener"),
    "blueness": Aspect("blueness", 1, "bluer"),
    "busyness": Aspect("busyness", 1, "busier"),
    "plainness": Aspect("busyness", -1, "plainer"),
    "colourfulness": Aspect("colourfulness", 1, "more colourful"),
    "greyness": Aspect("colourfulness", -1, "greyer"),
}
"""What is asked, by name; the number of an aspect is its place here."""

NAMES = tuple(ASPECTS)

_COLUMNS = [list(MEASURES).index(aspect.measure) for aspect in ASPECTS.values()]
_SIGNS = np.array([aspect.sign for aspect in ASPECTS.values()], np.int64)
_WEIGHTS = np.array([measure.weights for measure in MEASURES.values()], np.int64)


def chosen(about: str, grey: bool, source: str) -> tuple[str, ...]:
    """Return the aspects that an argument names, in their order: "all" that a source can show, or some joined by "+".

    Raises:
        ValueError: one is unknown, named twice, or a matter of colours, and the source is grey.
    """
    shown = tuple(name for name in NAMES if not (grey and MEASURES[ASPECTS[name].measure].hue))
    names = some_of("about", about, NAMES, "aspect", shown)
    for name in names:
        if name not in shown:
            raise ValueError(
                f"the pictures of source {source!r} are grey, so none of two has more {name}; use {', '.join(shown)}"
            )
    return names


def sums(tallied: Whole, numbers: Whole) -> Whole:
    """Return weighted sums of what was tallied, (n, k, 5), by the measures of aspects (n,): (n, k)."""
    weights = _WEIGHTS[np.array(_COLUMNS)[numbers]]
    return np.asarray((tallied * weights[:, None]).sum(axis=2), np.int64)


def signs(numbers: Whole) -> Whole:
    """Return of aspects (n,) whether they ask for more (1) or less (-1) of their measure, (n,)."""
    return _SIGNS[numbers]


def units(side: int, parts: int) -> Whole:
    """Return how much a grey level is in the sums of each aspect; see `Measure.unit`."""
    return np.array([MEASURES[aspect.measure].unit(side, parts) for aspect in ASPECTS.values()], np.int64)


def margins(side: int, parts: int, times: float) -> Whole:
    """Return by how much the sums of each aspect must differ, rounded up; `times` as much as `Measure.margin` says."""
    least = [MEASURES[aspect.measure].margin * times for aspect in ASPECTS.values()]
    return np.ceil(np.array(least) * units(side, parts)).astype(np.int64)
