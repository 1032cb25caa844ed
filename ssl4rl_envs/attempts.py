"""Attempts: another try after a wrong answer, around any task of one decision."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from functools import cached_property
from typing import Any

import numpy as np
from gymnasium import spaces
from numpy.typing import NDArray

from ssl4rl_envs import blind
from ssl4rl_envs.actions import bounds
from ssl4rl_envs.arguments import whole_number
from ssl4rl_envs.composite import Composite, Rows
from ssl4rl_envs.stream import Stream
from ssl4rl_envs.task import Batch, Score, Step, Task

PREVIOUS, TRIES = "previous_answers", "tries"


class Attempts(Composite):
    """The same questions with up to k answers each; a reward is paid for what an answer gains over the best before it.

    Beside what the task shows, an agent sees its earlier answers: in text as words after the prompt, as arrays under
    `previous_answers` (k - 1, ...), with `Task.no_answer` where there is none, and `tries` (1,), how many there were. It is
    told that they were not right, not how good they were: so the best policy that does not look at the question gives k
    answers that were chosen beforehand, and what the best such answers are paid is the `chance` declared here
    (`blind.chance_of`). With as many attempts as there are answers it is 1, and nothing is left to be learned.

    Args:
        task: what is asked.
        attempts: k, at least 2.

    Raises:
        ValueError: the task has several decisions already, or there are fewer than 2 attempts.
    """

    asks = "what the task inside asks, with several tries"

    def __init__(self, task: Task, attempts: int) -> None:
        if task.horizon != 1:
            raise ValueError(
                f"{type(task).__name__} takes up to {task.horizon} decisions an episode; attempts are for tasks of one"
            )
        attempts = whole_number("attempts", attempts, 2)
        self.tasks, self.horizon = (task,), attempts
        self.action_space, self.answer_format, self.images = task.action_space, task.answer_format, task.images
        low, high = bounds(task.action_space)
        kind = task.action_space.dtype
        shape = (attempts - 1, *low.shape)
        previous = spaces.Box(
            np.broadcast_to(low - 1, shape).astype(kind), np.broadcast_to(high, shape).astype(kind), shape, kind
        )
        shown = {PREVIOUS: previous, TRIES: spaces.Box(0, attempts, (1,), np.int64)}
        self.observation_space = spaces.Dict({**task.observation_space.spaces, **shown})

    @cached_property
    def chance(self) -> float:
        """What the best answers are paid that are chosen without looking."""
        return blind.chance_of(self.task, self.horizon)

    @property
    def task(self) -> Task:
        """What is asked."""
        return self.tasks[0]

    @property
    def stream_key(self) -> int:
        """The task's own: what is asked does not depend on how often it may be answered."""
        return self.task.stream_key

    def make(self, stream: Stream) -> Batch:
        """Make the task's instances, with nothing answered yet."""
        return self._begin(self.task.make(stream))

    def sample_parts(self, stream: Stream, chosen: NDArray[np.int64]) -> Batch:
        """Make instances of the chosen parts of a mixture, with nothing answered yet."""
        return self._begin(self.task.sample_parts(stream, chosen))

    def score(self, answers: NDArray[Any], batch: Batch) -> Score:
        """Score what answers gain over the best so far."""
        score = super().score(answers, batch)
        gained = np.maximum(score.reward - batch.memory["best"], np.float32(0))
        return Score(gained.astype(np.float32), score.success)

    def advance(self, state: Batch, actions: NDArray[Any]) -> Step:
        """Score the answers and note them down; what is not valid uses up a try as well."""
        rows = np.arange(len(state))
        score = self.score(actions, state)
        tries = state.observation[TRIES][:, 0]
        previous = state.observation[PREVIOUS].copy()
        noted = np.where(self.valid(actions).reshape(-1, *[1] * (actions.ndim - 1)), actions, self.no_answer)
        open_rows = tries < self.horizon - 1
        previous[rows[open_rows], tries[open_rows]] = noted[open_rows]
        observation = {**state.observation, PREVIOUS: previous, TRIES: (tries + 1)[:, None]}
        memory = {**state.memory, "best": state.memory["best"] + score.reward, "solved": score.success}
        after = dataclasses.replace(state, observation=observation, memory=memory)
        return Step(after, score, score.success | (tries + 1 >= self.horizon))

    def prompts(self, batch: Batch, style: str = "direct") -> list[str]:
        """Return the task's prompts, with what came of earlier answers."""
        said = zip(super().prompts(batch, style), self._feedback(batch), strict=True)
        return [f"{prompt} {feedback}".rstrip() for prompt, feedback in said]

    def random_answers(self, batch: Batch, stream: Stream) -> NDArray[Any]:
        """Return random valid answers: the task's own, from the same numbers."""
        return self.task.random_answers(self._inner(batch), stream)

    def asked(self, batch: Batch) -> Iterator[tuple[int, Rows, Batch]]:
        """Give all rows to the one task."""
        yield 0, np.arange(len(batch)), self._inner(batch)

    def _begin(self, batch: Batch) -> Batch:
        previous = np.broadcast_to(self.no_answer, (len(batch), self.horizon - 1, *self.no_answer.shape)).copy()
        observation = {**batch.observation, PREVIOUS: previous, TRIES: np.zeros((len(batch), 1), np.int64)}
        memory = {**batch.memory, "best": np.zeros(len(batch), np.float32), "solved": np.zeros(len(batch), bool)}
        return dataclasses.replace(batch, observation=observation, memory=memory)

    def _inner(self, batch: Batch) -> Batch:
        """Return the instances as the task itself made them."""
        observation = {name: values for name, values in batch.observation.items() if name not in (PREVIOUS, TRIES)}
        memory = {name: values for name, values in batch.memory.items() if name not in ("best", "solved")}
        return dataclasses.replace(batch, observation=observation, memory=memory)

    def _feedback(self, batch: Batch) -> list[str]:
        inner, tries = self._inner(batch), batch.observation[TRIES][:, 0]
        earlier = [self.task.format_all(batch.observation[PREVIOUS][:, k], inner) for k in range(self.horizon - 1)]
        feedback = []
        for row, used in enumerate(tries.tolist()):
            if batch.memory["solved"][row]:
                feedback.append("")
                continue
            said = [earlier[k][row] for k in range(min(used, self.horizon - 1))]
            parts = [f"Your answer {one} was not right." if one else "Your reply was no valid answer." for one in said]
            left = self.horizon - used
            if parts and left:
                parts.append(f"Try again; you have {left} {'try' if left == 1 else 'tries'} left.")
            feedback.append(" ".join(parts))
        return feedback
