"""Attempts and groups: tries after wrong answers, what is told of them, what they are paid, and repeated questions."""

from __future__ import annotations

import itertools

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env
from gymnasium.vector import AutoresetMode

from ssl4rl_envs import Stream, make_task
from ssl4rl_envs.answers import wrap
from ssl4rl_envs.attempts import Attempts
from ssl4rl_envs.images.masked_reconstruction import MaskedReconstruction
from ssl4rl_envs.images.patch_ordering import PatchOrdering
from ssl4rl_envs.images.rotation import Rotation
from ssl4rl_envs.sources import ImageSource

ROTATION, ORDERING = "SSL4RL/Rotation-v0", "SSL4RL/PatchOrdering-v0"
SMALL = {"source": "digits", "image_size": 36}


def wrong(env, by: int = 1) -> int:
    return int((env.unwrapped.batch.target[0] + by) % 4)


# Episodes


def test_a_wrong_answer_is_followed_by_another_try_until_they_are_used_up():
    env = gym.make(ROTATION, **SMALL, attempts=3)
    before, _ = env.reset(seed=0)
    for k in range(3):
        after, reward, terminated, truncated, info = env.step(wrong(env, k + 1))
        assert (reward, terminated, truncated, info["success"]) == (0, k == 2, False, False)
        assert np.array_equal(after["image"], before["image"])
        assert (info["target"] >= 0) == (k == 2)
    with pytest.raises(RuntimeError, match="reset"):
        env.step(0)


@pytest.mark.parametrize("failures", [0, 1, 2])
def test_the_right_answer_ends_the_episode_and_is_paid_once(failures):
    env = gym.make(ROTATION, **SMALL, attempts=3)
    env.reset(seed=1)
    for k in range(failures):
        assert env.step(wrong(env, k + 1))[1] == 0
    _, reward, terminated, truncated, info = env.step(int(env.unwrapped.batch.target[0]))
    assert (reward, terminated, truncated, info["success"]) == (1, True, False, True)


def test_a_better_answer_is_paid_what_it_gains_and_a_worse_one_nothing():
    """2 x 2 tiles: two right places are worth 1/3, all four 1."""
    env = gym.make(ORDERING, **SMALL, attempts=4)
    env.reset(seed=0)
    target = env.unwrapped.batch.target[0]
    half, none = target[[1, 0, 2, 3]], target[[1, 2, 3, 0]]
    rewards = [env.step(answer)[1] for answer in (half, none, target[[0, 1, 3, 2]], target)]
    assert rewards == pytest.approx([1 / 3, 0, 0, 2 / 3])
    assert sum(rewards) == pytest.approx(1)


def test_earlier_answers_and_their_number_are_shown_as_arrays():
    env = gym.make(ROTATION, **SMALL, attempts=3)
    observation, _ = env.reset(seed=2)
    assert observation["previous_answers"].tolist() == [-1, -1]
    assert observation["tries"].tolist() == [0]
    first, second = wrong(env, 1), wrong(env, 2)
    observation = env.step(first)[0]
    assert (observation["previous_answers"].tolist(), observation["tries"].tolist()) == ([first, -1], [1])
    observation = env.step(second)[0]
    assert (observation["previous_answers"].tolist(), observation["tries"].tolist()) == ([first, second], [2])
    observation = env.step(wrong(env, 3))[0]
    assert (observation["previous_answers"].tolist(), observation["tries"].tolist()) == ([first, second], [3])
    assert env.reset()[0]["previous_answers"].tolist() == [-1, -1]


def test_answers_that_are_not_valid_use_up_a_try_and_are_shown_as_none():
    env = gym.make(ORDERING, **SMALL, attempts=3)
    env.reset(seed=0)
    observation, reward, terminated, *_ = env.step(np.array([0, 0, 1, 2]))
    assert (reward, terminated) == (0, False)
    assert observation["previous_answers"].tolist() == [[-1] * 4, [-1] * 4]
    assert observation["tries"].tolist() == [1]


