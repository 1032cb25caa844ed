"""VLMPolicy over every family of models: sampling, scoring, gradients and the bare model say one and the same."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from tokenizers import processors
from torch import Tensor

from ssl4rl_agents.policies.loading import load_pretrained
from ssl4rl_agents.policies.prompts import VLMInputs, two_way_type
from ssl4rl_agents.policies.vlm import VLMPolicy
from tests.agents import zoo
from tests.agents.rollouts import ONE

CORPUS = ["By how many degrees was this picture turned? Reply like this: <answer>90</answer>", "Angle 12?"]
UNEQUAL = ("Angle?", "By how many degrees was this picture turned: 0, 90, 180 or 270?", "90 or 180, which one?")
PREFIX_LM = "paligemma"


@pytest.fixture
def make() -> Callable[..., VLMPolicy]:
    """The function (family, **settings of VLMPolicy) -> a policy whose answers are of mixed lengths."""

    def make(family: str, seed: int = 0, **settings: Any) -> VLMPolicy:
        model, processor = zoo.build(family, CORPUS, seed)
        size = len(processor.tokenizer)
        model.generation_config.eos_token_id = [processor.tokenizer.eos_token_id, *range(size - 60, size)]
        torch.manual_seed(1)
        policy = VLMPolicy(model, processor, **{"max_new_tokens": 6, **settings}).eval()
        with torch.no_grad():
            policy.value_head.weight.normal_(0, 0.3)
            policy.value_head.bias.fill_(0.2)
        return policy

    return make


@pytest.fixture
def ask(make_questions) -> Callable[..., dict[str, Any]]:
    """The function (family, prompts) -> observations, with two pictures for those that see."""

    def ask(family: str, prompts: tuple[str, ...] = UNEQUAL) -> dict[str, Any]:
        observations = make_questions(prompts)
        if family in zoo.TEXT_FAMILIES:
            return {"prompt": observations["prompt"]}
        return {**observations, "reference": observations["image"][:, ::-1].copy()}

    return ask


def naive(policy: VLMPolicy, inputs: VLMInputs, encoded: Any, tokens: Tensor, mask: Tensor) -> tuple[Tensor, ...]:
    """Log-probabilities and values (n, T), every prompt and answer alone, placed and masked by the model itself."""
    group = len(tokens) // len(inputs)
    outputs = [torch.zeros(tokens.shape) for _ in range(2)]
    for row in range(len(tokens)):
        prompt = row // group
        kept = inputs.attention_mask[prompt].bool()
        question, answer = inputs.input_ids[prompt][kept], tokens[row][mask[row]]
        ids = torch.cat([question, answer])[None]
        told = {name: values[prompt] for name, values in inputs.pictures.items()}
        for name in ("token_type_ids", "mm_token_type_ids"):
            if name in encoded:
                types = encoded[name][prompt][kept]
                suffix = torch.full_like(answer, int(policy.model.config.model_type == PREFIX_LM))
                told[name] = torch.cat([types, suffix])[None]
        result = policy.model(
            input_ids=ids, attention_mask=torch.ones_like(ids), use_cache=False, output_hidden_states=True, **told
        )
        said = slice(len(question) - 1, len(question) + len(answer) - 1)
        logits = result.logits[0, said].float() / policy.temperature
        forbidden = torch.isin(torch.arange(logits.shape[-1]), policy._unsaid)
        logprobs = logits.masked_fill(forbidden, -torch.inf).log_softmax(-1).gather(-1, answer[:, None])[:, 0]
        values = policy.value_head(result.hidden_states[-1][0, said])[:, 0]
        where = torch.zeros(tokens.shape, dtype=torch.bool)
        where[row] = mask[row]
        outputs = [out.masked_scatter(where, new) for out, new in zip(outputs, (logprobs, values), strict=True)]
    return tuple(outputs)


def raw(policy: VLMPolicy, observations: dict[str, Any]) -> Any:
    """What the processor itself makes of the observations, in the policy's own words."""
    seen: list[Any] = []
    inner = policy.encoder.processor

    class Listening:
        tokenizer = inner.tokenizer
        chat_template = getattr(inner, "chat_template", None)
        apply_chat_template = staticmethod(inner.apply_chat_template)
        image_token = getattr(inner, "image_token", None)

        def __call__(self, *args: Any, **kwargs: Any) -> Any:
            seen.append(inner(*args, **kwargs))
            return seen[-1]

    policy.encoder.processor = Listening()
    policy.encode(observations)
    policy.encoder.processor = inner
    return seen[0]


