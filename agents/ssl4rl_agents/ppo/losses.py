"""The terms of the objective beside the surrogate, token by token, and how tokens are averaged. Pure, all in float32."""

from __future__ import annotations

import torch
from torch import Tensor

from ssl4rl_agents.algorithms.surrogates import log_ratio
from ssl4rl_agents.runtime.processes import Processes
from ssl4rl_agents.settings import Aggregation


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


def importance_statistics(old_logprobs: Tensor, sampler_logprobs: Tensor, cap: float) -> dict[str, float]:
    """Say how far the sampling engine was from training: mean, largest and truncated share of old / sampler, (tokens,).

    The mean and the maximum are those before truncation, so that the cap hides nothing.
    """
    ratio = torch.exp(log_ratio(old_logprobs, sampler_logprobs))
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


GROUNDED = 2.0
"""How many nats likelier or less likely a token is made by the picture, beyond which nothing more is gained by that."""


def perception(logprobs: Tensor, blank_logprobs: Tensor) -> Tensor:
    """Return r - 1 - log r by token, (n, T), r being how much likelier it is with the picture than with a blank one.

    It is the implicit perception loss of PAPO (Wang et al. 2025, arXiv 2507.06448), k3 of `kl_estimate` the other way round,
    and to be made large: both policies have gradients. As it has no largest value, a policy would soon do nothing else; the
    paper holds it down by the entropies of both. Here log r counts up to `GROUNDED` either way, and has no gradient beyond.

    Args:
        logprobs: (n, T) with the pictures.
        blank_logprobs: (n, T) with blank ones.
    """
    ratio = (logprobs - blank_logprobs).clamp(-GROUNDED, GROUNDED)
    return torch.exp(ratio) - 1 - ratio


def approx_kl(logprobs: Tensor, old_logprobs: Tensor) -> Tensor:
    """Return (r - 1) - log r by token, (n, T): a positive, unbiased estimate of KL(old || new)."""
    ratio = log_ratio(logprobs, old_logprobs)
    return torch.exp(ratio) - 1 - ratio


def weights(masks: list[Tensor], aggregation: Aggregation, constant_length: int, processes: Processes) -> list[Tensor]:
    """Return the weight of each token in the mean over a whole optimizer minibatch, (n, T) for each turn.

    Losses are multiplied by these weights and summed; since the weights are those of the whole minibatch, the sum is the
    same however it is cut into micro-batches, or spread over processes.

    Args:
        masks: (n, T) bool for each turn, the answers of the whole minibatch that this process holds.
        aggregation: token_mean; sequence_mean (each answer counts the same); sequence_sum (token sums, over answers and
            `constant_length`, so that length changes no token's weight: Dr. GRPO, Liu et al. 2025, arXiv 2503.20783).
        constant_length: the longest possible answer.
        processes: which share the minibatch.
    """
    kept = [mask.float() for mask in masks]
    if aggregation == "token_mean":
        tokens = processes.total(torch.stack([part.sum() for part in kept]).sum())
        return [part / tokens for part in kept]
    answers = processes.total(kept[0].new_tensor(float(sum(map(len, masks)))))
    if aggregation == "sequence_mean":
        return [part / part.sum(1, keepdim=True) / answers for part in kept]
    return [part / (answers * constant_length) for part in kept]
