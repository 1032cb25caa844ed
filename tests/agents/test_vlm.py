"""VLMPolicy: what sampling says, what scoring says and what the bare model says are one and the same."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from ssl4rl_agents.policies.nano import build_nano
from ssl4rl_agents.policies.prompts import VLMInputs
from ssl4rl_agents.policies.vlm import VLMPolicy
from ssl4rl_agents.readability import TRUNCATED
from tests.agents.rollouts import ONE

MANY_ENDS = 60


def naive(policy: VLMPolicy, inputs: VLMInputs, tokens: Tensor, mask: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Log-probabilities, entropies and values (n, T), every prompt and answer run as a row of its own, without a cache."""
    group = len(tokens) // len(inputs)
    outputs = [torch.zeros(tokens.shape) for _ in range(3)]
    for row in range(len(tokens)):
        prompt = row // group
        question = inputs.input_ids[prompt][inputs.attention_mask[prompt].bool()]
        answer = tokens[row][mask[row]]
        ids = torch.cat([question, answer])[None]
        pictures = {name: values[prompt] for name, values in inputs.pictures.items()}
        result = policy.model(input_ids=ids, attention_mask=torch.ones_like(ids), use_cache=False, **pictures)
        hidden = policy.model.model(input_ids=ids, attention_mask=torch.ones_like(ids), use_cache=False, **pictures)
        said = slice(len(question) - 1, len(question) + len(answer) - 1)
        logits = result.logits[0, said] / policy.temperature
        forbidden = torch.arange(logits.shape[-1]) == policy.encoder.image_token_id
        logprobs = logits.masked_fill(forbidden, -torch.inf).log_softmax(-1)
        outputs[0] = put(outputs[0], row, mask[row], logprobs.gather(-1, answer[:, None])[:, 0])
        entropies = -(logprobs.exp() * logprobs.masked_fill(forbidden, 0)).sum(-1)
        outputs[1] = put(outputs[1], row, mask[row], entropies)
        values = policy.value_head(hidden.last_hidden_state[0, said])[:, 0]
        outputs[2] = put(outputs[2], row, mask[row], values)
    return outputs[0], outputs[1], outputs[2]


def put(table: Tensor, row: int, kept: Tensor, values: Tensor) -> Tensor:
    where = torch.zeros_like(table, dtype=torch.bool)
    where[row] = kept
    return table.masked_scatter(where, values)


def sample(policy: VLMPolicy, inputs: VLMInputs, group: int = 3, seed: int = 0) -> Any:
    return policy.generate(inputs, group, generator=torch.Generator().manual_seed(seed))


def close(a: Tensor, b: Tensor, tolerance: float = 1e-5) -> None:
    assert a.shape == b.shape
    assert float((a - b).abs().max()) < tolerance


# Sampling = scoring = the bare model


@pytest.mark.parametrize("group", [1, 3])
@pytest.mark.parametrize("temperature", [1.0, 0.7])
def test_sampling_scoring_and_the_bare_model_agree(kind, prompts, group, temperature, make_policy, make_questions):
    policy = make_policy(kind, ends=MANY_ENDS, temperature=temperature)
    inputs = policy.encode(make_questions(prompts))
    assert bool(inputs.attention_mask.all()) == (len({len(p) for p in prompts}) == 1)
    samples = sample(policy, inputs, group)
    assert samples.tokens.shape[0] == len(prompts) * group
    with torch.no_grad():
        scored = policy.evaluate(inputs, samples.tokens, samples.mask)
        logprobs, entropies, values = naive(policy, inputs, samples.tokens, samples.mask)
    assert float(values.abs().max()) > 0.1
    close(samples.logprobs, scored.logprobs)
    close(samples.values, scored.values)
    close(scored.logprobs, logprobs)
    close(scored.values, values)
    close(scored.entropies, entropies)


def test_answers_of_mixed_length_occur(kind, padded, make_policy):
    """The tests above mean something: some answers end early, some late, some not at all."""
    policy = make_policy(kind, ends=MANY_ENDS)
    samples = sample(policy, policy.encode(padded), 8)
    assert len(set(samples.mask.sum(1).tolist())) > 2
    assert 0 < float(samples.truncated.float().mean()) < 1


