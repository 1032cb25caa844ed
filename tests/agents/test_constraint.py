"""Constrained policies say nothing but answers, and scoring knows it as sampling does."""

from __future__ import annotations

import sys
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer, decoders, models, normalizers, trainers
from torch import Tensor
from transformers import PreTrainedTokenizerFast

from ssl4rl_agents.policies import constraint as constraint_module
from ssl4rl_agents.policies.constraint import Constraint, constrain
from ssl4rl_agents.policies.grammar import forms_of
from ssl4rl_agents.policies.nano import build_tokenizer
from ssl4rl_agents.policies.vlm import VLMPolicy
from ssl4rl_agents.ppo.trainer import Trainer
from ssl4rl_agents.runs.policy_agent import load_run
from ssl4rl_envs import Stream, make_task
from ssl4rl_envs.answers import AnswerFormat, extract, wrap
from tests.agents.conversing import play, shown, talker
from tests.agents.tiny_runs import config, halt_after, numbers, tasks_built_once, train

assert tasks_built_once  # runs of one task build it once

ANGLES = AnswerFormat(("0", "90", "180", "270"))
ORDERS = AnswerFormat(("1", "2", "3", "4"), slots=4, distinct=True)
ORDERING: dict[str, Any] = {"env": "SSL4RL/PatchOrdering-v0", "rollout": {"constrained": True}, "format_warmup": 0}


def tokenizer_for(forms: list[AnswerFormat]) -> PreTrainedTokenizerFast:
    """A byte-level one, whose tags are added tokens and whose tokens reach over several labels."""
    answers = [form.format(np.arange(form.slots) % len(form.labels)) for form in forms]
    return build_tokenizer([wrap(answer, "direct") for answer in answers], phrases=True)


def spaced_tokenizer() -> PreTrainedTokenizerFast:
    """One that puts a space before every text, as SentencePiece does."""
    tokenizer = Tokenizer(models.BPE(byte_fallback=True, unk_token="<unk>", fuse_unk=True))
    tokenizer.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
    spaces = decoders.Replace("▁", " ")
    tokenizer.decoder = decoders.Sequence([spaces, decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)])
    tokens = ["<unk>", "</s>", *(f"<0x{byte:02X}>" for byte in range(256))]
    trainer = trainers.BpeTrainer(vocab_size=400, special_tokens=tokens, show_progress=False)
    tokenizer.train_from_iterator(["<think>it lies</think> <answer>90</answer> 1, 2, 3, 4, 180, 270"] * 3, trainer)
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, eos_token="</s>", pad_token="<unk>")


def constraint_of(
    tokenizer: Any, forms: list[AnswerFormat], style: str = "direct", room: int = 16, **more: Any
) -> Constraint:
    return Constraint(tokenizer, len(tokenizer) + 3, [tokenizer.eos_token_id], forms, style, room=room, **more)


def random_reply(constraint: Constraint, tokenizer: Any, rng: np.random.Generator, avoid: tuple[int, ...] = ()) -> list[int]:
    """Tokens that were allowed, one after the other, its end included; none to `avoid` where there is another."""
    replies, said = constraint.begin(1), list[int]()
    while not said or said[-1] != tokenizer.eos_token_id:
        allowed = replies.allowed(torch.device("cpu")).tokens(len(tokenizer) + 3)[0]
        choices = allowed.nonzero().flatten().tolist()
        said.append(int(rng.choice([token for token in choices if token not in avoid] or choices)))
        replies.say(torch.tensor([said[-1]]), torch.tensor([said[-1] != tokenizer.eos_token_id]))
    return said


def text_of(tokenizer: Any, said: list[int]) -> str:
    return str(tokenizer.decode(said[:-1], skip_special_tokens=False, clean_up_tokenization_spaces=False))


def takes(constraint: Constraint, tokenizer: Any, reply: str) -> bool:
    """Whether a whole reply may be said as its tokenizer writes it."""
    said = torch.tensor([[*tokenizer(reply, add_special_tokens=False)["input_ids"], tokenizer.eos_token_id]])
    try:
        allowed = constraint.of(said, torch.ones_like(said, dtype=torch.bool)).tokens(len(tokenizer) + 3)
    except ValueError:
        return False
    return bool(allowed.gather(-1, said[..., None]).all())


# The grammar


