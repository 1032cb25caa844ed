"""Advantages from plain tensors, of answers that are all given in one turn: what `credit.estimate` does for rollouts."""

from __future__ import annotations

import torch
from torch import Tensor

from ssl4rl_agents.algorithms.advantages import Advantages, token_rewards
from ssl4rl_agents.policies.policy import Samples
from ssl4rl_agents.ppo import credit
from ssl4rl_agents.ppo.rollout import Rollout, Turn
from ssl4rl_agents.runtime.processes import Processes
from ssl4rl_agents.settings import ObjectiveConfig

__all__ = ["Advantages", "estimate", "token_rewards"]


def estimate(
    objective: ObjectiveConfig,
    scores: Tensor,
    values: Tensor,
    mask: Tensor,
    group_size: int,
    penalties: Tensor | None = None,
    processes: Processes | None = None,
) -> Advantages:
    """Compute the advantages that the settings name.

    Args:
        objective: names the algorithm, and holds its settings.
        scores: (n,) one reward an answer, without penalties.
        values: (n, T).
        mask: (n, T) bool, true for a prefix of each row that is not empty.
        group_size: answers to each question; those of a question stand in a row.
        penalties: (n, T) to take off the rewards token by token, or None.
        processes: which share the answers; by default this one has them all.

    Raises:
        ValueError: the scores are not one an answer, or there are penalties and the advantage compares the answers of a
            group.
    """
    empty = torch.zeros_like(values)
    truncated = torch.zeros(len(mask), dtype=torch.bool, device=mask.device)
    samples = Samples(empty.long(), mask, empty, values, truncated)
    turn = Turn(None, samples, scores, torch.arange(len(mask), device=mask.device), group_size)
    rollout = Rollout([turn], truncated, group_size)
    taken_off = None if penalties is None else [penalties]
    return credit.estimate(objective, rollout, taken_off, processes or Processes("cpu"))[0]
