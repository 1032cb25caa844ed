"""A score that is no number makes what is taken over it unknown: neither better nor worse, nor first nor last by accident."""

from __future__ import annotations

import json
import math
import re
import warnings

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ssl4rl_benchmarks.bench import statistics, sweep
from ssl4rl_benchmarks.bench.rows import Rows, read_rows
from ssl4rl_benchmarks.bench.statistics import UNKNOWN, Estimate, difference, mean
from ssl4rl_benchmarks.reports.suite import markdown, page, plots
from ssl4rl_benchmarks.reports.suite.summary import summarise
from tests.benchmarks.test_bench import row_of

NAN, INF = float("nan"), float("inf")


@pytest.fixture(autouse=True)
def no_warnings():
    """Nothing is divided by zero on the way."""
    with warnings.catch_warnings():
        warnings.simplefilter("error", RuntimeWarning)
        yield


def rows_with(**scores: tuple[float | None, ...]) -> list[dict]:
    """Rows of agents in two environments; those in the second are fine."""
    found = []
    for agent, values in scores.items():
        for seed, score in enumerate(values):
            found.append(row_of(agent, "one", seed, 0.5))
            found[-1]["result"]["normalised"] = score
            found.append(row_of(agent, "two", seed, 0.1 * seed))
    return found


@pytest.mark.parametrize("values", [[NAN, 0.2], [0.1, INF], [NAN], [], [-INF, 0.0, 1.0]])
@pytest.mark.parametrize("others", [[0.1, 0.2], [0.1], [NAN], []])
def test_what_is_no_number_is_never_better_or_worse(values, others):
    for pair in ((values, others), (others, values)):
        assert difference(*pair).verdict == "unknown"
    assert mean(values).verdict == "unknown"


@given(st.lists(st.floats(-2, 2) | st.sampled_from([NAN, INF]), max_size=6), st.lists(st.floats(-2, 2), max_size=6))
def test_an_estimate_is_a_number_with_an_interval_round_it_or_unknown(values, others):
    for found in (mean(values), difference(values, others)):
        if found.known:
            assert found.low <= found.value <= found.high
        else:
            assert found.verdict == "unknown"
            assert math.isnan(found.value)
    assert mean(values).known == (len(values) > 0 and bool(np.isfinite(values).all()))


@pytest.mark.parametrize("values", [[0.1] * 3, [0.7, 0.7], [0.3], [1e-170, 3e-170], [-0.0, 0.0]])
def test_equal_or_single_values_have_no_interval(values):
    found = mean(values)
    assert (found.known, found.value) == (True, pytest.approx(np.mean(values)))
    assert difference(values, values).verdict == difference(values, [0.9]).verdict == "unclear"
    if np.ptp(values) == 0:
        assert not found.reaches
        assert not difference(values, [0.1] * 3).reaches


def test_a_constant_beside_a_spread_by_hand():
    found = difference([0.1] * 3, [0.2, 0.3, 0.4])
    reach = 4.3027 * 0.1 / 3**0.5  # Welch's degrees of freedom are those of the one with a spread
    assert (found.value, found.high - found.value) == pytest.approx((-0.2, reach), rel=1e-4)


@pytest.mark.parametrize("shape", [(3, 2), (1, 2), (2, 1), (1, 1)])
def test_interquartile_means_over_nan_are_unknown(shape):
    good, bad = np.full(shape, 0.5), np.full(shape, 0.5)
    bad[-1, -1] = NAN
    found = statistics.interquartile_means({"good": good, "bad": bad})
    assert found["good"] == Estimate(0.5, 0.5, 0.5)
    assert not found["bad"].known
    assert np.isnan(statistics.profiles({"bad": bad})["bad"][0]).all()
    for over in ("good", "bad"):
        (other,) = statistics.improvements({"good": good, "bad": bad}, over).values()
        assert other.verdict == "unknown"
    assert not statistics.interquartile_means({"none": np.zeros((0, 2))})["none"].known


