"""Minari's collector keeps episodes with all that `info` says (seen with minari 0.5.4)."""

from __future__ import annotations

import sys
from typing import Any

import gymnasium as gym
import numpy as np
import pytest

from tests.clients.pages import run_page

minari = pytest.importorskip("minari")
for _needed in ("h5py", "jax"):  # of its extra "create"
    pytest.importorskip(_needed)

SMALL: dict[str, Any] = {"source": "digits", "image_size": 36}
KINDS: dict[str, tuple[str, dict[str, Any]]] = {
    "pictures": ("SSL4RL/Rotation-v0", SMALL),
    "text": ("SSL4RL/Rotation-v0", {**SMALL, "interface": "text"}),
    "attempts": ("SSL4RL/Rotation-v0", {**SMALL, "attempts": 2, "interface": "text"}),
    "several-steps": ("SSL4RL/PatchSwap-v0", SMALL),
    "pixels": ("SSL4RL/PaintedReconstruction-v0", {**SMALL, "patch_size": 4}),
    "mixture": ("SSL4RL/Mixture-v0", SMALL),
    "graph": ("SSL4RL/WordOfNode-v0", {}),
}


@pytest.fixture(autouse=True)
def elsewhere(tmp_path, monkeypatch):
    monkeypatch.setenv("MINARI_DATASETS_PATH", str(tmp_path))


def collect(name: str, episodes: int, **how: Any) -> tuple[Any, list[Any]]:
    """Play random episodes; return the data set, and what was seen."""
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
    kept, shown = next(iter(data.iterate_episodes())).observations["image"][0], seen[0][0][0]["image"]
    worst = np.abs(kept.astype(int) - shown.astype(int)).max()
    assert 0 < worst < 100, (worst, sys.version)


@pytest.mark.filterwarnings("ignore")
def test_the_page_runs_as_it_is_printed():
    run_page("minari")
