"""Conversations passed through the model again, each token once: what `VLMPolicy.evaluate` does of them.

First prompts run once for their groups; then part after part, a reply and what was heard after it, behind the keys and values
of all parts before. On the way back a part is computed again from those keys and values, so that no more than one part's
activations are held at a time. With gradient checkpointing, and where the attention takes no masks, each conversation is one
row without a cache, as a prompt and its answers are.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

import torch
from torch import Tensor
from torch.utils.checkpoint import checkpoint
from transformers import Cache

from ssl4rl_agents.policies.attention import parted_mask
from ssl4rl_agents.policies.conversations import Conversations
from ssl4rl_agents.policies.decoder import Decoder
from ssl4rl_agents.policies.growing import PartedLayer
from ssl4rl_agents.policies.pictures import Features
from ssl4rl_agents.policies.policy import Evaluation
from ssl4rl_agents.policies.static_cache import Pairs
from ssl4rl_agents.policies.strips import Strip, after, heard, in_line, next_is, said

if TYPE_CHECKING:
    from ssl4rl_agents.policies.vlm import VLMPolicy

States = Iterator[tuple[Tensor, Tensor]]
"""Of each turn the rows (a,) that replied, and the hidden states (a, T, hidden) from which the tokens of their replies are
chosen, T the length of the longest."""


@dataclass
class Part:
    """What stands in some rows behind what stood there before: a reply, and what was heard after it.

    Args:
        rows: (a,) int64, rising, which of all rows.
        strip: their tokens, padded on the right; the reply's stand first.
        said: how many tokens the longest of the replies has.
        on: (b,) which of the rows go on.
        features: of the pictures of those, or None.
    """

    rows: Tensor
    strip: Strip
    said: int
    on: Tensor
    features: Features | None


@dataclass
class Past:
    """What stands in the cache of some rows.

    Args:
        parts: keys and values of each layer, and which row of them, each at most once, belongs to each of the rows; None
            where that is all of them.
        valid: (rows, places) bool, what of it is no padding.
    """

    parts: list[tuple[Pairs, Tensor | None]]
    valid: Tensor

    def on(self, part: Part, pairs: Pairs) -> Past:
        """Add a part, and keep the rows that go on."""
        valid = torch.cat([self.valid, part.strip.valid], dim=1)
        if len(part.on) == len(part.rows):
            return Past([*self.parts, (pairs, None)], valid)
        parts = [(held, part.on if rows is None else rows[part.on]) for held, rows in self.parts]
        return Past([*parts, (pairs, part.on)], valid[part.on])

    def layers(self) -> list[PartedLayer]:
        """Return the layers of a cache of these rows."""
        found = []
        for layer in range(len(self.parts[0][0])):
            found.append(PartedLayer([_rows(held[layer], rows) for held, rows in self.parts]))
        return found


def _rows(pair: tuple[Tensor, Tensor], rows: Tensor | None) -> tuple[Tensor, Tensor]:
    return pair if rows is None else (pair[0].index_select(0, rows), pair[1].index_select(0, rows))


def evaluate_conversations(policy: VLMPolicy, talks: Conversations, tokens: Tensor, mask: Tensor) -> Evaluation:
    """Return log-probabilities, entropies and values of the replies of all turns, under autograd if it is on.

    Args:
        policy: whose.
        talks: the conversations, E rows.
        tokens, mask: (E, T1 + T2 + ...), the replies of each turn in its columns.

    Raises:
        ValueError: there are not as many rows or columns, or there are replies of rows that had left.
    """
    shape = (len(talks) * talks.group_size, sum(talks.widths))
    if tuple(tokens.shape) != shape:
        raise ValueError(
            f"these conversations have {shape[0]} rows and {shape[1]} columns of replies, got {tuple(tokens.shape)}"
        )
    decoder, places = policy.decoder, torch.arange(mask.numel(), device=mask.device).view(mask.shape)
    chosen, where = [], []
    found = (states_in_rows if decoder.in_whole_rows else states)(decoder, talks, tokens, mask)
    for columns, (rows, hidden) in zip(talks.columns, found, strict=False):
        within = mask[rows, columns][:, : hidden.shape[1]]
        chosen.append(hidden[within])
        where.append(places[rows, columns][:, : hidden.shape[1]][within])
    hidden, index = torch.cat(chosen), torch.cat(where)
    if len(index) != int(mask.sum()):
        raise ValueError(f"the mask has {int(mask.sum()) - len(index)} tokens in turns that their rows did not take")
    allowed = None
    if policy.constraint is not None:
        allowed = policy.constraint.of_turns(tokens, mask, talks.columns, talks.answers).flat()[index]
    results = (*policy.statistics(hidden, tokens.flatten()[index], allowed), policy.values(hidden))
    return Evaluation(*(values.new_zeros(mask.numel()).index_put((index,), values).view(mask.shape) for values in results))


def states(decoder: Decoder, talks: Conversations, tokens: Tensor, mask: Tensor) -> States:
    """Run conversations part by part."""
    prefix, group = decoder.prefill(talks.first), talks.group_size
    hidden, seen, following = (
        values.repeat_interleave(group, 0) for values in (prefix.hidden, prefix.mask.bool(), prefix.following)
    )
    layers = cast(list[Any], prefix.cache.layers)
    pairs = [(layer.keys.repeat_interleave(group, 0), layer.values.repeat_interleave(group, 0)) for layer in layers]
    past = Past([(pairs, None)], seen)
    for part in parts_of(decoder, talks, tokens, mask, following):
        first = hidden[:, None]
        if not part.strip.ids.shape[1]:
            yield part.rows, first
            return
        rest, hidden, pairs = _run(decoder, part, past)
        yield part.rows, torch.cat([first, rest], dim=1)
        past = past.on(part, pairs)


def _run(decoder: Decoder, part: Part, past: Past) -> tuple[Tensor, Tensor, Pairs]:
    """Run a part behind what stood before it.

    Returns:
        The hidden states behind the tokens of its replies but the last (a, T - 1, hidden), those behind the last token of
        the rows that go on (b, hidden), and keys and values of each layer.
    """
    strip, blocks = part.strip, decoder.blocks(part.strip.types)
    windows = decoder.windows.items()
    sees = decoder.masks({kind: parted_mask(past.valid, strip.valid, window, blocks) for kind, window in windows})
    told = {} if part.features is None else {"mm_encoder_outputs": part.features.outputs()}
    last = strip.valid.sum(1)[part.on] - 1

    def run() -> tuple[Tensor, ...]:
        layers = past.layers()
        hidden = decoder.run(strip.ids, sees, strip.positions, Cache(layers=list(layers)), **told)
        kept = [states for layer in layers for states in (layer.keys, layer.values)]
        return hidden[:, : part.said - 1], hidden[part.on, last], *cast(list[Tensor], kept)

    # Behind the last part nothing comes: the way back begins there, with what it has just made.
    again = torch.is_grad_enabled() and len(part.on) > 0
    rest, hidden, *kept = checkpoint(run, use_reentrant=False, preserve_rng_state=False) if again else run()
    return rest, hidden, list(zip(kept[::2], kept[1::2], strict=True))


def states_in_rows(decoder: Decoder, talks: Conversations, tokens: Tensor, mask: Tensor) -> States:
    """Run each conversation as one row, without a cache."""
    count, first = len(mask), talks.first
    group = torch.arange(count, device=mask.device) // talks.group_size
    with decoder.recomputing():
        shown = decoder.told_features(first)
        following = after(first, torch.zeros_like(first.input_ids[:, 0]))
        parts = list(parts_of(decoder, talks, tokens, mask, following[group]))
        prompts = heard(first.rows(group), torch.zeros_like(group))
        line = [prompts, *(part.strip.among(part.rows, count) for part in parts)]
        row = in_line(line).packed()
        pictures = [(part.rows[part.on], part.features) for part in parts if part.features is not None]
        if shown is not None:
            pictures.insert(0, (torch.arange(count, device=mask.device), shown.rows(group)))
        told = {"mm_encoder_outputs": _row_by_row(pictures).outputs()} if pictures else {}
        sees = decoder.masked(row.valid, row.ids.shape[1], row.types)
        hidden = decoder.run(row.ids, sees, row.positions, None, **told)
    begin = (~row.valid).sum(1) + prompts.valid.sum(1)
    for part, strip in zip(parts, line[1:], strict=True):
        before = begin[part.rows, None] + torch.arange(-1, part.said - 1, device=mask.device)
        yield part.rows, hidden[part.rows[:, None], before.clamp(max=hidden.shape[1] - 1)]
        begin = begin + strip.valid.sum(1)


def _row_by_row(shown: Sequence[tuple[Tensor, Features]]) -> Features:
    """Return the features of several parts in the order in which pictures stand in rows.

    Args:
        shown: of each part the rows (a,), and the features of their pictures.
    """
    block = math.gcd(*(features.tokens.shape[1] for _, features in shown))  # some models count a row's pictures in blocks
    tokens, deep, keys = list[Tensor](), list[Tensor](), list[Tensor]()
    for number, (rows, features) in enumerate(shown):
        each = features.tokens.shape[1] // block
        tokens.append(features.tokens.reshape(len(rows) * each, block, -1))
        keys.append((rows * len(shown) + number).repeat_interleave(each))
        if features.deep is not None:
            layers = features.deep.reshape(len(rows), -1, each, block, features.deep.shape[-1])
            deep.append(layers.transpose(1, 2).flatten(0, 1))
    order = torch.cat(keys).argsort(stable=True)
    return Features(torch.cat(tokens)[order], torch.cat(deep)[order] if deep else None, shown[0][1].listed)


def parts_of(decoder: Decoder, talks: Conversations, tokens: Tensor, mask: Tensor, following: Tensor) -> Iterator[Part]:
    """Give the parts of conversations behind their first prompts, turn by turn.

    Args:
        decoder: that runs them.
        talks: the conversations, E rows.
        tokens, mask: (E, T1 + T2 + ...).
        following: (E,) the positions of the first replies.
    """
    rows, axes = torch.arange(len(mask), device=mask.device), talks.first.positions.shape[1]
    for turn, columns in enumerate(talks.columns):
        within = mask[rows, columns]
        width = int(within.sum(1).max()) if len(rows) else 0
        if not width:
            return
        within = within[:, :width]
        last = turn == len(talks.heard) or not len(talks.heard[turn].rows)
        on = rows[:0] if last else torch.searchsorted(rows, talks.heard[turn].rows)
        stays = torch.zeros(len(rows), 1, dtype=torch.bool, device=rows.device)
        stays[on] = True
        # The last tokens of those that leave are not run.
        line = [
            said(tokens[rows, columns][:, :width], within & (stays | next_is(within)), following, axes, decoder.answer_type)
        ]
        following, features = (following + within.sum(1))[on], None
        if not last:
            inputs = talks.heard[turn].inputs
            line.append(heard(inputs, following).among(on, len(rows)))
            features, following = decoder.told_features(inputs), after(inputs, following)
        yield Part(rows, in_line(line).packed(left=True), width, on, features)
        if last:
            return
        rows = talks.heard[turn].rows
