"""What is earned without looking: the best answers that do not depend on what is shown, and what they are paid.

Of a task with few answers they are searched among all; of one with many, or with continuous answers, among samples, on other
instances than those that they are measured on. Then the figure is what the best answer found is paid, so a lower bound.
"""

from __future__ import annotations

import dataclasses
import itertools
import math
from typing import TYPE_CHECKING, Any

import numpy as np
from gymnasium import spaces
from numpy.typing import NDArray

from ssl4rl_envs.stream import Stream

if TYPE_CHECKING:
    from ssl4rl_envs.task import Task

MOST_ANSWERS = 5_040
"""Answers that are listed one by one: all orders of 7 things."""

MOST_SETS = 20_000
"""Sets of answers that are compared one by one; beyond, answers are added to the set one at a time."""

SAMPLED = 512
"""Instances on which answers are searched, and as many others on which what was found is measured."""

TRIED = 64
"""Answers that are tried where there are too many to list."""

DIGITS = 6
"""Rewards are float32, and means of them are no surer than this."""

Rewards = NDArray[np.float64]


def best_fixed(rewards: Rewards, count: int) -> tuple[int, ...]:
    """Return the `count` answers of which the best is paid most on average, in the order in which they add most.

    Args:
        rewards: (answers, outcomes), what each answer is paid for each of equally likely outcomes.
        count: how many answers may be given.

    All sets are compared where there are at most `MOST_SETS`; otherwise answers are added one at a time, which earns at
    least 1 - 1/e of the best (Nemhauser, Wolsey & Fisher 1978).
    """
    count = min(count, len(rewards))
    if math.comb(len(rewards), count) <= MOST_SETS:
        sets = itertools.combinations(range(len(rewards)), count)
        return max(sets, key=lambda chosen: float(rewards[list(chosen)].max(axis=0).mean()))
    chosen: list[int] = []
    reached = np.zeros(rewards.shape[1])
    for _ in range(count):
        gains = np.maximum(rewards, reached).mean(axis=1)
        chosen.append(int(gains.argmax()))
        reached = np.maximum(reached, rewards[chosen[-1]])
    return tuple(chosen)


def chance_of(task: Task, count: int) -> float:
    """Return what the best `count` answers to a task of one decision are paid that ignore what is shown, in [0, 1].

    Each answer is paid for what it gains over the best before it, so a set is paid what its best answer is. Of a mixture,
    the weighted mean over its parts, since which part is asked is told.
    """
    if task.parts:
        weights = getattr(task, "weights", np.full(len(task.parts), 1 / len(task.parts)))
        return float(sum(w * chance_of(part, count) for w, part in zip(weights, task.parts, strict=True)))
    if _by_place(task):
        rewards = _for_each_place(task)
        best = float(rewards[list(best_fixed(rewards, count))].max(axis=0).mean())
        return task.chance if count == 1 else round(max(best, task.chance), DIGITS)
    answers = all_answers(task)
    if answers is not None:
        rewards = _for_each(task, answers)
        return round(float(rewards[list(best_fixed(rewards, count))].max(axis=0).mean()), DIGITS)
    rewards = rewards_of(task, task.blind_answers(), "train")
    half = rewards.shape[1] // 2
    chosen = list(best_fixed(rewards[:, :half], count))
    reached, one = rewards[chosen, half:].max(axis=0).mean(), rewards[chosen[0], half:].mean()
    # A task may know better than these few instances what one answer earns; what others add, they tell.
    return float(reached if count == 1 else min(1.0, task.chance + reached - one))


