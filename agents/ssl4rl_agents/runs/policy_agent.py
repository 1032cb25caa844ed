"""A policy as an agent, and the agent of a trained run."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from ssl4rl_agents.policies.build import load_policy
from ssl4rl_agents.policies.constraint import constrain
from ssl4rl_agents.policies.policy import Policy
from ssl4rl_agents.runs.asking import Asking
from ssl4rl_agents.runs.checkpoint import best, newest
from ssl4rl_agents.runs.files import read_from
from ssl4rl_agents.runs.folder import read_config
from ssl4rl_agents.runs.trained import read_trained
from ssl4rl_agents.runtime.device import autocast, find_device
from ssl4rl_agents.settings import window_of
from ssl4rl_envs import SSLEnv, SSLVectorEnv, Task, make_task

BATCH = 128
CHECKPOINTS = {"newest": newest, "best": best}

Said = tuple[dict[str, Any], Tensor]
"""What was shown in a turn, one row of each, and the tokens (T,) that were answered."""


class PolicyAgent(Asking):
    """Lets a policy act; large batches are answered in parts.

    Args:
        policy: that answers.
        seed: of what is sampled.
        device: where the policy is.
        context: what it sees of an episode of several decisions, as `rollout.context`. If that is more than the current
            question, `begin` must be called where episodes begin, as `evaluate` does; the agent remembers by the row what it
            was shown and what it said.

    A policy that is constrained keeps to the actions that have an effect in the environments that the agent has entered, as
    those of `evaluate`; elsewhere nobody says which these are, and it may give every answer.

    Raises:
        ValueError: there is no such context.
    """

    def __init__(self, policy: Policy, *, seed: int = 0, device: torch.device | None = None, context: str = "turn") -> None:
        self.policy, self.interface = policy, policy.interface
        self._device = device or torch.device("cpu")
        self._generator = torch.Generator(self._device).manual_seed(seed)
        self._window = window_of(context)
        self._earlier: list[list[Said]] = []
        self._entered: SSLEnv | SSLVectorEnv | None = None

    def enter(self, envs: SSLEnv | SSLVectorEnv) -> None:
        """Learn from these environments from now on which answers may be given, and what is seen beside what they show."""
        self._entered = cast("SSLEnv | SSLVectorEnv", envs.unwrapped)

    def begin(self, begun: NDArray[np.bool_]) -> None:
        """Forget what came before in those rows (n,) that show the beginning of an episode next."""
        kept = self._earlier if len(self._earlier) == len(begun) else [[] for _ in begun]
        self._earlier = [[] if new else earlier for new, earlier in zip(begun.tolist(), kept, strict=True)]

    def act(self, observations: dict[str, Any], *, deterministic: bool = False) -> Any:
        """Answer by the likeliest tokens, or sample; n replies, or an array (n, ...) of the action space."""
        count = len(next(iter(observations.values())))
        if self._entered is not None and len(self._entered.questions.batch) == count:
            states, interface = self._entered.questions.batch, self._entered.questions.interface
            beside = self.policy.beside(interface, states)
            observations = {**observations, **beside, **self.policy.answerable(self._entered.task, states)}
        if self._window == 1:
            alike = {0: list(range(count))}
        else:
            if len(self._earlier) != count:
                self.begin(np.ones(count, bool))
            alike = {}
            for row, earlier in enumerate(self._earlier):  # what is as long is written together
                alike.setdefault(len(earlier), []).append(row)
        actions: list[Any] = [None] * count
        for rows in alike.values():
            for start in range(0, len(rows), BATCH):
                part = rows[start : start + BATCH]
                for row, action in zip(part, self._act(observations, part, deterministic=deterministic), strict=True):
                    actions[row] = action
        return actions if self.interface == "text" else np.array(actions)

    def _act(self, observations: dict[str, Any], rows: list[int], *, deterministic: bool) -> list[Any]:
        shown = of_rows(observations, rows)
        with autocast(self.policy, self._device):
            inputs = (
                self._written([self._earlier[row] for row in rows], shown) if self._window != 1 else self.policy.encode(shown)
            )
            samples = self.policy.generate(inputs, generator=self._generator, deterministic=deterministic)
        if self._window != 1:
            for place, row in enumerate(rows):
                said = samples.tokens[place][samples.mask[place]]
                self._earlier[row].append((of_rows(observations, [row]), said))
                if self._window is not None:
                    self._earlier[row] = self._earlier[row][1 - self._window :]
        return list(self.policy.decode(samples.tokens, samples.mask, samples.truncated))

    def _written(self, earlier: list[list[Said]], shown: dict[str, Any]) -> Any:
        """Return conversations of equally many turns as one prompt each."""
        parts, replies = [], []
        for number in range(len(earlier[0])):
            before = [said[number] for said in earlier]
            observations = stacked([observation for observation, _ in before])
            parts.append(self.policy.encode_next(observations) if number else self.policy.encode(observations))
            tokens = pad_sequence([tokens for _, tokens in before], batch_first=True)
            lengths = torch.tensor([len(tokens) for _, tokens in before], device=tokens.device)
            replies.append((tokens, torch.arange(tokens.shape[1], device=tokens.device) < lengths[:, None]))
        if not parts:
            return self.policy.encode(shown)
        return self.policy.join([*parts, self.policy.encode_next(shown)], replies)


def of_rows(observations: dict[str, Any], rows: list[int]) -> dict[str, Any]:
    """Return what is shown in some rows: arrays by name, and prompts."""
    return {
        name: values[rows] if isinstance(values, np.ndarray) else type(values)(values[row] for row in rows)
        for name, values in observations.items()
    }


def stacked(observations: list[dict[str, Any]]) -> dict[str, Any]:
    """Return what is shown in single rows as one batch."""
    return {
        name: np.concatenate([one[name] for one in observations])
        if isinstance(values, np.ndarray)
        else tuple(word for one in observations for word in one[name])
        for name, values in observations[0].items()
    }


def load_run(run: Path, which: Literal["newest", "best"] = "newest", task: Task | None = None) -> PolicyAgent:
    """Return the agent of a run's newest checkpoint, or of the one that did best on the validation split.

    Args:
        run: its folder.
        which: of its checkpoints.
        task: what it will answer, where that is another than it was trained on; a graph network must fit it, and what may be
            said are answers to it where the run was constrained.

    Raises:
        FileNotFoundError: there is no such checkpoint.
        ValueError: it cannot be read, or does not fit the task.
    """
    config = read_config(run)
    device = find_device(config.device)
    checkpoint = CHECKPOINTS[which](run)
    # Words are all that a policy of the text interface needs to know of its task, whose source may be slow to read; one that
    # says nothing but answers has to know which there are.
    constrained = config.rollout.constrained
    if task is None and (constrained or config.policy.reads_graphs):
        task = make_task(config.env, **config.env_args)
    with read_from(checkpoint):
        policy = load_policy(checkpoint, config.policy, device, task, config.prompt_style)
    if constrained and task is not None:
        constrain(policy, task)
    agent = PolicyAgent(policy, device=device, context=config.rollout.context)
    agent.trained = read_trained(run)
    return agent
