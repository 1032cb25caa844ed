"""Passes in bfloat16 on a CPU, by choice, over weights that stay float32; and by which kernels an optimizer steps."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from torch import nn

from ssl4rl_agents.policy_settings import PolicyConfig
from ssl4rl_agents.ppo.trainer import Trainer
from ssl4rl_agents.runs import checkpoint
from ssl4rl_agents.runs.metrics import read_metrics
from ssl4rl_agents.runtime.device import autocast, precision
from ssl4rl_agents.runtime.optimizer import build_optimizer
from ssl4rl_agents.runtime.processes import Processes
from ssl4rl_agents.settings import OptimizerConfig
from tests.agents import zoo
from tests.agents.rollouts import ONE
from tests.agents.tiny_runs import config, train

CPU = torch.device("cpu")
BFLOAT16 = {"precision": "bfloat16"}


@pytest.mark.parametrize("advantage", ["gae", "grpo"])
def test_a_run_in_bfloat16_on_a_cpu(tmp_path, monkeypatch, advantage):
    """Layers compute in bfloat16, sampling and update alike; weights and what is learned from are float32."""
    zoo.save("qwen2_5_vl", tmp_path / "model")
    seen: set[torch.dtype] = set()
    forward = nn.Linear.forward

    def listening(self: nn.Linear, given: torch.Tensor) -> torch.Tensor:
        found = forward(self, given)
        if self.out_features > 1:  # all but the value head
            seen.add(found.dtype)
        return found

    settings = config(
        iterations=2,
        format_warmup=1,
        policy={"model": str(tmp_path / "model"), "max_new_tokens": 8, **BFLOAT16},
        optimizer={"epochs": 1, "minibatches": 1, "warmup_iterations": 0},
        objective={"advantage": advantage},
        test_episodes=8,
    )
    trainer = Trainer(settings, tmp_path / "run", quiet=True)  # which checks the model, in the precision of its weights
    monkeypatch.setattr(nn.Linear, "forward", listening)
    assert trainer.run()
    assert seen == {torch.bfloat16}
    assert {parameter.dtype for parameter in trainer.policy.parameters()} == {torch.float32}
    for line in read_metrics(tmp_path / "run"):
        assert all(math.isfinite(value) for value in line.values())
        assert line["first_ratio_error"] < 0.05  # log-probabilities are those of the update's own passes
    resumed = Trainer(trainer.config, tmp_path / "run", resume=True, quiet=True)
    assert resumed.policy.precision == "bfloat16"


def test_by_default_a_cpu_computes_in_float32():
    policy: Any = nn.Linear(2, 2)
    with autocast(policy, CPU):
        assert policy(torch.zeros(1, 2)).dtype == torch.float32
    assert precision(policy, CPU) == torch.float32
    assert precision(policy.to(torch.bfloat16), CPU) == torch.bfloat16
    policy.precision = "bfloat16"
    with autocast(policy.float(), CPU):
        assert policy(torch.zeros(1, 2)).dtype == torch.bfloat16
    assert precision(policy, CPU) == torch.bfloat16


@pytest.mark.parametrize("setting", [BFLOAT16, {"cache": "static"}], ids=["precision", "cache"])
def test_what_does_nothing_for_a_graph_network_is_refused(setting):
    with pytest.raises(ValueError, match=f"policy.{next(iter(setting))} does nothing with a graph network"):
        config(env="SSL4RL/EdgePrediction-v0", env_args={}, policy={"model": "gcn", **setting}).resolved()


@pytest.mark.parametrize(("device", "cut", "expected"), [("cuda", False, True), ("cuda", True, None), ("cpu", False, None)])
def test_a_gpu_steps_by_one_kernel_where_weights_are_whole(monkeypatch, device, cut, expected):
    asked: dict[str, Any] = {}
    adamw = torch.optim.AdamW

    def listening(parameters: Any, **how: Any) -> torch.optim.Optimizer:
        asked.update(how)
        return adamw(parameters, **{**how, "fused": None})

    class There(Processes):
        def __init__(self) -> None:
            super().__init__("cpu")
            self.device, self.sharded = torch.device(device), cut

        def distribute(self, policy: Any, optimizer: Any, *_: Any) -> Any:
            return optimizer

    monkeypatch.setattr(torch.optim, "AdamW", listening)
    build_optimizer(nn.Linear(1, 1), OptimizerConfig(), There(), lambda: ())  # type: ignore[arg-type]
    assert asked["fused"] is expected


def test_a_checkpoint_of_a_gpu_goes_on_by_the_kernels_of_a_cpu(tmp_path):
    trainer = train(tmp_path / "run", iterations=1)
    for group in trainer.optimizer.param_groups:
        group["fused"] = True  # as on a GPU
    checkpoint.save(tmp_path / "there/checkpoints", 1, trainer.policy, trainer.optimizer, trainer._counters, ONE, keep=1)
    found = checkpoint.newest(tmp_path / "there")
    other = build_optimizer(trainer.policy, OptimizerConfig(), ONE, lambda: ())
    checkpoint.load(found, trainer.policy, other, {})
    assert [group["fused"] for group in other.param_groups] == [None]
    assert {value.device.type for state in other.state.values() for value in state.values()} == {"cpu"}


def test_a_policy_config_names_its_precision():
    with pytest.raises(ValueError, match="precision"):
        PolicyConfig(precision="float16")  # type: ignore[arg-type]