def all_answers(task: Task) -> NDArray[Any] | None:
    """Return every valid answer of a task, (m, ...); None where they are too many or continuous."""
    space = task.action_space
    if isinstance(space, spaces.Discrete):
        return np.arange(space.start, space.start + space.n, dtype=space.dtype) if space.n <= MOST_ANSWERS else None
    if not isinstance(space, spaces.MultiDiscrete) or space.nvec.ndim != 1:
        return None
    distinct = task.answer_format is not None and task.answer_format.distinct
    slots = [range(int(low), int(low + width)) for low, width in zip(space.start, space.nvec, strict=True)]
    if (math.perm(len(slots[0]), len(slots)) if distinct else math.prod(map(len, slots))) > MOST_ANSWERS:
        return None
    listed = itertools.permutations(slots[0], len(slots)) if distinct else itertools.product(*slots)
    answers = np.array(list(listed), space.dtype)
    return np.asarray(answers[task.valid(answers)])


def rewards_of(task: Task, answers: NDArray[Any], split: str, count: int = 2 * SAMPLED) -> Rewards:
    """Return what answers (m, ...) are paid on the first instances of a split, (m, count)."""
    batch = task.sample(Stream.span(split, 0, 0, count))
    return np.stack([_score(task, answer, batch) for answer in answers])


def best_painting(targets: NDArray[np.float64], spread: NDArray[np.float64], starts: int) -> NDArray[np.float64]:
    """Return paintings that climbed to where they are paid most, best first, for the mean reward max(0, 1 - e / c).

    By mean shift (Comaniciu & Meer 2002): each target is a kernel of Epanechnikov's form, whose width is its own error c of
    the best constant; a step goes to the mean of the targets that are within reach, weighted by 1 / c, and never loses.

    Args:
        targets: (m, d) what was right.
        spread: (m,) c of each, mean squared.
        starts: how many targets are climbed from: those that are paid most themselves.

    Returns:
        (starts, d).
    """
    squares = (targets**2).mean(axis=1)

    def paid(paintings: NDArray[np.float64]) -> Rewards:
        error = squares + (paintings**2).mean(axis=1)[:, None] - 2 * paintings @ targets.T / targets.shape[1]
        return np.asarray(1 - error / spread)

    value = np.maximum(paid(targets) - np.eye(len(targets)), 0).mean(axis=1)  # but for what each is paid for itself
    paintings = targets[np.argsort(-value, kind="stable")[:starts]]
    for _ in range(50):
        weights = (paid(paintings) > 0) / spread
        moved = weights @ targets / weights.sum(axis=1, keepdims=True)
        if np.abs(moved - paintings).max() < 1e-6:
            break
        paintings = moved
    return np.asarray(paintings[np.argsort(-np.maximum(paid(paintings), 0).mean(axis=1), kind="stable")])


def _by_place(task: Task) -> bool:
    """Return whether questions offer a few of many answers each, so that one knows which without looking."""
    single = task.horizon == 1 and isinstance(task.action_space, spaces.Discrete)
    return single and "action_mask" in task.info(task.sample(Stream("train", [0], [0])))


def _for_each_place(task: Task) -> Rewards:
    """Return what is paid for the first, second, ... of the answers that a question offers, (places, instances)."""
    batch = task.sample(Stream.span("train", 0, 0, 2 * SAMPLED))
    offered = task.offered(batch)
    assert offered is not None  # masks are of single numbers
    places = np.argsort(~offered, axis=1, kind="stable")[:, : int(offered.sum(axis=1).max())]
    space = task.action_space
    answers = (places + getattr(space, "start", 0)).astype(space.dtype)
    return np.stack([np.asarray(task.score(answers[:, k], batch).reward, np.float64) for k in range(answers.shape[1])])


def _for_each(task: Task, answers: NDArray[Any]) -> Rewards:
    """Return what each answer is paid if each answer is the right one, (m, m): tasks draw their targets alike."""
    one = task.sample(Stream("train", [0], [0])).rows(np.zeros(len(answers), np.int64))
    batch = dataclasses.replace(one, target=answers.astype(one.target.dtype))
    return np.stack([_score(task, answer, batch) for answer in answers])


def _score(task: Task, answer: NDArray[Any], batch: Any) -> Rewards:
    same = np.repeat(np.asarray(answer, task.action_space.dtype)[None], len(batch), axis=0)
    return np.asarray(task.score(same, batch).reward, np.float64)
