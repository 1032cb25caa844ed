"""Schedules: when a ladder climbs and falls, what progress weighs, and that a state goes on exactly where it was."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ssl4rl_envs.schedules import Ladder, Progress, Schedule


def feed(schedule: Schedule, part: int, *outcomes: int) -> None:
    for outcome in outcomes:
        schedule.record(np.array([part]), np.array([bool(outcome)]))


# Ladder


def test_a_ladder_climbs_when_the_rate_of_a_full_window_is_above_the_band():
    ladder = Ladder(3, low=0.4, high=0.8, window=10)
    feed(ladder, 0, *[1] * 9)
    assert ladder.level == 0
    feed(ladder, 0, 0)  # 9 of 10
    assert ladder.level == 1
    assert (ladder.choose(5) == 1).all()


@pytest.mark.parametrize(("successes", "level"), [(0, 0), (3, 0), (4, 1), (6, 1), (8, 1), (9, 2), (10, 2)])
def test_within_the_band_its_edges_included_a_ladder_stays(successes, level):
    ladder = Ladder(3, low=0.4, high=0.8, window=10)
    feed(ladder, 0, *[1] * 10)
    feed(ladder, 1, *[1] * successes, *[0] * (10 - successes))
    assert ladder.level == level


def test_counting_starts_anew_after_every_window():
    """Nine right ones that straddle two windows do not climb."""
    ladder = Ladder(2, low=0.1, high=0.8, window=4)
    feed(ladder, 0, 0, 1, 1, 1)  # 3/4
    feed(ladder, 0, 1, 1, 1, 0)  # 3/4
    assert ladder.level == 0
    feed(ladder, 0, 1, 1, 1, 1)
    assert ladder.level == 1


def test_a_ladder_stays_at_its_ends():
    ladder = Ladder(2, window=2)
    feed(ladder, 0, 0, 0, 0, 0)
    assert ladder.level == 0
    feed(ladder, 0, 1, 1)
    feed(ladder, 1, 1, 1, 1, 1)
    assert ladder.level == 1


def test_episodes_of_other_levels_do_not_count():
    ladder = Ladder(3, window=2)
    feed(ladder, 1, 1, 1)
    feed(ladder, 2, 1, 1)
    assert ladder.level == 0
    ladder.record(np.array([0, 1, 0]), np.array([True, False, True]))
    assert ladder.level == 1


def test_a_vector_of_episodes_counts_in_order():
    """The window is full after two; the rest of that level is of the past."""
    ladder = Ladder(3, window=2)
    ladder.record(np.array([0, 0, 0, 0]), np.array([True] * 4))
    assert ladder.level == 1


def test_without_review_all_instances_are_of_the_level():
    ladder = Ladder(4, window=1)
    feed(ladder, 0, 1)
    feed(ladder, 1, 1)
    assert (ladder.choose(1_000) == 2).all()


def test_review_asks_its_share_of_all_lower_levels_alike():
    ladder = Ladder(4, window=1, review=0.3)
    assert (ladder.choose(100) == 0).all()
    for level in range(3):
        feed(ladder, level, 1)
    counts = np.bincount(ladder.choose(20_000), minlength=4)
    expected = 20_000 * np.array([0.1, 0.1, 0.1, 0.7])
    assert (np.abs(counts - expected) < 5 * np.sqrt(expected)).all()


def test_a_ladder_says_of_which_level_each_episode_is():
    parts = np.array([0, 2, 1])
    info = Ladder(3).info(parts)
    assert info["level"].tolist() == [0, 2, 1]
    info["level"][:] = 9
    assert parts.tolist() == [0, 2, 1]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"low": 0.8, "high": 0.4}, "low=0.8, high=0.4"),
        ({"low": 0.5, "high": 0.5}, "0 <= low < high <= 1"),
        ({"low": -0.1}, "low=-0.1"),
        ({"high": 1.1}, "high=1.1"),
        ({"window": 0}, "window must be a whole number of at least 1, got 0"),
        ({"window": 2.5}, "window must be a whole number of at least 1, got 2.5"),
        ({"review": 1.0}, r"\[0, 1\), got 1.0"),
        ({"review": -0.1}, "got -0.1"),
        ({"seed": -1}, "seed"),
        ({"parts": 0}, "parts must be a whole number of at least 1, got 0"),
    ],
)
def test_wrong_arguments_of_a_ladder_are_errors(arguments, message):
    with pytest.raises(ValueError, match=message):
        Ladder(**{"parts": 3, **arguments})


# Progress


def test_at_first_all_parts_are_asked_alike():
    progress = Progress(4)
    assert progress.weights == pytest.approx(np.full(4, 0.25))
    counts = np.bincount(progress.choose(8_000), minlength=4)
    assert (np.abs(counts - 2_000) < 5 * (8_000 * 0.25 * 0.75) ** 0.5).all()


def test_averages_are_those_computed_by_hand():
    """fast 1/2, slow 1/4; outcomes 0, 1, 1, 0: the first episodes count as in a plain mean, until the rate is reached."""
    progress = Progress(2, explore=0.5, fast=0.5, slow=0.25)
    feed(progress, 0, 0, 1, 1)
    # fast: 0, then 1/2, then 3/4; slow: 0, 1/2, 2/3
    assert progress.state_dict()["averages"] == [[pytest.approx(3 / 4), 0], [pytest.approx(2 / 3), 0]]
    assert progress.weights == pytest.approx([0.75, 0.25])
    feed(progress, 0, 0)
    # fast 3/8, slow (weight 1/4) 1/2
    assert progress.state_dict()["averages"] == [[pytest.approx(3 / 8), 0], [pytest.approx(1 / 2), 0]]
    assert progress.state_dict()["counts"] == [4, 0]


def test_what_is_being_learned_or_forgotten_is_asked_more():
    progress = Progress(4, explore=0.2, fast=0.1, slow=0.02)
    for k in range(300):
        feed(progress, 0, 1)  # mastered
        feed(progress, 1, 0)  # out of reach
        feed(progress, 2, k >= 280)  # being learned
        feed(progress, 3, k < 280)  # being forgotten
    weights = progress.weights
    assert weights.sum() == pytest.approx(1)
    assert weights[:2] == pytest.approx([0.05, 0.05], abs=1e-6)
    assert weights[2] == pytest.approx(weights[3], rel=1e-6)
    assert weights[2] > 0.4


def test_parts_are_drawn_by_their_weights():
    progress = Progress(3, explore=0.4, fast=0.5, slow=0.1)
    feed(progress, 1, 0, 0, 0, 1, 1)
    weights = progress.weights
    assert weights == pytest.approx([0.4 / 3, 0.4 / 3 + 0.6, 0.4 / 3])
    counts = np.bincount(progress.choose(9_000), minlength=3)
    assert (np.abs(counts - 9_000 * weights) < 5 * np.sqrt(9_000 * weights)).all()


def test_progress_says_the_weights_of_what_is_asked_next():
    progress = Progress(3)
    assert progress.info(np.array([0, 1]))["weights"].shape == (2, 3)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"explore": 0}, r"explore must lie in \(0, 1\], got 0"),
        ({"explore": 1.5}, "got 1.5"),
        ({"fast": 0.01, "slow": 0.02}, "fast=0.01, slow=0.02"),
        ({"slow": 0}, "0 < slow"),
        ({"fast": 1.5}, "fast=1.5"),
        ({"parts": 0}, "parts must be a whole number"),
    ],
)
def test_wrong_arguments_of_progress_are_errors(arguments, message):
    with pytest.raises(ValueError, match=message):
        Progress(**{"parts": 3, **arguments})


# Both


def schedules(seed: int = 0) -> list[Schedule]:
    return [Ladder(4, window=3, review=0.3, seed=seed), Progress(4, fast=0.5, slow=0.1, seed=seed)]


def live(schedule: Schedule, outcomes: list[int]) -> list[list[int]]:
    """Ask and record; return what was asked."""
    asked = []
    for outcome in outcomes:
        parts = schedule.choose(3)
        asked.append(parts.tolist())
        schedule.record(parts, (np.arange(3) + outcome) % 4 > 0)
    return asked


@pytest.mark.parametrize("kind", [0, 1])
@settings(max_examples=30, deadline=None)
@given(before=st.lists(st.integers(0, 3), max_size=12), after=st.lists(st.integers(0, 3), min_size=1, max_size=12))
def test_a_state_that_went_through_json_goes_on_identically(kind, before, after):
    one, other = schedules(5)[kind], schedules(5)[kind]
    live(one, before)
    other.load_state_dict(json.loads(json.dumps(one.state_dict())))
    assert live(one, after) == live(other, after)
    assert one.state_dict() == other.state_dict()


@pytest.mark.parametrize("kind", [0, 1])
def test_a_saved_state_does_not_move_with_the_schedule(kind):
    schedule = schedules()[kind]
    live(schedule, [1, 2])
    state = schedule.state_dict()
    kept = json.dumps(state)
    live(schedule, [3, 0, 1])
    assert json.dumps(state) == kept


@pytest.mark.parametrize("kind", [0, 1])
def test_the_seed_decides_what_is_random(kind):
    one, same, other = schedules(1)[kind], schedules(1)[kind], schedules(2)[kind]
    outcomes = [0, 1, 2, 3] * 5
    asked = live(one, outcomes)
    assert asked == live(same, outcomes)
    assert asked != live(other, outcomes)


@pytest.mark.parametrize("kind", [0, 1])
def test_choosing_one_at_a_time_is_choosing_all_at_once(kind):
    one, other = schedules()[kind], schedules()[kind]
    feed(one, 0, 1, 1, 1)
    feed(other, 0, 1, 1, 1)
    assert one.choose(6).tolist() == [int(other.choose(1)[0]) for _ in range(6)]


@pytest.mark.parametrize("kind", [0, 1])
@pytest.mark.parametrize("change", [{"parts": 3}, {"seed": 9}, {"more": 1}])
def test_states_of_another_schedule_are_errors(kind, change):
    schedule = schedules()[kind]
    with pytest.raises(ValueError, match="state"):
        schedule.load_state_dict({**schedule.state_dict(), **change})
    with pytest.raises(ValueError, match="a state of"):
        schedule.load_state_dict(schedules()[1 - kind].state_dict())


def test_a_state_of_a_longer_window_does_not_stop_the_ladder():
    long, short = Ladder(3, window=10), Ladder(3, window=4)
    feed(long, 0, *[1] * 6)
    try:
        short.load_state_dict(long.state_dict())
    except ValueError:
        return  # to refuse it would do as well
    feed(short, 0, *[1] * 40)
    assert short.level > 0
