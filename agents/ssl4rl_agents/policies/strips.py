"""Tokens with their places, put side by side and packed: what stands in the rows of conversations."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor
from torch.nn.functional import pad

from ssl4rl_agents.policies.prompts import VLMInputs


@dataclass
class Strip:
    """Tokens of n rows, with padding anywhere.

    Args:
        ids: (n, S).
        valid: (n, S) bool, which of them are any.
        positions: (n, axes, S).
        types: (n, S) token types; 0 where a model is told none.
    """

    ids: Tensor
    valid: Tensor
    positions: Tensor
    types: Tensor

    def packed(self, *, left: bool = False) -> Strip:
        """Return the same with the padding of each row on one side, as narrow as the longest row.

        Args:
            left: the tokens move to the left; else to the right.
        """
        order, kept = packed(self.valid, left=left)
        places = order[:, None].expand(-1, self.positions.shape[1], -1)
        positions = self.positions.gather(2, places).masked_fill(~kept[:, None], 0)
        return Strip(self.ids.gather(1, order), kept, positions, self.types.gather(1, order))

    def among(self, rows: Tensor, count: int) -> Strip:
        """Return it as these of `count` rows, the others empty."""

        def spread(values: Tensor) -> Tensor:
            found = values.new_zeros(count, *values.shape[1:])
            found[rows] = values
            return found

        return Strip(*(spread(values) for values in vars(self).values()))


def said(tokens: Tensor, mask: Tensor, following: Tensor, axes: int, kind: int) -> Strip:
    """Return replies (n, T) that begin at positions `following` (n,); their token type is `kind`."""
    places = following[:, None] + torch.arange(tokens.shape[1], device=tokens.device)
    return Strip(tokens, mask, places[:, None].expand(-1, axes, -1), torch.full_like(tokens, kind))


def heard(inputs: VLMInputs, following: Tensor) -> Strip:
    """Return prompts, or what stands between replies, that begin at positions `following` (n,)."""
    types = torch.zeros_like(inputs.input_ids) if inputs.token_types is None else inputs.token_types
    return Strip(inputs.input_ids, inputs.attention_mask.bool(), inputs.positions + following[:, None, None], types)


def in_line(strips: Sequence[Strip]) -> Strip:
    """Return strips of the same rows, one after the other."""
    columns = zip(*(vars(strip).values() for strip in strips), strict=True)
    return Strip(*(torch.cat(list(values), dim=-1) for values in columns))


def packed(valid: Tensor, *, left: bool = False) -> tuple[Tensor, Tensor]:
    """Return the order of columns in which what holds something stands together, and where that is, (n, width) both.

    Args:
        valid: (n, columns) bool.
        left: move it to the left; else to the right.
    """
    counts = valid.sum(1, keepdim=True)
    width = int(counts.max())
    order = (~valid if left else valid).to(torch.uint8).argsort(dim=1, stable=True)
    place = torch.arange(width, device=valid.device)
    if left:
        return order[:, :width], place < counts
    return order[:, order.shape[1] - width :], place >= width - counts


def after(inputs: VLMInputs, before: Tensor) -> Tensor:
    """Return the positions (n,) of the tokens that follow some whose places count from `before` (n,)."""
    return before + inputs.positions.masked_fill(inputs.attention_mask[:, None] == 0, -1).amax((1, 2)) + 1


def behind(following: VLMInputs, tokens: Tensor, mask: Tensor) -> VLMInputs:
    """Return what stands behind replies (n, T): where one ends as `following` begins, the end is not written twice."""
    last = tokens.gather(1, (mask.sum(1, keepdim=True) - 1).clamp(min=0))[:, 0]
    first = following.input_ids.gather(1, following.attention_mask.argmax(1, keepdim=True))[:, 0]
    return without_first(following, (last == first) & mask.any(1))


def without_first(inputs: VLMInputs, which: Tensor) -> VLMInputs:
    """Turn the first token of some rows into padding: a token of text, which has a place to itself.

    Args:
        inputs: n rows, padded on the left.
        which: (n,) bool.
    """
    mask = inputs.attention_mask
    first = torch.arange(mask.shape[1], device=mask.device) == mask.argmax(1, keepdim=True)
    positions = (inputs.positions - which.to(inputs.positions)[:, None, None]).clamp(min=0)
    return replace(inputs, attention_mask=mask.masked_fill(first & which[:, None], 0), positions=positions)


def next_is(mask: Tensor) -> Tensor:
    """Return which places (n, T) are followed by one inside the mask."""
    return pad(mask[:, 1:], (0, 1))
