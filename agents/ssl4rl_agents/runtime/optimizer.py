"""Steps that are not taken: gradients that are not finite are not followed, and a run to which nothing else happens ends."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch

from ssl4rl_agents.policies.finite import DivergedError
from ssl4rl_agents.policies.policy import Policy
from ssl4rl_agents.runtime.deepspeed import ZeroOptimizer
from ssl4rl_agents.runtime.processes import Processes, whole
from ssl4rl_agents.settings import OptimizerConfig

MOST = 10
"""Steps in a row without finite gradients that end a run: one bad batch passes, weights that are lost do not."""


class Skips:
    """Counts the steps in a row that were not taken.

    Args:
        in_a_row: how many there were when a run was interrupted.
    """

    def __init__(self, in_a_row: int = 0) -> None:
        self.in_a_row = in_a_row

    def note(self, norm: float | None, learning_rate: float) -> None:
        """Count a step: the norm of its gradients, None where it is not finite and the step was not taken.

        Raises:
            DivergedError: it is the last of too many.
        """
        self.in_a_row = self.in_a_row + 1 if norm is None else 0
        if self.in_a_row >= MOST:
            raise DivergedError(
                f"{self.in_a_row} optimizer steps in a row had gradients that are not finite and were not taken (learning "
                f"rate {learning_rate:g}), so the run ends unfinished; its checkpoints are from before. Start anew with a "
                "smaller optimizer.learning_rate (or format_learning_rate, if this was the format warm-up)"
            )


def apply_gradients(optimizer: torch.optim.Optimizer, max_grad_norm: float, skips: Skips | None = None) -> float | None:
    """Clip the gradients and step; a gradient that is not finite is not followed. DeepSpeed clips as it was told at first.

    Args:
        optimizer: what steps; its weights have gradients.
        max_grad_norm: these are scaled down to this norm.
        skips: counts the steps that are not taken.

    Returns:
        The gradients' norm before clipping, None where it is not finite.

    Raises:
        DivergedError: too many steps in a row were not taken.
    """
    norm = optimizer.descend() if isinstance(optimizer, ZeroOptimizer) else _clip_and_step(optimizer, max_grad_norm)
    if skips is not None:
        skips.note(norm, float(optimizer.param_groups[0]["lr"]))
    return norm


def _clip_and_step(optimizer: torch.optim.Optimizer, max_grad_norm: float) -> float | None:
    parameters = [p for group in optimizer.param_groups for p in group["params"]]
    norm = float(whole(torch.nn.utils.clip_grad_norm_(parameters, max_grad_norm)))
    finite = torch.isfinite(torch.tensor(norm)).item()
    if finite:
        optimizer.step()
    optimizer.zero_grad(set_to_none=True)
    return norm if finite else None


def build_optimizer(
    policy: Policy, settings: OptimizerConfig, processes: Processes, example: Callable[[], tuple[Any, ...]]
) -> torch.optim.Optimizer:
    """Return AdamW over what learns of a policy, or what steps in its stead in several processes.

    Args:
        policy: prepared.
        settings: how the weights move; the step size is set before each step.
        processes: those that train together.
        example: gives arguments of the policy, to try it on where DeepSpeed steps.
    """
    learning = [parameter for parameter in policy.parameters() if parameter.requires_grad]
    adamw = torch.optim.AdamW(learning, lr=0.0, betas=settings.betas, weight_decay=settings.weight_decay)
    return processes.distribute(policy, adamw, settings.max_grad_norm, example)
