"""The critic's warm-up: values are learned first, from the answers of a policy that stays as it is."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch

from ssl4rl_agents.policies.policy import Policy


@contextmanager
def critic_alone(policy: Policy, optimizer: torch.optim.Optimizer, *, alone: bool, sharded: bool) -> Iterator[None]:
    """Let an optimizer move the critic alone.

    Args:
        policy, optimizer: what is trained.
        alone: or else everything.
        sharded: whether weights are in parts (FSDP); all parameters must stay ready for gradients then, and what they get is
            not followed. Otherwise their gradients are not even computed.
    """
    if not alone:
        yield
        return
    critic = {id(parameter) for parameter in policy.critic.parameters()}
    groups = optimizer.param_groups
    everything = [group["params"] for group in groups]
    resting = [parameter for parameters in everything for parameter in parameters if id(parameter) not in critic]
    for group in groups:
        group["params"] = [parameter for parameter in group["params"] if id(parameter) in critic]
    for parameter in resting:
        parameter.requires_grad_(sharded)
    try:
        yield
    finally:
        for group, parameters in zip(groups, everything, strict=True):
            group["params"] = parameters
        for parameter in resting:
            parameter.requires_grad_(True)
            parameter.grad = None
