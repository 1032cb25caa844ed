"""Which questions an iteration asks: the next ones of the run's stream, of a mixture in the proportions of a schedule."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
import torch

from ssl4rl_agents.ppo.rollout import Rollout
from ssl4rl_agents.runtime.processes import Processes
from ssl4rl_agents.settings import RolloutConfig
from ssl4rl_envs import Stream, Task, hash_seed
from ssl4rl_envs.ahead import Ahead
from ssl4rl_envs.mixture import TASK
from ssl4rl_envs.schedules import Progress
from ssl4rl_envs.task import Batch


class TrainingQuestions:
    """The questions of a run, alike in all processes, each of which asks its own part of them.

    With `prefetch` the next round is made in a thread while the policy learns from this one. Rounds follow each other in the
    stream whether an iteration asks one or several, so the next one is known, and no question depends on who made it.

    Args:
        task: what is asked.
        config: how many questions a round; its `schedule` is "progress" to ask more of those tasks of a mixture that are
            being learned; with `dynamic_sampling` an iteration may ask several rounds.
        seed: of the run.
        processes: those that train together.
        part: which of a round's questions are this process's.
        iterations: of the run; nothing is made ahead of the last one.

    Raises:
        ValueError: there is a schedule, and the task is no mixture.
    """

    def __init__(
        self, task: Task, config: RolloutConfig, seed: int, processes: Processes, part: range, iterations: int | None = None
    ) -> None:
        if config.schedule != "none" and not task.parts:
            raise ValueError(f"rollout.schedule chooses among the tasks of a mixture, and {type(task).__name__} is none")
        self._task, self._processes, self._seed, self._part = task, processes, hash_seed(seed, "questions"), part
        assert config.prompts is not None
        self._count, self._dynamic = config.prompts, config.dynamic_sampling
        self._iteration, self._iterations, self._first = 0, iterations, 0
        self._next: int | None = None
        self.schedule = None if config.schedule == "none" else Progress(len(task.parts), seed=hash_seed(seed, "schedule"))
        self._ahead = Ahead(partial(_sampled, task, self._seed)) if config.prefetch and self.schedule is None else None

    def begin(self, iteration: int) -> Batch:
        """Return this process's questions of the first round of an iteration, counted from 0; compact ones."""
        self._iteration = iteration
        self._first = iteration * self._count if self._next is None else self._next
        return self.ask(0)

    def ask(self, again: int) -> Batch:
        """Return this process's questions of another round of the iteration, after so many; compact ones."""
        first, part = self._first + again * self._count, self._part
        if self._dynamic:
            self._next = first + self._count
        own = range(first + part.start, first + part.stop)
        if self.schedule is not None:
            chosen = self.schedule.choose(self._count)[part.start : part.stop]
            return self._task.sample_parts(_stream(self._seed, own), chosen)
        if self._ahead is None:
            return _sampled(self._task, self._seed, own)
        last = self._iterations is not None and self._iteration + 1 >= self._iterations
        following = range(own.start + self._count, own.stop + self._count)
        return self._ahead.ask(own, [] if last else [following])

    def close(self) -> None:
        """End the thread that makes questions ahead; `begin` and `ask` still work."""
        if self._ahead is not None:
            self._ahead.close()

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


def _stream(seed: int, indices: range) -> Stream:
    return Stream.span("train", seed, indices.start, len(indices))


def _sampled(task: Task, seed: int, indices: range) -> Batch:
    """Return the questions of some indices; a function of its own, so that the thread does not keep a run alive."""
    return task.compact(_stream(seed, indices))
