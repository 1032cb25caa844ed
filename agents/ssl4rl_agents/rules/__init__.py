"""Rules written by hand, one a task: what can be had without learning."""

from typing import TYPE_CHECKING

from ssl4rl_envs.lazy import lazily

if TYPE_CHECKING:
    from ssl4rl_agents.rules.rule_agent import RuleAgent, rule_of

__all__ = ["RuleAgent", "rule_of"]

__getattr__, __dir__ = lazily(__name__, {"RuleAgent": "rule_agent", "rule_of": "rule_agent"})