@st.composite
def answer_forms(draw: st.DrawFn) -> AnswerFormat:
    letters = "abcdefghijklmnop 0123456789-"
    words = st.text(letters, min_size=1, max_size=9).map(str.strip).filter(lambda word: word.strip("- "))
    labels = tuple(draw(st.lists(words, min_size=2, max_size=12, unique_by=lambda word: word.replace("-", " "))))
    distinct = draw(st.booleans())
    slots = draw(st.integers(1, min(len(labels), 5) if distinct else 4))
    try:
        return AnswerFormat(labels, slots, distinct=distinct)
    except ValueError:  # labels that could not be told apart
        return AnswerFormat(tuple(f"{number + 1}" for number in range(len(labels))), slots, distinct=distinct)


@settings(max_examples=12, deadline=None)
@given(answer_forms(), st.sampled_from(["direct", "think"]), st.integers(0, 2**32 - 1))
def test_what_is_allowed_can_be_read_and_what_is_written_is_allowed(form: AnswerFormat, style: str, seed: int) -> None:
    tokenizer, rng = tokenizer_for([form]), np.random.default_rng(seed)
    constraint = constraint_of(tokenizer, [form], style)
    for _ in range(3):
        said = random_reply(constraint, tokenizer, rng)
        body = extract(text_of(tokenizer, said), style)
        assert body is not None
        assert form.parse(body) is not None
        assert len(said) <= constraint.room
        answer = (
            rng.permutation(len(form.labels))[: form.slots]
            if form.distinct
            else rng.integers(len(form.labels), size=form.slots)
        )
        assert takes(constraint, tokenizer, wrap(form.format(answer), style))


@pytest.mark.parametrize("style", ["direct", "think"])
def test_tokenizers_that_put_a_space_first_are_constrained_too(style):
    tokenizer, rng = spaced_tokenizer(), np.random.default_rng(0)
    constraint = constraint_of(tokenizer, [ANGLES, ORDERS], style, 60)
    assert takes(constraint, tokenizer, wrap("180", style, "it lies" if style == "think" else ""))
    for _ in range(5):
        body = extract(text_of(tokenizer, random_reply(constraint, tokenizer, rng)), style)
        assert body is not None
        assert ANGLES.parse(body) is not None or ORDERS.parse(body) is not None


def test_every_answer_is_possible_and_none_repeats_a_number():
    tokenizer, rng = tokenizer_for([ORDERS]), np.random.default_rng(0)
    constraint = constraint_of(tokenizer, [ORDERS])
    found = {text_of(tokenizer, random_reply(constraint, tokenizer, rng)) for _ in range(400)}
    assert len(found) == 24
    for wrong in ("1, 2, 3, 3", "1, 2, 3", "1, 2, 3, 4, 1", "5, 1, 2, 3", "", "4, 3, 2, 1."):
        assert not takes(constraint, tokenizer, wrap(wrong, "direct"))


def test_an_order_of_many_labels_costs_no_more_than_one_of_a_few():
    form = AnswerFormat(tuple(str(number + 1) for number in range(25)), slots=25, distinct=True)
    tokenizer = tokenizer_for([form])
    said = random_reply(constraint_of(tokenizer, [form]), tokenizer, np.random.default_rng(0))
    assert sorted(form.parse(extract(text_of(tokenizer, said), "direct") or "")) == list(range(25))  # type: ignore[arg-type]
    more = AnswerFormat(tuple(str(number) for number in range(65)), slots=2, distinct=True)
    with pytest.raises(ValueError, match="at most 64 labels apart"):
        constraint_of(tokenizer, [more])


def test_thoughts_hold_no_tags_and_end_in_time():
    tokenizer, rng = tokenizer_for([ANGLES]), np.random.default_rng(0)
    close = int(tokenizer.convert_tokens_to_ids("</think>"))
    constraint = constraint_of(tokenizer, [ANGLES], "think", 60)
    for _ in range(20):
        said = random_reply(constraint, tokenizer, rng, avoid=(close,))
        assert len(said) <= 60
        assert extract(text_of(tokenizer, said), "think") in ANGLES.labels
    for thought in ("a < b", "<b>", "</thin", "", "ü \n", "<answer", "think>"):
        assert takes(constraint, tokenizer, wrap("90", "think", thought))
    for thought in ("<answer>", "<think>", "</answer>", "</think>"):
        assert not takes(constraint, tokenizer, wrap("90", "think", thought))


@pytest.mark.parametrize(
    ("style", "written", "said", "not_said"),
    [
        ("think", "<think>\n", "so</think> <answer>90</answer>", "<think>so</think> <answer>90</answer>"),
        ("direct", "<think>\n", "</think>\n\n<answer>90</answer>", "<answer>90</answer>"),
        ("direct", "<think>\n\n</think>\n\n", "<answer>90</answer>", "so</think> <answer>90</answer>"),
        ("think", "<think>\n\n</think>\n\n", "<think>so</think> <answer>90</answer>", "so</think> <answer>90</answer>"),
    ],
)
def test_what_the_template_wrote_is_not_said_again(style, written, said, not_said):
    tokenizer = tokenizer_for([ANGLES])
    constraint = constraint_of(tokenizer, [ANGLES], style, 60, written=written)
    assert takes(constraint, tokenizer, said)
    assert not takes(constraint, tokenizer, not_said)


