"""Advantages: how much better a token was than expected. Pure functions on (answers, tokens) arrays.

They are the only thing in which PPO, GRPO, RLOO and REINFORCE++ differ here.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from ssl4rl_agents.ppo.config import ObjectiveConfig

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


def gae(rewards: Tensor, values: Tensor, mask: Tensor, gamma: float, lam: float) -> Advantages:
    """Generalised advantage estimation over the tokens of each answer (Schulman et al. 2016, arXiv 1506.02438).

    The value after the last token is 0. Returns are advantages plus values, before any whitening.
    """
    advantages = torch.zeros_like(rewards)
    running = torch.zeros_like(rewards[:, 0])
    for t in reversed(range(rewards.shape[1])):
        following = values[:, t + 1] * mask[:, t + 1] if t + 1 < rewards.shape[1] else torch.zeros_like(running)
        error = rewards[:, t] + gamma * following - values[:, t]
        running = (error + gamma * lam * running) * mask[:, t]
        advantages[:, t] = running
    return Advantages(advantages, (advantages + values) * mask)


def grpo(scores: Tensor, group_size: int) -> Tensor:
    """Scores standardised within their groups (Shao et al. 2024, arXiv 2402.03300), (n,); 0 where all are equal."""
    groups = scores.float().reshape(-1, group_size)
    centred = groups - groups.mean(1, keepdim=True)
    return (centred / (groups.std(1, keepdim=True) + EPSILON)).reshape(-1)


def rloo(scores: Tensor, group_size: int) -> Tensor:
    """Scores minus the mean score of the other answers in the group (Ahmadian et al. 2024, arXiv 2402.14740), (n,)."""
    groups = scores.float().reshape(-1, group_size)
    return ((groups - groups.mean(1, keepdim=True)) * group_size / (group_size - 1)).reshape(-1)


def whiten(values: Tensor, mask: Tensor) -> Tensor:
    """Shift and scale to mean 0 and standard deviation 1 over all tokens of the mask; 0 outside it."""
    kept = values[mask]
    return (values - kept.mean()) / (kept.std(correction=0) + EPSILON) * mask


def estimate(objective: ObjectiveConfig, rewards: Tensor, values: Tensor, mask: Tensor, group_size: int) -> Advantages:
    """Compute the advantages that the settings name.

    Args:
        objective: its `advantage`, `gamma`, `gae_lambda` and `critic_lambda`.
        rewards: (n, T) token rewards, penalties included.
        values: (n, T).
        mask: (n, T) bool.
        group_size: answers to each question.
    """
    if objective.advantage == "gae":
        result = gae(rewards, values, mask, objective.gamma, objective.gae_lambda)
        targets = gae(rewards, values, mask, objective.gamma, objective.critic_lambda)
        return Advantages(whiten(result.advantages, mask), targets.returns)
    if objective.advantage == "reinforce++":
        # Hu 2025, arXiv 2501.03262: no critic, no groups; returns normalised over the whole rollout.
        return Advantages(whiten(returns_to_go(rewards, mask, objective.gamma), mask), None)
    by_group = {"grpo": grpo, "rloo": rloo}[objective.advantage]
    return Advantages(by_group(rewards.sum(1), group_size)[:, None] * mask, None)