def sample(policy: VLMPolicy, inputs: VLMInputs, group: int = 3, seed: int = 0) -> Any:
    return policy.generate(inputs, group, generator=torch.Generator().manual_seed(seed))


def close(a: Tensor, b: Tensor, tolerance: float = 2e-5) -> None:
    assert a.shape == b.shape
    assert float((a - b).detach().abs().max()) < tolerance


def gradients(policy: VLMPolicy, outputs: tuple[Tensor, ...], seed: int = 5) -> dict[str, Tensor]:
    policy.zero_grad()
    generator = torch.Generator().manual_seed(seed)
    total = sum((values * (torch.rand(values.shape, generator=generator) * 2 - 1)).sum() for values in outputs)
    total.backward()
    return {name: p.grad.clone() for name, p in policy.named_parameters() if p.grad is not None and p.grad.any()}


def same(ours: dict[str, Tensor], theirs: dict[str, Tensor], tolerance: float = 1e-4) -> None:
    assert set(ours) == set(theirs)
    difference = torch.cat([(ours[name] - theirs[name]).flatten() for name in theirs])
    whole = torch.cat([grad.flatten() for grad in theirs.values()])
    assert float(difference.norm() / whole.norm()) < tolerance


def test_sampling_scoring_and_the_bare_model_agree(family, make, ask):
    policy = make(family, temperature=0.8)
    inputs = policy.encode(ask(family))
    assert not inputs.attention_mask.all()
    samples = sample(policy, inputs)
    assert len(set(samples.mask.sum(1).tolist())) > 1
    now = policy.evaluate(inputs, samples.tokens, samples.mask)
    close(samples.logprobs, now.logprobs)
    close(samples.values, now.values)
    alone = naive(policy, inputs, raw(policy, ask(family)), samples.tokens, samples.mask)
    close(now.logprobs, alone[0])
    close(now.values, alone[1])
    same(gradients(policy, (now.logprobs, now.values)), gradients(policy, alone))


def test_answers_side_by_side_are_those_of_rows_of_their_own(family, make, ask, monkeypatch):
    policy = make(family)
    inputs = policy.encode(ask(family))
    forwards: list[tuple[int, ...]] = []
    policy.model.get_input_embeddings().register_forward_hook(lambda _, args, __: forwards.append(tuple(args[0].shape)))
    together = sample(policy, inputs, 2)
    assert (len(inputs), 2) in forwards
    monkeypatch.setattr("ssl4rl_agents.policies.decoder.EXPLICIT", ())
    apart = sample(policy, inputs, 2)
    assert (2 * len(inputs), 1) in forwards
    assert torch.equal(together.tokens, apart.tokens)
    close(together.logprobs, apart.logprobs)
    close(together.values, apart.values)


def test_recomputed_rows_give_the_same_gradients(family, make, ask):
    plain, thrifty = make(family), make(family, gradient_checkpointing=True)
    observations = ask(family)
    samples = sample(plain, plain.encode(observations))
    found, seen = [], []
    for policy in (plain, thrifty):
        layer = (
            policy.model.get_decoder().layers[0] if hasattr(policy.model, "get_decoder") else policy.decoder.base.layers[0]
        )
        calls: list[int] = []
        layer.self_attn.register_forward_hook(lambda *_, calls=calls: calls.append(1))
        now = policy.evaluate(policy.encode(observations), samples.tokens, samples.mask)
        calls.clear()
        found.append(gradients(policy, (now.logprobs, now.entropies, now.values)))
        seen.append(len(calls))
        close(now.logprobs, samples.logprobs)
        close(now.values, samples.values)
    assert seen == [0, 1]  # computed again on the way back
    same(found[1], found[0])


