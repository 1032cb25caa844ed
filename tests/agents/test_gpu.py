"""What only a GPU shows: bfloat16, real shortage of memory, compiled layers, recorded steps. Skipped where there is none."""

from __future__ import annotations

import copy
import importlib.util
import logging
import math
from typing import Any

import numpy as np
import pytest
import torch

from ssl4rl_agents.agent import load_agent
from ssl4rl_agents.policies import sampling
from ssl4rl_agents.policies.policy import Samples
from ssl4rl_agents.policies.prompts import PromptEncoder
from ssl4rl_agents.policies.vlm import VLMPolicy
from ssl4rl_agents.policies.watch import Watch
from ssl4rl_agents.ppo import reference
from ssl4rl_agents.ppo.trainer import Trainer
from ssl4rl_agents.runs.metrics import read_metrics
from ssl4rl_benchmarks.versus_trl.models import save_model
from tests.agents import zoo
from tests.agents.conftest import UNEQUAL, questions
from tests.agents.tiny_runs import config, train

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no CUDA GPU")

ONE_PASS: dict[str, Any] = {"format_warmup": 0, "optimizer": {"epochs": 1, "minibatches": 1, "warmup_iterations": 0}}


def policy_of(family: str, **settings: Any) -> VLMPolicy:
    """A tiny policy on the GPU whose value head says something."""
    model, processor = zoo.build(family)
    policy = VLMPolicy(model, processor, **{"max_new_tokens": 8, **settings}).eval()
    torch.nn.init.normal_(policy.value_head.weight, std=0.3, generator=torch.Generator().manual_seed(1))
    return policy.cuda()


def asked(family: str) -> dict[str, Any]:
    """Prompts of unequal lengths, with pictures if the family sees them."""
    observations = questions(UNEQUAL)
    return observations if family in zoo.PICTURE_FAMILIES else {"prompt": observations["prompt"]}


@pytest.mark.parametrize("checkpointing", [False, True], ids=["", "recomputed"])
def test_a_gpu_computes_what_a_cpu_does(family, checkpointing, monkeypatch):
    """In float32: log-probabilities, entropies, values and gradients."""
    monkeypatch.setattr(torch.backends.cudnn, "allow_tf32", False)  # which convolutions take for float32 otherwise
    on_gpu = policy_of(family, gradient_checkpointing=checkpointing)
    on_cpu = copy.deepcopy(on_gpu).cpu()
    inputs = on_gpu.encode(asked(family))
    samples = on_gpu.generate(inputs, 2, generator=torch.Generator("cuda").manual_seed(0))
    scored = on_gpu.evaluate(inputs, samples.tokens, samples.mask)
    assert float((samples.logprobs - scored.logprobs.detach()).abs().max()) < 1e-4
    expected = on_cpu.evaluate(on_cpu.encode(asked(family)), samples.tokens.cpu(), samples.mask.cpu())
    for one, two in zip(scored, expected, strict=True):
        torch.testing.assert_close(one.cpu(), two, atol=1e-4, rtol=1e-4)
    for result in (scored, expected):
        (result.logprobs.sum() + result.values.square().sum()).backward()
    learning = [name for name, weight in on_cpu.named_parameters() if weight.grad is not None]
    assert learning == [name for name, weight in on_gpu.named_parameters() if weight.grad is not None]
    gradients = [{name: dict(policy.named_parameters())[name].grad for name in learning} for policy in (on_gpu, on_cpu)]
    largest = max(float(gradient.abs().max()) for gradient in gradients[1].values())
    for name, gradient in gradients[1].items():
        assert float((gradients[0][name].cpu() - gradient).abs().max()) < 1e-4 * largest, name


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"policy": {"gradient_checkpointing": True}},
        {"policy": {"lora_rank": 4}, "objective": {"kl_coefficient": 0.1}},
        {"policy": {"lora_rank": 4, "gradient_checkpointing": True}, "objective": {"advantage": "grpo"}},
    ],
    ids=["all weights", "recomputed", "adapters with their reference", "recomputed adapters"],
)
def test_a_run_in_bfloat16(tmp_path, picture_family, changes):
    zoo.save(picture_family, tmp_path / "model")
    policy = {"model": str(tmp_path / "model"), "max_new_tokens": 8, **changes.get("policy", {})}
    trainer = train(tmp_path / "run", device="auto", **{**ONE_PASS, **changes, "policy": policy})
    assert trainer.device.type == "cuda"
    assert trainer.policy.model.dtype == (torch.bfloat16 if "lora_rank" in policy else torch.float32)
    for values in read_metrics(tmp_path / "run"):
        assert all(math.isfinite(value) for value in values.values())
        assert values["first_ratio_error"] < 0.2  # bfloat16 rounds differently in every batch
        assert values["memory_mb"] > 0
    resumed = Trainer(trainer.config, tmp_path / "run", resume=True, quiet=True)
    for (name, one), two in zip(trainer.policy.state_dict().items(), resumed.policy.state_dict().values(), strict=True):
        assert one.device == two.device
        assert torch.equal(one, two), name


