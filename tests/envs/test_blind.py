"""What is earned without looking is computed, not guessed: declared figures are the best fixed answers'."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from ssl4rl_envs import Stream, blind, make_task
from ssl4rl_envs.attempts import Attempts
from ssl4rl_envs.playing import returns_of
from ssl4rl_envs.task import Task

SMALL = {"source": "digits", "image_size": 36}


def test_declared_chance_is_what_the_best_fixed_answer_earns(env_id, build):
    task = build(env_id)
    if task.horizon > 1 or task.parts or blind.all_answers(task) is None:
        pytest.skip("not one decision among few answers")
    assert blind.chance_of(task, 1) == pytest.approx(task.chance, abs=1e-6)


@pytest.mark.parametrize(
    ("name", "arguments", "tries", "chance"),
    [
        ("Rotation", SMALL, 3, 0.75),
        ("Rotation", SMALL, 9, 1.0),
        ("Contrastive", SMALL, 2, 1.0),
        ("EdgePrediction", {}, 2, 1.0),
        # Of three yes-or-no answers paid by the share that is right, one answer and its opposite leave 2 or 3 right.
        ("MaskedFeatures", {}, 2, 0.75),
        ("PatchOrdering", {"source": "faces", "reward": "exact"}, 3, 3 / 24),
        # Of 4 tiles, paid (right - 1) / 3: two orders that agree nowhere earn twice what one does, 9 / 72.
        ("PatchOrdering", {"source": "faces"}, 2, 0.25),
    ],
)
def test_chance_of_several_attempts_is_exact(name, arguments, tries, chance):
    task = make_task(f"SSL4RL/{name}-v0", **arguments)
    assert Attempts(task, tries).chance == pytest.approx(chance, abs=1e-6)


def test_answers_chosen_beforehand_earn_the_declared_chance_of_attempts():
    task = Attempts(make_task("SSL4RL/PatchOrdering-v0", source="faces"), 3)
    answers = blind.all_answers(task.task)
    chosen = iter(answers[list(blind.best_fixed(blind._for_each(task.task, answers), 3))])
    batch = task.sample(Stream("train", np.zeros(2_000, np.uint64), np.arange(2_000)))
    earned = returns_of(task, batch, lambda _, rows: np.repeat(next(chosen)[None], len(rows), axis=0))
    assert earned.mean() == pytest.approx(task.chance, abs=0.025)


def test_a_mixture_is_told_which_part_is_asked():
    mixture = make_task("SSL4RL/Mixture-v0", tasks=("Rotation", "FlipPrediction"), weights=(3, 1), **SMALL)
    flips = make_task("SSL4RL/FlipPrediction-v0", **SMALL)
    assert Attempts(mixture, 2).chance == pytest.approx(0.75 * 0.5 + 0.25 * min(1, 2 * flips.chance))


@settings(max_examples=60)
@given(arrays(np.float64, (5, 4), elements=st.floats(0, 1, width=16)), st.integers(1, 6))
def test_sets_of_answers_are_the_best_there_are_and_adding_one_at_a_time_loses_little(rewards, count):
    def value(chosen):
        return rewards[list(chosen)].max(axis=0).mean()

    best = max(value(chosen) for chosen in itertools.combinations(range(5), min(count, 5)))
    assert value(blind.best_fixed(rewards, count)) == pytest.approx(best)
    before = blind.MOST_SETS
    try:
        blind.MOST_SETS = 0
        greedy = blind.best_fixed(rewards, count)
    finally:
        blind.MOST_SETS = before
    assert value(greedy) >= (1 - 1 / np.e) * best - 1e-12
    assert len(set(greedy)) <= min(count, 5)


def test_a_search_for_a_painting_climbs_to_the_best():
    # Three targets in one dimension, each paid 1 - (a - t)^2 / c within its reach: the best is among the near pair.
    targets, spread = np.array([[0.0], [0.2], [1.0]]), np.array([0.06, 0.06, 0.06])
    best = blind.best_painting(targets, spread, starts=3)
    assert best[0, 0] == pytest.approx(0.1)

    def paid(a):
        return np.maximum(0, 1 - (a - targets[:, 0]) ** 2 / spread).mean()

    assert paid(best[0, 0]) == pytest.approx(max(paid(a) for a in np.linspace(-0.5, 1.5, 2_001)), abs=1e-6)


@pytest.mark.parametrize("source", ["digits", "faces"])
def test_no_fixed_painting_earns_more_than_the_declared_chance(source):
    task = make_task("SSL4RL/MaskedReconstruction-v0", answer="pixels", source=source, image_size=48, patch_size=12)
    batch = task.sample(Stream("test", np.ones(400, np.uint64), np.arange(400)))
    lessons = task.sample(Stream("train", np.full(400, 5), np.arange(400))).target
    tried = [*lessons[:60], lessons.mean(axis=0), np.zeros_like(lessons[0])]
    tried += [lessons[np.argsort(lessons[:, 6, 6, 0])[part : part + 40]].mean(axis=0) for part in range(0, 400, 40)]
    earned = max(task.score(np.repeat(one[None], 400, axis=0), batch).reward.mean() for one in tried)
    assert earned < task.chance + 0.02
    assert task.chance > 0.01, "and more than the mean picture is paid"


def test_a_task_that_declares_no_chance_gets_the_best_fixed_answer():
    class Uneven(type(make_task("SSL4RL/Rotation-v0", **SMALL))):
        def __init__(self):
            super().__init__(**SMALL)
            del self.chance

    task = Uneven()
    assert isinstance(task, Task)
    assert task.chance == pytest.approx(0.25)