def test_passes_are_one_whatever_is_read_where_weights_are_in_parts(family, make, ask):
    """One pass for prompts and answers, be the answers of one token or more, the prompts alike or not."""
    policy, plain = make(family), make(family)
    policy.work_together(ONE)
    passes: list[int] = []
    policy.decoder.base.register_forward_hook(lambda *_: passes.append(1))
    for prompts in (("Angle?", "Angle?", "Angle?"), UNEQUAL):
        inputs = policy.encode(ask(family, prompts))
        for width in (1, 4):
            samples = sample(plain, inputs)
            tokens, mask = samples.tokens[:, :width], samples.mask[:, :width]
            passes.clear()
            now, then = (p.evaluate(inputs, tokens, mask) for p in (policy, plain))
            assert len(passes) == 1
            passes.clear()
            policy.decoder.prefill(inputs)
            assert len(passes) == 1
            close(now.logprobs, then.logprobs)
            same(gradients(policy, (now.logprobs, now.values)), gradients(plain, (then.logprobs, then.values)))


def test_sampling_after_a_recomputed_pass_is_as_before(make, ask):
    """Layers that went on computing again would leave the cache empty."""
    policy = make("qwen2_5_vl", gradient_checkpointing=True)
    inputs = policy.encode(ask("qwen2_5_vl"))
    before = sample(policy, inputs)
    policy.evaluate(inputs, before.tokens, before.mask).logprobs.sum().backward()
    after = sample(policy, inputs)
    assert torch.equal(after.tokens, before.tokens)
    assert torch.equal(after.logprobs, before.logprobs)


def test_without_gradients_nothing_is_packed_into_rows(make, ask, monkeypatch):
    policy = make("qwen2_5_vl", gradient_checkpointing=True)
    inputs = policy.encode(ask("qwen2_5_vl"))
    samples = sample(policy, inputs)
    monkeypatch.setattr(policy.decoder, "in_rows", None)
    with torch.no_grad():
        close(policy.evaluate(inputs, samples.tokens, samples.mask).logprobs, samples.logprobs)


def test_prompts_that_see_in_both_directions_share_no_beginning(make, ask):
    """The beginning of a PaliGemma prompt sees its end, which may differ."""
    for family, shares in (("paligemma", False), ("gemma3", False), ("llava", True)):
        policy = make(family)
        inputs = policy.encode(ask(family, ("Angle 12?", "Angle 17?")))
        inputs.input_ids.fill_(5)  # no pictures
        assert bool(policy.decoder.common_prefix(inputs)) == shares


def test_both_directions_are_refused_where_attention_takes_no_masks():
    model, processor = zoo.build("gemma3", CORPUS)
    model.config.get_text_config()._attn_implementation = "flash_attention_2"
    with pytest.raises(ValueError, match="sees in both directions"):
        VLMPolicy(model, processor)


def test_prompts_beyond_the_window_of_a_model_that_takes_one_mask_are_refused(ask):
    model, processor = zoo.build("paligemma2", CORPUS)
    policy = VLMPolicy(model, processor)
    tokens, mask = policy.encode_answers(["90"] * 3)
    policy.decoder.windows["sliding_attention"] = 4
    with pytest.raises(ValueError, match="longer than its sliding window"):
        policy.evaluate(policy.encode(ask("paligemma2")), tokens, mask)


@pytest.mark.parametrize("forward", [lambda token_type_ids: None, lambda mm_token_type_ids: None], ids=["all", "pictures"])
def test_models_that_may_see_in_both_directions_are_refused_by_name(forward):
    class NewModel:
        base_model_prefix = "model"
        config = SimpleNamespace(model_type="new", image_token_id=7)
        model = SimpleNamespace(forward=forward)

    with pytest.raises(ValueError, match="NewModel may see its pictures in both directions"):
        two_way_type(NewModel())


@pytest.mark.parametrize("start", ["{{ bos_token }}", ""], ids=["template", "tokenizer"])
def test_a_prompt_begins_with_one_start_token_whoever_puts_it_there(start, ask):
    model, processor = zoo.build("llava", CORPUS)
    tokenizer = processor.tokenizer
    token = (tokenizer.bos_token, tokenizer.bos_token_id)
    adds = processors.TemplateProcessing(single=f"{token[0]} $A", special_tokens=[token])
    tokenizer.backend_tokenizer.post_processor = adds
    processor.chat_template = zoo.chat("<image>", before="", after="", reply="", start=start)
    ids = VLMPolicy(model, processor).encode(ask("llava", ("Angle?",))).input_ids[0].tolist()
    assert ids[0] == token[1]
    assert ids.count(token[1]) == 1