# Text


def test_the_prompt_says_what_was_wrong_and_how_many_tries_are_left():
    env = gym.make(ROTATION, **SMALL, attempts=3, interface="text")
    observation, _ = env.reset(seed=0)
    asked = observation["prompt"]
    assert "Try again" not in asked
    one, other = str(90 * wrong(env, 1)), str(90 * wrong(env, 2))
    observation = env.step(f"<answer>{one}</answer>")[0]
    assert observation["prompt"] == f"{asked} Your answer {one} was not right. Try again; you have 2 tries left."
    observation, *_, info = env.step("what?")
    assert (info["valid"], info["parsed"]) == (False, "")
    assert observation["prompt"] == (
        f"{asked} Your answer {one} was not right. Your reply was no valid answer. Try again; you have 1 try left."
    )
    assert env.step(f"<answer>{other}</answer>")[2:4] == (True, False)


def test_the_prompt_does_not_tell_how_good_an_answer_was():
    """An order with two right places and one with none are answered in the same words."""
    said = []
    for pick in ([1, 0, 2, 3], [1, 2, 3, 0]):
        env = gym.make(ORDERING, **SMALL, attempts=3, interface="text")
        env.reset(seed=0)
        answer = env.unwrapped.task.format(env.unwrapped.batch.target[0][pick])
        observation, *_ = env.step(f"<answer>{answer}</answer>")
        said.append(observation["prompt"].replace(f"Your answer {answer}", "Your answer X"))
    assert said[0] == said[1]


def test_the_last_prompt_does_not_call_a_right_answer_wrong():
    env = gym.make(ROTATION, **SMALL, attempts=3, interface="text")
    env.reset(seed=0)
    observation, *_, info = env.step(f"<answer>{90 * int(env.unwrapped.batch.target[0])}</answer>")
    assert info["success"]
    assert "was not right" not in observation["prompt"]


def test_mixtures_with_attempts_speak_of_answers_in_the_words_of_the_part(style):
    env = gym.make("SSL4RL/Mixture-v0", **SMALL, attempts=2, interface="text", prompt_style=style)
    for seed in range(12):
        env.reset(seed=seed)
        task, batch = env.unwrapped.task, env.unwrapped.batch
        part = task.parts[int(batch.observation["task"][0])]
        answers = [part.format(k) if part.action_space.shape == () else part.format(part.example()) for k in range(2)]
        answer = next((said for said in answers if said != task.truths(batch)[0]), None)
        if answer is None:
            continue
        observation, *_, terminated, _, _ = env.step(wrap(answer, style))
        assert not terminated
        assert f"Your answer {answer} was not right. Try again; you have 1 try left." in observation["prompt"]


# Checkers and vectors


@pytest.mark.parametrize(
    ("name", "more"),
    [
        (ROTATION, {"interface": "array"}),
        (ROTATION, {"interface": "text"}),
        (ORDERING, {"interface": "array"}),
        ("SSL4RL/Mixture-v0", {"interface": "array"}),
        ("SSL4RL/Mixture-v0", {"interface": "text"}),
        ("SSL4RL/MaskedReconstruction-v0", {"answer": "pixels", "patch_size": 8}),
    ],
)
def test_gymnasiums_checker_passes(name, more):
    check_env(gym.make(name, **SMALL, attempts=3, **more).unwrapped, skip_render_check=True)


