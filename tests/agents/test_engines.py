"""Rollouts by another engine: the contract, kept by a fake one."""

from __future__ import annotations

import dataclasses
import sys
from collections.abc import Iterable
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from ssl4rl_agents.policies.vlm import VLMPolicy
from ssl4rl_agents.ppo import losses
from ssl4rl_agents.ppo.trainer import Trainer
from ssl4rl_agents.runs.metrics import read_metrics
from ssl4rl_agents.runtime.samplers import Reply, Request, Sampler, Sampling, VLLMSampler, sample_by, to_samples
from ssl4rl_agents.settings import TrainConfig
from tests.agents import zoo

SAMPLING = Sampling(max_tokens=4, temperature=1.0, ends=[2, 3], unsaid=[7], seed=5)


class FakeEngine:
    """An engine of the same family that keeps its weights in bfloat16, so its numbers are not quite the policy's."""

    def __init__(self, model: Any, processor: Any) -> None:
        self.model = model
        self.policy = VLMPolicy(model, processor, max_new_tokens=64)
        self.loads = 0
        self.seeds: list[int] = []

    def load(self, weights: Iterable[tuple[str, Tensor]]) -> None:
        self.model.load_state_dict({name: value.bfloat16().float() for name, value in weights}, strict=True)
        self.loads += 1

    def sample(self, requests: list[Request], repeats: int, sampling: Sampling) -> list[Reply]:
        self.seeds.append(sampling.seed)
        policy = self.policy
        policy.max_new_tokens, policy.temperature = sampling.max_tokens, sampling.temperature
        columns = [np.stack(column) for column in zip(*(request.pictures for request in requests), strict=True)]
        policy.encoder._read = lambda *_: ([request.text for request in requests], columns)  # type: ignore[method-assign]
        generator = torch.Generator().manual_seed(sampling.seed % 2**63)
        samples = policy.generate(policy.encode({}), repeats, generator=generator)
        return [
            Reply(tokens[mask].tolist(), logprobs[mask].tolist())
            for tokens, mask, logprobs in zip(samples.tokens, samples.mask, samples.logprobs, strict=True)
        ]


def test_the_fake_keeps_the_contract():
    assert isinstance(FakeEngine(*zoo.build("llama")), Sampler)


def test_replies_become_samples():
    replies = [Reply([5, 6, 2], [-1.0, -2.0, -0.5]), Reply([3], [-0.25]), Reply([5, 5, 5, 5], [-1.0] * 4)]
    samples = to_samples(replies, SAMPLING, pad=9, device=torch.device("cpu"))
    assert samples.tokens.tolist() == [[5, 6, 2, 9], [3, 9, 9, 9], [5, 5, 5, 5]]
    assert samples.mask.sum(1).tolist() == [3, 1, 4]
    assert samples.truncated.tolist() == [False, False, True]
    assert samples.sampler_logprobs.tolist() == [[-1.0, -2.0, -0.5, 0.0], [-0.25, 0.0, 0.0, 0.0], [-1.0] * 4]
    assert not samples.logprobs.any()


@pytest.mark.parametrize(
    "reply",
    [Reply([], []), Reply([5] * 5, [-1.0] * 5), Reply([5, 6], [-1.0]), Reply([7, 2], [-1.0] * 2), Reply([2, 5], [-1.0] * 2)],
    ids=["empty", "too long", "a log-probability is missing", "forbidden token", "goes on after its end"],
)
def test_an_engine_that_breaks_the_contract_is_an_error(reply):
    with pytest.raises(ValueError, match="the engine gave an answer"):
        to_samples([reply], SAMPLING, pad=0, device=torch.device("cpu"))


@pytest.mark.parametrize("lora_rank", [0, 3])
def test_weights_are_handed_over_whole(family, lora_rank):
    """The engine's model, filled with what the policy hands over, says what the policy says."""
    policy = VLMPolicy(*zoo.build(family, seed=1), lora_rank=lora_rank)
    with torch.no_grad():
        for name, parameter in policy.named_parameters():
            if "lora_" in name:
                parameter.normal_(0, 0.1)
    other, processor = zoo.build(family, seed=2)
    before = VLMPolicy(other, processor)
    other.load_state_dict(dict(policy.merged_weights()), strict=True)
    pictures = np.random.default_rng(0).integers(0, 256, (2, 36, 36, 3), dtype=np.uint8)
    seen = {} if family in zoo.TEXT_FAMILIES else {"image": pictures}
    observations = {"prompt": ("Angle?", "Angle 12?"), **seen}
    tokens, mask = policy.encode_answers(["9", "0"])
    with torch.no_grad():
        ours, theirs = (p.evaluate(p.encode(observations), tokens, mask).logprobs for p in (policy, before))
    assert float((ours - theirs).abs().max()) < 1e-4


