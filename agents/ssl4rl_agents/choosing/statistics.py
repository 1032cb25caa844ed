"""Paired differences whose units are clusters: questions of one picture, or runs that began from one base.

Numbers of one cluster are not independent, so whole clusters are resampled, and signs are flipped for whole clusters. Nothing
here knows of policies; the same functions serve questions and tables of runs.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import product
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.stats import t as student

FEW = 12
"""With fewer clusters, bootstraps give intervals that are too narrow, and sign flips no small p: Student's t does both."""

RESAMPLES = 2000
FLIPS = 9999
EXACT = 14
"""Up to so many clusters all sign flips are tried."""

LEVEL = 0.95


class Paired(NamedTuple):
    """A mean of paired differences, its 95 % interval, and the two-sided p of its being 0."""

    mean: float
    low: float
    high: float
    p: float


def paired(differences: Any, clusters: Sequence[Any] | NDArray[Any], seed: int = 0) -> Paired:
    """Return the mean of paired differences, its 95 % interval and the p of no difference, over clusters.

    From `FEW` clusters on, the interval is the percentile bootstrap that resamples clusters, and p that of `sign_flip`. With
    fewer, both are Student's t over clusters with the cluster-robust variance of the mean (Cameron & Miller 2015); with
    clusters of equal size that is the t test over their means. It takes these to be normal, which nobody can see of few.

    Args:
        differences: (n,) numbers, after minus before.
        clusters: (n,) which cluster each belongs to: a picture, or a base.
        seed: of the resampling.

    Raises:
        ValueError: there are fewer than two clusters, the lengths differ, or a difference is not finite.
    """
    sums, sizes = _by_cluster(differences, clusters)
    mean = float(sums.sum() / sizes.sum())
    if len(sums) < FEW:
        return _student(mean, sums, sizes)
    low, high = _bootstrapped(sums, sizes, np.random.default_rng(seed))
    return Paired(mean, low, high, _flipped(sums, np.random.default_rng(seed + 1)))


def interval(values: Any, clusters: Sequence[Any] | NDArray[Any], seed: int = 0) -> tuple[float, float]:
    """Return the 95 % interval of a mean over clusters, as `paired` does; raises as it does."""
    sums, sizes = _by_cluster(values, clusters)
    if len(sums) < FEW:
        found = _student(float(sums.sum() / sizes.sum()), sums, sizes)
        return found.low, found.high
    return _bootstrapped(sums, sizes, np.random.default_rng(seed))


def sign_flip(differences: Any, clusters: Sequence[Any] | NDArray[Any], seed: int = 0) -> float:
    """Return the two-sided p of a mean under flips of the signs of whole clusters.

    Exact up to `EXACT` clusters, where the smallest is 2 / 2**clusters (0.0625 with five); beyond, from `FLIPS` flips drawn
    at random, the observed one among them (Phipson & Smyth 2010). Raises as `paired` does.
    """
    return _flipped(_by_cluster(differences, clusters)[0], np.random.default_rng(seed))


def holm(ps: Sequence[float]) -> list[float]:
    """Return p values corrected for their number by Holm's step-down procedure (Holm 1979), in the order given.

    Raises:
        ValueError: one lies outside of 0 to 1.
    """
    wrong = [p for p in ps if not 0 <= p <= 1]
    if wrong:
        raise ValueError(f"p values lie from 0 to 1, got {wrong[0]}")
    corrected, before = [0.0] * len(ps), 0.0
    for place, number in enumerate(sorted(range(len(ps)), key=lambda number: ps[number])):
        before = max(before, min(1.0, (len(ps) - place) * ps[number]))
        corrected[number] = before
    return corrected


def _by_cluster(differences: Any, clusters: Sequence[Any] | NDArray[Any]) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Return the sum and the size of each cluster."""
    values = np.asarray(differences, np.float64)
    if values.ndim != 1 or len(values) != len(clusters):
        raise ValueError(f"each difference (n,) needs its cluster, got shape {values.shape} and {len(clusters)} clusters")
    if not np.isfinite(values).all():
        raise ValueError(f"differences must be finite, got {values[~np.isfinite(values)][0]}")
    number: dict[Any, int] = {}
    index = np.array([number.setdefault(cluster, len(number)) for cluster in _plain(clusters)], np.int64)
    if len(number) < 2:
        raise ValueError(f"an interval takes at least two clusters (pictures, or bases), got {len(number)}")
    return np.bincount(index, weights=values).astype(np.float64), np.bincount(index).astype(np.int64)


def _plain(clusters: Sequence[Any] | NDArray[Any]) -> Sequence[Any]:
    return clusters.tolist() if isinstance(clusters, np.ndarray) else clusters


def _student(mean: float, sums: NDArray[np.float64], sizes: NDArray[np.int64]) -> Paired:
    count = len(sums)
    off = sums - mean * sizes
    error = math.sqrt(count / (count - 1) * float(off @ off)) / float(sizes.sum())
    if error <= 1e-12 * max(1.0, abs(mean)):  # all alike: no spread to compare with
        return Paired(mean, mean, mean, _flipped(sums, np.random.default_rng(0)))
    reach = float(student.ppf(0.5 + LEVEL / 2, count - 1)) * error
    return Paired(mean, mean - reach, mean + reach, float(2 * student.sf(abs(mean) / error, count - 1)))


def _bootstrapped(sums: NDArray[np.float64], sizes: NDArray[np.int64], generator: np.random.Generator) -> tuple[float, float]:
    count = len(sums)
    means = np.empty(RESAMPLES)
    for part in np.array_split(np.arange(RESAMPLES), max(1, RESAMPLES * count // 2**22)):  # 32 MiB of choices at a time
        drawn = generator.integers(0, count, (len(part), count))
        means[part] = sums[drawn].sum(1) / sizes[drawn].sum(1)
    low, high = np.quantile(means, [0.5 - LEVEL / 2, 0.5 + LEVEL / 2])
    return float(low), float(high)


def _flipped(sums: NDArray[np.float64], generator: np.random.Generator) -> float:
    sums = sums[sums != 0]  # a flip of nothing changes nothing
    observed = abs(float(sums.sum()))
    least = observed - 1e-9 * float(np.abs(sums).sum())  # rounding is no difference
    if len(sums) <= EXACT:
        signs = np.array(list(product((1.0, -1.0), repeat=len(sums))))
        return float((np.abs(signs @ sums) >= least).mean()) if len(sums) else 1.0
    extreme = 0
    for part in np.array_split(np.arange(FLIPS), max(1, FLIPS * len(sums) // 2**22)):
        signs = generator.integers(0, 2, (len(part), len(sums)), np.int8) * 2.0 - 1.0
        extreme += int((np.abs(signs @ sums) >= least).sum())
    return (1 + extreme) / (1 + FLIPS)