def test_everything_outside_the_mask_is_zero(kind, padded, make_policy):
    policy = make_policy(kind, ends=MANY_ENDS)
    inputs = policy.encode(padded)
    samples = sample(policy, inputs)
    with torch.no_grad():
        scored = policy.evaluate(inputs, samples.tokens, samples.mask)
    assert not samples.mask.all()
    for values in (samples.logprobs, samples.values, scored.logprobs, scored.entropies, scored.values):
        assert bool((values[~samples.mask] == 0).all())
        assert values.dtype == torch.float32


def test_the_likeliest_answer_is_what_the_model_generates_itself(kind, prompts, make_policy, make_questions):
    policy = make_policy(kind, ends=MANY_ENDS)
    inputs = policy.encode(make_questions(prompts))
    samples = policy.generate(inputs, deterministic=True)
    written = policy.model.generate(
        input_ids=inputs.input_ids,
        attention_mask=inputs.attention_mask,
        **{name: values.flatten(0, 1) for name, values in inputs.pictures.items()},
        do_sample=False,
        max_new_tokens=policy.max_new_tokens,
        suppress_tokens=[policy.encoder.image_token_id],
        pad_token_id=policy.pad_token_id,
    )[:, inputs.input_ids.shape[1] :]
    assert written.tolist() == samples.tokens.tolist()


def test_samples_follow_the_probabilities(make_policy, make_questions):
    """The first tokens of many samples, against the model's distribution."""
    policy = make_policy("nano", max_new_tokens=1, temperature=0.5)
    inputs = policy.encode(make_questions(("Angle?",)))
    count = 20_000
    samples = sample(policy, inputs, count)
    with torch.no_grad():
        logits = policy.model(
            input_ids=inputs.input_ids, attention_mask=inputs.attention_mask, pixel_values=inputs.pictures["pixel_values"][0]
        ).logits[0, -1]
    logits[policy.encoder.image_token_id] = -torch.inf
    expected = (logits / 0.5).softmax(-1)
    drawn = torch.bincount(samples.tokens[:, 0], minlength=len(expected)) / count
    errors = (expected * (1 - expected) / count).sqrt() + 1 / count
    assert float(((drawn - expected).abs() / errors).max()) < 5


def test_the_same_generator_gives_the_same_samples(kind, padded, make_policy):
    policy = make_policy(kind)
    inputs = policy.encode(padded)
    assert torch.equal(sample(policy, inputs, seed=3).tokens, sample(policy, inputs, seed=3).tokens)
    assert not torch.equal(sample(policy, inputs, seed=3).tokens, sample(policy, inputs, seed=4).tokens)


# Gradients


@pytest.mark.parametrize("group", [1, 3])
def test_shared_prompt_gradients_equal_naive_ones(kind, prompts, group, make_policy, make_questions):
    policy = make_policy(kind, ends=MANY_ENDS)
    inputs = policy.encode(make_questions(prompts))
    samples = sample(policy, inputs, group)
    weights = torch.rand(3, *samples.tokens.shape, generator=torch.Generator().manual_seed(5)) * 2 - 1

    def gradients(outputs: Any) -> dict[str, Tensor]:
        policy.zero_grad()
        total = torch.stack([(values * weight).sum() for values, weight in zip(outputs, weights, strict=True)]).sum()
        total.backward()
        return {name: p.grad.clone() for name, p in policy.named_parameters() if p.grad is not None}

    now = policy.evaluate(inputs, samples.tokens, samples.mask)
    shared = gradients((now.logprobs, now.entropies, now.values))
    alone = gradients(naive(policy, inputs, samples.tokens, samples.mask))
    assert set(shared) == set(alone)
    assert any("vision_tower" in name and float(grad.norm()) > 0 for name, grad in shared.items())
    difference = torch.cat([(shared[name] - alone[name]).flatten() for name in alone])
    whole = torch.cat([grad.flatten() for grad in alone.values()])
    assert float(difference.norm() / whole.norm()) < 1e-4


