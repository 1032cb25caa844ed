"""Importing the environments is light: no deep-learning library comes along."""

from __future__ import annotations

import json
import subprocess
import sys

import gymnasium as gym
import numpy as np
import pytest
from PIL import Image

CODE = """
import json, sys
import ssl4rl_envs
imported = sorted(name for name in sys.modules if "." not in name)
import gymnasium
made = gymnasium.make("SSL4RL/Rotation-v0", source="faces")
made.reset(seed=0)
made.step(0)
print(json.dumps([imported, sorted(name for name in sys.modules if "." not in name)]))
"""


@pytest.fixture(scope="module")
def modules() -> list[set[str]]:
    run = subprocess.run([sys.executable, "-c", CODE], capture_output=True, text=True, check=True)
    return [set(names) for names in json.loads(run.stdout.splitlines()[-1])]


@pytest.mark.parametrize("name", ["torch", "transformers", "sklearn", "skimage", "stable_baselines3", "tkinter"])
def test_importing_the_environments_does_not_import(modules, name):
    assert "ssl4rl_envs" in modules[0]
    assert name not in modules[0]


@pytest.mark.parametrize("name", ["torch", "transformers", "stable_baselines3", "ssl4rl_agents", "ssl4rl_benchmarks"])
def test_playing_an_episode_does_not_import(modules, name):
    assert name not in modules[1]


FOLDER = """
import json, sys
import gymnasium, ssl4rl_envs
envs = gymnasium.make_vec("SSL4RL/Rotation-v0", num_envs=2, source=sys.argv[1])
envs.reset(seed=0)
envs.step(envs.action_space.sample())
print(json.dumps(sorted(sys.modules)))
"""


def test_a_folder_that_lies_in_the_cache_needs_neither_what_decodes_nor_what_draws(tmp_path, monkeypatch):
    """Every process that is started by itself has its own copy of what it imports."""
    for seed in range(40):
        pixels = np.random.default_rng(seed).integers(0, 256, (24, 24, 3), dtype=np.uint8)
        Image.fromarray(pixels).resize((48, 48)).save(tmp_path / f"{seed}.png")
    source = f"folder:{tmp_path}"
    monkeypatch.setattr("ssl4rl_envs.sources.collection.YOUNG", 0.0)  # so that the next process trusts their times
    gym.make_vec("SSL4RL/Rotation-v0", num_envs=1, source=source)
    run = subprocess.run([sys.executable, "-c", FOLDER, source], capture_output=True, text=True, check=True)
    imported = set(json.loads(run.stdout.splitlines()[-1]))
    assert "ssl4rl_envs.sources.folder" in imported
    assert not {"PIL", "tarfile", "ssl4rl_envs.rendering", "ssl4rl_envs.sources.scenery"} & imported