def test_beginnings_are_forgotten_where_there_are_too_many(monkeypatch):
    tokenizer = tokenizer_for([ORDERS])
    constraint = constraint_of(tokenizer, [ORDERS])
    monkeypatch.setattr(constraint_module, "MOST", 50)
    said = [random_reply(constraint, tokenizer, np.random.default_rng(seed)) for seed in range(40)]
    assert len(constraint.following) < 70
    rows = torch.nn.utils.rnn.pad_sequence([torch.tensor(reply) for reply in said], batch_first=True)
    mask = torch.arange(rows.shape[1]) < torch.tensor([len(reply) for reply in said])[:, None]
    allowed = constraint.of(rows, mask).tokens(len(tokenizer) + 3)
    fresh = constraint_of(tokenizer, [ORDERS]).of(rows, mask).tokens(len(tokenizer) + 3)
    assert torch.equal(allowed[mask], fresh[mask])


def test_tasks_without_labels_are_refused_and_mixtures_may_say_what_their_parts_may():
    colours = make_task("SSL4RL/MaskedReconstruction-v0", source="digits", image_size=36, answer="pixels")
    with pytest.raises(ValueError, match="free"):
        forms_of(colours)
    mixture = make_task("SSL4RL/Mixture-v0", source="digits", image_size=36, tasks=("Rotation", "PatchOrdering"))
    assert forms_of(mixture) == [part.answer_format for part in mixture.parts]


def test_a_missing_package_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "llguidance", None)
    with pytest.raises(ImportError, match=r"rollout.constrained needs llguidance.*constrained"):
        constraint_of(tokenizer_for([ANGLES]), [ANGLES])


# The policy


class Orders:
    """A task as `constrain` sees it."""

    answer_format, answer_formats = ORDERS, (ORDERS,)


@pytest.fixture(params=["nano", "plain", "qwen2_vl", "gpt2"])
def policy(request: pytest.FixtureRequest) -> VLMPolicy:
    found = talker(str(request.param), ends=0)
    constrain(found, Orders())  # type: ignore[arg-type]
    return found


def probabilities(policy: VLMPolicy, inputs: Any, reply: list[int]) -> Tensor:
    """Of all tokens at each place of a reply to one prompt (T, vocabulary), from the bare logits and a fresh grammar."""
    fresh = Constraint(policy.processor.tokenizer, 10**4, policy.ends, [ORDERS], room=policy.max_new_tokens)
    said = torch.tensor([reply])
    hidden = policy.decoder.answers(inputs, said, torch.ones_like(said, dtype=torch.bool))[0]
    logits = policy.model.get_output_embeddings()(hidden).float() / policy.temperature
    allowed = fresh.of(said, torch.ones_like(said, dtype=torch.bool)).tokens(logits.shape[-1])[0]
    unsaid = torch.zeros(logits.shape[-1], dtype=torch.bool)
    unsaid[policy.unsaid] = True
    return logits.masked_fill(~allowed | unsaid, -torch.inf).softmax(-1)


