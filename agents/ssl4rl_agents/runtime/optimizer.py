"""Steps that are not taken: gradients that are not finite are not followed, and a run of which many are so ends."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable
from typing import Any

import torch

from ssl4rl_agents.policies.finite import DivergedError
from ssl4rl_agents.policies.policy import Policy
from ssl4rl_agents.runtime.deepspeed import ZeroOptimizer
from ssl4rl_agents.runtime.processes import Processes, whole
from ssl4rl_agents.settings import OptimizerConfig

MOST, LAST = 10, 40
"""So many steps without finite gradients among the last ones end a run: a bad batch passes. Weights that are lost end it
after `MOST` steps, and a fault that comes and goes wherever it takes a quarter of them."""


class Skips:
    """Remembers which of the last steps were not taken.

    Args:
        recent: of the last ones, whether they were not taken, when a run was interrupted.
    """

    def __init__(self, recent: Iterable[bool] = ()) -> None:
        self._recent = deque(map(bool, recent), maxlen=LAST)

    @property
    def recent(self) -> list[bool]:
        """Of the last steps, at most `LAST`, whether they were not taken."""
        return list(self._recent)

    @property
    def in_a_row(self) -> int:
        """How many steps up to the last one were not taken."""
        taken = [number for number, skipped in enumerate(reversed(self._recent)) if not skipped]
        return taken[0] if taken else len(self._recent)

    def note(self, norm: float | None, learning_rate: float) -> None:
        """Count a step: the norm of its gradients, None where it is not finite and the step was not taken.

        Raises:
            DivergedError: it is the last of too many.
        """
        self._recent.append(norm is None)
        count = sum(self._recent)
        if norm is None and count >= MOST:
            scattered = self.in_a_row < count
            of_some = (
                " Steps between them were taken, so the fault may be some questions': look for activations that overflow"
            )
            raise DivergedError(
                f"{count} of the last {len(self._recent)} optimizer steps ({self.in_a_row} in a row now) had gradients that "
                f"are not finite and were not taken (learning rate {learning_rate:g}), so the run ends unfinished; its "
                "checkpoints are from before. Start anew with a smaller optimizer.learning_rate (or format_learning_rate, if "
                f"this was the format warm-up).{of_some * scattered}"
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
        DivergedError: too many of the last steps were not taken.
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
    # One kernel for all weights. What cuts weights into parts makes optimizers of its own of this one.
    fused = processes.device.type == "cuda" and not processes.sharded and not processes.deepspeed
    how: dict[str, Any] = {"betas": settings.betas, "weight_decay": settings.weight_decay, "fused": fused or None}
    adamw = torch.optim.AdamW(learning, lr=0.0, **how)
    return processes.distribute(policy, adamw, settings.max_grad_norm, example)
