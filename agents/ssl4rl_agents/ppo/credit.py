"""Credit: what the answers of a rollout are worth to the algorithm, token by token.

The second of the three files that an episode goes through, after `rollout` and before `update`. `judge` calls `estimate`,
which works turn by turn, as rewards are paid: it puts them on the last tokens of answers and calls the function that
`objective.advantage` names (`algorithms.estimators.ADVANTAGES`). What comes of it is put where the update's passes have it.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from ssl4rl_agents.algorithms.advantages import EPSILON, Advantages, Earned, EarnedInTurn, token_rewards
from ssl4rl_agents.algorithms.estimators import ADVANTAGES
from ssl4rl_agents.divergence import form, refuse_penalties
from ssl4rl_agents.ppo import losses
from ssl4rl_agents.ppo.rollout import Rollout
from ssl4rl_agents.runtime.processes import Processes
from ssl4rl_agents.settings import ObjectiveConfig


@dataclass
class Credit:
    """What a policy learns from a rollout, pass by pass (`Rollout.passes`).

    Args:
        passes: advantages and returns of the answers of each pass.
        reference: (n, T) log-probabilities of each pass under the initial policy; None where they do not count.
    """

    passes: list[Advantages]
    reference: list[Tensor] | None = None


def judge(rollout: Rollout, reference: list[Tensor] | None, objective: ObjectiveConfig, processes: Processes) -> Credit:
    """Judge the answers of a rollout; where the divergence from the initial policy is a penalty, it is taken off here.

    Args:
        rollout: this process's part of what was played.
        reference: (n, T) log-probabilities of each pass under the initial policy, or None.
        objective: names the algorithm.
        processes: which share the rollout.
    """
    penalties = None
    if reference is not None and form(objective) == "none":
        penalties = rollout.by_turn([(objective.kl_coefficient or 0.0) * kl for kl in divergences(rollout, reference)])
    turns = estimate(objective, rollout, penalties, processes)
    advantages = rollout.by_pass([one.advantages for one in turns])
    returns = [one.returns for one in turns if one.returns is not None]
    returns = rollout.by_pass(returns) if returns else []
    found = [Advantages(one, returns[number] if returns else None) for number, one in enumerate(advantages)]
    return Credit(found, reference)


def divergences(rollout: Rollout, reference: list[Tensor]) -> list[Tensor]:
    """Return the policy's divergence from the initial one, estimated by token, (n, T) for each pass."""
    pairs = zip(rollout.passes, reference, strict=True)
    return [losses.kl_estimate(played.samples.logprobs, initial, "k1") for played, initial in pairs]


def estimate(
    objective: ObjectiveConfig, rollout: Rollout, penalties: list[Tensor] | None, processes: Processes
) -> list[Advantages]:
    """Compute the advantages that the settings name, for each turn.

    Args:
        objective: names the algorithm, and holds its settings.
        rollout: its rewards are one an answer, without penalties.
        penalties: (n, T) for each turn, to take off the rewards token by token, or None. Where advantages are relative to a
            group, a divergence belongs into the loss: see `divergence.settled`.
        processes: which share the rollout.

    Raises:
        ValueError: the rewards are not one an answer, or there are penalties and the advantage compares the answers of a
            group.
    """
    row = ADVANTAGES[objective.advantage]
    if row.groups and penalties is not None:
        refuse_penalties(objective.advantage)
    turns = []
    for number, turn in enumerate(rollout.turns):
        mask = turn.samples.mask
        if turn.rewards.shape != mask.shape[:1]:
            raise ValueError(
                f"rewards must hold one number for each of {len(mask)} answers, shape ({len(mask)},), got "
                f"{tuple(turn.rewards.shape)}; what is taken off tokens goes into penalties"
            )
        rewards = token_rewards(turn.credited, mask, None if penalties is None else penalties[number])
        turns.append(EarnedInTurn(rewards, turn.samples.values, mask, turn.episodes))
    earned = Earned(rollout.credited, rollout.group_size, turns, rollout.beyond)
    found: list[Advantages] = row(objective, earned)
    return whiten(found, [turn.mask for turn in turns], processes) if row.whitened else found


def whiten(found: list[Advantages], masks: list[Tensor], processes: Processes) -> list[Advantages]:
    """Shift and scale advantages to mean 0 and standard deviation 1 over all tokens of all processes; 0 outside the masks."""
    kept = torch.cat([one.advantages[mask] for one, mask in zip(found, masks, strict=True)])
    mean, variance = moments(kept, processes)
    deviation = variance.sqrt().float() + EPSILON
    return [
        Advantages((one.advantages - mean) / deviation * mask, one.returns) for one, mask in zip(found, masks, strict=True)
    ]


def moments(values: Tensor, processes: Processes) -> tuple[Tensor, Tensor]:
    """Return mean (float32) and variance (float64) of numbers (n,) of all processes.

    In two passes, the second over what the mean leaves: stable where the mean is large.
    """
    kept = values.float()
    count = processes.total(kept.new_tensor(float(len(kept))))
    mean = processes.total(kept.sum()) / count
    squares = processes.total(((kept.double() - mean.double()) ** 2).sum())
    return mean, squares / count
