"""What only a GPU shows: bfloat16, real shortage of memory, compiled layers. Skipped where there is none."""

from __future__ import annotations

import copy
import importlib.util
import logging
import math
from typing import Any

import pytest
import torch

from ssl4rl_agents.agent import load_agent
from ssl4rl_agents.policies.vlm import VLMPolicy
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
