"""Conversations: first prompts, and what the rows of their groups heard after each reply. Tokens are never written anew.

Replies are no part of them: as with single prompts they are tokens (E, T) beside their inputs, those of turn 1 in the first
columns, then those of turn 2, and so on; the mask says which there are. `join` writes all of it as one prompt a row.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate, pairwise

import torch
from torch import Tensor

from ssl4rl_agents.policies.pictures import Features
from ssl4rl_agents.policies.policy import Samples
from ssl4rl_agents.policies.prompts import VLMInputs
from ssl4rl_agents.policies.strips import after, behind, heard, in_line, said


@dataclass
class Heard:
    """What some rows heard after a reply.

    Args:
        rows: (a,) int64, rising, which of all rows they are.
        inputs: a rows, what stands between that reply and the next.
    """

    rows: Tensor
    inputs: VLMInputs


@dataclass
class Conversations:
    """Encoded conversations of P groups, E = P * group_size rows: `Inputs` whose answers are the replies of all turns.

    Args:
        first: the P first prompts.
        group_size: rows k * group_size ... (k + 1) * group_size - 1 begin with prompt k.
        heard: after the first reply, after the second, ...; whoever is missing has left, and comes back no more.
        widths: how many columns of tokens the replies of each turn take, one turn more than `heard` has.
    """

    first: VLMInputs
    group_size: int
    heard: list[Heard]
    widths: list[int]

    def __len__(self) -> int:
        return len(self.first)

    @property
    def columns(self) -> list[slice]:
        """Where the tokens of each turn stand."""
        return [slice(start, stop) for start, stop in pairwise(accumulate(self.widths, initial=0))]

    @property
    def answers(self) -> list[tuple[Tensor, Tensor | None]]:
        """Of each turn the rows (a,) that were asked, and which answers may be given to each, or to each of the prompts."""
        first = torch.arange(len(self) * self.group_size, device=self.first.input_ids.device)
        return [(first, self.first.answers), *((turn.rows, turn.inputs.answers) for turn in self.heard)]

    def rows(self, rows: Tensor) -> Conversations:
        """Return the conversations that begin with the chosen prompts."""
        count, device = len(self) * self.group_size, rows.device
        chosen = (rows[:, None] * self.group_size + torch.arange(self.group_size, device=device)).reshape(-1)
        heard = []
        for turn in self.heard:
            place = torch.full((count,), -1, device=device)
            place[turn.rows] = torch.arange(len(turn.rows), device=device)
            kept = place[chosen]
            heard.append(Heard((kept >= 0).nonzero().flatten(), turn.inputs.rows(kept[kept >= 0])))
        return Conversations(self.first.rows(rows), self.group_size, heard, self.widths)


def side_by_side(turns: Sequence[tuple[Tensor, Samples]], count: int) -> Samples:
    """Return the replies of all turns as one answer a row, as `Policy.evaluate` takes them beside `Conversations`.

    Args:
        turns: of each turn the rows (a,) that replied, and their replies.
        count: of all rows.

    Returns:
        Samples (count, T1 + T2 + ...); `truncated` is that of each row's last reply. What is outside the mask holds tokens
        that may stand in an answer.
    """

    def wide(name: str) -> Tensor:
        columns = []
        for rows, samples in turns:
            values = getattr(samples, name)
            column = values[:1, -1:].expand(count, values.shape[1]).clone() if name == "tokens" else None
            column = values.new_zeros(count, values.shape[1]) if column is None else column
            column[rows] = values
            columns.append(column)
        return torch.cat(columns, dim=1)

    truncated = torch.zeros(count, dtype=torch.bool, device=turns[0][0].device)
    for rows, samples in turns:
        truncated[rows] = samples.truncated
    foreign = turns[0][1].sampler_logprobs is not None
    return Samples(
        wide("tokens"),
        wide("mask"),
        wide("logprobs"),
        wide("values"),
        truncated,
        wide("sampler_logprobs") if foreign else None,
    )


def together(parts: Sequence[Conversations]) -> Conversations:
    """Return the conversations of several, one after the other, each turn as wide as the widest.

    Raises:
        ValueError: their groups differ in size.
    """
    sizes = {part.group_size for part in parts}
    if len(sizes) != 1:
        raise ValueError(f"conversations in groups of {sorted(sizes)} do not go together")
    starts = list(accumulate((len(part) * part.group_size for part in parts), initial=0))
    heard = []
    for turn in range(max(len(part.heard) for part in parts)):
        there = [(start, part.heard[turn]) for start, part in zip(starts, parts, strict=False) if turn < len(part.heard)]
        rows = torch.cat([start + each.rows for start, each in there])
        heard.append(Heard(rows, beneath([each.inputs for _, each in there])))
    widths = [max(part.widths[turn] for part in parts if turn < len(part.widths)) for turn in range(len(heard) + 1)]
    return Conversations(beneath([part.first for part in parts]), sizes.pop(), heard, widths)


def beneath(parts: Sequence[VLMInputs]) -> VLMInputs:
    """Return the prompts of several, one after the other, padded on the left to the length of the longest.

    Raises:
        ValueError: they show pictures of other numbers or sizes.
    """
    longest = max(part.input_ids.shape[1] for part in parts)
    answers = [part.answers for part in parts if part.answers is not None]

    def wide(values: list[Tensor]) -> Tensor:
        return torch.cat([torch.nn.functional.pad(each, (longest - each.shape[-1], 0)) for each in values])

    types = [part.token_types for part in parts if part.token_types is not None]
    features = [part.features for part in parts if part.features is not None]
    shapes = {tuple((name, *values.shape[1:]) for name, values in part.pictures.items()) for part in parts}
    if len(shapes) != 1:
        raise ValueError(f"prompts whose pictures have other numbers or sizes do not go together: {sorted(shapes)}")
    return VLMInputs(
        wide([part.input_ids for part in parts]),
        wide([part.attention_mask for part in parts]),
        wide([part.positions for part in parts]),
        wide(types) if types else None,
        {name: torch.cat([part.pictures[name] for part in parts]) for name in parts[0].pictures},
        _features(features, 0) if features else None,
        torch.cat(answers) if answers else None,
    )


def join(parts: Sequence[VLMInputs], replies: Sequence[tuple[Tensor, Tensor]], reply_type: int = 0) -> VLMInputs:
    """Write conversations as one prompt each: what was asked and said, in order.

    Args:
        parts: first prompts, then what stands between replies, n rows each, as `Between` gives it.
        replies: tokens (n, T) and mask (n, T) of each turn but the one that is asked for, one less than there are parts.
        reply_type: the token type of replies, where a model is told one.

    Raises:
        ValueError: there are too many replies, or too few.
    """
    if len(replies) != len(parts) - 1:
        raise ValueError(f"{len(parts)} parts of a conversation stand around {len(parts) - 1} replies, not {len(replies)}")
    first, shown = parts[0], [parts[0]]
    axes, following = first.positions.shape[1], after(first, torch.zeros_like(first.input_ids[:, 0]))
    strips = [heard(first, torch.zeros_like(following))]
    for given, (tokens, mask) in zip(parts[1:], replies, strict=True):
        strips.append(said(tokens, mask, following, axes, reply_type))
        following = following + mask.sum(1)
        shown.append(behind(given, tokens, mask))
        strips.append(heard(shown[-1], following))
        following = after(shown[-1], following)
    row = in_line(strips).packed()
    return VLMInputs(
        row.ids,
        row.valid.to(first.attention_mask),
        row.positions,
        None if first.token_types is None else row.types,
        _pictures(shown),
        _features([part.features for part in shown if part.features is not None], 1),
        parts[-1].answers,
    )


def _pictures(parts: Sequence[VLMInputs]) -> dict[str, Tensor]:
    """Return the pictures of each row's parts, one after the other."""
    there = [part.pictures for part in parts if part.pictures]
    return {name: torch.cat([pictures[name] for pictures in there], dim=1) for name in (there[0] if there else ())}


def _features(parts: Sequence[Features], dim: int) -> Features | None:
    """Return the features of several, as those of more rows (0) or of rows that show more (1)."""
    if not parts:
        return None
    deep = [part.deep for part in parts if part.deep is not None]
    tokens = torch.cat([part.tokens for part in parts], dim=dim)
    return Features(tokens, torch.cat(deep, dim=2 * dim) if deep else None, parts[0].listed)
