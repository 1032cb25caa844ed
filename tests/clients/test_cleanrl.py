"""The example in CleanRL's manner trains, evaluates on held-out pictures, and repeats itself."""

from __future__ import annotations

import numpy as np
import pytest

from tests.clients.partner import example


@pytest.fixture(scope="module")
def cleanrl():
    return example("cleanrl_ppo")


def test_a_few_updates_learn_a_small_rotation(cleanrl, capsys):
    """Two angles of small digits: about 0.5 without looking, and well above after 8,192 steps."""
    found = cleanrl.main(cleanrl.Args(angles=2, total_timesteps=8_192, eval_episodes=500))
    assert found["chance"] == 0.5
    assert found["held out"] > 0.65
    assert "steps/s" in capsys.readouterr().out


def test_equal_seeds_train_alike(cleanrl):
    args = cleanrl.Args(total_timesteps=512, num_envs=16, eval_episodes=64)
    assert cleanrl.main(args) == cleanrl.main(args)


def test_unequal_seeds_ask_otherwise(cleanrl):
    first, second = (cleanrl.make(cleanrl.Args(), "train", 4).reset(seed=seed)[0]["image"] for seed in (1, 2))
    assert not np.array_equal(first, second)
