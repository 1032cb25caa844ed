"""Conversations as they are sampled, turn by turn, with the keys and values of earlier turns kept.

::

    talk = policy.talk(inputs, repeats)
    samples = talk.reply(generator=generator)
    while going_on:
        talk.hear(rows, observations)
        samples = talk.reply(generator=generator)
    policy.evaluate(talk.inputs, tokens, mask)

The first prompts run once for their groups. What a row hears after a reply is run behind what is kept of it, with its
pictures, which are encoded once; rows that hear nothing have left, and so has their memory.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from ssl4rl_agents.policies.attention import continued_mask
from ssl4rl_agents.policies.conversations import Conversations, Heard, after, behind, packed
from ssl4rl_agents.policies.decoder import Prefix
from ssl4rl_agents.policies.growing import Grown, grown, with_room
from ssl4rl_agents.policies.limits import require_room
from ssl4rl_agents.policies.policy import Samples
from ssl4rl_agents.policies.prompts import VLMInputs
from ssl4rl_agents.policies.sampling import sample

if TYPE_CHECKING:
    from ssl4rl_agents.policies.vlm import VLMPolicy


class Talk:
    """A conversation of a policy with each row of some groups.

    Args:
        policy: replies.
        inputs: the first prompts, P.
        repeats: rows that begin with each.
        decisions: most replies of a row; after the last, nothing is kept. None where nobody knows.

    Raises:
        ValueError: the weights are in parts, so that all processes would have to talk equally long.
    """

    def __init__(self, policy: VLMPolicy, inputs: VLMInputs, repeats: int = 1, decisions: int | None = None) -> None:
        if policy.together is not None and decisions != 1:
            raise ValueError(
                "conversations (context 'episode') run a model's weights as often as there are turns, and processes that hold "
                "parts of the weights each (FSDP) cannot take turns that differ; use context 'turn', or whole weights"
            )
        self._policy, self._decisions = policy, decisions
        self._prefix: Prefix | None = None
        self._kept: Grown | None = None
        self._following = torch.zeros(0)
        self._last: Samples | None = None
        self.inputs = Conversations(inputs, repeats, [], [])
        """What was asked and heard so far."""
        self.rows = torch.arange(len(inputs) * repeats, device=policy.device)
        """Which of all rows have not left."""

    @torch.no_grad()
    def reply(self, *, generator: torch.Generator | None = None, deterministic: bool = False) -> Samples:
        """Sample the replies of the rows that have not left, or take the likeliest token at every place.

        Raises:
            RuntimeError: they have replied already and heard nothing since.
        """
        policy, decoder, inputs = self._policy, self._policy.decoder, self.inputs
        if self._last is not None:
            raise RuntimeError("every row has replied; call hear with what is said to those that go on")
        with policy.copied_adapters():
            prefix, self._prefix = self._prefix, None
            if prefix is None:
                prefix = decoder.prefill(inputs.first)
                decoder.spread(prefix, inputs.group_size, policy.max_new_tokens)
            prompt, following = prefix.mask, prefix.following
            samples = self._last = sample(policy, prefix, generator, deterministic=deterministic)
            inputs.widths.append(samples.tokens.shape[1])
            if len(inputs.widths) != self._decisions:
                self._kept = grown(prefix, prompt, samples.mask[:, :-1])
                self._following = following + samples.mask.sum(1)
                decoder.leave(prefix)
            decoder.finish(prefix)
        return samples

    @torch.no_grad()
    def hear(self, rows: Tensor, observations: dict[str, Any]) -> None:
        """Go on with some rows; the others leave.

        Args:
            rows: (a,) int64, rising, which of those that replied last.
            observations: what `policy.encode_next` takes, of these rows.

        Raises:
            RuntimeError: nobody has replied yet, or nobody may go on.
            ValueError: there is no room for a reply in the model's positions.
        """
        last, kept = self._last, self._kept
        if last is None or kept is None:
            raise RuntimeError(
                "nobody has replied yet" if last is None else f"that was the last of {self._decisions} decisions"
            )
        policy, decoder = self._policy, self._policy.decoder
        tokens, mask = last.tokens[rows], last.mask[rows]
        heard = behind(policy.encode_next(observations), tokens, mask)
        self._kept = self._last = None
        self.rows = self.rows[rows]
        self.inputs.heard.append(Heard(self.rows, heard))
        following = self._following[rows]
        ids, valid, places = _unread(heard, tokens, mask, following)
        following = after(heard, following)
        require_room(type(policy.model).__name__, policy.positions, int(following.max()), policy.max_new_tokens)
        cache, seen = with_room(kept.cut(rows), valid, policy.max_new_tokens - 1)
        types = heard.token_types
        blocks = None if types is None else decoder.blocks(_last_columns(types, ids.shape[1]))
        sees: Any = seen.long()
        if decoder.takes_masks:
            sees = decoder.masks(
                {kind: continued_mask(seen, ids.shape[1], window, blocks) for kind, window in decoder.windows.items()}
            )
        with policy.copied_adapters():
            hidden = decoder.run(ids, sees, places, cache, **decoder.told(heard))[:, -1]
        self._prefix = Prefix(hidden, cache, seen.long(), following, places.shape[1])
        decoder.spread(self._prefix, 1, policy.max_new_tokens)


def _unread(heard: VLMInputs, tokens: Tensor, mask: Tensor, following: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Return what is yet to be run: the last token of replies that were as long as the longest, and what was heard.

    Args:
        heard: after the replies.
        tokens, mask: (n, T) the replies.
        following: (n,) the positions of what was heard.

    Returns:
        Tokens (n, B), which of them are any, padded on the left, and their positions (n, axes, B).
    """
    ids = torch.cat([tokens[:, -1:], heard.input_ids], dim=1)
    valid = torch.cat([mask[:, -1:], heard.attention_mask.bool()], dim=1)
    axes = heard.positions.shape[1]
    last = (following - 1)[:, None, None].expand(-1, axes, 1)
    places = torch.cat([last, heard.positions + following[:, None, None]], dim=2)
    order, kept = packed(valid)
    return ids.gather(1, order), kept, places.gather(2, order[:, None].expand(-1, axes, -1))


def _last_columns(types: Tensor, width: int) -> Tensor:
    """Return so many columns, those that lack on the left filled up with 0."""
    return torch.nn.functional.pad(types, (max(0, width - types.shape[1]), 0))[:, -width:]