def test_an_engine_is_asked_to_sample_as_the_policy_would(monkeypatch):
    model, processor = zoo.build("qwen2_5_vl")
    model.generation_config.eos_token_id = [3, 5]
    policy = VLMPolicy(model, processor, max_new_tokens=7, temperature=0.6)
    engine, told = FakeEngine(model, processor), []

    def sample(requests: list[Request], repeats: int, sampling: Sampling) -> list[Reply]:
        told.append((requests, repeats, sampling))
        return [Reply([5], [-1.0])] * repeats

    monkeypatch.setattr(engine, "sample", sample)
    picture = np.zeros((1, 36, 36, 3), np.uint8)
    sample_by(engine, policy, {"prompt": ("Angle?",), "image": picture}, 2, torch.Generator().manual_seed(0))
    ((request,), repeats, sampling) = told[0]
    assert (repeats, sampling.max_tokens, sampling.temperature, sampling.ends) == (2, 7, 0.6, [3, 5])
    tokens = processor.tokenizer.convert_ids_to_tokens(sampling.unsaid)
    assert tokens == ["<|image_pad|>", "<|video_pad|>"]
    assert request.text.count("<|image_pad|>") == len(request.pictures) == 1


def test_without_vllm_the_error_says_what_to_do():
    with pytest.raises(ImportError, match=r"pip install vllm.*rollout.engine 'policy'"):
        VLLMSampler("some/model")


def test_vllm_is_asked_as_it_wants_to_be(monkeypatch):
    """A module in vLLM's place that answers as vLLM's documentation says."""
    asked: dict[str, Any] = {}

    class LLM:
        def __init__(self, model: str, **settings: Any) -> None:
            asked["model"], asked["settings"] = model, settings
            runner = SimpleNamespace(model=SimpleNamespace(load_weights=lambda weights: asked.update(weights=list(weights))))
            worker = SimpleNamespace(driver_worker=SimpleNamespace(model_runner=runner))
            self.llm_engine = SimpleNamespace(model_executor=worker)

        def reset_prefix_cache(self) -> None:
            asked["forgot"] = True

        def generate(self, prompts: Any, parameters: Any, use_tqdm: bool) -> Any:
            asked["prompts"], asked["parameters"] = prompts, parameters
            token = SimpleNamespace(logprob=-0.5)
            answer = SimpleNamespace(token_ids=(4, 2), logprobs=[{4: token}, {2: token}])
            return [SimpleNamespace(outputs=[answer] * one["n"]) for one, _ in zip(parameters, prompts, strict=True)]

    module = ModuleType("vllm")
    module.LLM, module.SamplingParams = LLM, lambda **settings: settings  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "vllm", module)
    engine = VLLMSampler("some/model", memory=0.3)
    assert isinstance(engine, Sampler)
    picture = np.zeros((4, 6, 3), np.uint8)
    engine.load([("a", torch.ones(1))])
    replies = engine.sample([Request("<image>Angle?", [picture]), Request("What?", [])], 2, SAMPLING)
    assert replies == [Reply([4, 2], [-0.5, -0.5])] * 4
    assert asked["model"] == "some/model"
    assert asked["settings"]["gpu_memory_utilization"] == 0.3
    assert asked["settings"]["logprobs_mode"] == "processed_logprobs"
    assert [name for name, _ in asked["weights"]] == ["a"]
    assert asked["forgot"]
    parameters, other = asked["parameters"]
    assert other["seed"] == 6
    assert (parameters["n"], parameters["max_tokens"], parameters["temperature"]) == (2, 4, 1.0)
    assert parameters["stop_token_ids"] == [2, 3]
    assert parameters["logit_bias"] == {7: -100.0}
    assert parameters["seed"] == 5
    assert asked["prompts"][0]["multi_modal_data"]["image"][0].size == (6, 4)
    assert asked["prompts"][1] == {"prompt": "What?"}


