"""Questions whose pictures are drawn where the policy is: what is learned from them is the same, to the last bit."""

from __future__ import annotations

import pytest
import torch

from ssl4rl_agents.ppo import trainer as trainer_module
from ssl4rl_agents.ppo.preparation import drawn_beside
from ssl4rl_agents.ppo.trainer import Trainer
from ssl4rl_envs import make_task
from ssl4rl_envs.on_device import on_device
from tests.agents.tiny_runs import assert_same_weights, config, numbers

MIXED = {"env": "SSL4RL/Mixture-v0", "env_args": {"source": "digits", "level": "two", "image_size": 36}}
GROUPED = {"objective": {"advantage": "grpo"}, "rollout": {"dynamic_sampling": True, "group_size": 2}}


@pytest.mark.parametrize("changes", [{}, MIXED, GROUPED], ids=["nano", "mixture", "dynamic"])
def test_a_run_is_the_same_run(changes, tmp_path, monkeypatch):
    runs = []
    for place in ("host", "device"):
        if place == "device":
            monkeypatch.setattr(trainer_module, "drawn_beside", lambda task, _: on_device(task, "cpu"))
        run = Trainer(config(**{**changes, "iterations": 2}), tmp_path / place, quiet=True)
        run.run()
        runs.append(run)
    assert_same_weights(*runs)
    timings = ("seconds", "per_second", "memory")
    one, other = (
        [{k: v for k, v in row.items() if not any(word in k for word in timings)} for row in numbers(tmp_path / place)]
        for place in ("host", "device")
    )
    assert one == other


def test_pictures_are_drawn_on_a_gpu_where_the_policy_is_on_one():
    task = make_task("SSL4RL/Rotation-v0", source="digits", image_size=36)
    assert drawn_beside(task, torch.device("cpu")) is task
    if torch.cuda.is_available():
        assert drawn_beside(task, torch.device("cuda")).source.device.type == "cuda"
