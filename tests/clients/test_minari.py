"""Episodes as Minari keeps and reads them: those that we record, and those of its own collector (seen with minari 0.5.4)."""

from __future__ import annotations

import warnings
from typing import Any

import gymnasium as gym
import numpy as np
import pytest

from ssl4rl_envs import make_task
from ssl4rl_envs.bridges.minari import record
from tests.clients.partner import example, run_page

minari = pytest.importorskip("minari")
pytest.importorskip("h5py")

SMALL: dict[str, Any] = {"source": "digits", "image_size": 36}


@pytest.fixture(autouse=True)
def place(tmp_path, monkeypatch):
    monkeypatch.setenv("MINARI_DATASETS_PATH", str(tmp_path))


def changed(data, seen) -> int:
    """By how much the first picture that was kept differs from what was shown."""
    kept = next(iter(data.iterate_episodes())).observations["image"][0]
    return int(np.abs(kept.astype(int) - seen["image"]).max())


def test_a_solver_is_always_right_and_its_episodes_are_those_of_the_environment(monkeypatch):
    monkeypatch.setattr("ssl4rl_envs.bridges.minari.CHUNK", 4)
    with warnings.catch_warnings():
        warnings.filterwarnings("error", message="jpeg=True")
        record("Rotation", "ssl4rl/rotation/solver-v0", 10, seed=3, first=5, **SMALL)
    data = minari.load_dataset("ssl4rl/rotation/solver-v0")
    assert (data.total_episodes, data.total_steps) == (10, 10)
    env = gym.make("SSL4RL/Rotation-v0", **SMALL)
    for number, episode in enumerate(data):
        seen, _ = env.reset(seed=3, options={"index": 5 + number})
        assert env.step(episode.actions[0])[1] == episode.rewards[0] == 1
        np.testing.assert_array_equal(episode.observations["image"][0], seen["image"])  # to the last bit, as no JPEG is
        assert episode.terminations[-1]
    assert minari.get_normalized_score(data, np.array([1.0, 0.25])).tolist() == [1, 0]


def test_the_environment_is_recovered_and_asks_on(monkeypatch):
    data = record("Rotation", "ssl4rl/rotation/random-v0", 40, policy="random", split="validation", **SMALL)
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
    data = record("PatchSwap", "ssl4rl/swaps/solver-v0", 3, level="2x2", **SMALL)
    assert all(len(episode.observations["image"]) == len(episode.actions) + 1 for episode in data)
    assert all(episode.terminations[-1] for episode in data)
    said = record("Rotation", "ssl4rl/said/solver-v0", 3, interface="text", prompt_style="think", **SMALL)
    assert all(episode.rewards.sum() == 1 for episode in said)
    assert all(reply.startswith("<think>") for episode in said for reply in episode.actions)


def test_pictures_as_jpeg_are_asked_for_and_warned_of():
    with pytest.warns(UserWarning, match="JPEG"):
        data = record("Rotation", "ssl4rl/small/solver-v0", 3, jpeg=True, **SMALL)
    seen, _ = gym.make("SSL4RL/Rotation-v0", **SMALL).reset(seed=0)
    assert 0 < changed(data, seen) < 64
    with warnings.catch_warnings():
        warnings.filterwarnings("error", message="jpeg=True")
        record("EdgePrediction", "ssl4rl/edges/solver-v0", 2, jpeg=True)  # which shows none


def test_what_is_wrong_is_said():
    with pytest.raises(ValueError, match="'solver' or 'random', got 'expert'"):
        record("Rotation", "ssl4rl/a-v0", 1, policy="expert", **SMALL)
    with pytest.raises(ValueError, match="episodes"):
        record("Rotation", "ssl4rl/a-v0", 0, **SMALL)


def test_chance_and_one_are_the_scores_between_which_is_normalised():
    data = record("Rotation", "ssl4rl/angles/solver-v0", 1, angles=2, **SMALL)
    assert data.storage.metadata["ref_min_score"] == make_task("Rotation", angles=2, **SMALL).chance == 0.5


def test_the_example_records_a_solver_and_a_random_policy():
    returns = example("minari_episodes").main(20)
    assert returns["solver"] == 1
    assert returns["random"] < 0.8


# Minari's own collector, which needs the extra "create"


KINDS: dict[str, tuple[str, dict[str, Any]]] = {
    "pictures": ("SSL4RL/Rotation-v0", SMALL),
    "text": ("SSL4RL/Rotation-v0", {**SMALL, "interface": "text"}),
    "attempts": ("SSL4RL/Rotation-v0", {**SMALL, "attempts": 2, "interface": "text"}),
    "several-steps": ("SSL4RL/PatchSwap-v0", SMALL),
    "pixels": ("SSL4RL/PaintedReconstruction-v0", {**SMALL, "patch_size": 4}),
    "mixture": ("SSL4RL/Mixture-v0", SMALL),
    "graph": ("SSL4RL/WordOfNode-v0", {}),
}


def collect(name: str, episodes: int, **how: Any) -> tuple[Any, list[Any]]:
    """Play random episodes; return the data set, and what was seen."""
    pytest.importorskip("jax")
    env_id, arguments = KINDS[name]
    env = minari.DataCollector(gym.make(env_id, **arguments), record_infos=True, **how)
    env.action_space.seed(0)
    seen = []
    for k in range(episodes):
        shown, info = env.reset(seed=7) if k == 0 else env.reset(options={"minari_autoseed": False})
        episode, done = [(shown, info)], False
        while not done:
            shown, _, terminated, truncated, info = env.step(env.action_space.sample())
            episode.append((shown, info))
            done = terminated or truncated
        seen.append(episode)
    return env.create_dataset(f"ssl4rl/{name}-v0", code_permalink="none", author="a", author_email="b"), seen


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", KINDS)
def test_infos_are_kept_with_observations(name, same):
    data, seen = collect(name, 3, jpeg_encoding=False)
    for episode, expected in zip(data.iterate_episodes(), seen, strict=True):
        for step, (shown, info) in enumerate(expected):
            for key, value in shown.items():
                assert np.array_equal(episode.observations[key][step], value), key
            assert set(info) == set(episode.infos)
            kept = {key: values[step] for key, values in episode.infos.items()}
            words = {key: value.decode() if isinstance(value, bytes) else value for key, value in kept.items()}
            assert all(np.array_equal(words[key], value) for key, value in info.items()), (words, info)
    assert [episode[0][1]["index"] for episode in seen] == [0, 1, 2]
    again = data.recover_environment()
    same(again.reset(seed=7)[0], seen[0][0][0])


@pytest.mark.filterwarnings("ignore")
def test_pictures_are_stored_as_jpeg_unless_it_is_told_not_to():
    """What the guide warns of; if this fails, the warning can go."""
    data, seen = collect("pictures", 1)
    assert 0 < changed(data, seen[0][0][0]) < 64


@pytest.mark.filterwarnings("ignore")
def test_the_page_runs_as_it_is_printed():
    pytest.importorskip("jax")
    run_page("minari")
