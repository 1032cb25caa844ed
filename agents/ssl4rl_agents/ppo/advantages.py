"""Advantages: how much better a token was than expected. Pure functions on (answers, tokens) arrays.

They are the only thing in which PPO, GRPO, Dr. GRPO, RLOO and REINFORCE++ differ here.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from ssl4rl_agents.ppo.config import ObjectiveConfig
from ssl4rl_agents.ppo.divergence import GROUP_ADVANTAGES, refuse_penalties
from ssl4rl_agents.ppo.losses import Total, alone

EPSILON = 1e-6


@dataclass
class Advantages:
    """advantages (n, T) for the policy, and returns (n, T) that the critic regresses on, or None without a critic."""

    advantages: Tensor
    returns: Tensor | None


def token_rewards(scores: Tensor, mask: Tensor, penalties: Tensor | None = None) -> Tensor:
    """Put each answer's score on its last token and subtract per-token penalties.

    Args:
        scores: (n,) one reward an answer.
        mask: (n, T) bool, true for a prefix of each row that is not empty.
        penalties: (n, T) or None.

    Returns:
        (n, T), 0 outside the mask.
    """
    rewards = torch.zeros(mask.shape, dtype=torch.float32, device=mask.device)
    last = mask.sum(1) - 1
    if bool((last < 0).any()):
        raise ValueError("every answer must have at least one token")
    rewards[torch.arange(len(mask), device=mask.device), last] = scores.float()
    return rewards if penalties is None else rewards - penalties * mask


def returns_to_go(rewards: Tensor, mask: Tensor, gamma: float) -> Tensor:
    """Return discounted sums of the rewards from each token on, (n, T)."""
    returns = torch.zeros_like(rewards)
    running = torch.zeros_like(rewards[:, 0])
    for t in reversed(range(rewards.shape[1])):
        running = (rewards[:, t] + gamma * running) * mask[:, t]
        returns[:, t] = running
    return returns


def gae(rewards: Tensor, values: Tensor, mask: Tensor, gamma: float, lam: float | Tensor) -> Advantages:
    """Generalised advantage estimation over the tokens of each answer (Schulman et al. 2016, arXiv 1506.02438).

    The value after the last token is 0. Returns are advantages plus values, before any whitening.

    Args:
        rewards, values: (n, T).
        mask: (n, T) bool.
        gamma: discount from token to token.
        lam: mixing, one for all answers or (n,), one for each.
    """
    advantages = torch.zeros_like(rewards)
    running = torch.zeros_like(rewards[:, 0])
    for t in reversed(range(rewards.shape[1])):
        following = values[:, t + 1] * mask[:, t + 1] if t + 1 < rewards.shape[1] else torch.zeros_like(running)
        error = rewards[:, t] + gamma * following - values[:, t]
        running = (error + gamma * lam * running) * mask[:, t]
        advantages[:, t] = running
    return Advantages(advantages, (advantages + values) * mask)


def length_adaptive_lambda(mask: Tensor, alpha: float) -> Tensor:
    """Return 1 - 1 / (alpha * l) for answers of l tokens, (n,), in [0, 1]: length-adaptive GAE (VAPO, arXiv 2504.05118).

    The coefficients lam ** k of an answer then sum to about alpha * l, so that the score reaches the first tokens of a long
    answer too. Answers of at most 1 / alpha tokens get 0.
    """
    return (1 - 1 / (alpha * mask.sum(1).float())).clamp(0, 1)


def scores_differ(scores: Tensor, group_size: int) -> Tensor:
    """Return in which groups the answers scored differently, (n / group_size,) bool: the others have no advantage."""
    groups = scores.reshape(-1, group_size)
    return groups.amax(1) != groups.amin(1)


def centred(scores: Tensor, group_size: int) -> Tensor:
    """Scores minus the mean of their group, (n / group_size, group_size).

    Exactly 0 where all of a group are equal: the mean of three times 0.1 is not 0.1 in float32, and a standard deviation
    would make a signal of what it is off by.

    Raises:
        ValueError: these are no whole groups of two or more, so that nothing could be compared.
    """
    if group_size < 2 or len(scores) % group_size:
        raise ValueError(f"answers are compared within groups of two or more; {len(scores)} are no groups of {group_size}")
    groups = scores.float().reshape(-1, group_size)
    return (groups - groups.mean(1, keepdim=True)).masked_fill(~scores_differ(groups, group_size)[:, None], 0.0)


def grpo(scores: Tensor, group_size: int) -> Tensor:
    """Scores standardised within their groups (Shao et al. 2024, arXiv 2402.03300), (n,); 0 where all are equal.

    The standard deviation is the unbiased one (over group_size - 1), plus 1e-6.
    """
    groups = centred(scores, group_size)
    return (groups / (groups.std(1, keepdim=True) + EPSILON)).reshape(-1)


def dr_grpo(scores: Tensor, group_size: int) -> Tensor:
    """Scores minus the mean of their group (Liu et al. 2025, arXiv 2503.20783), (n,).

    Not divided by the group's standard deviation, which gives questions that are nearly always or nearly never answered
    rightly more weight than others.
    """
    return centred(scores, group_size).reshape(-1)


def rloo(scores: Tensor, group_size: int) -> Tensor:
    """Scores minus the mean score of the other answers in the group (Ahmadian et al. 2024, arXiv 2402.14740), (n,)."""
    return (centred(scores, group_size) * group_size / (group_size - 1)).reshape(-1)


def moments(values: Tensor, mask: Tensor, total: Total = alone) -> tuple[Tensor, Tensor]:
    """Return mean (float32) and variance (float64) over the tokens of the mask in all processes.

    In two passes, the second over what the mean leaves: stable where the mean is large.
    """
    kept = values[mask].float()
    count = total(kept.new_tensor(float(len(kept))))
    mean = total(kept.sum()) / count
    squares = total(((kept.double() - mean.double()) ** 2).sum())
    return mean, squares / count


def whiten(values: Tensor, mask: Tensor, total: Total = alone) -> Tensor:
    """Shift and scale to mean 0 and standard deviation 1 over all tokens of the mask in all processes; 0 outside it."""
    mean, variance = moments(values, mask, total)
    return (values - mean) / (variance.sqrt().float() + EPSILON) * mask


def explained_variance(values: Tensor, returns: Tensor, mask: Tensor) -> float:
    """Return 1 - Var(returns - values) / Var(returns) over the tokens of the mask; NaN-free: 0 where returns are constant."""
    (_, variance), (_, left) = (moments(kept, mask) for kept in (returns, returns - values))
    return 1 - float(left.float()) / float(variance.float()) if variance > 0 else 0.0


def estimate(
    objective: ObjectiveConfig,
    scores: Tensor,
    values: Tensor,
    mask: Tensor,
    group_size: int,
    penalties: Tensor | None = None,
    total: Total = alone,
) -> Advantages:
    """Compute the advantages that the settings name.

    Args:
        objective: its `advantage`, `gamma`, `gae_lambda`, `length_adaptive_alpha` and `critic_lambda`.
        scores: (n,) one reward an answer, without penalties.
        values: (n, T).
        mask: (n, T) bool, true for a prefix of each row that is not empty.
        group_size: answers to each question; those of a question stand in a row.
        penalties: (n, T) to take off the rewards token by token, or None. Where advantages are relative to a group, a
            divergence belongs into the loss: see `divergence.settled`.
        total: sums over the processes that share the rollout.

    Raises:
        ValueError: the scores are not one an answer, or there are penalties and the advantage compares the answers of a
            group.
    """
    if scores.shape != mask.shape[:1]:
        raise ValueError(
            f"scores must hold one number for each of {len(mask)} answers, shape ({len(mask)},), got {tuple(scores.shape)}; "
            "what is taken off tokens goes into penalties"
        )
    if objective.advantage in GROUP_ADVANTAGES:
        if penalties is not None:
            refuse_penalties(objective.advantage)
        by_group = {"grpo": grpo, "dr_grpo": dr_grpo, "rloo": rloo}[objective.advantage]
        return Advantages(by_group(scores, group_size)[:, None] * mask, None)
    rewards = token_rewards(scores, mask, penalties)
    if objective.advantage == "gae":
        alpha = objective.length_adaptive_alpha
        lam = objective.gae_lambda if alpha is None else length_adaptive_lambda(mask, alpha)
        result = gae(rewards, values, mask, objective.gamma, lam)
        targets = gae(rewards, values, mask, objective.gamma, objective.critic_lambda)
        return Advantages(whiten(result.advantages, mask, total), targets.returns)
    if objective.advantage == "reinforce++":
        # Hu 2025, arXiv 2501.03262: no critic, no groups; returns, penalties included, normalised over the whole rollout.
        return Advantages(whiten(returns_to_go(rewards, mask, objective.gamma), mask, total), None)
    raise ValueError(f"an advantage is gae, reinforce++, {', '.join(GROUP_ADVANTAGES)}, got {objective.advantage!r}")
