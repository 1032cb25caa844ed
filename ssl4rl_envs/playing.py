"""Episodes played from their first states, batched: by anybody, by a task's teacher, or by a belief of what is true."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ssl4rl_envs.answers import wrap
from ssl4rl_envs.task import Batch, Step, Task

Choose = Callable[[Batch, NDArray[np.int64]], NDArray[Any]]
"""(states of the episodes that go on, their rows in the first batch) -> next answers (m, ...)."""


class Turn(NamedTuple):
    """One decision of the m episodes that have not ended before it.

    Args:
        rows: (m,) which episodes these are, as rows of the first batch.
        state: what was seen before it.
        answers: (m, ...) what was decided.
        step: what that led to.
    """

    rows: NDArray[np.int64]
    state: Batch
    answers: NDArray[Any]
    step: Step


def turns(task: Task, batch: Batch, choose: Choose) -> Iterator[Turn]:
    """Play one episode from each row, turn by turn, until all have ended or the horizon cuts them off.

    Args:
        task: the task.
        batch: n first states.
        choose: decides.
    """
    rows, state = np.arange(len(batch)), batch
    for _ in range(task.horizon):
        answers = choose(state, rows)
        step = task.advance(state, answers)
        yield Turn(rows, state, answers, step)
        rows, state = rows[~step.terminated], step.state.rows(~step.terminated)
        if not len(rows):
            break


def returns_of(task: Task, batch: Batch, choose: Choose) -> NDArray[np.float64]:
    """Play one episode from each row; return what was earned, (n,)."""
    total = np.zeros(len(batch))
    for turn in turns(task, batch, choose):
        total[turn.rows] += turn.step.score.reward
    return total


def solve(task: Task, batch: Batch) -> Iterator[Turn]:
    """Let the teacher of a task play (`Task.demonstrate`); why it decides as it does, `task.rationale(turn.state)` says."""
    return turns(task, batch, lambda state, _: task.demonstrate(state))


def lessons(task: Task, batch: Batch, style: str = "direct") -> Iterator[tuple[Turn, list[str]]]:
    """Let the teacher play, and write its replies, with its reasons in "think": what a model is to say at each turn.

    Raises:
        ValueError: the task has no words, or the style is unknown.
    """
    if not task.has_text:
        raise ValueError(f"{type(task).__name__} has no text answers, so there is nothing to say")
    for turn in solve(task, batch):
        said, why = task.format_all(turn.answers, turn.state), task.rationale(turn.state)
        yield turn, [wrap(words or "", style, thought) for words, thought in zip(said, why, strict=True)]


def believing(task: Task, batch: Batch, beliefs: NDArray[Any]) -> Choose:
    """Return how somebody decides who believes that `beliefs` (n, ...) are the targets of n first states.

    It keeps a copy of each state with that target, goes on in both alike, and does in the copy what would be right there.
    """
    believed = dataclasses.replace(batch, target=beliefs.astype(batch.target.dtype))

    def choose(state: Batch, rows: NDArray[np.int64]) -> NDArray[Any]:
        nonlocal believed
        del state
        own = believed.rows(rows)
        answers = task.oracle(own)
        believed = believed.replace(rows, task.advance(own, answers).state)
        return answers

    return choose