def test_entropy_gradients_are_finite_whatever_their_weight(kind, padded, make_policy):
    """The picture token's logit is masked; the mask must not overflow on the way back."""
    policy = make_policy(kind)
    tokens, mask = policy.encode_answers(["9", "0", "90"])
    (4.0 * policy.evaluate(policy.encode(padded), tokens, mask).entropies.sum()).backward()
    assert all(bool(p.grad.isfinite().all()) for p in policy.parameters() if p.grad is not None)


# Padding, ends, truncation


def test_padding_changes_nothing(kind, make_policy, make_questions):
    """A prompt alone, and the same one as the shortest of a batch."""
    policy = make_policy(kind)
    observations = make_questions(("Angle?", "By how many degrees was this picture turned: 0, 90, 180 or 270?"))
    alone = {"image": observations["image"][:1], "prompt": observations["prompt"][:1]}
    tokens, mask = policy.encode_answers(["<answer>9</answer>"] * 2)
    with torch.no_grad():
        both = policy.encode(observations)
        assert not both.attention_mask[0].all()
        padded = policy.evaluate(both, tokens, mask)
        bare = policy.evaluate(policy.encode(alone), tokens[:1], mask[:1])
    for name in ("logprobs", "entropies", "values"):
        close(getattr(padded, name)[:1], getattr(bare, name))
    one, two = (policy.generate(policy.encode(o), deterministic=True) for o in (alone, observations))
    length = one.tokens.shape[1]
    assert one.tokens[0].tolist() == two.tokens[0, :length].tolist()


def test_tokens_after_the_end_are_inert(kind, padded, make_policy):
    policy = make_policy(kind, ends=MANY_ENDS)
    inputs = policy.encode(padded)
    samples = sample(policy, inputs)
    noise = torch.randint(3, 200, samples.tokens.shape, generator=torch.Generator().manual_seed(2))
    changed = torch.where(samples.mask, samples.tokens, noise)
    assert not torch.equal(changed, samples.tokens)
    with torch.no_grad():
        before = policy.evaluate(inputs, samples.tokens, samples.mask)
        after = policy.evaluate(inputs, changed, samples.mask)
    for name in ("logprobs", "entropies", "values"):
        assert torch.equal(getattr(before, name), getattr(after, name))
    assert policy.decode(changed, samples.mask, samples.truncated) == policy.decode(
        samples.tokens, samples.mask, samples.truncated
    )


def test_columns_beyond_the_longest_answer_are_inert(kind, padded, make_policy):
    """Rollouts may be wider than the answers of a micro-batch; the result keeps their width."""
    policy = make_policy(kind)
    inputs = policy.encode(padded)
    tokens, mask = policy.encode_answers(["9", "0", "90"])
    wide = torch.nn.functional.pad(tokens, (0, 4), value=7), torch.nn.functional.pad(mask, (0, 4))
    with torch.no_grad():
        narrow, full = policy.evaluate(inputs, tokens, mask), policy.evaluate(inputs, *wide)
    assert torch.equal(narrow.logprobs, full.logprobs[:, : tokens.shape[1]])
    assert bool((full.logprobs[:, tokens.shape[1] :] == 0).all())


def test_answers_end_at_the_first_of_several_ends(kind, padded, make_policy):
    policy = make_policy(kind, ends=MANY_ENDS)
    ends = torch.tensor(policy.model.generation_config.eos_token_id)
    assert len(ends) == MANY_ENDS
    samples = sample(policy, policy.encode(padded), 8)
    is_end = torch.isin(samples.tokens, ends) & samples.mask
    lengths = samples.mask.sum(1)
    assert bool((lengths >= 1).all())
    assert torch.equal(samples.mask, torch.arange(samples.mask.shape[1]) < lengths[:, None])
    assert torch.equal(is_end.any(1), ~samples.truncated)
    ended = ~samples.truncated
    assert torch.equal(is_end[ended].long().argmax(1), lengths[ended] - 1)
    assert bool((lengths[samples.truncated] == policy.max_new_tokens).all())
    assert bool((samples.tokens[~samples.mask] == policy.pad_token_id).all())
    assert len(set(samples.tokens[is_end].tolist())) > 1


