"""Rewards without the truth: what the policy itself held for right when training began.

Where a model sees and follows the words all the same, what it saw is in its log-probabilities: those with a grey picture
taken off (contextual calibration, Zhao et al. 2021, arXiv 2102.09690; with pictures, visual contrastive decoding, Leng et al.
2023, arXiv 2311.16922). Here that difference is what is paid for, so that the model says at once what it sees.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ssl4rl_agents.choosing.measures import calibrated, chosen
from ssl4rl_agents.choosing.options import option_logprobs
from ssl4rl_agents.control_settings import OPINIONS
from ssl4rl_agents.ppo.controls import AlteredInterface
from ssl4rl_agents.ppo.reference import Reference
from ssl4rl_agents.runtime.processes import Processes
from ssl4rl_agents.settings import TrainConfig
from ssl4rl_envs.answers import wrap
from ssl4rl_envs.interface import Interface
from ssl4rl_envs.stream import Stream
from ssl4rl_envs.task import Batch


class Opinion:
    """Which of the answers that a question offers the policy held for right.

    Who it was is known when training begins, and `initial` then.

    Args:
        interface: how questions are asked.
        blank: the same with grey pictures, whose log-probabilities are taken off; None where nothing is.

    Raises:
        ValueError: the task has several decisions, or its questions do not list their answers.
    """

    def __init__(self, interface: Interface, blank: AlteredInterface | None) -> None:
        self._interface, self._blank = interface, blank
        self.initial: Reference | None = None
        """The policy as it was."""
        task = interface.task
        if task.horizon > 1:
            raise ValueError(
                f"control.reward by the policy's own opinion needs a task of one decision, and {type(task).__name__} takes "
                f"up to {task.horizon}; leave it out"
            )
        if task.choices(task.sample(Stream.span("train", 0, 0, 1))) is None:
            raise ValueError(
                f"control.reward by the policy's own opinion chooses among the answers that a question offers, and those of "
                f"{type(task).__name__} cannot be listed; leave it out"
            )

    def held(self, batch: Batch) -> NDArray[Any]:
        """Return the answers to n questions that were held for right, (n, ...) actions."""
        task, style = self._interface.task, self._interface.prompt_style
        options = task.choices(batch)
        assert options is not None
        assert self.initial is not None
        with self.initial.policy() as policy:
            scores: Any = option_logprobs(policy, policy.observe(self._interface, batch), options)
            if self._blank is not None:
                scores = calibrated(scores, option_logprobs(policy, policy.observe(self._blank, batch), options))
        words = [offered[place] for offered, place in zip(options, chosen(scores).tolist(), strict=True)]
        actions, _ = task.parse_all([wrap(word, style) for word in words], batch, style)
        return actions

    def shared(self, batch: Batch, actions: NDArray[Any], group_size: int) -> NDArray[np.float32]:
        """Return whether answers are those that were held for right, 1 or 0, (n,).

        Args:
            batch: n / `group_size` questions.
            actions: n answers, `group_size` to each.
            group_size: how many.
        """
        held = np.repeat(self.held(batch), group_size, axis=0)
        same: NDArray[np.bool_] = (held == actions).reshape(len(actions), -1).all(axis=1)
        return same.astype(np.float32)


def opinion_of(config: TrainConfig, interface: Interface, processes: Processes) -> Opinion | None:
    """Return by what a run pays, where it pays by the policy's own opinion; else None.

    Raises:
        ValueError: see `Opinion` and `AlteredInterface`; or processes hold parts of the weights.
    """
    reward = config.control.reward
    if reward not in OPINIONS:
        return None
    if processes.sharded or processes.deepspeed:
        raise ValueError(
            f"control.reward {reward} asks the policy as it was for whole replies, which FSDP and DeepSpeed do not take; use "
            "whole weights (several processes may train together)"
        )
    blank = None
    if reward == "contrast":
        names = config.policy.interface, config.prompt_style, config.grammar
        blank = AlteredInterface("blank", interface.task, *names, why="control.reward contrast")
    return Opinion(interface, blank)
