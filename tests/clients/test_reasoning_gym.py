"""reasoning-gym: our questions in its registry and its composites (seen with 0.1.25)."""

from __future__ import annotations

import pytest

from ssl4rl_envs import rows
from tests.clients.partner import example

reasoning_gym = pytest.importorskip("reasoning_gym")


@pytest.fixture(autouse=True)
def registered():
    from ssl4rl_envs.bridges.reasoning_gym import register

    register()
    register()  # a second time changes nothing


def test_items_are_rows_and_are_scored_as_steps_are():
    data = reasoning_gym.create_dataset("ssl4rl", env_id="SSL4RL/NeighborChoice-v0", seed=7, size=4)
    same = list(rows("SSL4RL/NeighborChoice-v0", 4, seed=7))
    assert [item["question"] for item in data] == [row["prompt"][0]["content"] for row in same]
    for item, row in zip(data, same, strict=True):
        assert item["answer"] == row["answer"]
        assert data.score_answer(row["answer"], item) == 1.0
        assert data.score_answer(f"<answer>{row['answer']}</answer>", item) == 1.0
        for reply in (None, "", f"It is {row['answer']}, I think", "<answer></answer>"):
            assert data.score_answer(reply, item) == 0.0
    with pytest.raises(IndexError, match="0 to 3"):
        data[4]


def test_pictures_are_handed_on():
    data = reasoning_gym.create_dataset("ssl4rl", env_id="SSL4RL/Rotation-v0", size=1, args={"source": "faces"})
    assert data[0]["images"][0].mode == "RGB"


def test_wrong_arguments_are_errors_as_the_dataset_is_made():
    with pytest.raises(TypeError, match="colour"):
        reasoning_gym.create_dataset("ssl4rl", args={"colour": 1})
    with pytest.raises(ValueError, match="decisions"):
        reasoning_gym.create_dataset("ssl4rl", env_id="SSL4RL/PatchSwap-v0")


def test_ours_and_theirs_in_one_composite():
    data = example("reasoning_gym_composite").mixed(size=12)
    items = list(data)
    assert {item["metadata"]["source_dataset"] for item in items} == {"ssl4rl", "leg_counting"}
    assert [data.score_answer(item["answer"], item) for item in items] == [1.0] * 12
