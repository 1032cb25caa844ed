"""One check of every model before it holds its first conversation: turns one by one say what they say as one prompt.

A model may take no pictures behind a cache, or place them as if nothing stood before: it would run all the same, in sampling
and in the update alike, and read something else than was asked.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from ssl4rl_agents.policies.conversations import Conversations, Heard
from ssl4rl_agents.policies.prompts import SIDE
from ssl4rl_agents.policies.replay import evaluate_conversations
from ssl4rl_agents.policies.selfcheck import made_answers, rounding, short_windows
from ssl4rl_agents.policies.strips import behind
from ssl4rl_agents.policies.support import RUNS, UnsupportedModelError, explained

if TYPE_CHECKING:
    from ssl4rl_agents.policies.vlm import VLMPolicy

WORDS = (("Up?", "Which way is up in this picture?"), ("No. Say left or right.", "Up?"))
"""What is asked, and what is said after the replies."""


def check_talk(policy: VLMPolicy) -> None:
    """Compare conversations of two turns with the same tokens as one prompt.

    Raises:
        UnsupportedModelError: they differ beyond rounding, or cannot be held at all.
    """
    exact = torch.autocast(policy.device.type, enabled=False)  # as at load, whatever the run's own precision
    with torch.no_grad(), exact, explained(policy.model), short_windows(policy), unconstrained(policy):
        first, following = (policy.encode(_shown(policy, 0)), policy.encode_next(_shown(policy, 1)))
        tokens, mask = made_answers(policy, len(first))
        group = len(tokens) // len(first)
        rows = torch.arange(len(tokens), device=policy.device)
        heard = Heard(rows, behind(following.rows(rows // group), tokens, mask))
        talks = Conversations(first, group, [heard], [tokens.shape[1]] * 2)
        said = evaluate_conversations(policy, talks, torch.cat([tokens] * 2, 1), torch.cat([mask] * 2, 1)).logprobs
        joined = policy.join([first.rows(rows // group), following.rows(rows // group)], [(tokens, mask)])
        plain = policy.evaluate(joined, tokens, mask).logprobs
    error = float((said[:, tokens.shape[1] :] - plain).abs().nan_to_num(nan=torch.inf).max())
    tolerance = rounding(policy) * max(1.0, float(-plain.min()))
    if error > tolerance:
        raise UnsupportedModelError(
            f"{type(policy.model).__name__} says something else when a conversation is run turn by turn behind what it has "
            f"read before: log-probabilities differ by up to {error:.3g} nats, where rounding explains {tolerance:.1g}. The "
            f"likely reason is what it makes of pictures or places behind a cache; use context 'turn' or 'window:K'. {RUNS}"
        )


@contextmanager
def unconstrained(policy: VLMPolicy) -> Iterator[None]:
    """Let a policy say what it likes for a while: the replies of the check are no answers."""
    constraint, policy.constraint = policy.constraint, None
    try:
        yield
    finally:
        policy.constraint = constraint


def _shown(policy: VLMPolicy, turn: int) -> dict[str, Any]:
    """Return two questions, with a picture each for a model that sees."""
    if policy.encoder.image_token_id is None:
        return {"prompt": WORDS[turn]}
    pictures = np.random.default_rng(turn).integers(0, 256, (len(WORDS[turn]), SIDE, SIDE, 3), dtype=np.uint8)
    return {"image": pictures, "prompt": WORDS[turn]}
