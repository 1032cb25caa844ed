"""Keys and values of conversations are where the next turn needs them, however they have moved."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from ssl4rl_agents.policies import room, talk
from ssl4rl_agents.policies.growing import Grown
from tests.agents.conversing import FIRST, GROUP, NEXT, play, shown, talker
from tests.agents.test_talk import alike

HEADS, SIZE = 2, 3


def left_behind(seed: int, rows: int, *, even: bool) -> tuple[Grown, torch.Tensor]:
    """Conversations of one cache, padded on both sides, of which some rows have left; and what comes next."""
    random = np.random.default_rng(seed)
    length = 9
    keys, values = (torch.from_numpy(random.normal(size=(rows, HEADS, length, SIZE))) for _ in range(2))
    stay = torch.from_numpy(np.sort(random.choice(rows, random.integers(1, rows + 1), replace=False)))
    begin, said, coming = (random.integers(*span, len(stay)) for span in ((0, 3), (5, 9), (1, 4)))
    if even:
        begin, said, coming = begin * 0, said * 0 + 7, coming * 0 + 3
    place = np.arange(length)
    valid = torch.from_numpy((place >= begin[:, None]) & (place < said[:, None]))
    fresh = torch.from_numpy(np.arange(3) >= 3 - coming[:, None])
    return Grown([(keys, values)], stay, torch.arange(length).expand(len(stay), -1), valid), fresh


def written(found: room.Room, held: Grown, pairs: room.Pairs) -> None:
    """What is seen before the tokens that come is what each row held, in order."""
    for states, before in zip(found.pairs[0], pairs[0], strict=True):
        for number, row in enumerate(held.row.tolist()):
            end = found.seen.shape[1] - int(found.fresh[number].sum())
            kept = before[row][:, held.columns[number][held.valid[number]]]
            assert torch.equal(states[number, :, end - kept.shape[1] : end], kept)
            assert int(found.seen[number].sum()) == kept.shape[1] + int(found.fresh[number].sum())
            assert torch.equal(states[number, :, : end - kept.shape[1]].isfinite().all(), torch.tensor(True))


@given(seed=st.integers(0, 2**32 - 1), rows=st.integers(1, 6), even=st.booleans())
def test_conversations_keep_what_they_held_wherever_they_move(seed, rows, even):
    held, fresh = left_behind(seed, rows, even=even)
    pairs = list(held.pairs)
    written(room.with_room(held, fresh, 4, 5), held, pairs)
    assert held.pairs == []


def test_what_lies_apart_is_gathered():
    """Answers that grew side by side."""
    held, fresh = left_behind(0, 4, even=False)
    held.columns = held.columns.flip(1)
    pairs = list(held.pairs)
    written(room.with_room(held, fresh, 4), held, pairs)


def test_rows_that_move_alike_are_one_piece():
    """Four rows; the second has left, and the last has said less."""
    row, lengths, start = torch.tensor([0, 2, 3, 4]), torch.tensor([[5], [5], [5], [4]]), torch.tensor([[0], [0], [0], [1]])
    columns = torch.arange(6).expand(4, -1).clamp(max=4) + 2
    columns[3, 1:5] = torch.arange(4) + 3
    found = room.pieces_of(row, columns, start, lengths)
    assert found == [room.Piece(0, 0, 1, 2, 0, 5), room.Piece(2, 1, 2, 2, 0, 5), room.Piece(4, 3, 1, 3, 1, 4)]


def test_what_stays_where_it_is_is_not_copied_as_long_as_there_is_room():
    held, fresh = left_behind(0, 3, even=True)
    held.row, rows = torch.arange(3), 3
    held = Grown(held.pairs, held.row, torch.arange(9).expand(rows, -1), (torch.arange(9) < 7).expand(rows, -1))
    fresh = fresh[:1].expand(rows, -1)
    wide = room.with_room(held, fresh, 4, 20)
    keys = wide.pairs[0][0]
    again = Grown(list(wide.pairs), held.row, torch.arange(12).expand(rows, -1), (torch.arange(12) < 11).expand(rows, -1))
    assert room.with_room(again, fresh, 4).pairs[0][0] is keys
    for less in (again.cut(torch.tensor([0, 1])), Grown(again.pairs, again.row.flip(0), again.columns, again.valid)):
        less.pairs = list(wide.pairs)
        assert room.with_room(less, fresh[: len(less.row)], 4).pairs[0][0] is not keys
    again.pairs = list(wide.pairs)
    assert room.with_room(again, fresh, 30).pairs[0][0] is not keys


@pytest.mark.parametrize("model", ["llava", "qwen3_vl", "gemma3", "smolvlm", "mistral"])
def test_rows_that_are_read_in_blocks_are_read_as_all_at_once(model, monkeypatch):
    policy = talker(model)
    expected = play(policy).beside
    monkeypatch.setattr(talk, "BLOCK", 1)
    alike(play(policy).beside, expected)


def test_a_conversation_of_equal_lengths_goes_on_in_the_same_memory():
    policy = talker("llava")
    policy.forbid(policy.ends)
    held = policy.talk(policy.encode(shown(policy, FIRST[:1] * 2, 0)), GROUP, 4)
    held.reply(generator=torch.Generator().manual_seed(0))
    places = []
    for turn in range(1, 4):
        held.hear(torch.arange(2 * GROUP), shown(policy, NEXT[:1] * 2 * GROUP, turn))
        assert held._prefix is not None
        places.append(held._prefix.cache.layers[0].held[0].data_ptr())
        held.reply(generator=torch.Generator().manual_seed(turn))
    assert places[1] == places[2]  # replies to the first prompts grew side by side, so the first memory has no more room
