"""Random numbers of a run: no generator keeps a state, so that a resumed run goes on with the same ones."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from ssl4rl_agents.runtime.processes import Processes
from ssl4rl_envs import hash_seed


@dataclass(frozen=True)
class Randomness:
    """Generators seeded by hashing (run seed, role, iteration), in each of several processes another.

    Args:
        run_seed: of the run.
        processes: those that train together.
    """

    run_seed: int
    processes: Processes

    def seed(self, *role: int | str) -> int:
        """Return the seed of a role, the same in all processes."""
        return hash_seed(self.run_seed, *role)

    def generator(self, role: str, iteration: int, *more: int, on_cpu: bool = False) -> torch.Generator:
        """Return a fresh generator for a role in an iteration."""
        rank = (self.processes.rank,) if self.processes.count > 1 else ()
        device = torch.device("cpu") if on_cpu else self.processes.device
        return torch.Generator(device).manual_seed(self.seed(role, iteration, *more, *rank))