def test_places_of_pictures_are_found_where_a_processor_does_not_mark_them(make, ask, monkeypatch):
    policy = make("qwen2_5_vl")
    expected = policy.encode(ask("qwen2_5_vl")).positions
    inner, marks = policy.processor, []

    class Silent:
        tokenizer, apply_chat_template, chat_template = inner.tokenizer, inner.apply_chat_template, inner.chat_template

        def __call__(self, **arguments: Any) -> Any:
            encoded = inner(**arguments)
            marks.append(encoded.pop("mm_token_type_ids"))
            return encoded

    monkeypatch.setattr(policy.encoder, "processor", Silent())
    assert torch.equal(policy.encode(ask("qwen2_5_vl")).positions, expected)
    assert marks[0].any()


def test_attention_without_masks_gives_the_same_gradients(family, make, ask, monkeypatch):
    """What flash attention needs, which takes no masks of its own: answers on repeated caches, with plain masks."""
    policy = make(family)
    if policy.decoder._two_way is not None:
        pytest.skip("refused: it sees in both directions")
    inputs = policy.encode(ask(family))
    samples = sample(policy, inputs)
    packed = policy.evaluate(inputs, samples.tokens, samples.mask)
    expected = gradients(policy, (packed.logprobs, packed.values))
    monkeypatch.setattr("ssl4rl_agents.policies.decoder.EXPLICIT", ())
    now = policy.evaluate(inputs, samples.tokens, samples.mask)
    close(now.logprobs, packed.logprobs)
    same(gradients(policy, (now.logprobs, now.values)), expected)


def test_logits_in_parts_give_the_same_gradients(family, make, ask, monkeypatch):
    policy = make(family)
    inputs = policy.encode(ask(family))
    samples = sample(policy, inputs)
    whole = policy.evaluate(inputs, samples.tokens, samples.mask)
    expected = gradients(policy, (whole.logprobs, whole.entropies))
    largest = []
    said = policy.logits

    def watched(hidden: Tensor, allowed: Tensor | None = None) -> Tensor:
        logits = said(hidden, allowed)
        largest.append(logits.numel())
        return logits

    monkeypatch.setattr(policy, "logits", watched)
    monkeypatch.setattr("ssl4rl_agents.policies.vlm.LOGITS", 3 * len(policy.processor.tokenizer) + 200)
    now = policy.evaluate(inputs, samples.tokens, samples.mask)
    parts = len(largest)
    same(gradients(policy, (now.logprobs, now.entropies)), expected)
    close(now.logprobs, whole.logprobs)
    assert len(largest) == 2 * parts, "each part is computed again on the way back"
    assert max(largest) <= 3 * len(policy.processor.tokenizer) + 200
    assert parts > 3


def test_frozen_vision_runs_once_and_says_the_same(picture_family, make, ask):
    free, frozen = make(picture_family), make(picture_family, freeze_vision=True)
    calls: list[int] = []
    base = frozen.decoder.base
    tower = next(getattr(base, name) for name in ("vision_tower", "visual", "vision_model") if hasattr(base, name))
    tower.register_forward_hook(lambda *_: calls.append(1))
    inputs = frozen.encode(ask(picture_family))
    assert not inputs.pictures
    samples = sample(frozen, inputs)
    for _ in range(2):
        now = frozen.evaluate(inputs, samples.tokens, samples.mask)
        learned = gradients(frozen, (now.logprobs, now.values))
    assert len(calls) == 1
    close(now.logprobs, free.evaluate(free.encode(ask(picture_family)), samples.tokens, samples.mask).logprobs)
    assert not any(any(part in name for part in ("vision", "visual", "connector", "projector")) for name in learned)
    learning = {name for name, parameter in frozen.named_parameters() if parameter.requires_grad}
    assert not any(any(part in name for part in ("vision", "visual", "projector", "newline")) for name in learning)
    chosen = inputs.rows(torch.tensor([2, 0]))
    rows = torch.tensor([6, 7, 8, 0, 1, 2])
    close(frozen.evaluate(chosen, samples.tokens[rows], samples.mask[rows]).logprobs, now.logprobs[rows])


def test_an_unfrozen_tower_learns(picture_family, make, ask):
    policy = make(picture_family)
    inputs = policy.encode(ask(picture_family))
    samples = sample(policy, inputs)
    learned = gradients(policy, (policy.evaluate(inputs, samples.tokens, samples.mask).logprobs,))
    assert any(any(part in name for part in ("vision", "visual")) for name in learned)