def test_generation_stops_when_every_row_has_ended(kind, padded, make_policy):
    policy = make_policy(kind, ends=300, max_new_tokens=500)
    calls = []
    policy.model.model.register_forward_hook(lambda *_: calls.append(1))
    samples = sample(policy, policy.encode(padded))
    assert samples.tokens.shape[1] < 100
    assert len(calls) <= samples.tokens.shape[1] + 1
    assert not samples.truncated.any()


def test_a_truncated_answer_says_so_and_is_no_answer(kind, make_policy, task):
    policy = make_policy(kind, max_new_tokens=6)
    tokens, mask = policy.encode_answers(["<answer>90</answer>"] * 2)
    whole, cut = policy.decode(tokens, mask, torch.tensor([False, True]))
    assert whole == "<answer>90</answer>"
    assert task.parse(whole) == 1
    assert cut.endswith(TRUNCATED)
    assert task.parse(cut) is None


def test_an_endless_model_is_truncated(kind, padded, make_policy):
    policy = make_policy(kind, max_new_tokens=4)
    policy._ends.fill_(policy.encoder.image_token_id)  # which is never said
    samples = sample(policy, policy.encode(padded))
    assert samples.truncated.all()
    assert samples.mask.all()
    assert samples.tokens.shape[1] == 4
    assert all(text.endswith(TRUNCATED) for text in policy.decode(samples.tokens, samples.mask, samples.truncated))


def test_the_picture_token_is_never_said(kind, make_policy, make_questions):
    policy = make_policy(kind)
    inputs = policy.encode(make_questions(("Angle?",)))
    pictures = {"pixel_values": inputs.pictures["pixel_values"][0]}
    with torch.no_grad():
        hidden = policy.model.model(input_ids=inputs.input_ids, **pictures).last_hidden_state[0, -1]
        policy.model.get_output_embeddings().weight[policy.encoder.image_token_id] = 1000 * hidden
        logits = policy.model(input_ids=inputs.input_ids, **pictures).logits[0, -1]
    assert int(logits.argmax()) == policy.encoder.image_token_id
    samples = sample(policy, inputs, 64)
    likeliest = policy.generate(inputs, deterministic=True)
    assert not bool((samples.tokens == policy.encoder.image_token_id).any())
    assert not bool((likeliest.tokens == policy.encoder.image_token_id).any())
    with torch.no_grad():
        scored = policy.evaluate(inputs, samples.tokens, samples.mask)
    close(scored.logprobs, samples.logprobs, 1e-4)
    assert torch.isfinite(scored.entropies).all()


# Frozen vision, common prefixes


def test_frozen_vision_runs_once_and_says_the_same(kind, prompts, make_policy, make_questions):
    free, frozen = make_policy(kind, ends=MANY_ENDS), make_policy(kind, ends=MANY_ENDS, freeze_vision=True)
    calls = []
    frozen.model.model.vision_tower.register_forward_hook(lambda *_: calls.append(1))
    observations = make_questions(prompts)
    inputs, open_inputs = frozen.encode(observations), free.encode(observations)
    samples, open_samples = sample(frozen, inputs), sample(free, open_inputs)
    assert torch.equal(samples.tokens, open_samples.tokens)
    close(samples.logprobs, open_samples.logprobs)
    for _ in range(2):
        now = frozen.evaluate(inputs, samples.tokens, samples.mask)
        (now.logprobs.sum() + now.values.sum()).backward()
    assert len(calls) == 1
    close(now.logprobs.detach(), free.evaluate(open_inputs, samples.tokens, samples.mask).logprobs.detach())
    for name, parameter in frozen.named_parameters():
        seeing = any(part in name for part in ("vision_tower", "multi_modal_projector"))
        assert parameter.requires_grad != seeing, name
        assert parameter.grad is None or not seeing, name
    some = inputs.rows(torch.tensor([2, 0]))
    assert torch.equal(some.features.tokens, inputs.features.tokens[[2, 0]])
    assert len(some) == 2


