"""The settings of a training run, which stand in `ssl4rl_agents.settings`, beside the trainer that reads them."""

from ssl4rl_agents.control_settings import ControlConfig
from ssl4rl_agents.policy_settings import PolicyConfig
from ssl4rl_agents.settings import (
    ObjectiveConfig,
    OptimizerConfig,
    RolloutConfig,
    TrainConfig,
    TrainSettings,
)

__all__ = [
    "ControlConfig",
    "ObjectiveConfig",
    "OptimizerConfig",
    "PolicyConfig",
    "RolloutConfig",
    "TrainConfig",
    "TrainSettings",
]
