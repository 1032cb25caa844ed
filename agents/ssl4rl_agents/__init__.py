"""Agents: what answers the questions of `ssl4rl_envs`, learns to, and is measured."""

from typing import TYPE_CHECKING

from ssl4rl_envs.lazy import lazily

if TYPE_CHECKING:
    from ssl4rl_agents.agent import Agent, load_agent
    from ssl4rl_agents.evaluation import evaluate
    from ssl4rl_agents.lessons import Lesson
    from ssl4rl_agents.ppo.trainer import Trainer
    from ssl4rl_agents.settings import TrainConfig

__all__ = ["Agent", "Lesson", "TrainConfig", "Trainer", "evaluate", "load_agent"]

__getattr__, __dir__ = lazily(
    __name__,
    {
        "Agent": "agent",
        "Lesson": "lessons",
        "TrainConfig": "settings",
        "Trainer": "ppo.trainer",
        "evaluate": "evaluation",
        "load_agent": "agent",
    },
)