def test_what_all_prompts_begin_with_may_run_once(kind, make_policy, make_questions, monkeypatch):
    """With pictures after the text and before it, the results and gradients with and without the shortcut are the same."""
    policy = make_policy(kind, ends=MANY_ENDS)
    if kind == "llava":
        policy.processor.chat_template = (
            "{% for m in messages %}USER: {% for p in m['content'] %}"
            "{% if p['type'] == 'image' %}<image>{% else %}{{ p['text'] }}{% endif %}{% endfor %}{% endfor %}"
        )
    inputs = policy.encode(make_questions(("Angle 14?", "Angle 17?", "Angle 13?")))
    assert policy.decoder.common_prefix(inputs) > 1

    def run() -> tuple[Any, list[Tensor]]:
        samples = sample(policy, inputs)
        now = policy.evaluate(inputs, samples.tokens, samples.mask)
        policy.zero_grad()
        (now.logprobs.sum() + now.values.sum() + now.entropies.sum()).backward()
        gradients = [p.grad.clone() for p in policy.parameters() if p.grad is not None]
        return (samples.tokens, samples.logprobs, samples.values, now.entropies.detach()), gradients

    with_it, gradients = run()
    monkeypatch.setattr(policy.decoder, "common_prefix", lambda _: 0)
    without, others = run()
    assert torch.equal(with_it[0], without[0])
    for a, b in zip(with_it[1:], without[1:], strict=True):
        close(a, b)
    for a, b in zip(gradients, others, strict=True):
        assert float((a - b).norm()) <= 1e-4 * float(b.norm()) + 1e-6


def test_nothing_is_common_to_padded_or_different_prompts(kind, padded, make_policy, make_questions):
    policy = make_policy(kind)
    assert policy.decoder.common_prefix(policy.encode(padded)) == 0
    same = policy.encode(make_questions(("Angle?", "Angle?")))
    before_pictures = int((same.input_ids[0] == policy.encoder.image_token_id).long().argmax())
    assert policy.decoder.common_prefix(same) == before_pictures


# Encoding, several pictures, errors


def test_padding_is_not_common_whatever_token_it_is(kind, make_policy, make_questions):
    """Some tokenizers pad with a token that prompts begin with, too."""
    policy = make_policy(kind)
    inputs = policy.encode(make_questions(("Angle?", "Angle?")))
    inputs.input_ids[inputs.input_ids == policy.encoder.image_token_id] = policy.pad_token_id
    assert policy.decoder.common_prefix(inputs) == inputs.input_ids.shape[1] - 1
    inputs.attention_mask[1, 0] = 0
    assert policy.decoder.common_prefix(inputs) == 0


def test_answers_are_written_as_they_are_read(kind, make_policy):
    policy = make_policy(kind, max_new_tokens=20)
    answers = ["<answer>90</answer>", "<think>so</think> <answer>1, 2</answer>", "", "  two  spaces\n"]
    tokens, mask = policy.encode_answers(answers)
    assert policy.decode(tokens, mask, torch.zeros(len(answers), dtype=torch.bool)) == answers
    last = tokens[torch.arange(len(answers)), mask.sum(1) - 1]
    assert bool((last == policy.processor.tokenizer.eos_token_id).all())


def test_several_pictures_stand_in_their_order(kind, make_policy):
    policy = make_policy(kind)
    rng = np.random.default_rng(0)
    first, second = rng.integers(0, 256, (2, 2, 36, 36, 3), dtype=np.uint8)
    inputs = policy.encode({"reference": first, "image": second, "prompt": ("Angle?", "What is this picture's angle?")})
    swapped = policy.encode({"reference": second, "image": first, "prompt": ("Angle?", "What is this picture's angle?")})
    assert inputs.pictures["pixel_values"].shape[:2] == (2, 2)
    assert torch.equal(inputs.pictures["pixel_values"].flip(1), swapped.pictures["pixel_values"])
    samples = sample(policy, inputs)
    with torch.no_grad():
        logprobs, _, _ = naive(policy, inputs, samples.tokens, samples.mask)
        other = policy.evaluate(swapped, samples.tokens, samples.mask)
    close(samples.logprobs, logprobs)
    assert float((samples.logprobs - other.logprobs).abs().max()) > 1e-3


def test_weights_saved_and_loaded_are_the_same(kind, padded, make_policy, tmp_path):
    policy, other = make_policy(kind), make_policy(kind)
    with torch.no_grad():
        for parameter in policy.parameters():
            parameter.add_(0.01)
    policy.save(tmp_path)
    other.load_weights(tmp_path)
    for (name, a), (_, b) in zip(policy.state_dict().items(), other.state_dict().items(), strict=True):
        assert torch.equal(a, b), name


