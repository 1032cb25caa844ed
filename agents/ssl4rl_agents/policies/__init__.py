"""Networks that answer token by token: their contract, models of transformers, graph networks."""

from typing import TYPE_CHECKING

from ssl4rl_envs.lazy import lazily

if TYPE_CHECKING:
    from ssl4rl_agents.policies.build import build_policy, load_policy
    from ssl4rl_agents.policies.gnn import GNNPolicy
    from ssl4rl_agents.policies.policy import Policy
    from ssl4rl_agents.policies.vlm import VLMPolicy

__all__ = ["GNNPolicy", "Policy", "VLMPolicy", "build_policy", "load_policy"]

__getattr__, __dir__ = lazily(
    __name__, {"GNNPolicy": "gnn", "Policy": "policy", "VLMPolicy": "vlm", "build_policy": "build", "load_policy": "build"}
)
