"""Which questions an iteration asks: the next ones of the run's stream, of a mixture in the proportions of a schedule."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from ssl4rl_agents.ppo.distributed import Processes
from ssl4rl_agents.ppo.rollout import Rollout, ask
from ssl4rl_envs import Stream, Task
from ssl4rl_envs.mixture import TASK
from ssl4rl_envs.schedules import Progress
from ssl4rl_envs.task import Batch


class Curriculum:
    """Chooses among the parts of a mixture by how they are being learned, alike in all processes.

    Args:
        task: the mixture.
        seed: of the choices.
        processes: those that train together.

    Raises:
        ValueError: the task is no mixture.
    """

    def __init__(self, task: Task, seed: int, processes: Processes) -> None:
        if not task.parts:
            raise ValueError(f"rollout.schedule chooses among the tasks of a mixture, and {type(task).__name__} is none")
        self._task, self._processes = task, processes
        self.schedule = Progress(len(task.parts), seed=seed)

    def ask(self, seed: int, first: int, count: int, part: range) -> Batch:
        """Return the questions `part` of `count` that are asked next; the others are for the other processes."""
        chosen = self.schedule.choose(count)[part.start : part.stop]
        indices = np.arange(first + part.start, first + part.stop)
        return self._task.sample_parts(Stream("train", np.full(len(part), seed, np.uint64), indices), chosen)

    def record(self, batch: Batch, rollout: Rollout) -> dict[str, float]:
        """Take note of what all processes' answers earned; return the weights of the tasks from now on, by name."""
        tasks = torch.as_tensor(np.repeat(batch.observation[TASK], rollout.group_size), device=rollout.success.device)
        tasks, success = self._processes.gather(tasks), self._processes.gather(rollout.success)
        self.schedule.record(tasks.cpu().numpy(), success.cpu().numpy())
        names = [type(part).__name__ for part in self._task.parts]
        return {f"schedule/{name}": weight for name, weight in zip(names, self.schedule.weights.tolist(), strict=True)}

    def state_dict(self) -> dict[str, Any]:
        """Return the state as plain data, for a checkpoint."""
        return self.schedule.state_dict()


def questions_of(task: Task, curriculum: Curriculum | None, seed: int, first: int, count: int, part: range) -> Batch:
    """Return the questions `part` of the `count` that begin with the run's question `first`."""
    if curriculum is not None:
        return curriculum.ask(seed, first, count, part)
    return ask(task, "train", seed, first + part.start, len(part))