@pytest.mark.parametrize("group_size", [1, 2])
@pytest.mark.parametrize("way", ["array", "text"])
@pytest.mark.parametrize("name", [ROTATION, ORDERING, "SSL4RL/Mixture-v0"])
def test_the_vector_environment_equals_gymnasiums(name, way, group_size, same):
    arguments = {**SMALL, "interface": way, "attempts": 3, "group_size": group_size}
    ours = gym.make_vec(name, num_envs=4, **arguments)
    theirs = gym.make_vec(
        name,
        num_envs=4,
        vectorization_mode="sync",
        vector_kwargs={"autoreset_mode": AutoresetMode.SAME_STEP},
        **arguments,
    )
    for first, second in zip(ours.reset(seed=5), theirs.reset(seed=5), strict=True):
        same(first, second, "reset")
    task = ours.unwrapped.task
    for step in range(14):
        batch = ours.unwrapped.batch
        right = task.oracle(batch)
        random = task.random_answers(batch, Stream("train", np.full(4, 77), np.arange(4) + 4 * step))
        pick = (np.arange(4) + step) % 3 == 0
        mixed = np.where(pick.reshape(-1, *[1] * (right.ndim - 1)), right, random)
        if way == "text":
            mixed = tuple(
                "" if (step + k) % 5 == 0 else f"<answer>{w}</answer>" for k, w in enumerate(task.format_all(mixed, batch))
            )
        got, expected = ours.step(mixed), theirs.step(mixed)
        same(got[0], expected[0], "observation")
        assert np.array_equal(got[1], expected[1].astype(np.float32))
        for k in (2, 3, 4):
            same(got[k], expected[k], f"step {step}, {k}")
    theirs.close()


# Chance


def test_no_blind_choice_of_tries_beats_the_declared_chance():
    """All sequences of three orders of four tiles, that is all policies that do not look, against all targets at once."""
    task = Attempts(PatchOrdering("digits", 36), 3)
    assert task.chance < 3 * 0.125, "three orders cannot agree nowhere with each other and earn that everywhere"
    orders = np.array(list(itertools.permutations(range(4))))
    paid = np.maximum((orders[:, None] == orders[None]).sum(axis=2) - 1, 0) / 3
    best = max(
        np.maximum(np.maximum(paid[0], paid[i]), paid[j]).mean()
        for i, j in itertools.combinations_with_replacement(range(24), 2)
    )
    assert best == pytest.approx(task.chance, abs=1e-6)


@pytest.mark.parametrize(("attempts", "chance"), [(2, 0.5), (3, 0.75), (4, 1.0), (9, 1.0)])
def test_distinct_guesses_reach_the_declared_chance_of_four_angles(attempts, chance):
    task = Attempts(Rotation("digits", 36), attempts)
    assert task.chance == chance
    batch = task.sample(Stream("train", np.zeros(2_000, np.uint64), np.arange(2_000)))
    total, ended = np.zeros(2_000), np.zeros(2_000, bool)
    for guess in range(attempts):
        step = task.advance(batch, np.full(2_000, guess % 4))
        total += np.where(ended, 0, step.score.reward)
        ended, batch = ended | step.terminated, step.state
    assert total.mean() == pytest.approx(chance, abs=0.05)
    assert total.max() == 1


def test_with_all_answers_tried_everything_is_found():
    task = Attempts(Rotation("digits", 36), 2)
    batch = task.sample(Stream("train", np.zeros(5, np.uint64), np.arange(5)))
    inner = Rotation("digits", 36).sample(Stream("train", np.zeros(5, np.uint64), np.arange(5)))
    assert np.array_equal(batch.target, inner.target)
    assert np.array_equal(batch.observation["image"], inner.observation["image"])


def test_painting_again_is_paid_the_gain():
    rng = np.random.default_rng(0)
    source = ImageSource(list(rng.integers(0, 256, (40, 36, 36, 3), dtype=np.uint8)), min_zoom=1.0)
    task = Attempts(MaskedReconstruction(source, 36, answer="pixels", patch_size=8), 3)
    batch = task.sample(Stream("train", np.zeros(4, np.uint64), np.arange(4)))
    truth = batch.target
    mean = truth.mean(axis=(1, 2), keepdims=True).astype(np.float32)
    quarter = (mean + (truth - mean) * np.float32(0.25)).astype(np.float32)
    first = task.advance(batch, quarter)
    assert first.score.reward == pytest.approx(np.full(4, 1 - 0.75**2), abs=1e-5)
    assert not first.terminated.any()
    assert np.array_equal(first.state.observation["previous_answers"][:, 0], quarter)
    assert (first.state.observation["previous_answers"][:, 1] == -2).all()
    last = task.advance(first.state, truth)
    assert last.score.reward == pytest.approx(np.full(4, 0.75**2), abs=1e-5)
    assert last.terminated.all()


