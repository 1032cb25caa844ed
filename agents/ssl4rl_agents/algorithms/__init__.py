"""What algorithms differ in: one function and one row each, in `ADVANTAGES` and in `SURROGATES`.

These are pure functions that call tensors' own methods. torch is imported for its types alone, so that settings, checks and
the command line can read the tables without it.
"""

from ssl4rl_agents.algorithms.advantages import Advantages, Earned, by_group
from ssl4rl_agents.algorithms.estimators import ADVANTAGES, Estimator
from ssl4rl_agents.algorithms.surrogates import SURROGATES, PolicyLoss, Surrogate

__all__ = ["ADVANTAGES", "SURROGATES", "Advantages", "Earned", "Estimator", "PolicyLoss", "Surrogate", "by_group"]
