"""Conversations with the cache kept are what the same tokens are as one prompt, in sampling and in the update."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from ssl4rl_agents.policies import vlm
from ssl4rl_agents.policies.conversations import Conversations, side_by_side, together
from ssl4rl_agents.policies.static_cache import Kept
from ssl4rl_agents.policies.support import UnsupportedModelError
from ssl4rl_agents.policies.vlm import VLMPolicy
from ssl4rl_agents.ppo.joining import joined
from tests.agents import conftest, zoo
from tests.agents.conversing import FIRST, GROUP, NEXT, TALKERS, Played, held, play, shown, talker
from tests.agents.rollouts import ONE
from tests.agents.test_families import close, gradients, same

SOME = ("llava", "qwen2_5_vl", "qwen3_vl", "gemma3", "smolvlm", "mistral")
"""One of each kind: M-RoPE, features in later layers, both directions, pictures in blocks, windows."""


@pytest.fixture(params=TALKERS)
def talking(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def scored_apart(policy: VLMPolicy, played: Played) -> list[Any]:
    """What the policy says of the replies of each turn behind what was said before as one prompt."""
    return [
        policy.evaluate(played.joined(policy, turn), samples.tokens, samples.mask)
        for turn, samples in enumerate(played.samples)
    ]


def beside(played: Played, apart: list[Any], name: str) -> Tensor:
    """The same, in the columns of their turns."""
    count = len(played.inputs) * GROUP
    columns = [
        torch.zeros(count, width).index_put((rows,), getattr(scored, name))
        for width, rows, scored in zip(played.inputs.widths, played.rows, apart, strict=True)
    ]
    return torch.cat(columns, dim=1)


def alike(one: Any, other: Any) -> None:
    """Two samples are the same, their numbers up to rounding."""
    for name in ("tokens", "mask", "truncated"):
        assert torch.equal(getattr(one, name), getattr(other, name)), name
    close(one.logprobs, other.logprobs, 1e-5)
    close(one.values, other.values, 1e-5)


# Sampling


def test_a_talk_says_what_its_tokens_as_one_prompt_say(talking):
    """Replies of unequal lengths, one of them cut off, in the middle too; rows leave after each turn."""
    policy, played = held(talking)
    assert [len(rows) for rows in played.rows] == [6, 5, 3]
    assert played.samples[0].truncated.any() or played.samples[1].truncated.any()
    assert len(set(torch.cat([samples.mask.sum(1) for samples in played.samples]).tolist())) > 1
    with torch.no_grad():
        for samples, scored in zip(played.samples, scored_apart(policy, played), strict=True):
            close(samples.logprobs, scored.logprobs, 1e-5)
            close(samples.values, scored.values, 1e-5)


@pytest.mark.parametrize("model", ["nano", "qwen2_5_vl", "mistral"])
def test_the_likeliest_replies_are_those_behind_everything_as_one_prompt(model):
    policy = talker(model)
    played = play(policy, deterministic=True)
    for turn in range(1, 3):
        alike(played.samples[turn], policy.generate(played.joined(policy, turn), deterministic=True))


@pytest.mark.parametrize("model", ["nano", "qwen2_5_vl", "mistral"])
def test_the_same_luck_gives_the_same_talk(model):
    policy = talker(model)
    one, two, other = (play(policy, seed=seed).beside for seed in (3, 3, 4))
    assert torch.equal(one.tokens, two.tokens)
    assert torch.equal(one.logprobs, two.logprobs)
    assert not torch.equal(one.tokens[:, :2], other.tokens[:, :2])


@pytest.mark.parametrize("model", ["nano", "qwen2_5_vl", "gemma3", "llama"])
@pytest.mark.parametrize("decisions", [None, 1])
def test_one_turn_is_what_generate_says_to_the_bit(model, decisions):
    policy = talker(model)
    inputs = policy.encode(shown(policy, FIRST, 0))
    lucks = [torch.Generator().manual_seed(5) for _ in range(2)]
    talk = policy.talk(inputs, GROUP, decisions)
    one, other = talk.reply(generator=lucks[0]), policy.generate(inputs, GROUP, generator=lucks[1])
    for name in ("tokens", "mask", "truncated", "logprobs", "values"):
        assert torch.equal(getattr(one, name), getattr(other, name)), name
    assert torch.equal(lucks[0].get_state(), lucks[1].get_state())
    for ours, theirs in zip(
        policy.evaluate(talk.inputs, one.tokens, one.mask), policy.evaluate(inputs, one.tokens, one.mask), strict=True
    ):
        assert torch.equal(ours, theirs)


@pytest.mark.parametrize("model", SOME)
def test_attention_without_masks_says_the_same(model, monkeypatch):
    """What flash attention is given."""
    policy = talker(model)
    if policy.decoder._two_way is not None:
        pytest.skip("refused: it sees in both directions")
    played = play(policy)
    samples = played.beside
    whole = policy.evaluate(played.inputs, samples.tokens, samples.mask)
    expected = gradients(policy, tuple(whole))
    monkeypatch.setattr("ssl4rl_agents.policies.decoder.EXPLICIT", ())
    alike(play(policy).beside, samples)
    now = policy.evaluate(played.inputs, samples.tokens, samples.mask)
    close(now.logprobs, whole.logprobs)
    same(gradients(policy, tuple(now)), expected)


@pytest.mark.parametrize(("model", "longest"), [("qwen2_5_vl", 5), ("gemma3", 5), ("mistral", 5), ("mistral", 40)])
def test_memory_of_a_fixed_size_says_the_same(model, longest, monkeypatch):
    """Replies side by side or, if they are long, in rows. Two conversations take turns, each in memory of its own."""
    monkeypatch.setattr(Kept, "tidy", lambda self: None)  # as on a GPU, where small memory is used again
    found = []
    for cache in ("dynamic", "static"):
        policy = talker(model, cache=cache, max_new_tokens=longest, ends=60 if longest == 5 else 15)
        talks = [policy.talk(policy.encode(shown(policy, FIRST, seed)), GROUP) for seed in (0, 7)]
        said = [[talk.reply(generator=torch.Generator().manual_seed(1)) for talk in talks]]
        for stay in ([0, 2, 3], [1, 2]):
            for talk in talks:
                talk.hear(torch.tensor(stay), shown(policy, tuple(NEXT[row] for row in stay), len(said)))
            said.append([talk.reply(generator=torch.Generator().manual_seed(2)) for talk in talks])
        found.append([samples for turn in said for samples in turn])
    for one, other in zip(*found, strict=True):
        alike(one, other)


@pytest.mark.parametrize("model", ["qwen2_5_vl", "gemma3", "mistral"])
def test_in_bfloat16_they_differ_by_what_it_rounds(model):
    policy = talker(model)
    with torch.autocast("cpu", torch.bfloat16):
        played = play(policy)
        samples = played.beside
        now = policy.evaluate(played.inputs, samples.tokens, samples.mask)
        now.logprobs.sum().backward()
        close(now.logprobs, samples.logprobs, 0.05)
        for reply, scored in zip(played.samples, scored_apart(policy, played), strict=True):
            close(reply.logprobs, scored.logprobs, 0.05)


# The update


def test_one_pass_says_what_a_pass_a_turn_says(talking):
    policy, played = held(talking)
    samples = played.beside
    now = policy.evaluate(played.inputs, samples.tokens, samples.mask)
    close(now.logprobs, samples.logprobs, 1e-5)
    close(now.values, samples.values, 1e-5)
    found = gradients(policy, tuple(now))
    apart = scored_apart(policy, played)
    expected = tuple(beside(played, apart, name) for name in now._fields)
    close(now.entropies, expected[1])
    same(found, gradients(policy, expected))


@pytest.mark.parametrize("model", SOME)
def test_layers_that_compute_again_give_the_same_gradients(model):
    plain, thrifty = talker(model), talker(model, gradient_checkpointing=True)
    played = play(plain)
    samples = played.beside
    found = []
    for policy in (plain, thrifty):
        now = policy.evaluate(played.inputs, samples.tokens, samples.mask)
        close(now.logprobs, samples.logprobs, 1e-5)
        found.append(gradients(policy, tuple(now)))
    same(found[1], found[0])
    with torch.no_grad():
        close(thrifty.evaluate(played.inputs, samples.tokens, samples.mask).values, samples.values, 1e-5)


def test_no_more_than_a_part_is_held(monkeypatch):
    """Of all that a pass would keep for the way back, beside keys and values, what one turn keeps."""
    policy, played = held("nano")
    samples, numbers = played.beside, 0

    def pack(tensor: Tensor) -> Tensor:
        nonlocal numbers
        numbers += tensor.numel()
        return tensor

    sizes = []
    for parts in ("again", "kept"):
        if parts == "kept":
            monkeypatch.setattr("ssl4rl_agents.policies.replay.checkpoint", lambda run, **_: run())
        numbers = 0
        with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
            policy.evaluate(played.inputs, samples.tokens, samples.mask)
        sizes.append(numbers)
    assert sizes[0] < 0.6 * sizes[1]


def test_each_picture_is_seen_once_and_first_prompts_once_for_their_group():
    policy = talker("qwen2_5_vl")
    policy.talk(policy.encode(shown(policy, FIRST, 0)))  # the first is preceded by a check
    seen: list[int] = []
    tower = policy.decoder.base.visual
    tower.register_forward_hook(lambda _, args, __: seen.append(len(args[0])))
    embedded: list[tuple[int, ...]] = []
    policy.model.get_input_embeddings().register_forward_hook(lambda _, args, __: embedded.append(tuple(args[0].shape)))
    played = play(policy)
    pictures = 3 + 5 + 3
    patches = played.first.pictures["pixel_values"].shape[1]
    assert sum(seen) == pictures * patches
    prompt = played.first.input_ids.shape[1]
    samples = played.beside
    assert sum(rows * width for rows, width in embedded if width > prompt // 2 and rows == 6) == 0
    for grad in (False, True):
        seen.clear()
        embedded.clear()
        with torch.set_grad_enabled(grad):
            policy.evaluate(played.inputs, samples.tokens, samples.mask)
        assert sum(seen) == pictures * patches
        run = sum(rows * width for rows, width in embedded)
        behind = [rows * (5 + part.input_ids.shape[1]) for rows, part in zip((6, 5), played.next, strict=True)]
        assert run <= 3 * prompt + sum(behind) + 3 * 4


@pytest.mark.parametrize("model", ["nano", "qwen3_vl", "smolvlm"])
def test_frozen_towers_see_pictures_when_they_are_heard(model):
    policy = talker(model, freeze_vision=True)
    policy.talk(policy.encode(shown(policy, FIRST, 0)))  # the first is preceded by a check
    seen: list[int] = []
    inner = policy.decoder.features
    policy.decoder.features = lambda pictures: (seen.append(1), inner(pictures))[1]  # type: ignore[method-assign]
    played = play(policy)
    assert len(seen) == 3 + 2  # once more for those that the test keeps to join them
    samples = played.beside
    now = policy.evaluate(played.inputs, samples.tokens, samples.mask)
    apart = scored_apart(policy, played)
    assert len(seen) == 5
    close(now.logprobs, samples.logprobs, 1e-5)
    found = gradients(policy, tuple(now))
    same(found, gradients(policy, tuple(beside(played, apart, name) for name in now._fields)))


def test_logits_in_parts_say_the_same(monkeypatch):
    policy, played = held("nano")
    samples = played.beside
    whole = policy.evaluate(played.inputs, samples.tokens, samples.mask)
    expected = gradients(policy, tuple(whole))
    monkeypatch.setattr(vlm, "LOGITS", 3 * policy.model.get_output_embeddings().out_features)
    same(gradients(policy, tuple(policy.evaluate(played.inputs, samples.tokens, samples.mask))), expected)


@pytest.mark.parametrize("model", ["nano", "qwen2_5_vl", "mistral"])
def test_chosen_prompts_are_those_of_all(model):
    """As minibatches and micro-batches choose them: any order, some whose rows have all left."""
    policy = talker(model)
    played = play(policy, leave=([0, 1, 2, 4], [0, 1]))
    samples = played.beside
    with torch.no_grad():
        whole = policy.evaluate(played.inputs, samples.tokens, samples.mask)
        for chosen in ([2, 0], [1], [2], [0, 1, 2]):
            prompts = torch.tensor(chosen)
            rows = (prompts[:, None] * GROUP + torch.arange(GROUP)).reshape(-1)
            part = played.inputs.rows(prompts)
            assert len(part) == len(chosen)
            now = policy.evaluate(part, samples.tokens[rows], samples.mask[rows])
            for ours, theirs in zip(now, whole, strict=True):
                close(ours, theirs[rows], 1e-5)


@pytest.mark.parametrize("model", ["nano", "qwen2_5_vl", "llama"])
def test_talks_that_were_held_apart_go_together(model):
    """As many questions at a time as fit the memory; their turns are of other widths, and one of them ends before."""
    policy = talker(model)
    played = [play(policy, leave, seed) for leave, seed in ((([0, 1, 3, 4, 5], [0, 2, 4]), 0), (([0, 3],), 2))]
    turns = []
    for turn in range(3):
        there = [(start, each) for start, each in zip((0, 6), played, strict=True) if turn < len(each.rows)]
        rows = torch.cat([start + each.rows[turn] for start, each in there])
        turns.append((rows, joined([each.samples[turn] for _, each in there])))
    both = together([each.inputs for each in played])
    samples = side_by_side(turns, 12)
    assert both.widths == [samples.mask[:, columns].shape[1] for columns in both.columns]
    with torch.no_grad():
        now = policy.evaluate(both, samples.tokens, samples.mask)
    close(now.logprobs, samples.logprobs, 1e-5)
    close(now.values, samples.values, 1e-5)


# What is refused


def test_turns_are_taken_in_order():
    policy = talker("nano")
    talk = policy.talk(policy.encode(shown(policy, FIRST, 0)), 1, decisions=2)
    with pytest.raises(RuntimeError, match="nobody has replied yet"):
        talk.hear(torch.tensor([0]), shown(policy, FIRST[:1], 1))
    talk.reply(deterministic=True)
    with pytest.raises(RuntimeError, match="every row has replied"):
        talk.reply(deterministic=True)
    talk.hear(torch.tensor([0]), shown(policy, FIRST[:1], 1))
    talk.reply(deterministic=True)
    with pytest.raises(RuntimeError, match="the last of 2 decisions"):
        talk.hear(torch.tensor([0]), shown(policy, FIRST[:1], 1))


@pytest.mark.parametrize(("rows", "count"), [([], 0), ([0, 1], 1), ([1, 0], 2), ([0, 0], 2)])
def test_rows_rise_and_hear_something_each(rows, count):
    policy, _ = held("nano")
    talk = policy.talk(policy.encode(shown(policy, FIRST, 0)))
    talk.reply(deterministic=True)
    with pytest.raises(ValueError, match=f"got rows .* and {count} observations"):
        talk.hear(torch.tensor(rows, dtype=torch.int64), shown(policy, FIRST[:count], 1))


def test_conversations_that_outgrow_the_model_are_refused():
    policy = talker("llama")
    talk = policy.talk(policy.encode(shown(policy, FIRST[:1], 0)), 1)
    policy.positions = 60
    talk.reply(deterministic=True)
    with pytest.raises(ValueError, match="and LlamaForCausalLM has 60"):
        talk.hear(torch.tensor([0]), shown(policy, NEXT[1:2], 1))


def test_weights_in_parts_hold_no_conversations():
    policy = talker("llama")
    policy.work_together(ONE)
    inputs = policy.encode(shown(policy, FIRST, 0))
    with pytest.raises(ValueError, match="must make the same ones"):
        policy.talk(inputs)
    assert len(policy.talk(inputs, decisions=1).reply(deterministic=True).tokens) == 3


def test_replies_and_columns_must_fit():
    policy, played = held("nano")
    samples = played.beside
    with pytest.raises(ValueError, match="6 rows and 15 columns of replies, got \\(6, 14\\)"):
        policy.evaluate(played.inputs, samples.tokens[:, 1:], samples.mask[:, 1:])
    late = samples.mask.clone()
    late[2, 5:7] = True  # row 2 left after its first reply
    with pytest.raises(ValueError, match="2 tokens in turns that their rows did not take"):
        policy.evaluate(played.inputs, samples.tokens, late)
    with pytest.raises(ValueError, match="stand around 1 replies, not 0"):
        policy.join([played.first, played.first], [])
    with pytest.raises(ValueError, match="groups of \\[1, 2\\]"):
        together([played.inputs, Conversations(played.first, 1, [], [1])])


def test_models_that_read_prompts_in_both_directions_hold_no_conversations():
    policy = VLMPolicy(*zoo.build("paligemma", conftest.CORPUS))
    with pytest.raises(UnsupportedModelError, match="no conversations"):
        policy.encode_next(conftest.questions(FIRST))


def test_models_that_see_nothing_behind_a_cache_are_found_before_they_talk(monkeypatch):
    """They would sample and learn alike, of pictures that are not there."""
    policy = talker("qwen2_5_vl")
    inner = policy.decoder.run

    def blind(*args: Any, **told: Any) -> Tensor:
        cache = args[3]
        return inner(*args, **({} if cache is not None and cache.get_seq_length() else told))

    monkeypatch.setattr(policy.decoder, "run", blind)
    inputs = policy.encode(shown(policy, FIRST, 0))
    policy.talk(inputs, decisions=1)
    with pytest.raises(UnsupportedModelError, match="when a conversation is run turn by turn"):
        policy.talk(inputs)
