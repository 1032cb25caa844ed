"""Which questions an iteration asks: the next ones of the run's stream, of a mixture in the proportions of a schedule."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from ssl4rl_agents.ppo.rollout import Rollout
from ssl4rl_agents.runtime.processes import Processes
from ssl4rl_agents.settings import RolloutConfig
from ssl4rl_envs import Stream, Task, hash_seed
from ssl4rl_envs.mixture import TASK
from ssl4rl_envs.schedules import Progress
from ssl4rl_envs.task import Batch


class TrainingQuestions:
    """The questions of a run, alike in all processes, each of which asks its own part of them.

    Args:
        task: what is asked.
        config: how many questions a round; its `schedule` is "progress" to ask more of those tasks of a mixture that are
            being learned; with `dynamic_sampling` an iteration may ask several rounds.
        seed: of the run.
        processes: those that train together.
        part: which of a round's questions are this process's.

    Raises:
        ValueError: there is a schedule, and the task is no mixture.
    """

    def __init__(self, task: Task, config: RolloutConfig, seed: int, processes: Processes, part: range) -> None:
        if config.schedule != "none" and not task.parts:
            raise ValueError(f"rollout.schedule chooses among the tasks of a mixture, and {type(task).__name__} is none")
        self._task, self._processes, self._seed, self._part = task, processes, hash_seed(seed, "questions"), part
        self._count, self._dynamic = config.prompts, config.dynamic_sampling
        self._first = 0
        self._next: int | None = None
        self.schedule = None if config.schedule == "none" else Progress(len(task.parts), seed=hash_seed(seed, "schedule"))

    def begin(self, iteration: int) -> Batch:
        """Return this process's questions of the first round of an iteration, counted from 0."""
        self._first = iteration * self._count if self._next is None else self._next
        return self.ask(0)

    def ask(self, again: int) -> Batch:
        """Return this process's questions of another round of the iteration, after so many."""
        first, part = self._first + again * self._count, self._part
        if self._dynamic:
            self._next = first + self._count
        stream = Stream.span("train", self._seed, first + part.start, len(part))
        if self.schedule is None:
            return self._task.sample(stream)
        return self._task.sample_parts(stream, self.schedule.choose(self._count)[part.start : part.stop])

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
        """Return what a checkpoint must keep, plain data by name; nothing without a schedule or dynamic sampling."""
        schedule = {} if self.schedule is None else {"schedule": self.schedule.state_dict()}
        return schedule if self._next is None else {**schedule, "questions": self._next}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from what `state_dict` gave; other names are left alone."""
        if self.schedule is not None and "schedule" in state:
            self.schedule.load_state_dict(state["schedule"])
        if self._dynamic:
            self._next = state.get("questions")
