"""SceneQA: words tell nothing that the declared bias does not say, and every answer is what the drawer knows."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from ssl4rl_envs import Batch, Stream, make_task
from ssl4rl_envs.images.scene_qa import SceneQA
from ssl4rl_envs.images.scene_truth import NONE, truths
from ssl4rl_envs.images.scene_words import ANSWERS, COMPARISON, QUESTION_KINDS, favours, put, words_of
from ssl4rl_envs.sources.scene_facts import facts_of
from ssl4rl_envs.sources.scenes import scenes

ALL_KINDS = pytest.mark.parametrize("kind", QUESTION_KINDS)


def sample(task: SceneQA, count: int, seed: int = 0, split: str = "train") -> Batch:
    return task.sample(Stream.span(split, seed, 0, count))


def test_facts_are_what_scenes_say_of_themselves():
    items = scenes().draw(Stream.span("train", 0, 0, 200))
    facts, labels = facts_of(items), scenes().labels(items)
    for name in ("kind", "sky", "ground", "light"):
        assert np.array_equal(getattr(facts, name), labels[name])
    there = facts.kind >= 0
    assert np.array_equal(np.where(there, facts.colour, -1), labels["colour"])
    left, right, up, down = np.moveaxis(facts.boxes(), -1, 0)
    assert ((left <= labels["x"]) & (labels["x"] <= right))[there].all()
    assert ((up <= labels["y"]) & (labels["y"] <= down))[there].all()


@ALL_KINDS
def test_both_answers_to_every_question_are_found(kind):
    items = scenes().draw(Stream.span("train", 0, 0, 4_000))
    first, second = (facts_of(part) for part in np.split(items, 2))
    for row in words_of(kind):
        found = truths(np.repeat(row[None], 2_000, axis=0), first, second)
        assert {*found.tolist()} >= {*row[3:5].tolist()}, put(np.array([[*row, 0]]))


@ALL_KINDS
def test_the_target_is_what_is_true_of_what_is_shown(kind):
    task = SceneQA(image_size=32, kinds=kind)
    batch = sample(task, 100, split="test")
    asked, items = batch.observation["asked"], batch.memory["scenes"]
    assert np.array_equal(truths(asked, *(facts_of(each) for each in items.T)), batch.target)
    assert (np.asarray(ANSWERS)[batch.target] == task.truths(batch)).all()
    assert ((asked[:, 3:5] == batch.target[:, None]).sum(axis=1) == 1).all()
    for place, name in enumerate(task.images):
        assert np.array_equal(batch.observation[name], scenes().pixels(scenes().whole(items[:, place]), 32))
    assert len(task.images) == 1 + (kind == COMPARISON)


@pytest.mark.parametrize("bias", [0.5, 0.8])
def test_words_alone_earn_what_is_declared(bias):
    task = SceneQA(image_size=32, bias=bias)
    assert task.chance == bias
    lessons, questions = sample(task, 3_000), sample(task, 1_500, split="test")
    known: dict[tuple[int, ...], list[int]] = {}
    for asked, target in zip(lessons.observation["asked"].tolist(), lessons.target.tolist(), strict=True):
        known.setdefault((*asked[:3], *sorted(asked[3:5])), []).append(target)
    said = [max(set(found), key=found.count) for found in known.values()]
    table = dict(zip(known, said, strict=True))
    rows = [(*asked[:3], *sorted(asked[3:5])) for asked in questions.observation["asked"].tolist()]
    right = [table.get(row, -1) == target for row, target in zip(rows, questions.target.tolist(), strict=True)]
    assert np.mean(right) < bias + 4 * np.sqrt(0.25 / len(right))
    habit = (questions.memory["favoured"] == questions.target).mean()
    assert abs(habit - bias) < 4 * np.sqrt(0.25 / len(right))


def test_habits_are_the_same_with_and_without_bias_and_however_it_is_put():
    habits: dict[tuple[int, ...], int] = {}
    for task in (SceneQA(bias=0.9), SceneQA(), SceneQA(wording="plain")):
        batch = sample(task, 400)
        for asked, habit in zip(batch.observation["asked"].tolist(), batch.memory["favoured"].tolist(), strict=True):
            assert habits.setdefault((*asked[:3], *sorted(asked[3:5])), habit) == habit
    every = favours(np.concatenate([words_of(kind) for kind in QUESTION_KINDS]))
    assert 0.4 < every.mean() < 0.6


def test_the_order_of_the_answers_and_the_wording_tell_nothing():
    batch = sample(SceneQA(image_size=32), 2_000)
    asked = batch.observation["asked"]
    for wording in range(6):
        rows = asked[:, 5] == wording
        first = (asked[rows, 3] == batch.target[rows]).mean()
        assert abs(first - 0.5) < 4 * np.sqrt(0.25 / rows.sum())


def test_questions_are_put_in_several_ways_and_options_in_one():
    task = SceneQA(image_size=32)
    batch = sample(task, 300)
    for text, asked in zip(task.question(batch), batch.observation["asked"].tolist(), strict=True):
        assert text.endswith(f" Answer with one of these: {ANSWERS[asked[3]]} or {ANSWERS[asked[4]]}.")
        assert "{" not in text
    plain = sample(SceneQA(image_size=32, wording="plain"), 300)
    assert not plain.observation["asked"][:, 5].any()
    for kind, row in itertools.product(("existence", "light"), range(2)):
        words = np.repeat(words_of(kind)[row][None], 6, axis=0)
        assert len(set(put(np.concatenate([words, np.arange(6)[:, None]], axis=1)))) == 3


def test_what_a_question_offers_is_its_mask():
    task = SceneQA(image_size=32)
    batch = sample(task, 200)
    asked = batch.observation["asked"]
    choices = task.choices(batch)
    assert choices is not None
    for row, words in zip(asked.tolist(), choices, strict=True):
        assert set(words) == {ANSWERS[row[3]], ANSWERS[row[4]]}
    guesses = task.random_answers(batch, Stream.span("train", 9, 0, 200))
    assert (guesses[:, None] == asked[:, 3:5]).any(axis=1).all()
    assert abs((guesses == asked[:, 3]).mean() - 0.5) < 0.15
    assert (task.info(batch)["kind"] == asked[:, 0]).all()


def test_attempts_and_covers_and_mixtures_keep_to_what_is_offered():
    assert make_task("SceneQA", image_size=32, attempts=2).chance == 1.0
    mixture = make_task("Mixture", tasks=("SceneQA", "Rotation"), source=scenes(), image_size=36)
    covered = make_task("Reveal", of="SceneQA", image_size=36)
    for task in (mixture, covered):
        batch = task.sample(Stream.span("train", 0, 0, 60))
        offered = task.offered(batch)
        guesses = task.random_answers(batch, Stream.span("train", 9, 0, 60))
        assert offered[np.arange(60), guesses].all()
        assert (offered[np.arange(60), task.oracle(batch)]).all()
        looks = 9 if task is covered else 0
        scene = batch.observation["task"] == 0 if task is mixture else np.ones(60, bool)
        assert (offered[scene].sum(axis=1) == 2 + looks).all()
        assert [len(words) for words in task.choices(batch)] == offered.sum(axis=1).tolist()


@pytest.mark.parametrize(
    ("arguments", "what"),
    [
        ({"kinds": "colours"}, "did you mean 'colour'"),
        ({"kinds": "light+comparison"}, "goes by itself"),
        ({"bias": 0.4}, "bias must lie in 0.5 to 0.95"),
        ({"image_size": 16}, "at least 32"),
        ({"source": "photos"}, "unknown source of SceneQA 'photos'"),
        ({"wording": "many"}, "wording must be one of several, plain"),
    ],
)
def test_wrong_arguments_are_explained(arguments, what):
    with pytest.raises(ValueError, match=what):
        make_task("SceneQA", **arguments)


def test_scenes_that_nobody_agrees_on_are_not_asked_about():
    items = scenes().draw(Stream.span("train", 0, 0, 500))
    facts = facts_of(items)
    colour = words_of("colour")
    found = truths(colour[np.arange(500) % len(colour)], facts)
    night = np.isin(facts.sky, (2, 4))
    assert (found[night] == NONE).all()
    assert (found[~night] != NONE).any()
