"""The terms of the objective, token by token, and how tokens are averaged. Pure functions, all in float32."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from ssl4rl_agents.settings import Aggregation, ObjectiveConfig

MAX_LOG_RATIO = 20.0

Total = Callable[[Tensor], Tensor]
"""Sums a tensor over all processes, element by element; every process gets the sum."""


def alone(value: Tensor) -> Tensor:
    """The `Total` of a single process: the value itself."""
    return value


@dataclass
class PolicyLoss:
    """A surrogate's loss, its probability ratios, and which tokens were clipped; all (n, T)."""

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
    return _clipped(torch.exp(log_ratio(logprobs, old_logprobs)), advantages, low, high, dual)


def gspo_loss(
    logprobs: Tensor,
    old_logprobs: Tensor,
    advantages: Tensor,
    mask: Tensor,
    low: float,
    high: float,
    dual: float | None = None,
) -> PolicyLoss:
    """Clipped surrogate of whole answers (Zheng et al. 2025, arXiv 2507.18071), negated.

    The ratio of an answer y is s = (new(y) / old(y)) ** (1 / |y|), the exponential of the mean log-ratio of its tokens, and
    is clipped as one. This is the paper's token form (its equations 13 and 14): each token has the value s and the gradient
    s * grad log new(token), so a mean over the tokens of an answer has the value and the gradient of the sequence form, and
    tokens may have advantages of their own.

    Args:
        logprobs, old_logprobs, advantages: (n, T).
        mask: (n, T) bool, the tokens of each answer.
        low, high, dual: as in `policy_loss`; the ranges of the paper are far smaller than PPO's, 3e-4 and 4e-4.
    """
    by_token = log_ratio(logprobs, old_logprobs).detach() * mask
    by_answer = by_token.sum(1, keepdim=True) / mask.sum(1, keepdim=True)
    return _clipped(torch.exp(by_answer + logprobs - logprobs.detach()), advantages, low, high, dual)


def cispo_loss(logprobs: Tensor, old_logprobs: Tensor, advantages: Tensor, low: float, high: float) -> PolicyLoss:
    """REINFORCE with clipped importance weights (MiniMax-M1, 2025, arXiv 2506.13585, equations 4 and 5), negated.

    The loss of a token is -sg(clip(ratio, 1 - low, 1 + high)) * advantage * logprob. Where PPO gives a clipped token no
    gradient at all, here its weight is bounded and its gradient kept. The paper leaves the lower bound off (low = 1).

    Args:
        logprobs, old_logprobs, advantages: (n, T).
        low, high: bounds of the weight.

    Returns:
        As `policy_loss`; a token counts as clipped whatever the sign of its advantage.
    """
    ratio = torch.exp(log_ratio(logprobs, old_logprobs)).detach()
    loss = -ratio.clamp(1 - low, 1 + high) * advantages * logprobs
    return PolicyLoss(loss, ratio, ratio < 1 - low, ratio > 1 + high)


def surrogate_loss(
    objective: ObjectiveConfig, logprobs: Tensor, old_logprobs: Tensor, advantages: Tensor, mask: Tensor
) -> PolicyLoss:
    """Compute the surrogate that the settings name; arrays (n, T)."""
    low, high, dual = objective.clip_low, objective.clip_high, objective.dual_clip
    if objective.surrogate == "gspo":
        return gspo_loss(logprobs, old_logprobs, advantages, mask, low, high, dual)
    if objective.surrogate == "cispo":
        return cispo_loss(logprobs, old_logprobs, advantages, low, high)
    return policy_loss(logprobs, old_logprobs, advantages, low, high, dual)


def _clipped(ratio: Tensor, advantages: Tensor, low: float, high: float, dual: float | None) -> PolicyLoss:
    unclipped = -advantages * ratio
    clipped = -advantages * ratio.clamp(1 - low, 1 + high)
    loss = torch.maximum(unclipped, clipped)
    if dual is not None:
        loss = torch.where(advantages < 0, torch.minimum(loss, -dual * advantages), loss)
    below = (ratio < 1 - low) & (advantages < 0)
    above = (ratio > 1 + high) & (advantages > 0)
    return PolicyLoss(loss, ratio, below, above)


def importance_weights(old_logprobs: Tensor, sampler_logprobs: Tensor, cap: float) -> Tensor:
    """Return min(old / sampler, cap) by token, (n, T), detached: truncated importance sampling.

    Answers that another engine sampled come from slightly different probabilities than training computes with the very same
    weights; the weight corrects the policy's loss for that, and the cap bounds its variance (Yao et al. 2025, "Your efficient
    RL framework secretly brings you off-policy RL training"; truncated as in IMPALA, Espeholt et al. 2018, arXiv
    1802.01561). It stands beside the ratio new / old, which is clipped for itself.

    Args:
        old_logprobs: (n, T) of the policy before the update, as training computes them.
        sampler_logprobs: (n, T) as the engine that sampled the tokens gave them.
        cap: largest weight.
    """
    return torch.exp(log_ratio(old_logprobs, sampler_logprobs)).clamp(max=cap).detach()


def importance_statistics(old_logprobs: Tensor, sampler_logprobs: Tensor, mask: Tensor, cap: float) -> dict[str, float]:
    """Say how far the sampling engine was from training: mean, largest and truncated share of old / sampler, (n, T).

    The mean and the maximum are those before truncation, so that the cap hides nothing.
    """
    ratio = torch.exp(log_ratio(old_logprobs, sampler_logprobs))[mask]
    return {
        "importance/mean": float(ratio.mean()),
        "importance/max": float(ratio.max()),
        "importance/truncated": float((ratio > cap).float().mean()),
    }


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


def weights(mask: Tensor, aggregation: Aggregation, constant_length: int, total: Total = alone) -> Tensor:
    """Return the weight of each token (n, T) in the mean over a whole optimizer minibatch.

    Losses are multiplied by these weights and summed; since the weights are those of the whole minibatch, the sum is the
    same however it is cut into micro-batches, or spread over processes.

    Args:
        mask: (n, T) bool, the answers of the whole minibatch that this process holds.
        aggregation: token_mean; sequence_mean (each answer counts the same); sequence_sum (token sums, over answers and
            `constant_length`, so that length changes no token's weight: Dr. GRPO, Liu et al. 2025, arXiv 2503.20783).
        constant_length: the longest possible answer.
        total: sums over the processes that share the minibatch.
    """
    kept = mask.float()
    if aggregation == "token_mean":
        return kept / total(kept.sum())
    answers = total(kept.new_tensor(float(len(mask))))
    if aggregation == "sequence_mean":
        return kept / kept.sum(1, keepdim=True) / answers
    return kept / (answers * constant_length)
