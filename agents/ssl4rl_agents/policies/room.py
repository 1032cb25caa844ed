"""Room for the next turn of conversations behind the keys and values of earlier ones.

After every turn the rows that go on are written anew, without padding and without those that left. What a conversation was so
far then stands in the cache as a prompt does, padded on the left alone: all that holds of prompts holds of it, sliding
windows, attention that takes no masks and memory of fixed size included. On the CPU, where that is found out without waiting,
what stands together moves in large pieces, and what stands where it should and has room behind it does not move at all.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor
from transformers import Cache

from ssl4rl_agents.policies.growing import GrowingLayer, Grown
from ssl4rl_agents.policies.static_cache import Pairs
from ssl4rl_agents.policies.strips import packed


@dataclass
class Room:
    """Keys and values of n conversations, each of which ends where the tokens that come next begin.

    Args:
        pairs: of each layer, (n, heads, capacity, size).
        seen: (n, width) bool, which places are seen once these tokens are there; padding is on the left alone.
        fresh: (n, B) bool, padded on the left: which tokens come next. They fill the last places of the width.
    """

    pairs: Pairs
    seen: Tensor
    fresh: Tensor

    def cache(self, rows: slice) -> Cache:
        """Return the cache of some rows, which is part of this memory, before the tokens that come next."""
        keep = self.fresh[rows]
        fresh = None if bool(keep.all()) else keep[:, None, :, None]
        end = self.seen.shape[1] - self.fresh.shape[1]
        return Cache(layers=[GrowingLayer(keys[rows], values[rows], end, fresh) for keys, values in self.pairs])

    def filled(self) -> Cache:
        """Return the cache of all rows, with these tokens."""
        return Cache(layers=[GrowingLayer(keys, values, self.seen.shape[1]) for keys, values in self.pairs])


@dataclass(frozen=True)
class Piece:
    """Rows that lie one below the other, before and after, and what each has in one piece at the same places.

    Args:
        source, target: the first of the rows.
        rows: how many.
        begin, start: the first column, before and after.
        length: how many columns.
    """

    source: int
    target: int
    rows: int
    begin: int
    start: int
    length: int


def with_room(held: Grown, fresh: Tensor, room: int, further: int = 0) -> Room:
    """Give conversations room for what comes; if they are written anew, the old memory is given back layer by layer.

    Args:
        held: n conversations; its keys and values are taken away from it.
        fresh: (n, B) bool, padded on the left: which tokens come next.
        room: for how many tokens behind these.
        further: for how many more, which later turns find there: memory of the CPU, which costs nothing before it is used.
            What lies apart is gathered as far as is needed now.
    """
    order, _ = packed(held.valid, left=True)
    lengths, coming = held.valid.sum(1, keepdim=True), fresh.sum(1, keepdim=True)
    width = int((lengths + coming).max())
    place = torch.arange(width + room, device=fresh.device)
    start = width - lengths - coming
    source = (place - start).clamp(min=0).minimum((lengths - 1).clamp(min=0))
    columns = held.columns.gather(1, order.gather(1, source))
    pieces = pieces_of(held.row, columns, start, lengths) if fresh.device.type == "cpu" else None
    pairs, held.pairs = held.pairs, []
    if not stays(pieces, pairs, width + room):
        for layer, (keys, values) in enumerate(pairs):
            if pieces is None:
                pairs[layer] = taken(keys, held.row, columns), taken(values, held.row, columns)
            else:
                shape = len(fresh), width + room + further
                pairs[layer] = copied(keys, pieces, shape), copied(values, pieces, shape)
    return Room(pairs, place[:width] >= start, fresh)


def pieces_of(row: Tensor, columns: Tensor, start: Tensor, lengths: Tensor) -> list[Piece] | None:
    """Find what can be copied in large pieces; None if something of a row stands in places that are apart.

    Args:
        row: (n,) rows of the cache.
        columns: (n, width) the column that comes to each place.
        start, lengths: (n, 1) the first place of each row that is no padding, and how many there are.
    """
    steps = torch.arange(1, columns.shape[1])
    inside = (steps > start) & (steps < start + lengths)
    if bool((inside & (columns.diff(dim=1) != 1)).any()):
        return None
    found: list[Piece] = []
    for target, each in enumerate(torch.cat([row[:, None], columns.gather(1, start), start, lengths], dim=1).tolist()):
        last = found[-1] if found else None
        if last and each == [last.source + last.rows, last.begin, last.start, last.length]:
            found[-1] = replace(last, rows=last.rows + 1)
        else:
            found.append(Piece(each[0], target, 1, *each[1:]))
    return found


def stays(pieces: Sequence[Piece] | None, pairs: Pairs, capacity: int) -> bool:
    """Tell whether all rows are where they should be, with this capacity."""
    rows, _, length, _ = pairs[0][0].shape
    if pieces is None or len(pieces) != 1 or length < capacity:
        return False
    (whole,) = pieces
    return whole == Piece(0, 0, rows, whole.start, whole.start, whole.length)


def copied(states: Tensor, pieces: Sequence[Piece], shape: tuple[int, int]) -> Tensor:
    """Return (n, heads, width, size) that holds these pieces, zeros before them, and anything behind."""
    rows, width = shape
    found = states.new_empty(rows, states.shape[1], width, states.shape[3])
    for piece in pieces:
        there = found[piece.target : piece.target + piece.rows]
        here = states[piece.source : piece.source + piece.rows, :, piece.begin : piece.begin + piece.length]
        there[:, :, : piece.start] = 0  # what nobody sees is a number all the same
        there[:, :, piece.start : piece.start + piece.length] = here
    return found


def taken(states: Tensor, row: Tensor, columns: Tensor) -> Tensor:
    """Return (n, heads, width, size): of each row the chosen columns."""
    _, heads, length, size = states.shape
    head = torch.arange(heads, device=row.device)
    where = (row[:, None, None] * heads + head[None, :, None]) * length + columns[:, None, :]
    return states.reshape(-1, size).index_select(0, where.reshape(-1)).reshape(*where.shape, size)