def test_nano_learns_and_its_agent_acts(tmp_path):
    train(tmp_path, device="auto", iterations=2)
    agent = load_agent(tmp_path)
    assert len(agent.act(questions(UNEQUAL), deterministic=True)) == len(UNEQUAL)


def test_passes_are_halved_where_memory_really_runs_out(tmp_path, caplog):
    """With room for the weights and some activations: the run goes on in smaller passes, and remembers them."""
    save_model("qwen-small", tmp_path / "model", list(zoo.CORPUS), torch.float32, "cuda")
    settings = config(
        device="cuda",
        format_warmup=0,
        env_args={"source": "digits", "image_size": 112},
        policy={"model": str(tmp_path / "model")},
        rollout={"prompts": 256, "group_size": 8},
        optimizer={"epochs": 1, "minibatches": 1},
        objective={"advantage": "grpo"},
    )
    trainer = Trainer(settings, tmp_path / "run", quiet=True)
    torch.cuda.empty_cache()
    room = torch.cuda.memory_allocated() + 2 * 2**30
    torch.cuda.set_per_process_memory_fraction(room / torch.cuda.get_device_properties(0).total_memory)
    try:
        with caplog.at_level(logging.WARNING, "ssl4rl_agents"):
            assert trainer.run()
    finally:
        torch.cuda.set_per_process_memory_fraction(1.0)
    found = int(trainer._counters["micro_batch"])
    assert 1 <= found < 256
    assert "out of memory with 256 questions a pass; going on with 128" in caplog.text
    assert caplog.text.count("out of memory") == math.log2(256 / found) + math.log2(
        256 / trainer._counters.get("sampling_batch", 256)
    )


def test_pictures_processed_on_a_gpu_are_those_of_the_processor(picture_family):
    """To the bit, from arrays and from tensors that lie there already; equal pictures travel once."""
    policy = policy_of(picture_family)
    for size in (32, 36, 64):
        pictures = np.random.default_rng(size).integers(0, 256, (4, size, size, 3), dtype=np.uint8)[[0, 1, 2, 3, 1]]
        prompts = ("Angle?", "0 or 90?", "Angle?", "Which?", "0 or 90?")
        expected = PromptEncoder(policy.model, policy.processor)({"image": pictures, "prompt": prompts}, torch.device("cpu"))
        for given in (pictures, torch.from_numpy(pictures).cuda()):
            found = policy.encode({"image": given, "prompt": prompts})
            assert found.pictures.keys() == expected.pictures.keys()
            for name, values in expected.pictures.items():
                assert found.pictures[name].is_cuda
                assert torch.equal(found.pictures[name].cpu(), values), (name, size)
    assert None not in policy.encoder._plans.values()


def sampled(policy: VLMPolicy, inputs: Any, repeats: int = 3, seed: int = 0) -> Samples:
    return policy.generate(inputs, repeats, generator=torch.Generator("cuda").manual_seed(seed))


