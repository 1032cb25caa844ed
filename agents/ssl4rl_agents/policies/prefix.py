"""Prompts that have been run, and what grows behind them."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor
from transformers import Cache

from ssl4rl_agents.policies.static_cache import StaticSteps


@dataclass
class Prefix:
    """Prompts that have been run, and answers that grow behind them.

    Args:
        hidden: (n, hidden) last hidden states.
        cache: keys and values.
        mask: (rows of the cache, length) what the cache held before the answers, or, where each has a row, everything.
        following: (n,) the position of the token that follows.
        axes: how many axes positions have.
        abreast: how many answers stand side by side in a row of the cache.
        grown: how many tokens each of these has.
        longest: most tokens of an answer.
        steps: the answers' memory of fixed size, where they grow in one; the cache is empty then.
    """

    hidden: Tensor
    cache: Cache
    mask: Tensor
    following: Tensor
    axes: int
    abreast: int = 1
    grown: int = 0
    longest: int = 0
    steps: StaticSteps | None = None
