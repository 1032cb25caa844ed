"""The example in CleanRL's manner trains, evaluates on held-out pictures, and repeats itself."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import numpy as np
import pytest

FILE = Path(__file__).parents[2] / "examples" / "cleanrl_ppo.py"


@pytest.fixture
def example(monkeypatch):
    import sys

    spec = importlib.util.spec_from_file_location("cleanrl_ppo", FILE)
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, "cleanrl_ppo", module)
    spec.loader.exec_module(module)
    return module


def test_a_few_updates_learn_a_small_rotation(example, capsys):
    """Two angles of small digits: about 0.5 without looking, and well above after 8,192 steps."""
    found = example.main(example.Args(angles=2, total_timesteps=8_192, eval_episodes=500))
    assert found["chance"] == 0.5
    assert found["held out"] > 0.65
    assert "steps/s" in capsys.readouterr().out


def test_equal_seeds_train_alike(example):
    args = example.Args(total_timesteps=512, num_envs=16, eval_episodes=64)
    assert example.main(args) == example.main(args)


def test_unequal_seeds_ask_otherwise(example):
    first, second = (example.make(example.Args(), "train", 4).reset(seed=seed)[0]["image"] for seed in (1, 2))
    assert not np.array_equal(first, second)
