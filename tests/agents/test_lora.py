"""Adapters on mixtures of experts: every expert learns, and what is saved, merged or switched off is what it should be."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers as hf
from safetensors.torch import load_file
from torch import nn

from ssl4rl_agents.policies.loading import load_pretrained
from ssl4rl_agents.policies.lora import add_lora
from ssl4rl_agents.policies.nano import build_tokenizer
from ssl4rl_agents.policies.policy import Samples
from ssl4rl_agents.policies.processing import TextProcessor
from ssl4rl_agents.policies.prompts import VLMInputs
from ssl4rl_agents.policies.vlm import VLMPolicy

PROMPTS = ("Angle?", "By how many degrees was this picture turned: 0, 90, 180 or 270?")
SIZES = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2, "num_key_value_heads": 1}
HEADS = {**SIZES, "num_attention_heads": 2}
CHOSEN = {"num_experts": 4, "num_experts_per_tok": 2}
MIXTURES: dict[str, tuple[Any, dict[str, Any]]] = {
    "mixtral": (hf.MixtralConfig, {**HEADS, "num_local_experts": 4}),
    "qwen3": (hf.Qwen3MoeConfig, {**HEADS, **CHOSEN, "moe_intermediate_size": 32}),
    "gpt-oss": (hf.GptOssConfig, {**HEADS, "head_dim": 16, "num_local_experts": 4}),
    "jetmoe": (hf.JetMoeConfig, {**SIZES, "kv_channels": 16, "num_local_experts": 4}),
}


@pytest.fixture(params=MIXTURES)
def folder(request, tmp_path) -> Path:
    """A folder with a random mixture of experts."""
    config_class, settings = MIXTURES[request.param]
    tokenizer = build_tokenizer(PROMPTS)
    ends = {"eos_token_id": tokenizer.eos_token_id, "pad_token_id": tokenizer.pad_token_id}
    torch.manual_seed(0)
    model = hf.AutoModelForCausalLM.from_config(config_class(vocab_size=len(tokenizer), **ends, **settings))
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.ndim > 1:
                parameter.normal_(0, 0.1)
    model.save_pretrained(tmp_path / "base")
    TextProcessor(tokenizer).save_pretrained(tmp_path / "base")
    return tmp_path / "base"


def adapted(folder: Path) -> VLMPolicy:
    """A policy whose adapters say something."""
    policy = VLMPolicy(*load_pretrained(str(folder)), max_new_tokens=6, lora_rank=2)
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for name, parameter in policy.named_parameters():
            if "lora_B" in name:
                parameter.normal_(0, 0.1, generator=generator)
    return policy


def answers_of(policy: VLMPolicy) -> tuple[VLMInputs, Samples]:
    inputs = policy.encode({"prompt": PROMPTS})
    return inputs, policy.generate(inputs, 4, generator=torch.Generator().manual_seed(0))


def said(policy: VLMPolicy, inputs: VLMInputs, samples: Samples) -> torch.Tensor:
    with torch.no_grad():
        return policy.evaluate(inputs, samples.tokens, samples.mask).logprobs


def test_experts_have_adapters_and_these_learn(folder):
    policy = adapted(folder)
    inputs, samples = answers_of(policy)
    policy.evaluate(inputs, samples.tokens, samples.mask).logprobs.sum().backward()
    learning = {name: parameter for name, parameter in policy.model.named_parameters() if parameter.requires_grad}
    assert all("lora_" in name for name in learning)
    assert not [name for name, parameter in learning.items() if parameter.grad is None or not parameter.grad.any()]
    plain = VLMPolicy(*load_pretrained(str(folder)))
    experts = {name.rpartition(".")[0] for name, parameter in plain.model.named_parameters() if parameter.ndim == 3}
    assert experts
    for module in experts:
        assert any(name.startswith(f"{module}.") and "lora_B" in name for name in learning), module


def test_a_fresh_adapter_and_one_switched_off_are_the_model(folder):
    plain, policy = VLMPolicy(*load_pretrained(str(folder)), max_new_tokens=6), adapted(folder)
    inputs, samples = answers_of(plain)
    fresh = VLMPolicy(*load_pretrained(str(folder)), lora_rank=2)
    assert float((said(fresh, inputs, samples) - samples.logprobs).abs().max()) < 1e-5
    changed = said(policy, inputs, samples)
    assert float((changed - samples.logprobs).abs().max()) > 0.01
    with policy.initial():
        assert float((said(policy, inputs, samples) - samples.logprobs).abs().max()) < 1e-5
    assert torch.equal(said(policy, inputs, samples), changed)


def test_saved_adapters_come_back_whole_and_need_nothing_of_ours(folder):
    policy = adapted(folder)
    inputs, samples = answers_of(policy)
    saved = folder.parent / "saved"
    saved.mkdir()
    policy.save(saved)
    learning = [name for name, parameter in policy.model.named_parameters() if parameter.requires_grad]
    assert len(load_file(saved / "adapter_model.safetensors")) == len(learning)
    other = VLMPolicy(*load_pretrained(str(saved)), max_new_tokens=6, lora_rank=2)
    other.load_weights(saved)
    assert float((said(other, inputs, samples) - samples.logprobs).abs().max()) < 1e-5
    plain = hf.AutoModelForCausalLM.from_pretrained(saved)
    with torch.no_grad():
        assert torch.allclose(plain(inputs.input_ids[1:]).logits, policy.model(inputs.input_ids[1:]).logits, atol=1e-5)


def test_merged_experts_say_what_the_adapters_say(folder):
    policy = adapted(folder)
    inputs, samples = answers_of(policy)
    model, processor = load_pretrained(str(folder))
    model.load_state_dict(dict(policy.merged_weights()), strict=True)
    assert float((said(VLMPolicy(model, processor), inputs, samples) - samples.logprobs).abs().max()) < 1e-5


def test_what_adapters_cannot_reach_is_said_with_its_size(caplog):
    class Odd(hf.LlamaForCausalLM):
        def __init__(self, config: Any) -> None:
            super().__init__(config)
            self.mixing = nn.Parameter(torch.ones(5, 7))

    model = Odd(hf.LlamaConfig(vocab_size=50, num_attention_heads=2, **SIZES))
    with caplog.at_level(logging.WARNING, "ssl4rl_agents"):
        add_lora(model, 2, 4, vision=False)
    assert "LoRA leaves 35 parameters of Odd as they are, in layers that it cannot adapt: mixing (35)" in caplog.text


def test_nothing_is_said_where_adapters_reach_everything(folder, caplog):
    with caplog.at_level(logging.WARNING, "ssl4rl_agents"):
        adapted(folder)
    assert "LoRA leaves" not in caplog.text
