"""Which questions an iteration asks: the next ones of the run's stream, of a mixture in the proportions of a schedule."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from ssl4rl_agents.ppo.rollout import Rollout, ask
from ssl4rl_agents.runtime.processes import Processes
from ssl4rl_envs import Stream, Task, hash_seed
from ssl4rl_envs.mixture import TASK
from ssl4rl_envs.schedules import Progress
from ssl4rl_envs.task import Batch


class TrainingQuestions:
    """The questions of a run, alike in all processes.

    Args:
        task: what is asked.
        schedule: "none", or "progress" to ask more of those tasks of a mixture that are being learned.
        seed: of the run.
        processes: those that train together.

    Raises:
        ValueError: there is a schedule, and the task is no mixture.
    """

    def __init__(self, task: Task, schedule: str, seed: int, processes: Processes) -> None:
        if schedule != "none" and not task.parts:
            raise ValueError(f"rollout.schedule chooses among the tasks of a mixture, and {type(task).__name__} is none")
        self._task, self._processes, self._seed = task, processes, hash_seed(seed, "questions")
        self.schedule = None if schedule == "none" else Progress(len(task.parts), seed=hash_seed(seed, "schedule"))

    def ask(self, first: int, count: int, part: range) -> Batch:
        """Return the questions `part` of the `count` from the run's question `first` on; other processes ask the rest."""
        if self.schedule is None:
            return ask(self._task, "train", self._seed, first + part.start, len(part))
        chosen = self.schedule.choose(count)[part.start : part.stop]
        indices = np.arange(first + part.start, first + part.stop)
        return self._task.sample_parts(Stream("train", np.full(len(part), self._seed, np.uint64), indices), chosen)

    def record(self, batch: Batch, rollout: Rollout) -> dict[str, float]:
        """Let the schedule note what all processes' answers earned; return the tasks' weights from now on, by name."""
        if self.schedule is None:
            return {}
        tasks = torch.as_tensor(np.repeat(batch.observation[TASK], rollout.group_size), device=rollout.success.device)
        tasks, success = self._processes.gather(tasks), self._processes.gather(rollout.success)
        self.schedule.record(tasks.cpu().numpy(), success.cpu().numpy())
        names = [type(part).__name__ for part in self._task.parts]
        return {f"schedule/{name}": weight for name, weight in zip(names, self.schedule.weights.tolist(), strict=True)}

    def state_dict(self) -> dict[str, Any]:
        """Return what a checkpoint must keep, plain data by name; nothing without a schedule."""
        return {} if self.schedule is None else {"schedule": self.schedule.state_dict()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from what `state_dict` gave; other names are left alone."""
        if self.schedule is not None and "schedule" in state:
            self.schedule.load_state_dict(state["schedule"])
