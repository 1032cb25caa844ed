"""Answers grow token by token behind their prompts, until every row has ended."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from ssl4rl_agents.policies.finite import require_probabilities
from ssl4rl_agents.policies.policy import Samples, masked_statistics, token_logprobs
from ssl4rl_agents.policies.prefix import Prefix
from ssl4rl_agents.policies.watch import Watch

if TYPE_CHECKING:
    from ssl4rl_agents.policies.vlm import VLMPolicy

Choose = Callable[[Tensor, int], Tensor]
"""From logits (n, vocabulary) and a position in the answer to the tokens (n,) there."""


def sample(
    policy: VLMPolicy,
    prefix: Prefix,
    generator: torch.Generator | None,
    answers: Tensor | None = None,
    *,
    deterministic: bool,
) -> Samples:
    """Sample answers behind prompts, or take the likeliest token at every place; `answers` is as of `grow`."""
    states: list[Tensor] = []

    def choose(logits: Tensor, position: int) -> Tensor:
        del position
        if deterministic:
            return logits.argmax(-1)
        if generator is not None:
            states.append(generator.get_state())
        return torch.multinomial(logits.softmax(-1), 1, generator=generator).squeeze(-1)

    samples = grow(policy, prefix, choose, answers)
    if generator is not None and len(states) > samples.tokens.shape[1]:
        generator.set_state(states[samples.tokens.shape[1]])  # tokens that were sampled for nothing change no luck
    return samples


def grow(policy: VLMPolicy, prefix: Prefix, choose: Choose, answers: Tensor | None = None) -> Samples:
    """Let answers of at most `prefix.longest` tokens grow behind prompts that were run and spread.

    Args:
        policy: whose.
        prefix: the prompts.
        choose: chooses tokens.
        answers: which answers may be given to each prompt, as `VLMInputs` have it.
    """
    decoder, watch = policy.decoder, Watch(policy.device, prefix.longest)
    alive = torch.ones(len(prefix.hidden), dtype=torch.bool, device=policy.device)
    replies = None if policy.constraint is None else policy.constraint.begin(len(prefix.hidden), answers)
    columns: list[tuple[Tensor, Tensor, Tensor, Tensor]] = []
    for position in range(prefix.longest):
        logits = policy.logits(prefix.hidden, None if replies is None else replies.allowed(policy.device))
        if position == 0:  # once, since a GPU is waited for
            require_probabilities(logits)
        token = torch.where(alive, choose(logits, position), policy.pad_token_id)
        logprob = token_logprobs(logits, token) if replies is None else masked_statistics(logits, token)[0]
        value = policy.values(prefix.hidden)
        columns.append((token, alive, torch.where(alive, logprob, 0.0), torch.where(alive, value, 0.0)))
        alive = alive & ~policy.is_end(token)
        ended = watch.ended(alive)
        if (ended if policy.together is None else policy.together.everywhere(ended)) or position == prefix.longest - 1:
            break
        if replies is not None:
            replies.say(token, alive)
        decoder.extend(prefix, token, columns[-1][1])
    if watch.late:
        columns = columns[: int(torch.stack([within.any() for _, within, _, _ in columns]).sum())]
    tokens, within, logprobs, values = (torch.stack(column, dim=1) for column in zip(*columns, strict=True))
    return Samples(tokens, within, logprobs, values, truncated=alive)