def test_sampling_and_scoring_are_of_the_masked_distribution(policy):
    inputs = policy.encode(shown(policy, ("Angle?", "Which order?"), 0))
    samples = policy.generate(inputs, 3, generator=torch.Generator().manual_seed(0))
    replies = policy.decode(samples.tokens, samples.mask, samples.truncated)
    assert not samples.truncated.any()
    assert all(ORDERS.parse(extract(reply, "direct") or "") is not None for reply in replies)
    with torch.no_grad():
        scored = policy.evaluate(inputs, samples.tokens, samples.mask)
    torch.testing.assert_close(scored.logprobs, samples.logprobs, atol=1e-5, rtol=0)
    torch.testing.assert_close(scored.values, samples.values, atol=1e-5, rtol=0)
    for row in range(6):
        kept = samples.mask[row]
        reply = samples.tokens[row][kept].tolist()
        with torch.no_grad():
            chances = probabilities(policy, inputs.rows(torch.tensor([row // 3])), reply)
        expected = chances.gather(-1, torch.tensor(reply)[:, None])[:, 0].log()
        torch.testing.assert_close(scored.logprobs[row][kept], expected, atol=1e-5, rtol=0)
        torch.testing.assert_close(scored.entropies[row][kept], torch.special.entr(chances).sum(-1), atol=1e-5, rtol=0)


def test_scoring_in_parts_is_scoring_at_once(policy, monkeypatch):
    inputs = policy.encode(shown(policy, ("Angle?", "Which order?"), 0))
    samples = policy.generate(inputs, 2, generator=torch.Generator().manual_seed(0))
    whole = policy.evaluate(inputs, samples.tokens, samples.mask)
    expected = torch.autograd.grad(whole.logprobs.sum(), policy.model.get_output_embeddings().weight)
    monkeypatch.setattr("ssl4rl_agents.policies.vlm.LOGITS", 3 * policy.model.get_output_embeddings().out_features)
    parts = policy.evaluate(inputs, samples.tokens, samples.mask)
    torch.testing.assert_close(parts.logprobs, whole.logprobs)
    torch.testing.assert_close(
        torch.autograd.grad(parts.logprobs.sum(), policy.model.get_output_embeddings().weight), expected, atol=1e-5, rtol=1e-4
    )


def test_every_turn_of_a_conversation_begins_its_reply_anew(policy):
    played = play(policy)
    samples = played.beside
    with torch.no_grad():
        now = policy.evaluate(played.inputs, samples.tokens, samples.mask)
    torch.testing.assert_close(now.logprobs, samples.logprobs, atol=1e-5, rtol=0)
    for turn in played.samples:
        replies = policy.decode(turn.tokens, turn.mask, turn.truncated)
        assert all(ORDERS.parse(extract(reply, "direct") or "") is not None for reply in replies)


# Runs


def test_runs_are_readable_from_the_first_answer_on_and_their_first_ratios_are_1(tmp_path):
    trainer = train(tmp_path, **ORDERING, iterations=3)
    for line in numbers(tmp_path):
        assert line["readable"] == 1
        assert line["first_ratio_error"] < 1e-4
    agent = load_run(tmp_path)
    assert agent.policy.constraint is not None
    observations = trainer.interface.observe(trainer.task.sample(Stream.span("test", 0, 0, 20)))
    assert all(ORDERS.parse(extract(reply, "direct") or "") is not None for reply in agent.act(observations))


def test_a_resumed_run_goes_on_as_if_it_had_not_stopped(tmp_path):
    changes: dict[str, Any] = {**ORDERING, "iterations": 3, "save_every": 1}
    whole = train(tmp_path / "whole", **changes)
    halt_after(Trainer(config(**changes), tmp_path / "parts", quiet=True), 1)
    parts = Trainer(config(**changes), tmp_path / "parts", quiet=True, resume=True)
    assert parts.run()
    assert numbers(tmp_path / "parts") == numbers(tmp_path / "whole")
    for name, weight in whole.policy.state_dict().items():
        assert torch.equal(weight, parts.policy.state_dict()[name]), name


@pytest.mark.parametrize("style", ["direct", "think"])
def test_the_micro_batch_changes_no_curve(tmp_path, style):
    changes: dict[str, Any] = {**ORDERING, "prompt_style": style, "policy": {"max_new_tokens": 60}}
    whole = train(tmp_path / "whole", **changes)
    parts = train(tmp_path / "parts", **changes, optimizer={"micro_batch": 1})
    assert all(line["readable"] == 1 for line in numbers(tmp_path / "whole"))
    for name, weight in whole.policy.state_dict().items():
        torch.testing.assert_close(weight, parts.policy.state_dict()[name], atol=2e-4, rtol=0, msg=name)


@pytest.mark.parametrize("context", ["turn", "episode"])
def test_episodes_are_constrained_turn_by_turn(tmp_path, context):
    swaps = {"env": "SSL4RL/PatchSwap-v0", "env_args": {"grid": 2, "image_size": 36}}
    train(tmp_path, **{**ORDERING, **swaps, "rollout": {"constrained": True, "context": context}})
    assert all(line["readable"] == 1 for line in numbers(tmp_path))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"rollout": {"constrained": True, "engine": "vllm"}}, "samples in its stead"),
        ({"format_tasks": ["FlipPrediction"], "format_warmup": 2}, "forbids"),
    ],
)
def test_what_cannot_be_constrained_is_refused(changes, message):
    with pytest.raises(ValueError, match=message):
        config(**{**ORDERING, **changes}).resolved()


def test_a_constrained_nano_needs_no_format_warmup():
    plain = {name: value for name, value in ORDERING.items() if name != "format_warmup"}
    assert config(**{**plain, "format_warmup": None}).resolved().format_warmup == 0
    assert config(**{**plain, "format_warmup": None, "rollout": {}}).resolved().format_warmup == 40
