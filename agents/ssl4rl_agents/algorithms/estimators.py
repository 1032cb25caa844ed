"""The algorithms by name: how each estimates advantages, one row of `ADVANTAGES` each."""

from __future__ import annotations

from dataclasses import dataclass

from ssl4rl_agents.algorithms.advantages import by_critic, by_group, by_returns, dr_grpo, grpo, rloo
from ssl4rl_agents.algorithms.row import Row
from ssl4rl_agents.algorithms.turns import by_group_and_turn, by_steps, by_turn, by_turn_and_token


@dataclass(frozen=True)
class Estimator(Row):
    """How an algorithm estimates advantages: a row of `ADVANTAGES`.

    Args:
        function: from what was earned (`Earned`) to the advantages of each turn; see `Row`.
        groups: whether it compares the episodes of a group, so that there must be two or more.
        critic: whether it goes by values, and gives returns for the critic to learn.
        whitened: whether its advantages are brought to mean 0 and standard deviation 1 over all tokens of the iteration.
    """

    groups: bool = False
    critic: bool = False
    whitened: bool = False


ADVANTAGES: dict[str, Estimator] = {
    "gae": Estimator(by_critic, critic=True, whitened=True),
    "turn_gae": Estimator(by_turn, critic=True, whitened=True),
    "bilevel_gae": Estimator(by_turn_and_token, critic=True, whitened=True),
    "grpo": Estimator(by_group(grpo), groups=True),
    "dr_grpo": Estimator(by_group(dr_grpo), groups=True),
    "rloo": Estimator(by_group(rloo), groups=True),
    "turn_grpo": Estimator(by_group_and_turn, groups=True),
    "step_grpo": Estimator(by_steps, groups=True),
    "reinforce++": Estimator(by_returns, whitened=True),
}
"""As `objective.advantage` takes them. Another one is another row."""


def group_advantages() -> list[str]:
    """Return the names of the algorithms that compare the answers of a group."""
    return [name for name, row in ADVANTAGES.items() if row.groups]