def test_given_weights_are_written_in_place_of_its_own(kind, make_policy, tmp_path):
    """They are whole where the policy holds parts."""
    policy, other = make_policy(kind), make_policy(kind)
    weights = {name: value + 1 for name, value in policy.state_dict().items()}
    policy.save(tmp_path, weights)
    other.load_weights(tmp_path)
    for name, value in other.state_dict().items():
        assert torch.equal(value, weights[name]), name


def test_training_mode_leaves_dropout_off(make_policy):
    policy = make_policy("nano")
    assert not any(module.training for module in policy.train().modules())


def test_a_fresh_value_head_says_zero():
    model, processor = build_nano(["Angle?"])
    policy = VLMPolicy(model, processor)
    assert not policy.value_head.weight.any()
    assert policy.value_head.weight.dtype == torch.float32


@pytest.mark.parametrize("temperature", [0.0, -1.0])
def test_a_temperature_that_is_not_positive_is_refused(kind, temperature, make_policy):
    with pytest.raises(ValueError, match=r"temperature must be positive.*deterministic"):
        make_policy(kind, temperature=temperature)


def test_an_answer_that_does_not_fit_is_refused(kind, make_policy):
    policy = make_policy(kind, max_new_tokens=4)
    with pytest.raises(ValueError, match="does not fit max_new_tokens=4"):
        policy.encode_answers(["<answer>12345</answer>"])


# What models and environments may differ in


def test_eager_attention_sees_no_more_than_sdpa(kind, padded, make_policy):
    policy = make_policy(kind, ends=MANY_ENDS)
    policy.model.set_attn_implementation("eager")
    inputs = policy.encode(padded)
    samples = sample(policy, inputs, 3)
    with torch.no_grad():
        close(samples.logprobs, policy.evaluate(inputs, samples.tokens, samples.mask).logprobs)


def test_attention_of_another_kind_is_refused(kind, make_policy):
    policy = make_policy(kind)
    policy.model.config.get_text_config()._attn_implementation = "flex_attention"
    with pytest.raises(ValueError, match="flex_attention attention"):
        VLMPolicy(policy.model, policy.processor)


def test_what_needs_masks_is_refused_where_attention_takes_none(kind, make_policy):
    policy = make_policy(kind)
    policy.model.config.get_text_config()._attn_implementation = "flash_attention_2"
    with pytest.raises(ValueError, match="gradient checkpointing packs rows"):
        VLMPolicy(policy.model, policy.processor, gradient_checkpointing=True)
    with pytest.raises(ValueError, match="flash_attention_2 takes no masks"):
        VLMPolicy(policy.model, policy.processor).work_together(ONE)


def test_the_order_of_the_pictures_does_not_depend_on_the_order_of_the_keys(make_policy):
    policy = make_policy("nano")
    pictures = np.random.default_rng(0).integers(0, 256, (2, 2, 36, 36, 3), dtype=np.uint8)
    one = policy.encode({"image": pictures[0], "reference": pictures[1], "prompt": ("a", "b")})
    other = policy.encode({"prompt": ("a", "b"), "reference": pictures[1], "image": pictures[0]})
    assert torch.equal(one.pictures["pixel_values"], other.pictures["pixel_values"])


def test_a_prompt_is_formatted_for_as_many_pictures_as_it_has(kind, make_policy):
    """Formatted prompts are kept; the same words may come with more pictures later."""
    encoder = make_policy(kind).encoder
    token = encoder.processor.tokenizer.convert_ids_to_tokens(encoder.image_token_id)
    for pictures in (1, 2, 1):
        assert encoder.text("Angle?", pictures).count(token) == pictures


def test_special_tokens_inside_an_answer_are_not_overlooked(make_policy):
    policy = make_policy("nano")
    tokens, mask = policy.encode_answers(["<answer><pad>90</answer>"])
    text = policy.decode(tokens, mask, torch.zeros(1, dtype=torch.bool))[0]
    assert text == "<answer><pad>90</answer>"
