"""The trainer: what it asks, plays, judges and improves."""

from typing import TYPE_CHECKING

from ssl4rl_envs.lazy import lazily

if TYPE_CHECKING:
    from ssl4rl_agents.ppo.credit import judge
    from ssl4rl_agents.ppo.rollout import Rollout, Turn
    from ssl4rl_agents.ppo.trainer import Trainer
    from ssl4rl_agents.ppo.update import Updater

__all__ = ["Rollout", "Trainer", "Turn", "Updater", "judge"]

__getattr__, __dir__ = lazily(
    __name__, {"Rollout": "rollout", "Trainer": "trainer", "Turn": "rollout", "Updater": "update", "judge": "credit"}
)
