"""The divergence from the initial policy: a penalty in the reward, or a term of the loss. Stated here once."""

from __future__ import annotations

import dataclasses

from ssl4rl_agents.algorithms import ADVANTAGES
from ssl4rl_agents.settings import KLLoss, ObjectiveConfig

GROUP_COEFFICIENT = 0.01
"""Of the loss term beside such an advantage, as in the scripts of the SSL4RL paper (arXiv 2510.16416)."""


def settled(objective: ObjectiveConfig, usual: float) -> ObjectiveConfig:
    """Fill in where the divergence counts and how much; refuse it where it would be taken for a difference between answers.

    The rule: where advantages are relative to a group, the divergence is a term of the loss (k3, 0.01). In the reward it
    would be compared, and by grpo divided by the spread of the group, together with the scores; answers that scored the same
    would be told apart by the penalty alone, at full size however small its coefficient. gae and reinforce++ compare with a
    critic or with the whole rollout and take it off the reward token by token (k1), as their papers do; reinforce++ whitens
    it there together with the scores.

    Args:
        objective: as it was set; None stands for what follows from the others.
        usual: the coefficient of a penalty in the reward that nobody set; it depends on the model.

    Returns:
        The same with `kl_coefficient` filled in, and `kl_loss` too where the coefficient is not 0. Without a divergence
        "none" is None: it counts nowhere.

    Raises:
        ValueError: a penalty in the reward was asked for beside an advantage that is relative to a group.
    """
    coefficient = objective.kl_coefficient
    if coefficient is None:
        coefficient = GROUP_COEFFICIENT if ADVANTAGES[objective.advantage].groups else usual
    if coefficient == 0:
        place = None if objective.kl_loss == "none" else objective.kl_loss
        return dataclasses.replace(objective, kl_coefficient=coefficient, kl_loss=place)
    if objective.kl_loss == "none":
        refuse_penalties(objective.advantage)
    return dataclasses.replace(objective, kl_coefficient=coefficient, kl_loss=form(objective))


def form(objective: ObjectiveConfig) -> KLLoss:
    """Return where the divergence counts: "none" in the reward, "k2" or "k3" in the loss."""
    if objective.kl_loss is not None:
        return objective.kl_loss
    return "k3" if ADVANTAGES[objective.advantage].groups else "none"


def refuse_penalties(advantage: str) -> None:
    """Refuse penalties in the reward beside an advantage that is relative to a group.

    Raises:
        ValueError: it is.
    """
    if ADVANTAGES[advantage].groups:
        raise ValueError(
            f"{advantage} compares what the answers of a group earned, and a penalty in the reward would count as a "
            "difference between them even where all scored the same; set objective.kl_loss to k3 (the default there) or k2, "
            "or objective.kl_coefficient to 0"
        )
