"""Orders as answers: which are permutations, what they are paid, and what guessing one earns."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ssl4rl_envs.task import Score

REWARDS = ("fraction", "exact")
"""How orders are paid: by the share of right places, or 1 for the whole order alone."""


def permutations(answers: NDArray[Any], inside: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Return which answers (n, m) name each of m things once, (n,), of those that lie in their space, `inside` (n,)."""
    if not inside.any():
        return inside
    return np.asarray(inside & (np.sort(answers, axis=1) == np.arange(answers.shape[1])).all(axis=1), np.bool_)


def score(right: NDArray[np.bool_], reward: str) -> Score:
    """Score orders by which of their places are right, (n, m); one right place is worth nothing, as `chance` explains."""
    success: NDArray[np.bool_] = np.asarray(right.all(axis=1), np.bool_)
    if reward == "exact":
        return Score(success.astype(np.float32), success)
    return Score(np.asarray(np.maximum(right.sum(axis=1) - 1, 0) / (right.shape[1] - 1), np.float32), success)


def chance(count: int, reward: str) -> float:
    """Return what a random order of `count` things earns.

    Over random orders the mean of the share of right places less 1 / count is 0, and it is negative, -1 / count, only where
    nothing is in its place.
    """
    if reward == "exact":
        return 1 / math.factorial(count)
    return derangements(count) / math.factorial(count) / (count - 1)


def derangements(count: int) -> int:
    """Return how many permutations of `count` things leave none in its place: D(n) = (n - 1) (D(n - 1) + D(n - 2))."""
    before, now = 1, 0
    for n in range(2, count + 1):
        before, now = now, (n - 1) * (now + before)
    return now
