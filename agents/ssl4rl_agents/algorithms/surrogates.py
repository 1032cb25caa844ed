"""Surrogates: what is descended so that the policy earns more. One function and one row of `SURROGATES` each.

All take log-probabilities now and before, advantages and mask, each (n, T), and settings of the objective as keyword-only
arguments.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from ssl4rl_agents.algorithms.row import Row

if TYPE_CHECKING:
    from torch import Tensor

MAX_LOG_RATIO = 20.0


@dataclass
class PolicyLoss:
    """A surrogate's loss, its probability ratios, and which tokens were clipped; all (n, T)."""

    loss: Tensor
    ratio: Tensor
    clipped_low: Tensor
    clipped_high: Tensor


@dataclass(frozen=True)
class Surrogate(Row):
    """A row of `SURROGATES`: from log-probabilities, old ones, advantages and mask, each (n, T), to a `PolicyLoss`."""


def log_ratio(logprobs: Tensor, old_logprobs: Tensor) -> Tensor:
    """Return log(new / old), clamped to +-20 so that its exponential stays finite."""
    return (logprobs - old_logprobs).clamp(-MAX_LOG_RATIO, MAX_LOG_RATIO)


def ppo(
    logprobs: Tensor,
    old_logprobs: Tensor,
    advantages: Tensor,
    mask: Tensor,
    *,
    clip_low: float,
    clip_high: float,
    dual_clip: float | None = None,
) -> PolicyLoss:
    """PPO's clipped surrogate (Schulman et al. 2017, arXiv 1707.06347), negated.

    Args:
        logprobs, old_logprobs, advantages, mask: (n, T).
        clip_low, clip_high: the ratio is clipped to [1 - clip_low, 1 + clip_high]; unequal bounds are DAPO's (Yu et al. 2025,
            arXiv 2503.14476).
        dual_clip: for negative advantages the loss is at most -dual_clip * advantage (Ye et al. 2020, arXiv 1912.09729); None
            is off.
    """
    del mask  # each token counts for itself
    return _clipped(log_ratio(logprobs, old_logprobs).exp(), advantages, clip_low, clip_high, dual_clip)


def gspo(
    logprobs: Tensor,
    old_logprobs: Tensor,
    advantages: Tensor,
    mask: Tensor,
    *,
    clip_low: float,
    clip_high: float,
    dual_clip: float | None = None,
) -> PolicyLoss:
    """Clipped surrogate of whole answers (Zheng et al. 2025, arXiv 2507.18071), negated.

    The ratio of an answer y is s = (new(y) / old(y)) ** (1 / |y|), the exponential of the mean log-ratio of its tokens, and
    is clipped as one. This is the paper's token form (its equations 13 and 14): each token has the value s and the gradient
    s * grad log new(token), so a mean over the tokens of an answer has the value and the gradient of the sequence form, and
    tokens may have advantages of their own.

    Args:
        logprobs, old_logprobs, advantages: (n, T).
        mask: (n, T) bool, the tokens of each answer.
        clip_low, clip_high, dual_clip: as in `ppo`; the ranges of the paper are far smaller than PPO's, 3e-4 and 4e-4.
    """
    by_token = log_ratio(logprobs, old_logprobs).detach() * mask
    by_answer = by_token.sum(1, keepdim=True) / mask.sum(1, keepdim=True)
    ratio = (by_answer + logprobs - logprobs.detach()).exp()
    return _clipped(ratio, advantages, clip_low, clip_high, dual_clip)


def cispo(
    logprobs: Tensor, old_logprobs: Tensor, advantages: Tensor, mask: Tensor, *, clip_low: float, clip_high: float
) -> PolicyLoss:
    """REINFORCE with clipped importance weights (MiniMax-M1, 2025, arXiv 2506.13585, equations 4 and 5), negated.

    The loss of a token is -sg(clip(ratio, 1 - low, 1 + high)) * advantage * logprob. Where PPO gives a clipped token no
    gradient at all, here its weight is bounded and its gradient kept. The paper leaves the lower bound off (clip_low = 1).

    Args:
        logprobs, old_logprobs, advantages, mask: (n, T).
        clip_low, clip_high: bounds of the weight.

    Returns:
        As `ppo`; a token counts as clipped whatever the sign of its advantage.
    """
    del mask
    ratio = log_ratio(logprobs, old_logprobs).exp().detach()
    loss = -ratio.clamp(1 - clip_low, 1 + clip_high) * advantages * logprobs
    return PolicyLoss(loss, ratio, ratio < 1 - clip_low, ratio > 1 + clip_high)


def _clipped(ratio: Tensor, advantages: Tensor, low: float, high: float, dual: float | None) -> PolicyLoss:
    unclipped = -advantages * ratio
    clipped = -advantages * ratio.clamp(1 - low, 1 + high)
    loss = unclipped.maximum(clipped)
    if dual is not None:
        loss = loss.minimum(-dual * advantages).where(advantages < 0, loss)
    below = (ratio < 1 - low) & (advantages < 0)
    above = (ratio > 1 + high) & (advantages > 0)
    return PolicyLoss(loss, ratio, below, above)


SURROGATES: dict[str, Surrogate] = {"ppo": Surrogate(ppo), "gspo": Surrogate(gspo), "cispo": Surrogate(cispo)}
"""The surrogates by name, as `objective.surrogate` takes them. Another one is another row."""
