"""What log-probabilities of options say of questions: the choice, how sure it is, and what the picture adds.

All functions are pure and take arrays (n, k) of n questions with at most k options, -inf where a question has fewer.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


def chosen(logprobs: Any) -> NDArray[np.int64]:
    """Return which option is the likeliest, (n,); of equal ones the first."""
    return np.asarray(np.asarray(logprobs, np.float64).argmax(-1), np.int64)


def per_token(logprobs: Any, tokens: Any) -> Floats:
    """Return mean log-probabilities of a token, by which long options are not the less likely for their length.

    Args:
        logprobs: (n, k).
        tokens: (n, k) how many tokens each option takes; 0 where there is none.
    """
    values, counts = np.asarray(logprobs, np.float64), np.asarray(tokens)
    return np.where(counts > 0, values / np.maximum(counts, 1), -np.inf)


def calibrated(shown: Any, blank: Any) -> Floats:
    """Return log-probabilities without what the words alone give: those with a blank picture subtracted.

    Contextual calibration (Zhao et al. 2021, arXiv 2102.09690) with the picture, not the words, left out.
    """
    values = np.asarray(shown, np.float64)
    there = np.isfinite(values)
    return np.where(there, values - np.where(there, np.asarray(blank, np.float64), 0.0), -np.inf)


def log_odds(logprobs: Any, truth: Any) -> Floats:
    """Return the logarithm of how much likelier the truth is than all other options together, (n,), in nats."""
    values, right = np.asarray(logprobs, np.float64), np.asarray(truth, np.int64)
    rows = np.arange(len(values))
    others = values.copy()
    others[rows, right] = -np.inf
    return np.asarray(values[rows, right] - np.logaddexp.reduce(others, axis=-1), np.float64)


def picture_gain(shown: Any, blank: Any, truth: Any) -> Floats:
    """Return how much the picture adds to the log-odds of the truth, (n,), in nats: positive where it helps.

    Args:
        shown: (n, k) log-probabilities with the picture.
        blank: (n, k) the same with a blank one.
        truth: (n,) the right option.
    """
    return np.asarray(log_odds(shown, truth) - log_odds(blank, truth), np.float64)
