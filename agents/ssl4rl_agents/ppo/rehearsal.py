"""Replay: steps over questions that the base was pretrained on, among those by reward, so that what it could do stays."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np

from ssl4rl_agents.ppo.supervised import CrossEntropy, written
from ssl4rl_agents.runs.pretrained_on import pretrained_on
from ssl4rl_agents.runtime.device import autocast
from ssl4rl_agents.settings import TrainConfig
from ssl4rl_envs import Stream, Task, hash_seed, make_task
from ssl4rl_envs.interface import Interface
from ssl4rl_envs.registration import registered_task


def steps_in(iteration: int, share: float, others: int) -> range:
    """Return the numbers, counted from the beginning of the run, of the steps of replay in an iteration.

    Args:
        iteration: which, counted from 0.
        share: of all steps, 0 <= share < 1.
        others: steps by reward of an iteration; of 12 and a share of 0.2 there are 3 of replay, so 3 of 15.
    """
    each = others * share / (1 - share)
    return range(math.floor(iteration * each + 1e-9), math.floor((iteration + 1) * each + 1e-9))


def lessons_of(config: TrainConfig) -> list[tuple[Task, float]]:
    """Return the tasks that the base of a run was pretrained on, with their shares.

    Nothing else is ever replayed: the answers to what is rewarded are known by reward alone.

    Raises:
        ValueError: the base says of no task that it learned it, or of the very one that is rewarded now.
    """
    assert config.policy.start is not None
    start, found = Path(config.policy.start), []
    for lesson in pretrained_on(start):
        if "env" not in lesson:
            continue  # captions have no answers to be asked for, and what was practised none that were right
        if registered_task(lesson["env"])[0] == registered_task(config.env)[0]:
            raise ValueError(
                f"optimizer.replay would show the answers to {config.env}, which {start} was pretrained on, and this run is "
                "to find them by its reward; leave it out"
            )
        found.append((make_task(lesson["env"], **lesson.get("env_args", {})), float(lesson.get("share", 1.0))))
    if not found:
        raise ValueError(
            f"optimizer.replay goes over the questions that a base was pretrained on, and {start} comes from no pretraining "
            "that asked any; start from a run of `ssl4rl pretrain`, or leave it out"
        )
    return found


class Replay:
    """Takes steps of cross-entropy over questions of the train split and their right answers.

    Args:
        lessons: tasks, with their shares of these steps.
        config: of the run.
        part: which of the questions of a step are this process's.
    """

    def __init__(self, lessons: list[tuple[Task, float]], config: TrainConfig, part: range) -> None:
        self._sides = [Interface(task, config.policy.interface, config.prompt_style, config.grammar) for task, _ in lessons]
        shares = np.array([share for _, share in lessons])
        self._edges = np.cumsum(shares / shares.sum())
        self._seed, self._part, self._count = hash_seed(config.seed, "replay"), part, config.rollout.sizes()[0]
        self._minibatches = config.optimizer.minibatches
        self._share, self._others = config.optimizer.replay, config.optimizer.epochs * config.optimizer.minibatches

    def learn(self, steps: CrossEntropy, iteration: int) -> dict[str, float]:
        """Take the steps of an iteration; return what is logged, nothing where there was none."""
        losses, skipped = [], 0
        for number in steps_in(iteration, self._share, self._others):
            inputs, replies = self._lesson(number, steps)
            loss, norm = steps.descend(inputs, replies)
            losses.append(float(steps.processes.total(loss)) / steps.processes.scale)
            skipped += norm is None
        return {"loss/replay": sum(losses) / len(losses), "replay/skipped": skipped} if losses else {}

    def _lesson(self, number: int, steps: CrossEntropy) -> tuple[Any, Any]:
        """Return this process's questions of a step, encoded, and the replies to them."""
        drawn = np.random.default_rng(hash_seed(self._seed, number)).random()
        which = int(np.searchsorted(self._edges, drawn, side="right").clip(max=len(self._edges) - 1))
        side, each = self._sides[which], self._count // self._minibatches
        own = range(self._part.start // self._minibatches, self._part.stop // self._minibatches)
        first = number * each + own.start
        batch = side.task.sample(Stream.span("train", hash_seed(self._seed, "questions", which), first, len(own)))
        with autocast(steps.policy, steps.processes.device):
            inputs = steps.policy.encode(steps.policy.observe(side, batch))
        return inputs, written(side, side.task.oracle(batch), batch)


def replay_of(config: TrainConfig, part: range) -> Replay | None:
    """Return what replays in a run; None where nothing does.

    Raises:
        ValueError: see `lessons_of`.
    """
    if not config.optimizer.replay or config.algorithm != "ppo":
        return None
    return Replay(lessons_of(config), config, part)
