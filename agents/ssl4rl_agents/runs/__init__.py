"""Run folders: settings, checkpoints and numbers of a run, and the agent that came of it."""

from typing import TYPE_CHECKING

from ssl4rl_envs.lazy import lazily

if TYPE_CHECKING:
    from ssl4rl_agents.runs.folder import is_run, read_config
    from ssl4rl_agents.runs.metrics import read_metrics
    from ssl4rl_agents.runs.policy_agent import PolicyAgent, load_run

__all__ = ["PolicyAgent", "is_run", "load_run", "read_config", "read_metrics"]

__getattr__, __dir__ = lazily(
    __name__,
    {
        "PolicyAgent": "policy_agent",
        "is_run": "folder",
        "load_run": "policy_agent",
        "read_config": "folder",
        "read_metrics": "metrics",
    },
)
