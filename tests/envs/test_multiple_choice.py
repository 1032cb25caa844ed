"""Questions whose answers are listed as options with letters."""

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env

from ssl4rl_envs import Stream, make_task
from ssl4rl_envs.answers import wrap
from ssl4rl_envs.curricula import curriculum
from ssl4rl_envs.kinds import HABIT
from ssl4rl_envs.multiple_choice import ASKED, OPTIONS
from ssl4rl_envs.registration import TABLE, short_name

REFUSED = {
    "PatchOrdering": "those of PatchOrdering are MultiDiscrete",
    "FrameOrdering": "those of FrameOrdering are MultiDiscrete",
    "MaskedFeatures": "those of MaskedFeatures are MultiDiscrete",
    "Mixture": "those of PatchOrdering are MultiDiscrete",  # which is a part of it by default
    "PatchSwap": "PatchSwap takes up to 12 decisions; multiple_choice is for tasks of one",
    "RotateUpright": "takes up to 4 decisions",
    "Reveal": "takes up to 7 decisions",
    "GraphWalk": "takes up to 6 decisions",
    "GraphSearch": "takes up to 3 decisions",
}
"""Environments whose answers cannot be listed, and what is said of it."""

LISTED = [row.id for row in TABLE if short_name(row.id) not in REFUSED]
QUESTIONS = Stream.span("train", 3, 0, 200)


def test_all_others_can_be_listed():
    assert len(LISTED) + len(REFUSED) == len(TABLE)
    for name, said in REFUSED.items():
        with pytest.raises(ValueError, match=said):
            make_task(name, multiple_choice=True)


@pytest.mark.parametrize("name", LISTED)
def test_options_are_what_is_offered_and_letters_mean_them(name):
    plain, listed = make_task(name), make_task(name, multiple_choice=True)
    asked, batch = plain.sample(QUESTIONS), listed.sample(QUESTIONS)
    for key, values in asked.observation.items():
        assert np.array_equal(batch.observation[key], values)  # the same questions
    assert np.array_equal(batch.memory[ASKED], asked.target)
    offered, options = plain.offered(asked), batch.observation[OPTIONS]
    for allowed, row in zip(offered, options.tolist(), strict=True):
        there = [place for place in row if place >= 0]
        assert sorted(there) == np.flatnonzero(allowed).tolist()
        assert row[len(there) :] == [-1] * (len(row) - len(there))
    score = listed.score(listed.oracle(batch), batch)
    assert np.array_equal(score.reward, plain.score(plain.oracle(asked), asked).reward)
    assert score.success.all()
    # Every letter is worth what the action is worth that it stands for, and none without an action is worth anything.
    for letter in range(options.shape[1]):
        meant = np.where(options[:, letter] >= 0, options[:, letter] + plain.action_space.start, plain.no_answer)
        expected = plain.score(meant.astype(plain.action_space.dtype), asked)
        found = listed.score(np.full(len(batch), letter), batch)
        assert np.array_equal(found.reward, expected.reward)
        assert (found.reward[options[:, letter] < 0] == 0).all()
    assert not listed.score(np.full(len(batch), -1), batch).reward.any()
    assert listed.observation_space[OPTIONS].contains(options[0])


@pytest.mark.parametrize("name", LISTED)
def test_a_letter_by_itself_says_nothing(name):
    task = make_task(name, multiple_choice=True)
    batch = task.sample(Stream.span("train", 0, 0, 600))
    counts = (batch.observation[OPTIONS] >= 0).sum(axis=1)
    expected = (1 / counts).mean()
    for letter in range(counts.min()):
        assert abs((batch.target == letter).mean() - expected) < 4 * np.sqrt(expected * (1 - expected) / len(batch))
    assert task.chance == pytest.approx(expected, abs=0.05)


@pytest.mark.parametrize("name", LISTED)
def test_replies_are_letters(name):
    task = make_task(name, multiple_choice=True)
    batch = task.sample(QUESTIONS.rows(slice(0, 20)))
    prompts = task.prompts(batch)
    letters = task.truths(batch)
    plain = make_task(name)
    for prompt, letter, words in zip(prompts, letters, plain.truths(plain.sample(QUESTIONS.rows(slice(0, 20)))), strict=True):
        assert f"({letter}) {words}" in prompt
        assert "Which option is it? Answer with its letter." in prompt
        assert "<answer>A</answer>" in prompt
    assert task.score_texts([wrap(letter, "direct") for letter in letters], batch).success.all()
    wrong = [wrap(words, "direct") for words in ("left", "0", "AB", "")]
    assert not task.score_texts(wrong, batch.rows(slice(0, 4))).reward.any()
    said = task.choices(batch)
    assert [tuple(each) for each in said] == [tuple("ABCDEFGH"[: len(each)]) for each in said]
    assert all(len(each) == count for each, count in zip(said, (batch.observation[OPTIONS] >= 0).sum(axis=1), strict=True))
    assert all(f"That is option {letter}." in why for why, letter in zip(task.rationale(batch), letters, strict=True))


