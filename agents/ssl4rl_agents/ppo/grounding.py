"""Replies compared with what they would be if nothing could be seen; `losses.perception` is what is made of it."""

from __future__ import annotations

from ssl4rl_agents.policies.policy import Policy
from ssl4rl_agents.ppo.controls import AlteredInterface
from ssl4rl_agents.ppo.rollout import Rollout
from ssl4rl_agents.runtime.device import autocast
from ssl4rl_agents.runtime.processes import Processes
from ssl4rl_agents.settings import TrainConfig
from ssl4rl_envs import Task


def blank_interface(config: TrainConfig, task: Task, processes: Processes) -> AlteredInterface | None:
    """Return the side of a task that shows nothing, where a run compares with it; else None.

    Raises:
        ValueError: the task shows no pictures, or processes hold parts of the weights.
    """
    if not config.objective.grounding_coefficient or config.algorithm != "ppo":
        return None
    if processes.sharded or processes.deepspeed:
        raise ValueError(
            "objective.grounding_coefficient makes two passes before it goes back, which FSDP and DeepSpeed do not take; use "
            "whole weights (several processes may train together)"
        )
    return AlteredInterface(
        "blank", task, config.policy.interface, config.prompt_style, config.grammar, why="objective.grounding_coefficient"
    )


def look_away(policy: Policy, rollout: Rollout, interface: AlteredInterface) -> None:
    """Encode the prompts of a rollout once more, with blank pictures, and leave them with its turns."""
    for turn in rollout.turns:
        if turn.states is not None and len(turn.episodes):
            with autocast(policy, turn.samples.tokens.device):
                turn.blank = policy.encode(policy.observe(interface, turn.states))
