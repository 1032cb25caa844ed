"""Who sees whom: by hand, and against every answer standing alone behind its prompt."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from ssl4rl_agents.policies.attention import (
    answers_mask,
    apart,
    apart_with_prompts,
    continued_mask,
    parted_mask,
    rows_mask,
    step_mask,
    windows_of,
)


def shown(mask: Tensor) -> list[str]:
    return ["".join("x" if seen else "." for seen in row) for row in mask.tolist()]


def test_answers_see_their_prompt_and_themselves():
    prompt = torch.tensor([[False, True, True]])
    answers = torch.tensor([[True, True], [True, False]])
    assert shown(answers_mask(prompt, answers)[0]) == [
        ".xxx...",
        ".xxxx..",
        ".xx..x.",
        ".xx..xx",  # padded: it sees itself, and is seen by nobody
    ]


def test_a_window_reaches_back_as_if_the_answer_stood_alone():
    prompt = torch.ones(1, 3, dtype=torch.bool)
    answers = torch.ones(2, 2, dtype=torch.bool)
    assert shown(answers_mask(prompt, answers, window=2)[0]) == [
        "..xx...",
        "...xx..",
        "..x..x.",
        ".....xx",
    ]


def test_rows_hold_prompt_and_answers():
    prompt = torch.tensor([[False, True, True]])
    answers = torch.tensor([[True], [True]])
    assert shown(rows_mask(prompt, answers)[0]) == [
        "x....",
        ".x...",
        ".xx..",
        ".xxx.",
        ".xx.x",
    ]


def test_blocks_see_both_ways_whatever_the_window():
    prompt = torch.ones(1, 5, dtype=torch.bool)
    answers = torch.ones(1, 1, dtype=torch.bool)
    blocks = torch.tensor([[-1, 0, 0, 0, -1]])
    assert shown(rows_mask(prompt, answers, 2, blocks)[0]) == [
        "x.....",
        "xxxx..",
        ".xxx..",
        ".xxx..",
        "...xx.",
        "....xx",
    ]


def test_a_step_sees_the_prompt_and_the_answers_own_steps():
    prompt = torch.tensor([[False, True, True]])
    assert shown(step_mask(prompt, 2, 1)[0]) == [".xxx.x.", ".xx.x.x"]
    assert shown(step_mask(prompt, 2, 1, window=2)[0]) == ["...x.x.", "....x.x"]
    assert shown(step_mask(prompt, 2, 0, window=3)[0]) == [".xxx.", ".xx.x"]
    assert shown(step_mask(prompt, 1, 2, window=2)[0]) == ["....xx"], "its own older steps leave the window too"


@given(
    st.integers(1, 3),
    st.integers(1, 3),
    st.integers(1, 5),
    st.integers(1, 4),
    st.none() | st.integers(1, 6),
    st.integers(0, 99),
)
def test_each_answer_sees_what_it_would_alone(prompts, group, length, width, window, seed):
    generator = torch.Generator().manual_seed(seed)
    padding = torch.randint(0, length, (prompts, 1), generator=generator)
    prompt = torch.arange(length) >= padding
    lengths = torch.randint(1, width + 1, (prompts * group, 1), generator=generator)
    answers = torch.arange(width) < lengths
    together = rows_mask(prompt, answers, window)
    for row in range(prompts * group):
        k, g = divmod(row, group)
        whole = torch.cat([prompt[k], answers[row]])
        place = torch.arange(length + width)
        alone = (place[:, None] >= place) & whole[None]
        if window is not None:
            alone &= place[:, None] - place < window
        own = torch.cat([torch.arange(length), length + g * width + torch.arange(width)])
        kept = whole.nonzero().flatten()
        assert torch.equal(together[k][own][:, own][kept], alone[kept])
        others = [column for column in range(length, length + group * width) if column not in own.tolist()]
        assert not together[k][own][:, others].any()
    assert bool(together.any(-1).all())


def test_what_continues_sees_what_stands_before():
    seen = torch.tensor([[False, True, True, True], [True, True, True, True]])
    assert shown(continued_mask(seen, 2)[0]) == [".xx.", ".xxx"]
    assert shown(continued_mask(seen, 2, window=2)[1]) == [".xx.", "..xx"]
    blocks = torch.tensor([[0, 0], [-1, -1]])
    assert shown(continued_mask(seen, 2, 2, blocks)[0]) == [".xxx", "..xx"]
    assert len(continued_mask(seen[1:].expand(3, -1), 2)) == 1, "one mask for all rows that are alike"


def test_parts_with_padding_anywhere_are_looked_through():
    before = torch.tensor([[False, True, True, False]])
    these = torch.tensor([[True, True, False]])
    assert shown(parted_mask(before, these)[0]) == [".xx.x..", ".xx.xx.", ".xx.xxx"]
    assert shown(parted_mask(before, these, window=3)[0]) == [".xx.x..", "..x.xx.", "..x.xxx"], "windows count tokens"
    blocks = torch.tensor([[0, 0, -1]])
    assert shown(parted_mask(before, these, 1, blocks)[0])[0] == "....xx."


@given(st.integers(1, 3), st.integers(1, 6), st.integers(1, 5), st.none() | st.integers(1, 6), st.integers(0, 99))
def test_parts_are_seen_as_if_nothing_lay_between(rows, before, length, window, seed):
    """Without its padding, each row of parts is a row of a prompt."""
    generator = torch.Generator().manual_seed(seed)
    valid = torch.rand(rows, before + length, generator=generator) > 0.4
    mask = parted_mask(valid[:, :before], valid[:, before:], window).expand(rows, -1, -1)
    for row, kept in zip(mask, valid, strict=True):
        place = torch.arange(int(kept.sum()))
        alone = place[:, None] >= place
        if window is not None:
            alone &= place[:, None] - place < window
        queries = kept[before:]
        assert torch.equal(row[queries][:, kept], alone[len(place) - int(queries.sum()) :])
        assert not row[queries][:, ~kept].any()


@pytest.mark.parametrize(
    ("config", "expected"),
    [
        ({}, {"full_attention": None}),
        ({"sliding_window": 8}, {"sliding_attention": 8}),
        ({"sliding_window": 8, "layer_types": ["full_attention"]}, {"full_attention": None}),
        (
            {"sliding_window": 8, "layer_types": ["sliding_attention", "full_attention"]},
            {"full_attention": None, "sliding_attention": 8},
        ),
    ],
)
def test_windows_are_read_from_the_config(config, expected):
    assert windows_of(SimpleNamespace(**config), "Model") == expected


def test_layers_that_are_no_attention_are_refused_by_name():
    config = SimpleNamespace(layer_types=["full_attention", "linear_attention"])
    with pytest.raises(ValueError, match="SomeModel has layers of linear_attention"):
        windows_of(config, "SomeModel")


def test_answers_stand_apart_where_that_is_less_work():
    """Behind 90 tokens: eight answers of 8 share a row, eight of 512 do not; running the prompt again must be worth it."""
    assert not apart(90, 8, 8)
    assert not apart(90, 4, 85)  # 255 tokens of others
    assert apart(90, 4, 86)
    assert not apart(700, 4, 200)
    assert not apart(90, 1, 4096)
    # (90 + 8 * 512)^2 - 8 * (90 + 512)^2 = 14,623,364 places against 7 prompts of 90 tokens
    assert apart_with_prompts(90, 8, 512, hidden=3868)
    assert not apart_with_prompts(90, 8, 512, hidden=3869)
    assert not apart_with_prompts(90, 8, 8, hidden=1)