@pytest.mark.parametrize("name", ["SceneQA", "GraphQA"])
def test_what_words_suggest_is_a_letter_too(name):
    plain, listed = make_task(name, bias=0.8), make_task(name, bias=0.8, multiple_choice=True)
    asked, batch = plain.sample(QUESTIONS), listed.sample(QUESTIONS)
    habitual = asked.memory[HABIT] == asked.target
    assert 0.6 < habitual.mean() < 0.95
    assert np.array_equal(batch.memory[HABIT] == batch.target, habitual)
    assert np.array_equal(listed._inner(batch).memory[HABIT], asked.memory[HABIT])


def test_one_question_by_hand():
    task = make_task("Comparison", about="brightness", multiple_choice=True)
    batch = task.sample(Stream("train", [0] * 8, list(range(8))))
    for row, question in enumerate(task.question(batch)):
        left_first = batch.observation[OPTIONS][row].tolist() == [0, 1]
        listed = "Options: (A) left, (B) right." if left_first else "Options: (A) right, (B) left."
        assert question.startswith("Which half of this picture is brighter? ")
        assert f" {listed} " in question
        left, right = batch.observation["image"][row, :, :32].mean(), batch.observation["image"][row, :, 32:].mean()
        assert task.truths(batch)[row] == ("A" if (left > right) == left_first else "B")
    assert {tuple(each) for each in batch.observation[OPTIONS].tolist()} == {(0, 1), (1, 0)}


@pytest.mark.parametrize("interface", ["array", "text"])
@pytest.mark.parametrize("name", ["Rotation", "SceneQA", "GraphQA"])
def test_environments_take_it(name, interface):
    env = gym.make(f"SSL4RL/{name}-v0", multiple_choice=True, interface=interface)
    check_env(env.unwrapped, skip_render_check=True)
    _, info = env.reset(seed=0)
    envs = gym.make_vec(f"SSL4RL/{name}-v0", num_envs=4, multiple_choice=True, interface=interface)
    shown, _ = envs.reset(seed=0)
    if interface == "array":
        assert shown[OPTIONS].shape == (4, *env.observation_space[OPTIONS].shape)
        assert info["action_mask"].tolist() == (shown[OPTIONS][0] >= 0).astype(int).tolist()
    else:
        assert all("Options: (A) " in prompt for prompt in shown["prompt"])
        assert OPTIONS not in shown
    again = gym.make(env.spec)
    assert again.unwrapped.task.asks == env.unwrapped.task.asks


def test_it_goes_with_levels_pairs_tries_mixtures_and_curricula():
    hard = make_task("Rotation", level="angles-8", multiple_choice=True)
    assert hard.action_space.n == 8
    one, other = (make_task("Rotation", angles=n, pairing="word", multiple_choice=True) for n in (4, 8))
    assert one.stream_key == other.stream_key
    tries = make_task("Rotation", attempts=2, multiple_choice=True)
    assert tries.horizon == 2
    assert tries.chance == pytest.approx(2 / 4, abs=0.06)  # by samples
    assert make_task("SceneQA", attempts=2, multiple_choice=True).chance == 1
    mixture = make_task("Mixture", tasks=("Rotation", "Comparison"), weights=(3.0, 1.0), multiple_choice=True)
    assert mixture.chance == pytest.approx((3 * 1 / 4 + 1 / 2) / 4)
    batch = mixture.sample(QUESTIONS)
    assert mixture.score(mixture.oracle(batch), batch).success.all()
    assert all("Options: (A) " in prompt for prompt in mixture.prompts(batch))
    with pytest.raises(ValueError, match="sets angles"):
        make_task("Rotation", level="angles-8", angles=4, multiple_choice=True)
    env = curriculum(gym.make("SSL4RL/Rotation-v0", multiple_choice=True, interface="text"))
    assert "Options: (A) " in env.reset(seed=0)[0]["prompt"]


def test_no_question_offers_more_than_is_said():
    for row in TABLE:
        for attempts in (1, 2):
            if attempts > 1 and make_task(row.id).horizon > 1:
                continue
            task = make_task(row.id, attempts=attempts)
            offered = task.offered(task.sample(QUESTIONS.rows(slice(0, 30))))
            assert task.most_offered >= (0 if offered is None else offered.sum(axis=1).max()), row.id
            assert (task.most_offered == 0) == (offered is None), row.id


@pytest.mark.parametrize("value", [1, "yes", None])
def test_other_values_are_refused(value):
    with pytest.raises(TypeError, match="multiple_choice must be a bool"):
        make_task("Rotation", multiple_choice=value)


def test_words_stay_the_default():
    assert make_task("Rotation", multiple_choice=False) is make_task("Rotation")
