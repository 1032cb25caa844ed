"""Pretraining by cross-entropy: models that see, and follow the words."""

from typing import TYPE_CHECKING

from ssl4rl_envs.lazy import lazily

if TYPE_CHECKING:
    from ssl4rl_agents.pretraining.making import Pretraining, pretrain
    from ssl4rl_agents.pretraining.settings import PretrainConfig

__all__ = ["PretrainConfig", "Pretraining", "pretrain"]

__getattr__, __dir__ = lazily(__name__, {"PretrainConfig": "settings", "Pretraining": "making", "pretrain": "making"})
