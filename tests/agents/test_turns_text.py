"""What stands between replies is what chat templates write there; those that rewrite earlier turns are refused by name."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from PIL import Image

from ssl4rl_agents.policies.nano import EOS
from ssl4rl_agents.policies.support import UnsupportedModelError
from ssl4rl_agents.policies.turns_text import Between
from ssl4rl_agents.policies.vlm import VLMPolicy
from tests.agents import zoo
from tests.agents.conftest import build
from tests.agents.conversing import FIRST, NEXT, shown, talker
from tests.agents.test_templates import EMPTY, OPEN, QWEN3, QWEN3_THINKING, TURNS, speaker

TEMPLATED = tuple(family for family in zoo.FAMILIES if family not in ("paligemma", "paligemma2", "llava_onevision"))
"""The others have no templates, or see a lone picture in tiles, and without once there are several."""
STRIPPING = (
    "{%- for message in messages %}{%- set said = message.content.split('</think>')[-1] if message.role == 'assistant' "
    "else message.content %}{{- '<|im_start|>' + message.role + '\\n' + said + '<|im_end|>\\n' }}{%- endfor %}"
    "{%- if add_generation_prompt %}{{- '<|im_start|>assistant\\n' }}{%- endif %}"
)
"""As Qwen3's does: earlier thinking is left out."""


def between(policy: VLMPolicy, pictures: int = 0) -> str:
    return Between(policy.encoder, policy.prompt_style).text("Well?", pictures)


@pytest.mark.parametrize("ended", [True, False], ids=["ended", "cut off"])
@pytest.mark.parametrize("model", TEMPLATED)
def test_what_is_joined_is_what_the_template_writes_of_the_whole(model, ended):
    """Tokens, places and pictures; the end of a reply stands there once, whether it was sampled or not."""
    policy = talker(model, ends=1)
    encoder, tokenizer = policy.encoder, policy.processor.tokenizer
    pictures = int(encoder.image_token_id is not None)
    said = "<answer>90</answer>"
    turns = [shown(policy, FIRST[:2], 0), shown(policy, NEXT[:2], 1), shown(policy, NEXT[2:4], 2)]
    texts = []
    for row in range(2):
        chat = [encoder.message("user", turns[0]["prompt"][row], pictures)]
        for turn in turns[1:]:
            chat += [encoder.message("assistant", said, 0), encoder.message("user", turn["prompt"][row], pictures)]
        texts.append(encoder.rendered(chat))
    images = None
    if pictures:
        images = [[Image.fromarray(turn["image"][row]) for turn in turns] for row in range(2)]
    whole = encoder.inputs(encoder._process(texts, images))
    reply = tokenizer(f" {said}" if f": {said}" in texts[0] else said, add_special_tokens=False)["input_ids"]
    tokens = torch.tensor([[*reply, *policy.ends[: int(ended)]]] * 2)
    parts = [policy.encode(turns[0]), *(policy.encode_next(turn) for turn in turns[1:])]
    joined = policy.join(parts, [(tokens, torch.ones_like(tokens, dtype=torch.bool))] * 2)
    if ended and int(parts[1].input_ids[0][-int(parts[1].attention_mask[0].sum())]) != policy.ends[0]:
        # the template writes another end, or none; and what was sampled stays
        rows = [_without(policy.ends[0], inputs) for inputs in (joined, whole)]
        assert rows[0] == rows[1]
        return
    assert torch.equal(joined.attention_mask, whole.attention_mask)
    seen = whole.attention_mask.bool()
    assert torch.equal(joined.input_ids[seen], whole.input_ids[seen])
    assert torch.equal(joined.positions.transpose(1, 2)[seen], whole.positions.transpose(1, 2)[seen])
    if whole.token_types is not None:
        assert joined.token_types is not None
        assert torch.equal(joined.token_types[seen], whole.token_types[seen])
    for name, values in whole.pictures.items():
        assert torch.equal(joined.pictures[name].reshape(values.shape), values), name


def _without(token: int, inputs: Any) -> list[list[int]]:
    rows = zip(inputs.input_ids, inputs.attention_mask.bool(), strict=True)
    return [[each for each in ids[kept].tolist() if each != token] for ids, kept in rows]


def test_nano_writes_its_turns():
    policy = talker("nano")
    assert between(policy, 1) == f"{EOS}Well?<image>\n"
    assert policy.encoder.text("Well?", 1) == "Well?<image>\n"


def test_without_a_template_a_line_break_stands_between_turns():
    policy = build("llava")
    assert between(policy, 1) == "\n<image>Well?"
    inputs = policy.encode_next({**shown(policy, ("Well?",), 0)})
    alone = policy.encode(shown(policy, ("Well?",), 0))
    ids = inputs.input_ids[0][inputs.attention_mask[0].bool()].tolist()
    assert ids == [*policy.processor.tokenizer("\n")["input_ids"], *alone.input_ids[0].tolist()]
    assert inputs.positions[0, 0][inputs.attention_mask[0].bool()].tolist() == list(range(len(ids)))


@pytest.mark.parametrize(
    ("template", "settings", "written"),
    [
        (QWEN3, {}, ""),
        (QWEN3, {"template_arguments": {"enable_thinking": False}}, EMPTY),
        (QWEN3, {"template_arguments": {"enable_thinking": False}, "prompt_style": "think"}, EMPTY),
        (QWEN3_THINKING, {"prompt_style": "think"}, OPEN),
        (STRIPPING, {}, ""),
    ],
)
def test_what_the_template_writes_of_replies_stands_in_every_turn(template, settings, written):
    policy = speaker(template, **settings)
    start = f"<|im_start|>assistant\n{written}"
    assert between(policy) == f"<|im_end|>\n<|im_start|>user\nWell?<|im_end|>\n{start}"


def test_templates_that_rewrite_what_was_said_are_refused():
    with pytest.raises(UnsupportedModelError, match=r"Qwen2ForCausalLM rewrites earlier turns: it asks with .* use context"):
        between(speaker(STRIPPING, prompt_style="think"))


def test_templates_that_refuse_to_go_on_are_refused():
    once = "{%- if messages | length > 1 %}{{ raise_exception('one question, please') }}{%- endif %}" + QWEN3
    with pytest.raises(UnsupportedModelError, match=r"refuses a conversation of several turns \(TemplateError: one question"):
        between(speaker(once))


def test_templates_that_count_turns_are_refused():
    counting = TURNS.replace("message.role +", "message.role + ('!' if loop.index == 5 else '') +") + QWEN3[len(TURNS) :]
    with pytest.raises(UnsupportedModelError, match=r"before a second question, .* before a third"):
        between(speaker(counting))


def test_texts_are_found_once(monkeypatch):
    policy = talker("llama")
    rendered: list[Any] = []
    inner = policy.encoder.rendered
    monkeypatch.setattr(policy.encoder, "rendered", lambda chat: (rendered.append(chat), inner(chat))[1])
    first = policy.encode_next({"prompt": NEXT})
    count = len(rendered)
    assert torch.equal(policy.encode_next({"prompt": NEXT}).input_ids, first.input_ids)
    assert len(rendered) == count
