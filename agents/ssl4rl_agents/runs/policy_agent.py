"""A policy as an agent, and the agent of a trained run."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch

from ssl4rl_agents.policies.build import load_policy
from ssl4rl_agents.policies.policy import Policy
from ssl4rl_agents.runs.asking import Asking
from ssl4rl_agents.runs.checkpoint import best, newest
from ssl4rl_agents.runs.files import read_from
from ssl4rl_agents.runs.folder import read_config
from ssl4rl_agents.runs.trained import read_trained
from ssl4rl_agents.runtime.device import autocast, find_device
from ssl4rl_envs import Task, make_task

BATCH = 128
CHECKPOINTS = {"newest": newest, "best": best}


class PolicyAgent(Asking):
    """Lets a policy act; large batches are answered in parts."""

    def __init__(self, policy: Policy, *, seed: int = 0, device: torch.device | None = None) -> None:
        self.policy, self.interface = policy, policy.interface
        self._device = device or torch.device("cpu")
        self._generator = torch.Generator(self._device).manual_seed(seed)

    def act(self, observations: dict[str, Any], *, deterministic: bool = False) -> Any:
        """Answer by the likeliest tokens, or sample; n replies, or an array (n, ...) of the action space."""
        count = len(next(iter(observations.values())))
        actions: list[Any] = []
        for start in range(0, count, BATCH):
            part = {name: values[start : start + BATCH] for name, values in observations.items()}
            with autocast(self.policy, self._device):
                inputs = self.policy.encode(part)
                samples = self.policy.generate(inputs, generator=self._generator, deterministic=deterministic)
            actions += list(self.policy.decode(samples.tokens, samples.mask, samples.truncated))
        return actions if self.interface == "text" else np.array(actions)


def load_run(run: Path, which: Literal["newest", "best"] = "newest", task: Task | None = None) -> PolicyAgent:
    """Return the agent of a run's newest checkpoint, or of the one that did best on the validation split.

    Args:
        run: its folder.
        which: of its checkpoints.
        task: what it will answer, where that is another than it was trained on; a graph network must fit it.

    Raises:
        FileNotFoundError: there is no such checkpoint.
        ValueError: it cannot be read, or does not fit the task.
    """
    config = read_config(run)
    device = find_device(config.device)
    checkpoint = CHECKPOINTS[which](run)
    # Words are all that a policy of the text interface needs to know of its task, whose source may be slow to read.
    if config.policy.interface == "array" and task is None:
        task = make_task(config.env, **config.env_args)
    with read_from(checkpoint):
        policy = load_policy(checkpoint, config.policy, device, task, config.prompt_style)
    agent = PolicyAgent(policy, device=device)
    agent.trained = read_trained(run)
    return agent
