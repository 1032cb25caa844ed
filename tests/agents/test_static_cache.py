"""Answers that grow in memory of a fixed size are those that grow in any, and nothing waits for the device meanwhile."""

from __future__ import annotations

import logging
from collections import Counter
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from ssl4rl_agents.policies import sampling, static_cache
from ssl4rl_agents.policies.attention import places_mask, step_mask
from ssl4rl_agents.policies.static_cache import Kept, Shape, StaticSteps
from ssl4rl_agents.policies.support import UnsupportedModelError
from ssl4rl_agents.policies.vlm import VLMPolicy
from ssl4rl_agents.policies.watch import MOST, Watch
from tests.agents import zoo
from tests.agents.conftest import UNEQUAL, questions
from tests.agents.test_families import close

WAITS = ("_local_scalar_dense", "nonzero", "equal", "is_nonzero", "masked_select", "unique", "lift_fresh")
"""Operations whose result the host has to know, or that bring numbers from it."""


class Operations(TorchDispatchMode):
    """Counts what torch is told to do."""

    def __init__(self) -> None:
        super().__init__()
        self.counts: Counter[str] = Counter()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        self.counts[func._schema.name.removeprefix("aten::")] += 1
        return func(*args, **(kwargs or {}))

    @property
    def waits(self) -> int:
        return sum(self.counts[name] for name in WAITS)


def policy_of(family: str, *, ends: int = 30, **how: Any) -> VLMPolicy:
    """A policy whose answers end after some ten tokens, and whose value head says something."""
    model, processor = zoo.build(family)
    size = len(processor.tokenizer)
    model.generation_config.eos_token_id = [processor.tokenizer.eos_token_id, *range(size - ends, size)]
    policy = VLMPolicy(model, processor, **{"max_new_tokens": 6, **how})
    torch.nn.init.normal_(policy.value_head.weight, std=0.3, generator=torch.Generator().manual_seed(1))
    return policy


def asked(policy: VLMPolicy) -> Any:
    observations = questions(UNEQUAL)
    return policy.encode({"prompt": observations["prompt"]} if policy.encoder.image_token_id is None else observations)


def sample(policy: VLMPolicy, inputs: Any, repeats: int = 3, generator: torch.Generator | None = None) -> Any:
    return policy.generate(inputs, repeats, generator=generator or torch.Generator().manual_seed(0))


def same(one: Any, other: Any) -> None:
    for name in ("tokens", "mask", "truncated"):
        assert torch.equal(getattr(one, name), getattr(other, name)), name
    close(one.logprobs, other.logprobs)
    close(one.values, other.values)


@pytest.mark.parametrize("longest", [6, 80], ids=["side by side", "in rows of their own"])
def test_answers_are_the_same_in_any_memory(family, longest):
    policy = policy_of(family, max_new_tokens=longest)
    inputs = asked(policy)
    policy.decoder.static = False
    before = sample(policy, inputs)
    policy.decoder.static = True
    steps: list[StaticSteps] = []
    finish = policy.decoder.finish
    policy.decoder.finish = lambda prefix: (steps.append(prefix.steps), finish(prefix))[1]  # type: ignore[method-assign]
    same(sample(policy, inputs), before)
    assert steps[0] is not None
    assert steps[0].shape.abreast == (3 if longest == 6 else 1)


def test_a_step_never_waits_for_the_device(family, monkeypatch):
    """What would wait cannot be recorded."""
    if family == "paligemma2":
        pytest.skip("steps of a model that hands one mask to layers of several kinds compare these, and are not recorded")
    operations = Operations()
    inner = StaticSteps._once

    def once(self: StaticSteps, end: int) -> Tensor:
        with operations:
            return inner(self, end)

    policy = policy_of(family, cache="static")
    monkeypatch.setattr(StaticSteps, "_once", once)
    sample(policy, asked(policy))
    assert operations.counts["index_copy_"]
    assert operations.waits == 0