def same_samples(one: Samples, other: Samples) -> None:
    assert torch.equal(one.tokens, other.tokens)
    assert torch.equal(one.mask, other.mask)
    torch.testing.assert_close(one.logprobs, other.logprobs, atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(one.values, other.values, atol=1e-3, rtol=1e-3)


def ending(family: str, **settings: Any) -> VLMPolicy:
    """A policy whose answers end after some ten tokens."""
    policy = policy_of(family, **settings)
    size = len(policy.processor.tokenizer)
    policy._ends = torch.cat([policy._ends, torch.arange(size - 30, size, device="cuda")])
    return policy


@pytest.mark.parametrize("longest", [6, 80], ids=["side by side", "in rows of their own"])
def test_recorded_steps_sample_what_others_do(family, longest, monkeypatch):
    monkeypatch.setattr(torch.backends.cudnn, "allow_tf32", False)
    policy = ending(family, max_new_tokens=longest)
    inputs = policy.encode(asked(family))
    policy.decoder.static = False
    expected = [sampled(policy, inputs, seed=seed) for seed in range(2)]
    policy.decoder.static = None
    for _ in range(2):  # recorded, and played again
        for seed, samples in enumerate(expected):
            same_samples(sampled(policy, inputs, seed=seed), samples)
    steps = policy.decoder._kept.steps
    assert policy.decoder.static is None
    assert steps is not None
    assert steps.graphs == (family != "paligemma2")
    assert bool(steps._recorded) == steps.graphs
    with torch.no_grad():  # an update moves weights in their places, and recorded steps read them there
        for parameter in policy.model.parameters():
            parameter.mul_(1.05)
    inputs = policy.encode(asked(family))
    now = sampled(policy, inputs)
    assert policy.decoder._kept.steps is steps
    policy.decoder.static = False
    same_samples(now, sampled(policy, inputs))


def test_recorded_steps_under_autocast_say_what_others_do():
    policy = ending("qwen2_5_vl", max_new_tokens=40)
    inputs = policy.encode(asked("qwen2_5_vl"))
    for _ in range(2):
        with torch.autocast("cuda", torch.bfloat16):
            samples = sampled(policy, inputs)
            scored = policy.evaluate(inputs, samples.tokens, samples.mask)
        torch.testing.assert_close(samples.logprobs, scored.logprobs.detach(), atol=0.1, rtol=0.1)
    assert policy.decoder._kept.steps is not None
    assert policy.decoder._kept.steps._recorded


def test_no_step_waits_for_the_gpu(family, monkeypatch):
    policy = ending(family, max_new_tokens=20)
    inputs = policy.encode(asked(family))
    sampled(policy, inputs)
    if family == "paligemma2":
        pytest.skip("its masks are compared in every step")
    inner = policy.decoder.extend

    def extend(*given: Any) -> None:
        torch.cuda.set_sync_debug_mode("error")
        try:
            inner(*given)
        finally:
            torch.cuda.set_sync_debug_mode("default")

    monkeypatch.setattr(policy.decoder, "extend", extend)
    sampled(policy, inputs)


def test_what_is_heard_late_changes_neither_answers_nor_luck(monkeypatch):
    policy = ending("llama", max_new_tokens=70)
    inputs, lucks, found = policy.encode(asked("llama")), [], []
    for late in (False, True):
        monkeypatch.setattr(sampling, "Watch", lambda device, longest, late=late: Watch(device, longest, late=late))
        luck = torch.Generator("cuda").manual_seed(3)
        found.append([policy.generate(inputs, 3, generator=luck) for _ in range(2)])
        lucks.append(luck.get_state())
    assert found[0][0].tokens.shape[1] < 70
    for now, then in zip(*found, strict=True):
        same_samples(now, then)
    assert torch.equal(*lucks)


def test_a_model_whose_steps_cannot_be_recorded_samples_without(caplog):
    """Layers that ask the GPU for a number in the middle of a step."""

    def asks(layer: Any, given: Any, output: Any) -> None:
        output[0].sum().item()

    policy = ending("llama", max_new_tokens=20)
    inputs = policy.encode(asked("llama"))
    before = sampled(policy, inputs)
    policy.decoder._kept.steps = None
    policy.decoder.base.layers[0].register_forward_hook(asks)
    with caplog.at_level(logging.WARNING, "ssl4rl_agents"):
        for _ in range(2):
            same_samples(sampled(policy, inputs), before)
    assert caplog.text.count("cannot be recorded as CUDA graphs") >= 1
    torch.cuda.synchronize()


@pytest.mark.parametrize("advantage", ["grpo", "gae"])
def test_answers_are_passed_again_for_the_sake_of_values_alone(tmp_path, monkeypatch, advantage):
    passes: list[int] = []
    inner = reference.score_again

    def counted(*given: Any) -> Any:
        passes.append(1)
        return inner(*given)

    monkeypatch.setattr(reference, "score_again", counted)
    settings: dict[str, Any] = {**ONE_PASS, "objective": {"advantage": advantage, "kl_coefficient": 0.0}}
    trainer = train(tmp_path, device="auto", iterations=2, **settings)
    assert len(passes) == (2 if advantage == "gae" else 0)
    assert trainer.optimizer.param_groups[0]["fused"]
    resumed = Trainer(trainer.config, tmp_path, resume=True, quiet=True)
    assert {state["step"].device.type for state in resumed.optimizer.state.values()} == {"cuda"}
    assert resumed.iterate()["optimizer_steps"] == 1


def test_compiled_layers_say_the_same():
    plain = policy_of("qwen2_5_vl")
    compiled = copy.deepcopy(plain)
    compiled.compile_layers()
    inputs = plain.encode(asked("qwen2_5_vl"))
    samples = plain.generate(inputs, 2, generator=torch.Generator("cuda").manual_seed(0))
    for one, two in zip(
        *(policy.evaluate(inputs, samples.tokens, samples.mask) for policy in (plain, compiled)), strict=True
    ):
        torch.testing.assert_close(one, two, atol=1e-4, rtol=1e-4)


@pytest.mark.skipif(not importlib.util.find_spec("flash_attn"), reason="flash-attn is not installed")
@pytest.mark.parametrize("name", ["qwen2_5_vl", "llama"])
def test_flash_attention_says_the_same(name):
    model, processor = zoo.build(name)
    eager = VLMPolicy(model.to(torch.bfloat16), processor, max_new_tokens=8).eval().cuda()
    flash_model = copy.deepcopy(model)
    flash_model.set_attn_implementation("flash_attention_2")
    flash = VLMPolicy(flash_model, processor, max_new_tokens=8).eval().cuda()
    inputs = eager.encode(asked(name))
    with torch.autocast("cuda", torch.bfloat16):
        samples = eager.generate(inputs, 2, generator=torch.Generator("cuda").manual_seed(0))
        one, two = (policy.evaluate(inputs, samples.tokens, samples.mask) for policy in (eager, flash))
    torch.testing.assert_close(one.logprobs, two.logprobs, atol=0.1, rtol=0.1)
