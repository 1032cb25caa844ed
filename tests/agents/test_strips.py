"""Tokens side by side keep their order, whatever padding lies between them."""

from __future__ import annotations

import torch
from hypothesis import given
from hypothesis import strategies as st

from ssl4rl_agents.policies.prompts import VLMInputs
from ssl4rl_agents.policies.strips import after, behind, heard, in_line, next_is, packed, said


def asked(*rows: list[int]) -> VLMInputs:
    """Prompts of text, padded on the left with 0."""
    longest = max(len(row) for row in rows)
    ids = torch.tensor([[0] * (longest - len(row)) + row for row in rows])
    mask = (ids > 0).long()
    return VLMInputs(ids, mask, (mask.cumsum(1) - 1).clamp(min=0)[:, None], None, {}, None)


def test_a_reply_and_what_is_heard_after_it():
    """The first row ended with 9, with which the next prompt begins; the second was cut off."""
    first, following = asked([1, 2, 3], [4, 5]), asked([9, 6], [9, 7, 8])
    tokens, mask = torch.tensor([[5, 9, 0], [5, 5, 5]]), torch.tensor([[True, True, False], [True, True, True]])
    start = after(first, torch.zeros(2, dtype=torch.int64))
    assert start.tolist() == [3, 2]
    then = behind(following, tokens, mask)
    line = in_line(
        [heard(first, torch.zeros(2, dtype=torch.int64)), said(tokens, mask, start, 1, 0), heard(then, start + mask.sum(1))]
    )
    row = line.packed()
    assert [ids[kept].tolist() for ids, kept in zip(row.ids, row.valid, strict=True)] == [
        [1, 2, 3, 5, 9, 6],
        [4, 5, 5, 5, 5, 9, 7, 8],
    ]
    assert row.valid.tolist() == [[False] * 2 + [True] * 6, [True] * 8]
    assert row.positions[:, 0].tolist() == [[0, 0, 0, 1, 2, 3, 4, 5], [0, 1, 2, 3, 4, 5, 6, 7]]
    assert after(then, start + mask.sum(1)).tolist() == [6, 8]
    left = line.packed(left=True)
    assert left.ids[0][:6].tolist() == [1, 2, 3, 5, 9, 6]
    assert left.valid[0].tolist() == [True] * 6 + [False] * 2


def test_rows_among_others():
    strip = heard(asked([1, 2]), torch.tensor([7])).among(torch.tensor([1]), 3)
    assert strip.ids.tolist() == [[0, 0], [1, 2], [0, 0]]
    assert strip.valid.tolist() == [[False] * 2, [True] * 2, [False] * 2]
    assert strip.positions[1, 0].tolist() == [7, 8]


def test_the_last_of_a_mask_is_followed_by_nothing():
    assert next_is(torch.tensor([[True, True, False], [True, True, True]])).tolist() == [
        [True, False, False],
        [True, True, False],
    ]


@given(st.integers(1, 3), st.integers(1, 6), st.booleans(), st.integers(0, 99))
def test_packing_keeps_the_order(rows, width, left, seed):
    valid = torch.rand(rows, width, generator=torch.Generator().manual_seed(seed)) > 0.5
    order, kept = packed(valid, left=left)
    assert kept.shape[1] == int(valid.sum(1).max())
    for row in range(rows):
        assert order[row][kept[row]].tolist() == valid[row].nonzero().flatten().tolist()
        edge = kept[row].long() if left else kept[row].long().flip(0)
        assert (edge.diff() <= 0).all()
