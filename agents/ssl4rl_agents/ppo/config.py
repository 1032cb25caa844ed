"""The settings of a training run, which stand in `ssl4rl_agents.settings`, beside the trainer that reads them."""

from ssl4rl_agents.settings import (
    ObjectiveConfig,
    OptimizerConfig,
    PolicyConfig,
    RolloutConfig,
    TrainConfig,
    TrainSettings,
)

__all__ = ["ObjectiveConfig", "OptimizerConfig", "PolicyConfig", "RolloutConfig", "TrainConfig", "TrainSettings"]
