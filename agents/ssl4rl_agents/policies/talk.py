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

from ssl4rl_agents.policies.conversations import Conversations, Heard
from ssl4rl_agents.policies.growing import Grown, grown
from ssl4rl_agents.policies.limits import require_room
from ssl4rl_agents.policies.policy import Samples
from ssl4rl_agents.policies.prefix import Prefix
from ssl4rl_agents.policies.prompts import VLMInputs
from ssl4rl_agents.policies.room import with_room
from ssl4rl_agents.policies.sampling import sample
from ssl4rl_agents.policies.strips import Strip, after, behind, heard, in_line, said

if TYPE_CHECKING:
    from ssl4rl_agents.policies.vlm import VLMPolicy


BLOCK = 2048
"""Tokens that a CPU reads at a time, so that what it makes of them stays near."""

MOST = 8
"""Turns for which a CPU holds room; nothing of it is used before they come."""


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
                "in conversations (context 'episode') the number of passes depends on what is said, and processes that hold "
                "parts of the weights each (FSDP) must make the same ones; use context 'turn', or whole weights"
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
            answers = inputs.answers[-1][1]
            samples = self._last = sample(policy, prefix, generator, answers, deterministic=deterministic)
            inputs.widths.append(samples.tokens.shape[1])
            if len(inputs.widths) != self._decisions:
                self._kept = grown(prefix, prompt, samples.mask[:, :-1])
                self._following = following + samples.mask.sum(1)
                decoder.leave(prefix)
            decoder.finish(prefix)
        return samples

    @torch.no_grad()
    def expect(self) -> Tensor:
        """Return what the critic expects (a,) of the rows that have heard something and not replied yet.

        Raises:
            RuntimeError: nobody has.
        """
        if self._prefix is None:
            raise RuntimeError("nobody has heard anything since the last reply")
        return self._policy.values(self._prefix.hidden)

    @torch.no_grad()
    def hear(self, rows: Tensor, observations: dict[str, Any]) -> None:
        """Go on with some rows; the others leave.

        Args:
            rows: (a,) int64, rising, which of those that replied last.
            observations: what `policy.encode_next` takes, of these rows.

        Raises:
            RuntimeError: nobody has replied yet, or nobody may go on.
            ValueError: there are no rows, they do not rise, or there are not as many observations; or there is no room for a
                reply in the model's positions.
        """
        last, kept = self._last, self._kept
        if last is None or kept is None:
            raise RuntimeError(
                "nobody has replied yet" if last is None else f"that was the last of {self._decisions} decisions"
            )
        count = len(observations["prompt"])
        if count != len(rows) or not count or bool((rows.diff() <= 0).any()):
            raise ValueError(
                f"hear takes at least one row, each once and rising, and as many observations; got rows {rows.tolist()} and "
                f"{count} observations"
            )
        inputs = behind(self._policy.encode_next(observations), last.tokens[rows], last.mask[rows])
        self._read(inputs, kept.cut(rows), last.tokens[rows], last.mask[rows], self._following[rows])
        self.rows = self.rows[rows]
        self.inputs.heard.append(Heard(self.rows, inputs))
        self._kept = self._last = None

    def _read(self, inputs: VLMInputs, kept: Grown, tokens: Tensor, mask: Tensor, following: Tensor) -> None:
        """Run what was heard after replies (n, T), at positions that follow, behind what is kept of the same rows."""
        policy, decoder = self._policy, self._policy.decoder
        unread = _unread(inputs, tokens, mask, following, decoder.answer_type)
        following = after(inputs, following)
        require_room(type(policy.model).__name__, policy.positions, int(following.max()), policy.max_new_tokens)
        room = with_room(kept, unread.valid, policy.max_new_tokens - 1, self._further(unread.ids.shape[1]))
        sees, hidden = decoder.masked(room.seen, unread.ids.shape[1], unread.types), list[Tensor]()
        with policy.copied_adapters():
            features = decoder.told_features(inputs)
            for rows in blocks(len(unread.ids), unread.ids.shape[1], policy.device):
                told: dict[str, Any] = {} if features is None else {"mm_encoder_outputs": features.rows(rows).outputs()}
                strip, cache = (unread.ids[rows], mask_of(sees, rows), unread.positions[rows]), room.cache(rows)
                hidden.append(decoder.run(*strip, cache, **told)[:, -1])
        axes, seen = unread.positions.shape[1], room.seen.long()
        self._prefix = Prefix(torch.cat(hidden), room.filled(), seen, following, axes)
        decoder.spread(self._prefix, 1, policy.max_new_tokens)

    def _further(self, heard: int) -> int:
        """Return for how many tokens behind the next reply there should be room, if turns go on as the one before it."""
        turns = MOST if self._decisions is None else min(MOST, self._decisions - len(self.inputs.widths) - 1)
        return turns * (heard + self._policy.max_new_tokens)


def blocks(rows: int, length: int, device: torch.device) -> list[slice]:
    """Return which rows of so many tokens run at a time."""
    size = max(1, BLOCK // length) if device.type == "cpu" else rows
    return [slice(start, min(start + size, rows)) for start in range(0, rows, size)]


def mask_of(sees: Any, rows: slice) -> Any:
    """Return the part of what `Decoder.masked` gives, where it says something else of each row, that is of some rows."""
    if isinstance(sees, dict):
        return {kind: mask_of(mask, rows) for kind, mask in sees.items()}
    return sees if len(sees) == 1 else sees[rows]


def _unread(inputs: VLMInputs, tokens: Tensor, mask: Tensor, following: Tensor, kind: int) -> Strip:
    """Return what is yet to be run: the last token of replies that are as long as the longest, and what was heard.

    Args:
        inputs: what was heard after the replies.
        tokens, mask: (n, T) the replies.
        following: (n,) the positions of what was heard.
        kind: the token type of replies.
    """
    last = said(tokens[:, -1:], mask[:, -1:], following - 1, inputs.positions.shape[1], kind)
    return in_line([last, heard(inputs, following)]).packed()
