"""Rollouts of one turn, and processes whose sums are made up, for tests of the algorithm's parts."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

from ssl4rl_agents.policies.policy import Samples
from ssl4rl_agents.ppo.rollout import Rollout, Turn
from ssl4rl_agents.runtime import processes
from ssl4rl_agents.runtime.processes import Processes

with pytest.MonkeyPatch.context() as patch:
    patch.setattr(processes, "launched", lambda: False)
    ONE = Processes("cpu")
"""The single process, where several were launched too."""


class Summing(Processes):
    """One of several processes as far as sums go: `total` says what all of them add up to."""

    def __init__(self, total: Callable[[Tensor], Tensor]) -> None:
        super().__init__("cpu")
        self._total = total

    def total(self, tensor: Tensor) -> Tensor:
        return self._total(tensor)


def one_turn(inputs: Any, samples: Samples, rewards: Tensor, group_size: int, success: Tensor | None = None) -> Rollout:
    """The rollout of a task of one decision."""
    turn = Turn(inputs, samples, rewards, torch.arange(len(rewards)), group_size)
    return Rollout([turn], torch.zeros(len(rewards), dtype=torch.bool) if success is None else success, group_size)
