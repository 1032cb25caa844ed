"""DeepSpeed's settings: what is taken over, what is ours, what is refused. How it trains is tested in two processes."""

from __future__ import annotations

import importlib.util
from typing import Any

import pytest
import torch

from ssl4rl_agents.ppo.trainer import Trainer
from ssl4rl_agents.runtime import deepspeed
from ssl4rl_agents.runtime.processes import Processes, launched
from tests.agents.tiny_runs import config, tasks_built_once  # noqa: F401

ALONE = {"WORLD_SIZE": "1", "RANK": "0", "LOCAL_RANK": "0", "MASTER_ADDR": "localhost"}


def settings(stage: int = 2, **more: Any) -> dict[str, Any]:
    """What accelerate makes of its flags, in short."""
    return {"zero_optimization": {"stage": stage}, "train_batch_size": "auto", "gradient_clipping": "auto", **more}


@pytest.mark.parametrize("stage", [1, 2, 3])
def test_the_stage_is_taken_over(stage):
    assert deepspeed.stage_of(settings(stage, bf16={"enabled": False}, fp16={"enabled": "auto"})) == stage


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        (settings(0), "stage 0, which keeps everything whole; leave DeepSpeed out"),
        ({"zero_optimization": {}}, "stage 0"),
        (settings(optimizer={"type": "Adam"}), "hold 'optimizer', which the run's own settings decide"),
        (settings(scheduler={"type": "WarmupLR"}), "hold 'scheduler'"),
        (settings(bf16={"enabled": True}), "switch on bf16"),
        (settings(fp16={"enabled": "true"}), "switch on fp16"),
        (settings(torch_autocast={"enabled": True}), "switch on torch_autocast"),
    ],
)
def test_settings_that_decide_what_a_run_decides_are_refused(asked, message):
    with pytest.raises(ValueError, match=message):
        deepspeed.stage_of(asked)


@pytest.mark.parametrize("device", ["cpu", "cuda"])
def test_what_was_left_open_is_left_to_deepspeed_and_what_is_ours_is_set(device):
    asked = settings(3)
    asked["zero_optimization"] |= {
        "reduce_bucket_size": "auto",
        "stage3_max_live_parameters": 5,
        "offload_param": {"device": "cpu"},
    }
    found = deepspeed.engine_settings(asked, torch.device(device), 0.5)
    assert found["zero_optimization"] == {"stage": 3, "stage3_max_live_parameters": 5, "offload_param": {"device": "cpu"}}
    assert "train_batch_size" not in found
    assert found["gradient_clipping"] == 0.5
    assert found["gradient_accumulation_steps"] == found["train_micro_batch_size_per_gpu"] == 1
    assert found["torch_autocast"]["enabled"] == (device == "cuda")
    assert found["torch_autocast"]["lower_precision_safe_modules"] == []  # whose gradients would be sent in bfloat16
    assert asked["zero_optimization"]["reduce_bucket_size"] == "auto"  # a second engine reads it too


def test_a_missing_deepspeed_is_named_with_the_command_that_brings_it(monkeypatch):
    for name, value in {**ALONE, "ACCELERATE_USE_DEEPSPEED": "true"}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(ImportError, match=r"not installed: pip install .*\[deepspeed\]'"):
        Processes("cpu")


def test_one_process_is_launched_for_the_sake_of_deepspeed_alone(monkeypatch):
    for name, value in ALONE.items():
        monkeypatch.setenv(name, value)
    assert not launched()
    monkeypatch.setenv("ACCELERATE_USE_DEEPSPEED", "true")
    assert launched()


@pytest.mark.parametrize(
    ("objective", "message"),
    [
        ({"target_kl": 0.1}, "target_kl drops gradients"),
        ({"critic_warmup_iterations": 1}, "critic_warmup_iterations lets weights rest"),
    ],
)
def test_what_deepspeed_cannot_is_refused(tmp_path, objective, message):
    processes = Processes("cpu")
    processes.deepspeed = True
    with pytest.raises(ValueError, match=message):
        Trainer(config(objective=objective), tmp_path / "run", quiet=True, processes=processes)
    assert not (tmp_path / "run").exists()
