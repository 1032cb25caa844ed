"""What the settings of a run mean before it begins: whether replies can be read, whose part of the questions is whose."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

import torch
from torch import Tensor

from ssl4rl_agents.policies.policy import Policy
from ssl4rl_agents.policies.templates import check_style
from ssl4rl_agents.ppo.randomness import Randomness
from ssl4rl_agents.runtime.device import autocast
from ssl4rl_agents.runtime.processes import Processes
from ssl4rl_agents.settings import ObjectiveConfig, TrainConfig
from ssl4rl_envs import Stream, Task
from ssl4rl_envs.interface import Interface
from ssl4rl_envs.mixture import Parts
from ssl4rl_envs.on_device import on_device
from ssl4rl_envs.registration import build_task, registered_task

if TYPE_CHECKING:
    from ssl4rl_agents.policies.vlm import VLMPolicy


def require_readable(policy: Policy, config: TrainConfig) -> None:
    """Refuse a model whose chat template begins its replies in a way that can never be read.

    Raises:
        ValueError: its replies begin with thinking, where direct ones are asked for and read strictly.
    """
    if policy.interface == "text":
        check_style(cast("VLMPolicy", policy).encoder.written, config.prompt_style, config.grammar, config.policy.model)


def own_part(config: TrainConfig, processes: Processes) -> range:
    """Return which of an iteration's questions this process asks.

    Raises:
        ValueError: the questions cannot be shared equally, or a share not be cut into minibatches.
    """
    (prompts, _), minibatches = config.rollout.sizes(), config.optimizer.minibatches
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


def check_zero(objective: ObjectiveConfig) -> None:
    """Check that an objective asks for nothing that DeepSpeed cannot do.

    Raises:
        ValueError: it does.
    """
    if objective.target_kl is not None:
        raise ValueError("objective.target_kl drops gradients, which DeepSpeed has taken in by then; leave one of them out")
    if objective.critic_warmup_iterations:
        raise ValueError(
            "objective.critic_warmup_iterations lets weights rest, which DeepSpeed cannot; leave one of them out"
        )


def example_pass(policy: Policy, interface: Interface, randomness: Randomness) -> tuple[Any, Tensor, Tensor]:
    """Return a question and an answer as a policy takes them."""
    batch = interface.task.sample(Stream.span("train", randomness.seed("questions"), 0, 1))
    with autocast(policy, randomness.processes.device):
        inputs = policy.encode(policy.observe(interface, batch))
        samples = policy.generate(inputs, deterministic=True)
    return inputs, samples.tokens, samples.mask


def drawn_beside(task: Task, device: torch.device) -> Task:
    """Return the task with its pictures drawn on a GPU where the policy is on one, so that they need not travel."""
    return on_device(task, device) if device.type == "cuda" else task
