"""What the settings of a run mean before it begins: whether replies can be read, whose part of the questions is whose."""

from __future__ import annotations

from typing import Any

from ssl4rl_agents.policies.policy import Policy
from ssl4rl_agents.policies.templates import check_style
from ssl4rl_agents.policies.vlm import VLMPolicy
from ssl4rl_agents.ppo.config import TrainConfig
from ssl4rl_agents.ppo.distributed import Processes
from ssl4rl_envs import Task
from ssl4rl_envs.mixture import Parts
from ssl4rl_envs.registration import build_task, registered_task


def require_readable(policy: Policy, config: TrainConfig) -> None:
    """Refuse a model whose chat template begins its replies in a way that can never be read.

    Raises:
        ValueError: its replies begin with thinking, where direct ones are asked for and read strictly.
    """
    if isinstance(policy, VLMPolicy):
        check_style(policy.encoder.written, config.prompt_style, config.grammar, config.policy.model)


def own_part(config: TrainConfig, processes: Processes) -> range:
    """Return which of an iteration's questions this process asks.

    Raises:
        ValueError: the questions cannot be shared equally, or a share not be cut into minibatches.
    """
    prompts, minibatches = config.rollout.prompts, config.optimizer.minibatches
    part = processes.share(prompts, "rollout.prompts")
    if len(part) % minibatches:
        raise ValueError(
            f"each of {processes.count} processes asks {len(part)} of rollout.prompts ({prompts}), which must be a multiple "
            f"of optimizer.minibatches ({minibatches})"
        )
    return part


def format_task(config: TrainConfig, task: Task) -> Task:
    """Return what the format warm-up asks: the task, mixed with those that the model will be asked besides."""
    own = registered_task(config.env)
    others = [name for name in config.format_tasks if registered_task(name) != own]
    if not others:
        return task
    shared: dict[str, Any] = {name: config.env_args[name] for name in ("source", "image_size") if name in config.env_args}
    parts = task.parts or (task,)
    return Parts([*parts, *(build_task(path, {**more, **shared}) for path, more in map(registered_task, others))])