def test_equal_prompts_may_share_their_beginning(family, make, ask, monkeypatch):
    policy = make(family)
    inputs = policy.encode(ask(family, ("Angle 12?", "Angle 17?", "Angle 34?")))
    both = []
    samples = sample(policy, inputs)
    for shortcut in (policy.decoder.common_prefix, lambda _: 0):
        monkeypatch.setattr(policy.decoder, "common_prefix", shortcut)
        now = policy.evaluate(inputs, samples.tokens, samples.mask)
        both.append((now.logprobs, gradients(policy, (now.logprobs,))))
    close(both[0][0], both[1][0])
    same(both[0][1], both[1][1])


def test_the_pictures_matter_and_their_order_too(picture_family, make, ask):
    policy = make(picture_family)
    observations = ask(picture_family)
    inputs = policy.encode(observations)
    samples = sample(policy, inputs)
    swapped = {**observations, "image": observations["reference"], "reference": observations["image"]}
    with torch.no_grad():
        other = policy.evaluate(policy.encode(swapped), samples.tokens, samples.mask)
    assert float((samples.logprobs - other.logprobs).abs().max()) > 1e-3


def test_pictures_cannot_be_said(picture_family, make, ask):
    policy = make(picture_family)
    inputs = policy.encode(ask(picture_family))
    samples = sample(policy, inputs, 50)
    assert not torch.isin(samples.tokens, policy._unsaid).any()
    logits = policy.logits(policy.decoder.prefill(inputs).hidden)
    assert bool((logits[:, policy._unsaid] < -1e8).all())


def test_adapters_begin_as_the_model_and_learn_alone(family, make, ask):
    plain, adapted = make(family), make(family, lora_rank=4, freeze_vision=True)
    samples = sample(plain, plain.encode(ask(family)))
    inputs = adapted.encode(ask(family))
    now = adapted.evaluate(inputs, samples.tokens, samples.mask)
    close(now.logprobs, samples.logprobs)
    learned = gradients(adapted, (now.logprobs,))
    assert learned
    assert all("lora_B" in name for name in learned)  # A learns once B is not zero
    trainable = {name for name, p in adapted.named_parameters() if p.requires_grad}
    assert all("lora_" in name or "value_head" in name for name in trainable)
    assert not any(part in name for name in trainable for part in ("vision", "visual"))
    with torch.no_grad():
        for name, parameter in adapted.named_parameters():
            if "lora_B" in name:
                parameter.normal_(0, 0.1)
        changed = adapted.evaluate(inputs, samples.tokens, samples.mask)
        assert float((changed.logprobs - samples.logprobs).abs().max()) > 1e-3
        with adapted.initial():
            close(adapted.evaluate(inputs, samples.tokens, samples.mask).logprobs, samples.logprobs)
        close(adapted.evaluate(inputs, samples.tokens, samples.mask).logprobs, changed.logprobs, 1e-7)
    assert trainable == {name for name, p in adapted.named_parameters() if p.requires_grad}


def test_a_saved_policy_is_the_same(family, make, ask, tmp_path):
    zoo.save(family, tmp_path / "base")
    policy = VLMPolicy(*load_pretrained(str(tmp_path / "base")), max_new_tokens=6)
    with torch.no_grad():
        for parameter in policy.parameters():
            parameter.add_(0.01)
    (tmp_path / "saved").mkdir()
    policy.save(tmp_path / "saved")
    other = VLMPolicy(*load_pretrained(str(tmp_path / "saved")), max_new_tokens=6)
    other.load_weights(tmp_path / "saved")
    for (name, a), (_, b) in zip(policy.state_dict().items(), other.state_dict().items(), strict=True):
        assert torch.equal(a, b), name
    first, second = policy.encode(ask(family)), other.encode(ask(family))
    assert torch.equal(first.input_ids, second.input_ids)
    assert sample(policy, first).tokens.tolist() == sample(other, second).tokens.tolist()


