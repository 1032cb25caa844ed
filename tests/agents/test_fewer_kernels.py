"""What is done in fewer kernels than transformers and peft do it, and says the same: adapters, norms, windows of towers."""

from __future__ import annotations

import copy
from typing import Any

import peft
import pytest
import torch
from torch import nn

from ssl4rl_agents.policies import fused_norms
from ssl4rl_agents.policies.fused_norms import fuse_norms
from ssl4rl_agents.policies.slim_lora import SlimAdapters, SlimLinear
from ssl4rl_agents.policies.support import base_of
from ssl4rl_agents.policies.vlm import VLMPolicy
from ssl4rl_agents.policies.windows import NAME, attend
from tests.agents import zoo
from tests.agents.conftest import UNEQUAL, questions

GEMMAS = {"gemma3", "paligemma", "paligemma2"}
"""Their norms multiply with 1 + weight."""


def adapted(**settings: Any) -> nn.Module:
    """Two linear layers with adapters that say something."""
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(6, 8), nn.Linear(8, 5, bias=False))
    config = peft.LoraConfig(r=3, lora_alpha=7, target_modules=["0", "1"], **settings)
    peft.inject_adapter_in_model(config, model)
    for name, weight in model.named_parameters():
        if "lora_B" in name:
            nn.init.normal_(weight)
    return model


def results(model: nn.Module, x: torch.Tensor) -> tuple[torch.Tensor, list[torch.Tensor]]:
    """What a model says, and the gradients of its adapters and its input."""
    x = x.clone().requires_grad_()
    said = model(x)
    weights = [weight for name, weight in model.named_parameters() if "lora" in name]
    return said.detach(), list(torch.autograd.grad(said.square().sum(), [*weights, x]))


@pytest.mark.parametrize("lowered", [False, True])
def test_adapters_say_what_they_do_in_peft(lowered):
    theirs = adapted()
    ours = copy.deepcopy(theirs)
    SlimAdapters(ours)
    assert [type(module) for module in ours] == [SlimLinear] * 2
    x = torch.randn(2, 4, 6)
    with torch.autocast("cpu", torch.bfloat16, enabled=lowered):
        expected, found = results(theirs, x), results(ours, x)
    close: dict[str, float] = {"atol": 0.5, "rtol": 0.05} if lowered else {"atol": 1e-4, "rtol": 1e-4}
    torch.testing.assert_close(found[0], expected[0], **close)
    for one, other in zip(found[1], expected[1], strict=True):
        torch.testing.assert_close(one, other, **({**close, "atol": 3.0} if lowered else close))


def test_adapters_that_are_more_than_that_are_left_to_peft():
    for settings in ({"use_dora": True}, {"lora_dropout": 0.5}, {"lora_bias": True}):
        model = adapted(**settings)
        SlimAdapters(model)
        assert SlimLinear not in [type(module) for module in model], settings


def test_adapters_can_be_switched_off_merged_and_left():
    theirs = adapted()
    ours = copy.deepcopy(theirs)
    adapters, x = SlimAdapters(ours), torch.randn(4, 6)
    for model in (theirs, ours):
        for module in model:
            module.enable_adapters(False)
    torch.testing.assert_close(ours(x), theirs(x))
    for model in (theirs, ours):
        for module in model:
            module.enable_adapters(True)
            module.merge()
    torch.testing.assert_close(ours(x), theirs(x))
    adapters.leave()
    assert [type(module) for module in ours] == [peft.tuners.lora.Linear] * 2


def test_copies_follow_the_weights_and_keep_their_place():
    model = adapted()
    adapters, x = SlimAdapters(model), torch.randn(4, 6)
    with torch.no_grad(), torch.autocast("cpu", torch.bfloat16):
        before = model(x)
        with adapters.copied(torch.bfloat16):
            assert torch.equal(model(x), before)
            places = [copied.data_ptr() for module in model for copied in module.copies]
        for name, weight in model.named_parameters():
            if "lora_B" in name:
                weight.mul_(2)
        after = model(x)
        assert not torch.equal(after, before)
        with adapters.copied(torch.bfloat16):
            assert torch.equal(model(x), after)
            assert [copied.data_ptr() for module in model for copied in module.copies] == places
    assert [module.copies for module in model] == [None, None]