def config(model: Any, **changes: Any) -> TrainConfig:
    return TrainConfig.from_json(
        {
            "env_args": {"source": "digits", "image_size": 36},
            "iterations": 2,
            "format_warmup": 0,
            "eval_every": 2,
            "eval_episodes": 8,
            "test_episodes": 8,
            "policy": {"model": str(model), "max_new_tokens": 6},
            "rollout": {"prompts": 4, "group_size": 2},
            "optimizer": {"minibatches": 1, "epochs": 1, "learning_rate": 1e-3},
            "objective": {"advantage": "reinforce++"},
            "device": "cpu",
            **changes,
        }
    )


@pytest.mark.parametrize("lora_rank", [0, 2])
def test_a_run_learns_from_an_engines_answers(tmp_path, lora_rank):
    zoo.save("qwen2_5_vl", tmp_path / "model")
    engine = FakeEngine(*zoo.build("qwen2_5_vl", seed=9))
    settings = config(tmp_path / "model")
    settings = dataclasses.replace(settings, policy=dataclasses.replace(settings.policy, lora_rank=lora_rank))
    trainer = Trainer(settings, tmp_path / "run", sampler=engine, quiet=True)
    before = [parameter.detach().clone() for parameter in trainer.policy.parameters()]
    assert trainer.run()
    assert engine.loads == 2
    assert len(set(engine.seeds)) == 2
    moved = [not torch.equal(a, b) for a, b in zip(before, trainer.policy.parameters(), strict=True)]
    lines = read_metrics(tmp_path / "run")
    for line in lines:
        # The engine's weights are the policy's, rounded: nearly its probabilities, but not quite.
        assert 0.5 < line["importance/mean"] < 1.5
        assert line["importance/max"] != 1.0
        assert line["first_ratio_error"] < 1e-4  # the policy's own numbers are what the update starts from
    assert any(moved) == any(line["grad_norm"] > 0 for line in lines)


def test_an_engine_answers_every_turn_of_an_episode(tmp_path):
    zoo.save("llava", tmp_path / "model")
    engine = FakeEngine(*zoo.build("llava", seed=9))
    swaps = {"env": "SSL4RL/PatchSwap-v0", "env_args": {"source": "digits", "image_size": 36, "grid": 2, "max_steps": 4}}
    trainer = Trainer(config(tmp_path / "model", **swaps), tmp_path / "run", sampler=engine, quiet=True)
    assert trainer.run()
    assert engine.loads == 2
    assert len(set(engine.seeds)) == 8, "another one each turn"
    for line in read_metrics(tmp_path / "run"):
        assert line["turns/max"] == 4
        assert line["first_ratio_error"] < 1e-4


def test_an_engine_sees_one_question_at_a_time(tmp_path):
    zoo.save("llava", tmp_path / "model")
    settings = config(tmp_path / "model", rollout={"prompts": 4, "group_size": 2, "context": "episode"})
    with pytest.raises(ValueError, match="another engine answers single questions"):
        Trainer(settings, tmp_path / "run", sampler=FakeEngine(*zoo.build("llava")), quiet=True)


def test_the_importance_of_an_engines_tokens_is_cut_off(tmp_path, monkeypatch):
    """An engine that never got the weights samples from quite another model; its tokens weigh at most the cap."""
    zoo.save("llava", tmp_path / "model", seed=1)
    engine = FakeEngine(*zoo.build("llava", seed=9))
    monkeypatch.setattr(engine, "load", lambda _: None)
    seen: list[Tensor] = []
    weigh = losses.importance_weights

    def watched(*arguments: Any) -> Tensor:
        seen.append(weigh(*arguments))
        return seen[-1]

    monkeypatch.setattr(losses, "importance_weights", watched)
    Trainer(config(tmp_path / "model"), tmp_path / "run", sampler=engine, quiet=True).run()
    assert seen
    assert max(float(weights.max()) for weights in seen) <= 2.0
    assert max(line["importance/max"] for line in read_metrics(tmp_path / "run")) > 2.0


def test_an_engine_is_named_by_the_settings(tmp_path):
    with pytest.raises(ValueError, match="does not know nano"):
        Trainer(config("nano", rollout={"engine": "vllm"}), tmp_path / "run", quiet=True)
    zoo.save("llava", tmp_path / "model")
    with pytest.raises(ImportError, match="pip install vllm"):
        Trainer(config(tmp_path / "model", rollout={"engine": "vllm"}), tmp_path / "run", quiet=True)
    assert not (tmp_path / "run").exists()