def test_saved_adapters_are_the_same_and_need_no_package_of_ours(family, ask, tmp_path):
    zoo.save(family, tmp_path / "base")
    settings = {"max_new_tokens": 6, "lora_rank": 2}
    policy = VLMPolicy(*load_pretrained(str(tmp_path / "base")), **settings)
    with torch.no_grad():
        for parameter in policy.parameters():
            if parameter.requires_grad:
                parameter.add_(0.05)
    (tmp_path / "saved").mkdir()
    policy.save(tmp_path / "saved")
    names = {file.name for file in (tmp_path / "saved").iterdir()}
    assert "adapter_model.safetensors" in names
    assert "model.safetensors" not in names
    other = VLMPolicy(*load_pretrained(str(tmp_path / "saved")), **settings)
    other.load_weights(tmp_path / "saved")
    for (name, a), (_, b) in zip(policy.state_dict().items(), other.state_dict().items(), strict=True):
        assert torch.equal(a, b), name
    assert {n for n, p in policy.named_parameters() if p.requires_grad} == {
        n for n, p in other.named_parameters() if p.requires_grad
    }
    inputs = policy.encode(ask(family))
    samples = sample(policy, inputs)
    with torch.no_grad():
        close(other.evaluate(other.encode(ask(family)), samples.tokens, samples.mask).logprobs, samples.logprobs)


def test_adapters_that_lack_a_weight_are_refused(tmp_path):
    zoo.save("llama", tmp_path / "base")
    policy = VLMPolicy(*load_pretrained(str(tmp_path / "base")), lora_rank=2)
    policy.save(tmp_path)
    tensors = load_file(tmp_path / "adapter_model.safetensors")
    gone = next(iter(tensors))
    del tensors[gone]
    save_file(tensors, tmp_path / "adapter_model.safetensors")
    with pytest.raises(ValueError, match=f"do not fit LlamaForCausalLM: {gone.removeprefix('base_model.model.')}"):
        policy.load_weights(tmp_path)


def test_text_models_refuse_pictures(make, make_questions):
    for family in zoo.TEXT_FAMILIES:
        with pytest.raises(ValueError, match="reads text alone"):
            make(family).encode(make_questions(UNEQUAL))


def test_bfloat16_autocast_runs(family, make, ask):
    policy = make(family)
    with torch.autocast("cpu", torch.bfloat16):
        inputs = policy.encode(ask(family))
        samples = sample(policy, inputs)
        now = policy.evaluate(inputs, samples.tokens, samples.mask)
    assert now.logprobs.dtype == now.values.dtype == torch.float32
    assert float((now.logprobs - samples.logprobs).detach().abs().mean()) < 0.3
    assert all(bool(g.isfinite().all()) for g in gradients(policy, (now.logprobs, now.values)).values())


@pytest.mark.parametrize("attention", ["eager"])
def test_eager_attention_sees_the_same(family, attention, make, ask):
    policy = make(family)
    inputs = policy.encode(ask(family))
    samples = sample(policy, inputs)
    policy.model.set_attn_implementation(attention)
    with torch.no_grad():
        close(policy.evaluate(inputs, samples.tokens, samples.mask).logprobs, samples.logprobs)


def test_compiled_layers_say_the_same(make, ask):
    policy = make("qwen2_5_vl")
    inputs = policy.encode(ask("qwen2_5_vl"))
    samples = sample(policy, inputs)
    compiled: list[int] = []

    def backend(graph: Any, _: Any) -> Any:
        compiled.append(1)
        return graph.forward

    policy.compile_layers(backend)
    now = policy.evaluate(inputs, samples.tokens, samples.mask)
    close(now.logprobs, samples.logprobs)
    assert compiled
    now.logprobs.sum().backward()


@pytest.mark.parametrize("checkpointing", [False, True], ids=["behind", "recomputed"])
def test_long_answers_in_rows_of_their_own_give_the_same_gradients(family, make, ask, monkeypatch, checkpointing):
    policy = make(family, gradient_checkpointing=checkpointing)
    inputs = policy.encode(ask(family))
    samples = sample(policy, inputs)
    rows: list[int] = []
    policy.model.get_input_embeddings().register_forward_hook(lambda _, args, __: rows.append(len(args[0])))
    found = []
    for chosen in (False, True):
        for name in ("apart", "apart_with_prompts"):
            monkeypatch.setattr(f"ssl4rl_agents.policies.decoder.{name}", lambda *_, chosen=chosen: chosen)
        rows.clear()
        now = policy.evaluate(inputs, samples.tokens, samples.mask)
        assert (len(samples.tokens) in rows) == chosen
        found.append((now, gradients(policy, (now.logprobs, now.entropies, now.values))))
    for one, other in zip(found[0][0], found[1][0], strict=True):
        close(one, other)
    same(found[1][1], found[0][1])
