"""Runs of the trainer over models of transformers: every family, adapters, and text alone."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from gymnasium import spaces
from safetensors import safe_open
from transformers.modeling_layers import GradientCheckpointingLayer

from ssl4rl_agents.policies.build import build_policy
from ssl4rl_agents.policies.language import weights_dtype
from ssl4rl_agents.policies.vlm import VLMPolicy
from ssl4rl_agents.policy_settings import PolicyConfig
from ssl4rl_agents.ppo import trainer as trainer_module
from ssl4rl_agents.ppo.trainer import Trainer
from ssl4rl_agents.runs.checkpoint import newest
from ssl4rl_agents.runs.metrics import read_metrics
from ssl4rl_agents.runs.policy_agent import load_run
from ssl4rl_agents.settings import TrainConfig
from ssl4rl_envs import Stream, Task
from ssl4rl_envs.answers import AnswerFormat
from ssl4rl_envs.task import Batch, Score, exact_score
from tests.agents import zoo
from tests.agents.tiny_runs import assert_same_weights, config, halt_after, numbers

QUICK: dict[str, Any] = {
    "format_warmup": 0,
    "iterations": 2,
    "eval_every": 2,
    "eval_episodes": 4,
    "rollout": {"prompts": 4, "group_size": 2},
    "optimizer": {"minibatches": 2, "epochs": 1, "learning_rate": 1e-3},
}


class Words(Task):
    """Which number was named? Without a picture."""

    asks = "which number was named"

    def __init__(self) -> None:
        self.images = ()
        self.observation_space = spaces.Dict({})
        self.action_space = spaces.Discrete(3)
        self.answer_format = AnswerFormat(labels=("0", "1", "2"))
        self.chance = 1 / 3

    def make(self, stream: Stream) -> Batch:
        target = stream.integers(0, 3)
        return Batch({}, target, np.arange(len(target)))

    def score(self, answers: np.ndarray, batch: Batch) -> Score:
        return exact_score(answers, batch.target)

    def question(self, batch: Batch) -> list[str]:
        return [f"Say {target}." for target in batch.target]

    def example(self) -> int:
        return 1


def settings(model: Path, **changes: Any) -> TrainConfig:
    policy = {"model": str(model), "max_new_tokens": 16, **changes.pop("policy", {})}
    return config(**{**QUICK, **changes, "policy": policy})


def test_every_family_is_trained_and_loaded_again(picture_family, tmp_path):
    zoo.save(picture_family, tmp_path / "model")
    trainer = Trainer(settings(tmp_path / "model", objective={"entropy_coefficient": 0.1}), tmp_path / "run", quiet=True)
    before = {name: p.detach().clone() for name, p in trainer.policy.named_parameters()}
    assert trainer.run()
    for line in read_metrics(tmp_path / "run"):
        assert line["first_ratio_error"] < 1e-4
        assert line["skipped_steps"] == 0
        assert line["grad_norm"] > 0
    changed = {name for name, p in trainer.policy.named_parameters() if not torch.equal(p, before[name])}
    for part in ("layers", "vis"):
        assert any(part in name for name in changed), part
    agent = load_run(tmp_path / "run")
    for (name, a), (_, b) in zip(trainer.policy.state_dict().items(), agent.policy.state_dict().items(), strict=True):
        assert torch.equal(a, b), name


@pytest.mark.parametrize("lora_rank", [pytest.param(0, marks=pytest.mark.slow), 8])
def test_a_model_without_eyes_learns_a_task_without_pictures(tmp_path, monkeypatch, lora_rank):
    """A language model that knows how an answer is written, and nothing else, as a pretrained one would."""
    monkeypatch.setattr(trainer_module, "make_task", lambda *_, **__: Words())
    zoo.save("llama", tmp_path / "fresh")
    questions = {"rollout": {"prompts": 32, "group_size": 4}, "eval_every": 100}
    taught = settings(tmp_path / "fresh", format_warmup=60, format_learning_rate=3e-3, iterations=1, **questions)
    Trainer(taught, tmp_path / "taught", quiet=True).run()
    some = settings(
        tmp_path / "taught" / "checkpoints" / "iteration-000000",
        iterations=30,
        policy={"lora_rank": lora_rank},
        **{**questions, "optimizer": {"epochs": 2, "learning_rate": 3e-3 if lora_rank else 1e-3, "warmup_iterations": 0}},
        objective={"kl_coefficient": 0.05},
    )
    trainer = Trainer(some, tmp_path / "run", quiet=True)
    before = trainer.measure("test", 64).success
    assert trainer.run()
    assert before < 0.5
    assert trainer.measure("test", 64).success > 0.8


def test_the_reference_is_what_the_format_warm_up_left(tmp_path):
    """Adapters switched off would go back to a model that cannot yet write an answer."""
    zoo.save("llava", tmp_path / "model")
    some = settings(tmp_path / "model", format_warmup=3, policy={"lora_rank": 2}, objective={"kl_coefficient": 0.1})
    trainer = Trainer(some, tmp_path / "run", quiet=True)
    trainer.run()
    assert read_metrics(tmp_path / "run")[0]["kl/reference"] == pytest.approx(0, abs=1e-6)
    assert (tmp_path / "run" / "reference").exists()


def test_a_run_of_adapters_is_resumed_bit_for_bit(tmp_path):
    zoo.save("qwen2_5_vl", tmp_path / "model")
    some = settings(
        tmp_path / "model", iterations=4, save_every=2, policy={"lora_rank": 2}, objective={"kl_coefficient": 0.1}
    )
    unbroken = Trainer(some, tmp_path / "unbroken", quiet=True)
    assert unbroken.run()
    halted = Trainer(some, tmp_path / "halted", quiet=True)
    halt_after(halted, 2)
    resumed = Trainer(some, tmp_path / "halted", resume=True, quiet=True)
    assert resumed.resumed
    assert resumed.run()
    assert numbers(resumed.out) == numbers(unbroken.out)
    assert_same_weights(resumed, unbroken)


def test_adapters_need_no_copy_for_the_reference_and_leave_the_model_alone(tmp_path):
    zoo.save("llava", tmp_path / "model")
    some = settings(
        tmp_path / "model", policy={"lora_rank": 2}, objective={"kl_coefficient": 0.1, "entropy_coefficient": 0.1}
    )
    trainer = Trainer(some, tmp_path / "run", quiet=True)
    frozen = {n: p.detach().clone() for n, p in trainer.policy.named_parameters() if not p.requires_grad}
    assert trainer.run()
    lines = read_metrics(tmp_path / "run")
    assert lines[0]["kl/reference"] == pytest.approx(0, abs=1e-6)
    assert abs(lines[1]["kl/reference"]) > 1e-6
    assert not (tmp_path / "run" / "reference").exists()
    assert all(torch.equal(p, frozen[n]) for n, p in trainer.policy.named_parameters() if n in frozen)
    with safe_open(newest(tmp_path / "run") / "adapter_model.safetensors", "pt") as file:
        assert all("lora_" in name for name in file.keys())  # noqa: SIM118 (not a dictionary)


def test_what_is_computed_again_gives_the_same_run(tmp_path):
    zoo.save("qwen2_5_vl", tmp_path / "model")
    runs = []
    for checkpointing in (False, True):
        some = settings(tmp_path / "model", objective={"entropy_coefficient": 0.1})
        some = dataclasses.replace(some, policy=dataclasses.replace(some.policy, gradient_checkpointing=checkpointing))
        trainer = Trainer(some, tmp_path / f"run{checkpointing}", quiet=True)
        assert trainer.run()
        runs.append(read_metrics(trainer.out))
    for plain, thrifty in zip(*runs, strict=True):
        assert thrifty["grad_norm"] == pytest.approx(plain["grad_norm"], rel=1e-3)
        assert thrifty["entropy"] == pytest.approx(plain["entropy"], rel=1e-3)


def test_the_folder_of_a_model_that_is_missing_is_named(tmp_path):
    with pytest.raises(OSError, match="no-such-folder"):
        Trainer(settings(tmp_path / "no-such-folder"), tmp_path / "run", quiet=True)
    assert not (tmp_path / "run").exists()


# What the settings build


@pytest.fixture
def build(tmp_path, task) -> Callable[..., VLMPolicy]:
    """The function (seed=0, **settings of PolicyConfig) -> a policy over a LLaVA from a folder."""
    zoo.save("llava", tmp_path / "model")

    def build(seed: int = 0, **changes: Any) -> VLMPolicy:
        some = PolicyConfig(model=str(tmp_path / "model"), **changes)
        return build_policy(some, task, seed, torch.device("cpu"))

    return build


@pytest.mark.parametrize(
    ("weights", "lora_rank", "device", "expected"),
    [
        ("auto", 0, "cuda", torch.float32),
        ("auto", 4, "cpu", torch.float32),
        ("auto", 4, "cuda", torch.bfloat16),
        ("bfloat16", 0, "cpu", torch.bfloat16),
        ("float32", 4, "cuda", torch.float32),
    ],
)
def test_weights_that_adapters_leave_alone_are_kept_small_on_a_gpu(weights, lora_rank, device, expected):
    assert weights_dtype(PolicyConfig(weights=weights, lora_rank=lora_rank), torch.device(device)) == expected


def test_what_learns_beside_small_weights_is_float32(build):
    policy = build(weights="bfloat16", lora_rank=2)
    types = {(parameter.requires_grad, parameter.dtype) for parameter in policy.parameters()}
    assert types == {(True, torch.float32), (False, torch.bfloat16)}


def test_equal_seeds_give_equal_adapters(build):
    def adapters(seed: int) -> list[torch.Tensor]:
        named = build(seed, lora_rank=2).named_parameters()
        return [parameter for name, parameter in named if "lora_A" in name]

    assert all(torch.equal(a, b) for a, b in zip(adapters(1), adapters(1), strict=True))
    assert not any(torch.equal(a, b) for a, b in zip(adapters(1), adapters(2), strict=True))


@pytest.mark.parametrize(("lora_alpha", "scale"), [(None, 2.0), (12, 3.0)])
def test_adapters_are_scaled_by_alpha_over_rank(build, lora_alpha, scale):
    model = build(lora_rank=4, lora_alpha=lora_alpha).model
    scales = {module.scaling["default"] for module in model.modules() if hasattr(module, "lora_A")}
    assert scales == {scale}


@pytest.mark.parametrize("freeze_vision", [False, True])
def test_adapters_are_for_the_tower_too_unless_it_is_frozen_and_never_for_the_head(build, freeze_vision):
    policy = build(lora_rank=2, freeze_vision=freeze_vision)
    adapted = {name for name, _ in policy.named_parameters() if "lora_" in name}
    assert any("layers" in name for name in adapted)
    for part in ("vision_tower", "multi_modal_projector"):
        assert any(part in name for name in adapted) != freeze_vision, part
    assert not any("lm_head" in name for name in adapted)


def test_settings_of_a_model_reach_it(build, monkeypatch):
    compiled: list[VLMPolicy] = []
    monkeypatch.setattr(VLMPolicy, "compile_layers", lambda policy: compiled.append(policy))
    plain = build()
    assert not compiled
    policy = build(compile=True, attention="eager", gradient_checkpointing=True)
    assert compiled == [policy]
    assert (plain.decoder.attention, policy.decoder.attention) == ("sdpa", "eager")
    layers = [layer for layer in policy.model.modules() if isinstance(layer, GradientCheckpointingLayer)]
    assert layers
    assert all(layer.gradient_checkpointing for layer in layers)
    assert build(freeze_vision=True).freeze_vision
    assert plain.model.dtype == torch.float32
    assert build(weights="bfloat16").model.dtype == torch.bfloat16