def test_a_copy_of_a_policy_has_adapters_of_its_own():
    model, processor = zoo.build("qwen2_5_vl")
    policy = VLMPolicy(model, processor, max_new_tokens=4, lora_rank=2)
    other = copy.deepcopy(policy)
    inputs = policy.encode(questions(UNEQUAL))
    with torch.autocast("cpu", torch.bfloat16):
        one, two = (each.generate(inputs, 2, generator=torch.Generator().manual_seed(0)) for each in (policy, other))
    assert torch.equal(one.tokens, two.tokens)
    assert {id(layer) for layer in other.adapters._layers}.isdisjoint(id(layer) for layer in policy.adapters._layers)
    assert {id(layer) for layer in other.adapters._layers} <= {id(module) for module in other.modules()}


def test_norms_say_what_they_did(family, monkeypatch):
    """All but those of another kind, which stay as they are."""
    model, _ = zoo.build(family)
    norms = [module for module in model.modules() if "RMSNorm" in type(module).__name__]
    before = copy.deepcopy(norms)
    fuse_norms(model)
    kinds = [type(norm) for norm in norms]
    fuse_norms(model)
    assert [type(norm) for norm in norms] == kinds
    monkeypatch.setattr(fused_norms, "takes", lambda *_: True)
    for one, other in zip(norms, before, strict=True):
        assert (type(one) is type(other)) == (family in GEMMAS)
        assert isinstance(one, type(other))
        weight = torch.rand(other.weight.shape)
        one.weight.data, other.weight.data = weight, weight.clone()
        x = torch.randn(3, len(weight))
        torch.testing.assert_close(one(x), other(x))


@pytest.mark.parametrize("lengths", [[4, 4, 4], [1, 4, 2, 4, 1], [3], [0, 2, 2]])
def test_windows_attend_to_themselves(lengths):
    total, heads, size = sum(lengths), 2, 3
    query, key, value = (torch.randn(1, heads, total, size) for _ in range(3))
    ends = torch.tensor([0, *lengths]).cumsum(0)
    found, weights = attend(nn.Identity(), query, key, value, scaling=0.3, cu_seq_lens_q=ends)
    assert weights is None
    for start, end in zip(ends[:-1].tolist(), ends[1:].tolist(), strict=True):
        scores = query[0, :, start:end] @ key[0, :, start:end].transpose(1, 2) * 0.3
        torch.testing.assert_close(found[0, start:end].transpose(0, 1), scores.softmax(-1) @ value[0, :, start:end])


def test_towers_with_windows_attend_over_all_at_once(picture_family):
    model, processor = zoo.build(picture_family)
    plain = copy.deepcopy(model)
    policy = VLMPolicy(model, processor, max_new_tokens=4)
    inputs = policy.encode(questions(UNEQUAL))
    tower: Any = next(
        (m for n, m in base_of(model).named_children() if n in ("visual", "vision_tower", "vision_model")), None
    )
    assert (tower.config._attn_implementation == NAME) == (picture_family in ("qwen2_vl", "qwen2_5_vl", "qwen3_vl"))
    with torch.no_grad():
        found = policy.decoder.features(inputs.pictures).tokens
        expected = VLMPolicy(plain, processor, max_new_tokens=4).decoder
        for module in plain.modules():
            if getattr(getattr(module, "config", None), "_attn_implementation", None) == NAME:
                module.config._attn_implementation = "sdpa"
        torch.testing.assert_close(found, expected.features(inputs.pictures).tokens, atol=1e-5, rtol=1e-5)


def test_attention_of_another_kind_is_refused():
    values = torch.zeros(1, 1, 4, 2)
    with pytest.raises(ValueError, match="another way than within windows"):
        attend(nn.Identity(), values, values, values)