# Groups


def test_groups_ask_every_instance_several_times_in_a_row():
    env, plain = (gym.make(ROTATION, **SMALL, group_size=size) for size in (3, 1))
    seen = []
    for k in range(9):
        observation, info = env.reset(seed=4) if k == 0 else env.reset()
        seen.append((info["index"], observation["image"]))
        env.step(0)
    assert [index for index, _ in seen] == [0, 0, 0, 1, 1, 1, 2, 2, 2]
    for k in range(3):
        expected = (plain.reset(seed=4) if k == 0 else plain.reset())[0]["image"]
        assert all(np.array_equal(image, expected) for index, image in seen if index == k)


def test_groups_of_vectors_repeat_in_time_within_each_environment():
    env = gym.make_vec(ROTATION, num_envs=3, **SMALL, group_size=2)
    observation, infos = env.reset(seed=0)
    images, indices = [observation["image"]], [infos["index"].tolist()]
    for _ in range(5):
        observation, *_, infos = env.step(np.zeros(3, np.int64))
        images.append(observation["image"])
        indices.append(infos["index"].tolist())
    assert indices == [[0] * 3, [0] * 3, [1] * 3, [1] * 3, [2] * 3, [2] * 3]
    assert np.array_equal(images[0], images[1])
    assert not np.array_equal(images[1], images[2])
    assert not np.array_equal(images[0][0], images[0][1])


def test_a_seed_begins_a_new_group():
    env = gym.make(ROTATION, **SMALL, group_size=2)
    assert [env.reset(seed=seed)[1]["index"] for seed in (0, None, None, 0, None, None)] == [0, 0, 1, 0, 0, 1]


def test_a_group_ends_when_all_tries_of_its_last_episode_are_over():
    env = gym.make_vec(ROTATION, num_envs=1, **SMALL, group_size=2, attempts=2)
    _, infos = env.reset(seed=0)
    indices = []
    for _ in range(8):
        wrong_one = (env.unwrapped.batch.target + 1) % 4
        *_, infos = env.step(wrong_one)
        indices.append(int(infos["index"][0]))
    assert indices == [0, 0, 0, 1, 1, 1, 1, 2]


# Errors


@pytest.mark.parametrize("vector", [False, True])
@pytest.mark.parametrize("name", ["attempts", "group_size"])
@pytest.mark.parametrize("value", [0, -1, 1.5, True, "2", None])
def test_counts_that_are_no_positive_whole_numbers_are_errors(name, value, vector):
    make = gym.make_vec if vector else gym.make
    with pytest.raises(ValueError, match=f"{name} must be a whole number of at least 1, got {value!r}"):
        make(ROTATION, **SMALL, **{name: value})


def test_counts_of_numpy_are_taken():
    env = gym.make(ROTATION, **SMALL, attempts=np.int64(2), group_size=np.int32(1))
    assert env.unwrapped.task.horizon == 2


def test_a_task_is_built_with_attempts():
    task = make_task("Rotation", source="digits", attempts=3)
    assert (type(task), task.horizon) == (Attempts, 3)
    assert make_task("Rotation", source="digits", attempts=1).horizon == 1
    with pytest.raises(ValueError, match="attempts must be a whole number of at least 1, got 0"):
        make_task("Rotation", attempts=0)
    with pytest.raises(ValueError, match="attempts are for tasks of one"):
        make_task("PatchSwap", source="digits", image_size=36, attempts=2)
