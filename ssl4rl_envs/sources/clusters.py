"""Groups of nodes with similar features, the same bits on every machine: sums of whole numbers, exact in any order."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

ROUNDS = 10
LARGEST = 2.0**52


def cluster(features: NDArray[np.int64], count: int) -> NDArray[np.int64]:
    """Group rows by spherical k-means (Dhillon & Modha 2001) from a start that leaves nothing to chance.

    The start: the row with the largest norm, then, one by one, the row that is least like those chosen before. Products of
    whole numbers are exact in float64, and so the groups do not depend on the machine or the number of threads.

    Args:
        features: (N, F) whole numbers.
        count: of groups; some may stay empty where rows are alike.

    Returns:
        (N,) numbers of groups, the largest group first.

    Raises:
        ValueError: there are fewer rows than groups, or the numbers are so large that sums would be rounded.
    """
    rows = features.astype(np.float64)
    if len(rows) < count:
        raise ValueError(f"{len(rows)} nodes cannot be put into {count} groups")
    if float(np.abs(rows).max(initial=0.0)) ** 2 * len(rows) * rows.shape[1] > LARGEST:
        raise ValueError("features are too large to be grouped exactly; scale them down")
    norms = np.sqrt((rows**2).sum(axis=1))
    chosen = [int(norms.argmax())]
    likest = np.full(len(rows), -np.inf)
    for _ in range(count - 1):
        latest = chosen[-1]
        likest = np.maximum(likest, rows @ rows[latest] / np.maximum(norms * norms[latest], 1e-12))
        chosen.append(int(np.where(norms > 0, likest, np.inf).argmin()))
    centres = rows[chosen]
    group = np.zeros(len(rows), np.int64)
    for _ in range(ROUNDS):
        lengths = np.maximum(np.sqrt((centres**2).sum(axis=1)), 1e-12)
        group = (rows @ centres.T / lengths).argmax(axis=1).astype(np.int64)
        sums = np.zeros_like(centres)
        np.add.at(sums, group, rows)
        centres = np.where((sums != 0).any(axis=1, keepdims=True), sums, centres)
    sizes = np.bincount(group, minlength=count)
    rank = np.empty(count, np.int64)
    rank[np.argsort(-sizes, kind="stable")] = np.arange(count)
    return rank[group]
