"""Conversations passed through the model again, each token once: what `VLMPolicy.evaluate` does of them.

First prompts run once for their groups; then turn after turn, each a part of what stands in the rows: a reply and what was
heard after it, run behind the keys and values of all parts before. On the way back a part is computed again from those keys
and values, so that no more than one part's activations are held at a time.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

import torch
from torch import Tensor
from torch.utils.checkpoint import checkpoint
from transformers import Cache

from ssl4rl_agents.policies.attention import parted_mask
from ssl4rl_agents.policies.conversations import Conversations, after, packed
from ssl4rl_agents.policies.decoder import Decoder
from ssl4rl_agents.policies.growing import PartedLayer
from ssl4rl_agents.policies.pictures import Features
from ssl4rl_agents.policies.policy import Evaluation

if TYPE_CHECKING:
    from ssl4rl_agents.policies.vlm import VLMPolicy


@dataclass
class Part:
    """What stands in some rows behind what stood there before: a reply, and what was heard after it.

    Args:
        rows: (a,) int64, rising, which of all rows.
        ids: (a, S) tokens, padded on the right; the reply's stand first.
        valid: (a, S) bool, which of them are any.
        positions: (a, axes, S).
        types: (a, S) token types, or None.
        said: how many tokens the longest of the replies has.
        on: (b,) which of the rows go on.
        features: of the pictures of those.
    """

    rows: Tensor
    ids: Tensor
    valid: Tensor
    positions: Tensor
    types: Tensor | None
    said: int
    on: Tensor
    features: Features | None


def evaluate_conversations(policy: VLMPolicy, talks: Conversations, tokens: Tensor, mask: Tensor) -> Evaluation:
    """Return log-probabilities, entropies and values of the replies of all turns, under autograd if it is on.

    Args:
        policy: whose.
        talks: the conversations, E rows.
        tokens, mask: (E, T1 + T2 + ...), the replies of each turn in its columns.

    Raises:
        ValueError: there are not as many rows or columns.
    """
    shape = (len(talks) * talks.group_size, sum(talks.widths))
    if tuple(tokens.shape) != shape:
        raise ValueError(f"conversations of {shape[0]} rows and {shape[1]} columns of replies, got {tuple(tokens.shape)}")
    places = torch.arange(mask.numel(), device=mask.device).reshape(mask.shape)
    chosen, where = [], []
    for columns, (rows, hidden) in zip(talks.columns, states(policy.decoder, talks, tokens, mask), strict=False):
        within = mask[rows, columns][:, : hidden.shape[1]]
        chosen.append(hidden[within])
        where.append(places[rows, columns][:, : hidden.shape[1]][within])
    hidden, index = torch.cat(chosen), torch.cat(where)
    results = (*policy.statistics(hidden, tokens.flatten()[index]), policy.values(hidden))
    return Evaluation(*(values.new_zeros(mask.numel()).index_put((index,), values).view(mask.shape) for values in results))


def states(decoder: Decoder, talks: Conversations, tokens: Tensor, mask: Tensor) -> Iterator[tuple[Tensor, Tensor]]:
    """Give of each turn the rows (a,) that replied, and the hidden states (a, T, hidden) from which tokens are chosen.

    T is the length of the longest reply of that turn.
    """
    prefix = decoder.prefill(talks.first)
    group = torch.arange(len(mask), device=mask.device) // talks.group_size
    past = Past(
        [([(layer.keys, layer.values) for layer in cast(list[Any], prefix.cache.layers)], group)], prefix.mask.bool()[group]
    )
    hidden = prefix.hidden[group]
    parts = list(parts_of(decoder, talks, tokens, mask, prefix.following[group]))
    for part in parts:
        first = hidden[:, None]
        if not part.ids.shape[1]:
            yield part.rows, first
            return
        again = torch.is_grad_enabled() and len(part.on) > 0
        rest, hidden, pairs = run_part(decoder, part, past, again=again)
        yield part.rows, torch.cat([first, rest], dim=1)
        past = past.on(part, pairs)


@dataclass
class Past:
    """What stands in the cache of some rows: parts, each with the row of it that belongs to every row now."""

    parts: list[tuple[list[tuple[Tensor, Tensor]], Tensor]]
    valid: Tensor

    def on(self, part: Part, pairs: list[tuple[Tensor, Tensor]]) -> Past:
        """Add a part, and keep the rows that go on."""
        parts = [(held, rows[part.on]) for held, rows in self.parts]
        return Past([*parts, (pairs, part.on)], torch.cat([self.valid, part.valid], dim=1)[part.on])

    def layers(self) -> list[PartedLayer]:
        """Return the layers of a cache of these rows."""
        count = len(self.parts[0][0])
        return [PartedLayer([_chosen(held[layer], rows) for held, rows in self.parts]) for layer in range(count)]


def _chosen(pair: tuple[Tensor, Tensor], rows: Tensor) -> tuple[Tensor, Tensor]:
    return pair[0][rows], pair[1][rows]


def run_part(decoder: Decoder, part: Part, past: Past, *, again: bool) -> tuple[Tensor, Tensor, list[tuple[Tensor, Tensor]]]:
    """Run a part behind what stood before it.

    Returns:
        The hidden states behind the tokens of its replies but the last (a, T - 1, hidden), those behind the last token of
        the rows that go on (b, hidden), and keys and values of each layer.
    """
    blocks = decoder.blocks(part.types)
    sees = decoder.masks(
        {kind: parted_mask(past.valid, part.valid, window, blocks) for kind, window in decoder.windows.items()}
    )
    told: dict[str, Any] = {} if part.features is None else {"mm_encoder_outputs": part.features.outputs()}
    last = part.valid.sum(1)[part.on] - 1

    def run() -> tuple[Tensor, ...]:
        layers = past.layers()
        hidden = decoder.run(part.ids, sees, part.positions, Cache(layers=list(layers)), **told)
        states = [tensor for layer in layers for tensor in (layer.keys, layer.values)]
        return hidden[:, : part.said - 1], hidden[part.on, last], *states

    found = checkpoint(run, use_reentrant=False, preserve_rng_state=False) if again else run()
    rest, hidden, *states = found
    return rest, hidden, list(zip(states[::2], states[1::2], strict=True))


def parts_of(decoder: Decoder, talks: Conversations, tokens: Tensor, mask: Tensor, following: Tensor) -> Iterator[Part]:
    """Give the parts of conversations behind their first prompts, turn by turn.

    Args:
        decoder: that runs them.
        talks: the conversations, E rows.
        tokens, mask: (E, T1 + T2 + ...).
        following: (E,) the positions of the first replies.
    """
    rows = torch.arange(len(mask), device=mask.device)
    for turn, columns in enumerate(talks.columns):
        within = mask[rows, columns]
        width = int(within.sum(1).max()) if len(rows) else 0
        if not width:
            return
        said, within = tokens[rows, columns][:, :width], within[:, :width]
        heard = talks.heard[turn] if turn < len(talks.heard) else None
        on = torch.searchsorted(rows, heard.rows) if heard is not None else rows[:0]
        goes_on = torch.zeros(len(rows), 1, dtype=torch.bool, device=rows.device)
        goes_on[on] = True
        valid = within & (
            goes_on | torch.nn.functional.pad(within[:, 1:], (0, 1))
        )  # the last token of those that leave is not run
        axes = talks.first.positions.shape[1]
        places = (following[:, None] + torch.arange(width, device=rows.device))[:, None].expand(-1, axes, -1)
        types = None if talks.first.token_types is None else torch.full_like(said, decoder.answer_type)
        following = following + within.sum(1)
        features = None
        if heard is not None and len(on):
            inputs = heard.inputs
            features = decoder.told_features(inputs)
            said = torch.cat([said, _spread(inputs.input_ids, on, len(rows))], dim=1)
            valid = torch.cat([valid, _spread(inputs.attention_mask.bool(), on, len(rows))], dim=1)
            behind = _spread(inputs.positions + following[on][:, None, None], on, len(rows))
            places = torch.cat([places, behind], dim=2)
            types = (
                None
                if types is None or inputs.token_types is None
                else torch.cat([types, _spread(inputs.token_types, on, len(rows))], dim=1)
            )
            following = after(inputs, following[on])
        order, kept = packed(valid, left=True)
        yield Part(
            rows,
            said.gather(1, order),
            kept,
            places.gather(2, order[:, None].expand(-1, axes, -1)),
            None if types is None else types.gather(1, order),
            width,
            on,
            features,
        )
        if heard is None:
            return
        rows = heard.rows


def _spread(values: Tensor, rows: Tensor, count: int) -> Tensor:
    """Return `values` in these of `count` rows, and zeros in the others."""
    found = values.new_zeros(count, *values.shape[1:])
    found[rows] = values
    return found
