"""Recorded episodes as Minari reads them (minari 0.5.4)."""

from __future__ import annotations

import warnings

import gymnasium as gym
import numpy as np
import pytest

from ssl4rl_envs import make_task
from ssl4rl_envs.bridges.minari import record
from tests.clients.partner import example

minari = pytest.importorskip("minari")
pytest.importorskip("h5py")

DIGITS = {"source": "digits", "image_size": 36}


@pytest.fixture(autouse=True)
def place(tmp_path, monkeypatch):
    monkeypatch.setenv("MINARI_DATASETS_PATH", str(tmp_path))


def test_a_solver_is_always_right_and_its_episodes_are_those_of_the_environment(monkeypatch):
    monkeypatch.setattr("ssl4rl_envs.bridges.minari.CHUNK", 4)
    with warnings.catch_warnings():
        warnings.filterwarnings("error", message="jpeg=True")
        record("Rotation", "ssl4rl/rotation/solver-v0", 10, seed=3, first=5, **DIGITS)
    data = minari.load_dataset("ssl4rl/rotation/solver-v0")
    assert (data.total_episodes, data.total_steps) == (10, 10)
    env = gym.make("SSL4RL/Rotation-v0", **DIGITS)
    for number, episode in enumerate(data):
        seen, _ = env.reset(seed=3, options={"index": 5 + number})
        assert env.step(episode.actions[0])[1] == episode.rewards[0] == 1
        np.testing.assert_array_equal(episode.observations["image"][0], seen["image"])  # to the last bit, as no JPEG is
        assert episode.terminations[-1]
    assert minari.get_normalized_score(data, np.array([1.0, 0.25])).tolist() == [1, 0]


def test_the_environment_is_recovered_and_asks_on(monkeypatch):
    data = record("Rotation", "ssl4rl/rotation/random-v0", 40, policy="random", split="validation", **DIGITS)
    rewards = [episode.rewards[0] for episode in data]
    assert 0 < np.mean(rewards) < 0.6
    env = data.recover_environment()
    assert env.unwrapped.split == "validation"
    stored = data.storage.get_episode_metadata([7])
    metadata = next(iter(stored))
    assert metadata["seed"] == 0
    seen, _ = env.reset(seed=0, options={"index": 7})
    np.testing.assert_array_equal(seen["image"], data[7].observations["image"][0])


def test_episodes_of_several_decisions_and_answers_in_words():
    data = record("PatchSwap", "ssl4rl/swaps/solver-v0", 3, level="2x2", **DIGITS)
    assert all(len(episode.observations["image"]) == len(episode.actions) + 1 for episode in data)
    assert all(episode.terminations[-1] for episode in data)
    said = record("Rotation", "ssl4rl/said/solver-v0", 3, interface="text", prompt_style="think", **DIGITS)
    assert all(episode.rewards.sum() == 1 for episode in said)
    assert all(reply.startswith("<think>") for episode in said for reply in episode.actions)


def test_pictures_as_jpeg_are_asked_for_and_warned_of():
    with pytest.warns(UserWarning, match="JPEG"):
        data = record("Rotation", "ssl4rl/small/solver-v0", 3, jpeg=True, **DIGITS)
    seen, _ = gym.make("SSL4RL/Rotation-v0", **DIGITS).reset(seed=0)
    change = np.abs(data[0].observations["image"][0].astype(int) - seen["image"])
    assert 0 < change.max() < 64
    with warnings.catch_warnings():
        warnings.filterwarnings("error", message="jpeg=True")
        record("EdgePrediction", "ssl4rl/edges/solver-v0", 2, jpeg=True)  # which shows none


def test_what_is_wrong_is_said():
    with pytest.raises(ValueError, match="'solver' or 'random', got 'expert'"):
        record("Rotation", "ssl4rl/a-v0", 1, policy="expert", **DIGITS)
    with pytest.raises(ValueError, match="episodes"):
        record("Rotation", "ssl4rl/a-v0", 0, **DIGITS)


def test_chance_and_one_are_the_scores_between_which_is_normalised():
    data = record("Rotation", "ssl4rl/angles/solver-v0", 1, angles=2, **DIGITS)
    assert data.storage.metadata["ref_min_score"] == make_task("Rotation", angles=2, **DIGITS).chance == 0.5


def test_the_example_records_a_solver_and_a_random_policy():
    returns = example("minari_episodes").main(20)
    assert returns["solver"] == 1
    assert returns["random"] < 0.8
