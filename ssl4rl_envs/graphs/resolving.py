"""Which node is it, if some tell how far away it is? What can be found out by asking, and whom to ask.

Nodes whose distances tell all others apart are a resolving set (Slater 1975; Harary & Melter 1976); here they are chosen one
after another, each in the light of what the others told.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Distances = NDArray[np.int64]


def solvable(apart: Distances, questions: int) -> NDArray[np.bool_]:
    """Return where any of the candidates can be named with so many questions, the naming included, (n,).

    With more than three, whether it is possible with three: more is not looked for.

    Args:
        apart: (n, C, C) edges between candidates.
        questions: at least 2.
    """
    count = apart.shape[1]
    every = np.arange(count)
    other = every[:, None] != every
    alike = (apart[:, :, :, None] == apart[:, :, None, :]) & other  # (n, asked, i, j): both as far from the one asked
    alike &= other[:, :, None] & other[:, None, :]  # who is asked is known
    if questions == 2:
        return np.asarray(~alike.any(axis=(2, 3)).all(axis=1))
    good = np.zeros(len(apart), bool)
    for first in range(count):
        # (n, second, i): whom the first and the second question leave in doubt
        doubtful = (alike[:, first, None] & alike).any(axis=3)
        # a second question will do for i if it leaves nobody in doubt who is as far from the first as i
        peers = alike[:, first] | np.eye(count, dtype=bool)
        fails = (doubtful[:, :, None, :] & peers[:, None]).any(axis=3)
        solved = ~fails.all(axis=1)
        solved[:, first] = True
        good |= solved.all(axis=1)
    return good


def consistent(apart: Distances, told: Sequence[int] | Distances) -> list[int]:
    """Return which candidates are as far from those that were asked as these told.

    Args:
        apart: (C, C).
        told: (C,), below 0 for those that were not asked.
    """
    asked = [one for one, far in enumerate(told) if far >= 0]
    return [one for one in range(len(apart)) if all(apart[asker, one] == told[asker] for asker in asked)]


def best_question(apart: Distances, told: Sequence[int] | Distances, questions: int) -> int:
    """Return whom to ask next: who makes sure that the hidden one is named in time, or else leaves fewest in doubt.

    Among equals it is one that may be hidden itself, and the first.

    Args:
        apart, told: as of `consistent`.
        questions: how many there are left, at least 1.
    """
    left = consistent(apart, told)
    if len(left) <= 2 or questions == 1:
        return left[0]
    asked = {one for one, far in enumerate(told) if far >= 0}
    open_ = [one for one in range(len(apart)) if one not in asked]
    return min(
        open_, key=lambda one: (not _sure(apart, left, one, questions), _doubt(apart, left, one), one not in left, one)
    )


def _classes(apart: Distances, left: Sequence[int], asked: int) -> list[list[int]]:
    """Return who is left, by what the one asked would tell; itself it names."""
    far: dict[int, list[int]] = {}
    for one in left:
        if one != asked:
            far.setdefault(int(apart[asked, one]), []).append(one)
    return list(far.values())


def _doubt(apart: Distances, left: Sequence[int], asked: int) -> int:
    return max(map(len, _classes(apart, left, asked)), default=0)


def _sure(apart: Distances, left: Sequence[int], asked: int, questions: int) -> bool:
    """Return whether, once somebody is asked, whoever is left can be named with the questions that are left."""
    rest = questions - 1
    return all(
        len(alike) <= rest or (rest > 1 and any(_sure(apart, alike, one, rest) for one in range(len(apart))))
        for alike in _classes(apart, left, asked)
    )
