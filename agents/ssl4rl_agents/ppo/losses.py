"""The terms of the objective, token by token, and how tokens are averaged. Pure functions, all in float32."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from ssl4rl_agents.ppo.config import Aggregation

MAX_LOG_RATIO = 20.0


@dataclass
class PolicyLoss:
    """The clipped surrogate's loss, and which tokens were clipped; all (n, T)."""

    loss: Tensor
    ratio: Tensor
    clipped_low: Tensor
    clipped_high: Tensor


def log_ratio(logprobs: Tensor, old_logprobs: Tensor) -> Tensor:
    """Return log(new / old), clamped to +-20 so that its exponential stays finite."""
    return (logprobs - old_logprobs).clamp(-MAX_LOG_RATIO, MAX_LOG_RATIO)


def policy_loss(
    logprobs: Tensor, old_logprobs: Tensor, advantages: Tensor, low: float, high: float, dual: float | None = None
) -> PolicyLoss:
    """PPO's clipped surrogate (Schulman et al. 2017, arXiv 1707.06347), negated.

    Args:
        logprobs, old_logprobs, advantages: (n, T).
        low, high: the ratio is clipped to [1 - low, 1 + high]; unequal bounds are DAPO's (Yu et al. 2025, arXiv 2503.14476).
        dual: for negative advantages the loss is at most -dual * advantage (Ye et al. 2020, arXiv 1912.09729); None is off.
    """
    ratio = torch.exp(log_ratio(logprobs, old_logprobs))
    unclipped = -advantages * ratio
    clipped = -advantages * ratio.clamp(1 - low, 1 + high)
    loss = torch.maximum(unclipped, clipped)
    if dual is not None:
        loss = torch.where(advantages < 0, torch.minimum(loss, -dual * advantages), loss)
    below = (ratio < 1 - low) & (advantages < 0)
    above = (ratio > 1 + high) & (advantages > 0)
    return PolicyLoss(loss, ratio, below, above)


def value_loss(values: Tensor, old_values: Tensor, returns: Tensor, clip: float | None = None) -> Tensor:
    """Half the squared error (n, T); with `clip`, the larger of it and that of values that moved at most `clip`."""
    error = (values - returns) ** 2
    if clip is not None:
        near = old_values + (values - old_values).clamp(-clip, clip)
        error = torch.maximum(error, (near - returns) ** 2)
    return 0.5 * error


def kl_estimate(logprobs: Tensor, reference: Tensor, kind: str) -> Tensor:
    """Estimate KL(policy || reference) by token, (n, T), with J. Schulman's estimators (joschu.net/blog/kl-approx.html).

    k1 = log(policy / reference) is unbiased as a value; k2 = k1**2 / 2 has the gradient of the divergence;
    k3 = exp(-k1) - 1 + k1 is unbiased and positive as a value, but as a loss its gradient is that of the reverse divergence.
    """
    ratio = log_ratio(logprobs, reference)
    if kind == "k1":
        return ratio
    if kind == "k2":
        return 0.5 * ratio**2
    if kind == "k3":
        return torch.exp(-ratio) - 1 + ratio
    raise ValueError(f"the divergence is estimated by k1, k2 or k3, got {kind!r}")


def approx_kl(logprobs: Tensor, old_logprobs: Tensor) -> Tensor:
    """Return (r - 1) - log r by token, (n, T): a positive, unbiased estimate of KL(old || new)."""
    ratio = log_ratio(logprobs, old_logprobs)
    return torch.exp(ratio) - 1 - ratio


def weights(mask: Tensor, aggregation: Aggregation, constant_length: int) -> Tensor:
    """Return the weight of each token (n, T) in the mean over a whole optimizer minibatch.

    Losses are multiplied by these weights and summed; since the weights are those of the whole minibatch, the sum is the
    same however it is cut into micro-batches.

    Args:
        mask: (n, T) bool, the answers of the whole minibatch.
        aggregation: token_mean; sequence_mean (each answer counts the same); sequence_sum (token sums, over answers and
            `constant_length`, so that length changes no token's weight: Dr. GRPO, Liu et al. 2025, arXiv 2503.20783).
        constant_length: the longest possible answer.
    """
    kept = mask.float()
    if aggregation == "token_mean":
        return kept / kept.sum()
    if aggregation == "sequence_mean":
        return kept / kept.sum(1, keepdim=True) / len(mask)
    return kept / (len(mask) * constant_length)