def test_few_values_have_a_plain_mean():
    found = statistics.interquartile_means({"a": np.array([[0.1, 0.2, 0.9]])})["a"]
    assert found.value == pytest.approx(0.4)  # of fewer than four nothing is cut off


@pytest.mark.usefixtures("fewer_bootstraps")
@pytest.mark.parametrize("wrong", [NAN, INF, None])
def test_an_agent_with_an_unknown_score_stands_last_and_leads_nobody(wrong):
    rows = rows_with(broken=(wrong, 0.9, 0.9), poor=(0.1, 0.2, 0.3), good=(0.5, 0.6, 0.7))
    summary = summarise("made up", rows)
    assert [place.agent for place in summary.standings] == ["good", "poor", "broken"]
    assert summary.standings[0].beats is None
    assert summary.standings[1].beats is not None
    assert summary.standings[1].beats.known
    assert summary.standings[2].beats is not None
    assert summary.standings[2].beats.verdict == "unknown"
    assert "no numbers: those of broken in one (seed 0)" in " ".join(summary.left_out)
    assert [(won.env, won.agent, won.second) for won in summary.winners] == [
        ("one", "good", "poor"),
        ("two", "broken", "poor"),
    ]
    text = markdown.write(summary)
    assert re.search(r"\| broken \| unknown \| – \| .* \| unknown \|", markdown.leaderboard(summary))
    assert "nan" not in text.lower().replace("nano", "")
    shown = page.write(summary)
    assert "unknown" in shown
    data = shown.split('<script type="application/json" id="data">')[1].split("</script>")[0]
    json.loads(data, parse_constant=pytest.fail)  # browsers read no NaN
    assert "nan" not in shown.split("<script")[0].lower().replace("nano", "").replace("svg", "")
    assert plots.curves(summary)


def test_an_environment_without_any_score_is_left_out_with_the_reason():
    rows = rows_with(a=(None, None), b=(None, None))
    summary = summarise("made up", rows)
    assert summary.shared == ["two"]
    assert "no score there can be normalised: one" in " ".join(summary.left_out)
    assert [won.env for won in summary.winners] == ["two"]
    assert "| one | unknown | unknown |" in markdown.by_environment(summary)
    alone = [row for row in rows if row["env"] == "one"]
    assert summarise("made up", alone).standings == []


def test_curves_of_oracles_no_better_than_chance_are_unknown():
    rows = rows_with(a=(0.1, 0.2))
    for row in rows:
        row["result"]["oracle"] = row["result"]["chance"]
    (point, _) = statistics.efficiency(rows, ["a"], ["one", "two"], [0, 1])["a"]
    assert math.isnan(point["value"])


def test_rows_keep_null_for_what_is_no_number(tmp_path):
    row = rows_with(a=(NAN,))[0]
    kept = Rows(tmp_path)
    kept.add(row)
    json.loads(kept.file.read_text(), parse_constant=pytest.fail)
    for found in (kept.all(), read_rows([tmp_path]), Rows(tmp_path).all()):
        assert found[0]["result"]["normalised"] is None
        assert "normalised unknown in 4 s" in sweep.outcome(found[0])
        assert statistics.table_of(found).cell("a", "one") is not None
        assert not statistics.table_of(found).cell("a", "one").known


def test_unknown_gains_are_shown_as_such():
    entry = {"what": "task:two", "before": 0.4, "after": None, "beside": {"pixels": NAN}}
    (change,) = summarise("made up", [row_of("nano", "one", 0, 0.5, beyond=[entry])]).changes
    assert change.gain.verdict == "unknown"
    assert "| 0.400 | unknown | unknown | unknown | pixels unknown |" in markdown.changed([change])
    assert markdown.cell(UNKNOWN) == markdown.signed(UNKNOWN) == "unknown"
    assert page.shade(NAN) == "none"
