"""Importing the environments is light: no deep-learning library comes along."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

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