@pytest.mark.parametrize("late", [False, True])
def test_no_token_waits_for_its_own_news_where_they_are_heard_late(monkeypatch, late):
    """Answers of 60 tokens, in which nothing else than the news is waited for."""
    pending: list[int] = []

    class Listening(Watch):
        def ended(self, alive: Tensor) -> bool:
            known = super().ended(alive)
            pending.append(len(self._asked))
            return known

    policy = policy_of("llama", ends=0, max_new_tokens=60, cache="static")
    monkeypatch.setattr(sampling, "Watch", lambda device, longest: Listening(device, longest, late=late))
    operations = Operations()
    inputs = asked(policy)
    with operations:
        samples = sample(policy, inputs)
    assert samples.tokens.shape[1] == len(pending) == 60
    assert pending == [min(MOST, 1 + position // 16) if late else 0 for position in range(60)]
    assert operations.waits <= 60 + 8  # once each: finite probabilities, how long answers are


@pytest.mark.parametrize("model", ["qwen2_5_vl", "llama"])
def test_what_is_heard_late_changes_neither_answers_nor_luck(model, monkeypatch):
    policy = policy_of(model, max_new_tokens=70)
    inputs = asked(policy)
    lucks, found = [torch.Generator().manual_seed(3) for _ in range(2)], []
    for luck, late in zip(lucks, (False, True), strict=True):
        monkeypatch.setattr(sampling, "Watch", lambda device, longest, late=late: Watch(device, longest, late=late))
        found.append([sample(policy, inputs, generator=luck) for _ in range(2)])
    assert found[0][0].tokens.shape[1] < 70  # they end before
    for now, then in zip(*found, strict=True):
        same(now, then)
    assert torch.equal(lucks[0].get_state(), lucks[1].get_state())


@given(st.integers(0, 40), st.integers(1, 60))
def test_late_news_come_a_fixed_number_of_tokens_late(end, longest):
    """Never before they are true, never more than `MOST` tokens after, and independent of what is fast."""
    watch = Watch(torch.device("cpu"), longest, late=True)
    heard = next((k for k in range(longest) if watch.ended(torch.tensor([k < end]))), None)
    if heard is None:
        assert longest - end <= MOST
    else:
        assert end <= heard <= end + MOST


@settings(deadline=None)
@given(
    st.integers(1, 3),
    st.integers(1, 9),
    st.integers(1, 4),
    st.integers(0, 6),
    st.none() | st.integers(1, 8),
    st.integers(0, 9),
)
def test_places_are_seen_as_tokens_are(rows, length, abreast, grown, window, padding):
    random = torch.Generator().manual_seed(length)
    prompt = torch.rand(rows, length, generator=random) > 0.3
    expected = step_mask(prompt, abreast, grown, window)
    held = torch.nn.functional.pad(prompt, (padding, 0))  # empty places before the prompt
    places = padding + expected.shape[2] + 5
    found = places_mask(held, abreast, torch.tensor(grown), places, window)
    assert torch.equal(found[:, :, padding:-5], expected)
    assert not found[:, :, :padding].any()
    assert not found[:, :, -5:].any()  # places that nothing has come to


def test_steps_are_sorted_into_few_lengths():
    """511 steps of one answer a row behind 128 places: 8 x 64 places, in quarters."""
    shape = Shape(rows=4, abreast=1, start=128, steps=511, mode=())
    assert shape.ends == [256, 384, 512, 640]
    assert [shape.end_of(step) for step in (0, 127, 128, 510)] == [256, 256, 384, 640]
    assert Shape(rows=4, abreast=8, start=128, steps=7, mode=()).ends == [192]


def test_memory_is_used_again_as_if_it_were_new(monkeypatch):
    policy = policy_of("qwen2_5_vl", max_new_tokens=20, cache="static")
    inputs = asked(policy)
    fresh = sample(policy, inputs)
    monkeypatch.setattr(Kept, "tidy", lambda self: None)
    sample(policy, inputs, generator=torch.Generator().manual_seed(5))
    held = policy.decoder._kept.steps
    assert held is not None
    again = sample(policy, inputs)
    assert policy.decoder._kept.steps is held
    assert torch.equal(again.logprobs, fresh.logprobs)
    sample(policy, inputs, 2)
    assert policy.decoder._kept.steps is not held  # another shape
    with torch.no_grad():
        next(policy.model.parameters()).data = next(policy.model.parameters()).data.clone()
    other = policy.decoder._kept.steps
    sample(policy, inputs, 2)
    assert policy.decoder._kept.steps is not other  # weights that lie elsewhere: what was recorded would read the old ones


def test_large_memory_is_given_back_after_a_batch():
    policy = policy_of("llama", cache="static")
    sample(policy, asked(policy))
    assert policy.decoder._kept.steps is None


def test_a_model_that_cannot_goes_on_in_memory_that_grows_with_a_word(monkeypatch, caplog):
    policy = policy_of("llama")
    inputs = asked(policy)
    before = sample(policy, inputs)
    policy.decoder.static = True

    def refuse(*_: Any) -> Any:
        raise TypeError("this layer keeps no keys")

    monkeypatch.setattr(static_cache.FixedLayer, "update", refuse)
    with caplog.at_level(logging.WARNING, "ssl4rl_agents"):
        same(sample(policy, inputs), before)
        same(sample(policy, inputs), before)
    assert caplog.text.count("LlamaForCausalLM cannot answer in memory of a fixed size") == 1
    assert "TypeError: this layer keeps no keys" in caplog.text


def test_lack_of_memory_is_no_reason_to_change_the_cache(monkeypatch):
    policy = policy_of("llama", cache="static")

    def exhausted(*_: Any) -> Any:
        raise torch.OutOfMemoryError("full")

    with monkeypatch.context() as patch:
        patch.setattr(StaticSteps, "begin", exhausted)
        with pytest.raises(torch.OutOfMemoryError):
            sample(policy, asked(policy))
    assert policy.decoder._kept.steps is None
    assert policy.decoder.static


def test_a_model_that_says_something_else_there_is_found_at_load(monkeypatch, caplog):
    inner = static_cache.FixedLayer.update

    def forgetful(self: Any, keys: Tensor, values: Tensor, *rest: Any) -> Any:
        return inner(self, keys * 1.5, values, *rest)

    monkeypatch.setattr(static_cache.FixedLayer, "update", forgetful)
    with caplog.at_level(logging.WARNING, "ssl4rl_agents"):
        policy = policy_of("llama", cache="static")
    assert "says something else in a cache of fixed size" in caplog.text
    assert policy.decoder.static is False
    monkeypatch.setattr("ssl4rl_agents.policies.decoder.Decoder.stay_dynamic", lambda self: False)
    with pytest.raises(UnsupportedModelError, match="in sampling"):
        policy_of("llama", cache="static")


def test_a_recording_that_broke_off_leaves_the_generator_of_its_device(monkeypatch):
    """What a GPU shows of it stands in test_gpu: runs train behind a recording that was spoilt."""
    given = []
    generators = [SimpleNamespace(clone_state=lambda n=n: f"fresh {n}", graphsafe_set_state=given.append) for n in range(2)]
    monkeypatch.setattr(torch.cuda, "default_generators", generators)
    monkeypatch.setattr(torch.cuda, "current_device", lambda: 0)
    static_cache._leave_capture(torch.device("cuda", 1))
    static_cache._leave_capture(torch.device("cuda"))
    assert given == ["fresh 1", "fresh 0"]
