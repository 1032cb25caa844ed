"""Paired, clustered differences: intervals, sign flips and Holm's correction, by hand and beside scipy."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import ttest_1samp

from ssl4rl_agents.choosing import holm, paired, sign_flip
from ssl4rl_agents.choosing.statistics import EXACT, FEW
from ssl4rl_agents.evaluation import clustered_interval


def test_holm_by_hand():
    """The smallest times 3, the next times 2, the last alone; none below one before it."""
    assert holm([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])
    assert holm([0.9, 0.5]) == [1.0, 1.0]
    assert holm([]) == []
    with pytest.raises(ValueError, match=r"from 0 to 1, got 1\.2"):
        holm([0.5, 1.2])


@given(st.lists(st.floats(0, 1), max_size=8))
def test_holm_keeps_the_order_and_corrects_upwards(ps):
    corrected = holm(ps)
    assert all(p <= q <= 1 for p, q in zip(ps, corrected, strict=True))
    order = np.argsort(ps, kind="stable")
    assert (np.diff(np.array(corrected)[order]) >= 0).all()


def test_sign_flips_by_hand():
    """Of 2**3 ways to sign three ones, two are as far from 0; of 1, 2, 3, the four that reach 4 or more in size."""
    assert sign_flip([1, 1, 1], "abc") == pytest.approx(2 / 8)
    assert sign_flip([2, 2, 3, -3 + 1e-15], "aabb") == pytest.approx(2 / 2)  # sums 4 and 0: only one can be flipped
    assert sign_flip([1, 2, 3], "abc") == pytest.approx(2 / 8)
    assert sign_flip([-1, 2, 3], "abc") == pytest.approx(4 / 8)  # sizes 6 and 4 are reached by 4 of 8
    assert sign_flip([0, 0], "ab") == 1
    assert sign_flip([1, 1, 1, 1, 1], range(5)) == pytest.approx(2 / 32)


def test_drawn_flips_agree_with_all_of_them():
    values = np.random.default_rng(0).normal(0.5, 1, EXACT)
    exact = sign_flip(values, range(EXACT))
    more = np.concatenate([values, [1e-12]])  # one cluster more, which changes nothing but the way it is found out
    assert sign_flip(more, range(EXACT + 1)) == pytest.approx(exact, abs=0.01)


def test_few_clusters_are_compared_by_students_t():
    """With clusters of equal size the t test of their means; within a cluster nothing counts but the mean."""
    means = np.array([0.19, 0.10, 0.32, 0.05, 0.21])
    found = paired(means, ["a", "b", "c", "d", "e"])
    expected = ttest_1samp(means, 0)
    reach = expected.confidence_interval(0.95)
    assert found == pytest.approx((means.mean(), reach.low, reach.high, expected.pvalue))
    twice = paired(np.repeat(means, 2) + np.tile([0.3, -0.3], 5), np.repeat(list("abcde"), 2))
    assert twice == pytest.approx(tuple(found))


def test_many_clusters_are_resampled_whole():
    rng = np.random.default_rng(1)
    values = rng.normal(0.3, 1, 60)
    found = paired(values, range(60))
    assert found.mean == pytest.approx(values.mean())
    assert (found.low, found.high) == pytest.approx(clustered_interval(values, np.arange(60)), abs=0.05)
    thrice = paired(np.repeat(values, 3), np.repeat(np.arange(60), 3))
    assert thrice == pytest.approx(tuple(found)), "asking three times about a picture narrows nothing"
    assert paired(values, range(60)) == found, "it is the same each time"
    assert found.p < 0.05 < paired(values - values.mean(), range(60)).p


def test_intervals_hold_what_they_promise():
    """Of 200 samples without a difference, about 10 intervals miss 0: with few clusters and with more."""
    for clusters in (5, FEW + 8):
        rng, missed = np.random.default_rng(2), 0
        for _ in range(200):
            values = np.repeat(rng.normal(0, 1, clusters), 4) + rng.normal(0, 0.5, 4 * clusters)
            found = paired(values, np.repeat(np.arange(clusters), 4))
            missed += not found.low <= 0 <= found.high
        assert missed <= 20


@given(st.lists(st.floats(-3, 3), min_size=2, max_size=8))
def test_the_other_way_round_it_is_the_same(values):
    found, other = paired(values, range(len(values))), paired([-v for v in values], range(len(values)))
    assert (found.mean, found.low, found.high, found.p) == pytest.approx((-other.mean, -other.high, -other.low, other.p))
    assert found.low <= found.mean <= found.high
    assert 0 <= found.p <= 1


def test_what_cannot_be_compared_is_said():
    with pytest.raises(ValueError, match=r"at least two clusters .* got 1"):
        paired([1.0, 2.0], ["a", "a"])
    with pytest.raises(ValueError, match="must be finite, got nan"):
        paired([1.0, float("nan")], ["a", "b"])
    with pytest.raises(ValueError, match="needs its cluster"):
        paired([1.0, 2.0], ["a"])
    alike = paired([0.5, 0.5, 0.5], "abc")
    assert tuple(alike) == pytest.approx((0.5, 0.5, 0.5, 0.25)), "no spread, no interval; the flips still say something"
