"""scenes:N: the same scenes as those that are drawn on demand, kept, split by content, with their labels."""

from __future__ import annotations

import numpy as np
import pytest

from ssl4rl_envs import Stream, make_task
from ssl4rl_envs.sources import load_images
from ssl4rl_envs.sources.scene_bank import SIDE, SceneBank
from ssl4rl_envs.sources.scenes import scenes
from ssl4rl_envs.stream import SPLITS


@pytest.fixture(scope="module")
def bank() -> SceneBank:
    return SceneBank(96)


def test_kept_scenes_are_the_drawn_ones(bank):
    drawn = scenes().pixels(scenes().whole(bank.scenes[:10]), SIDE)
    assert all(np.array_equal(bank.picture(item), drawn[item]) for item in range(10))


def test_a_smaller_bank_is_the_beginning_of_a_larger_one(bank):
    small = SceneBank(64)
    assert np.array_equal(small.scenes, bank.scenes[:64])
    for split in SPLITS:
        kept = bank.items(split)
        assert np.array_equal(small.items(split), kept[kept < 64])


def test_labels_are_those_of_the_scenes(bank):
    items = bank.items("test")
    found, expected = bank.labels(items), scenes().labels(bank.scenes[items])
    assert all(np.array_equal(found[name], expected[name], equal_nan=found[name].dtype.kind == "f") for name in expected)


def test_a_bank_is_named_and_built_once():
    assert load_images("scenes:64") is load_images("scenes:64")
    task = make_task("SSL4RL/Rotation-v0", source="scenes:64", image_size=36)
    assert task.sample(Stream("test", [0], [0])).observation["image"].shape == (1, 36, 36, 3)


@pytest.mark.parametrize("name", ["scenes:", "scenes:many", "scenes:-64", "scenes:8", "scenes:1000000"])
def test_sizes_that_cannot_be_are_told(name):
    with pytest.raises(ValueError, match=r"scenes:N (keeps|takes)"):
        load_images(name)
