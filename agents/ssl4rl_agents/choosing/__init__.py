"""Answers by choice: what a policy thinks of each answer that a question offers, with the picture and without it.

A greedy reply says little of a policy that is unsure of the form of replies, or of one that would say the same whatever it is
shown. So the offered answers are compared by their log-probabilities (`options`), the same questions are put with pictures
that say nothing (`altering`), and what pictures add is a number of each question (`measures`). Differences between two
policies are paired by question (`statistics`).
"""

from typing import TYPE_CHECKING

from ssl4rl_envs.lazy import lazily

if TYPE_CHECKING:
    from ssl4rl_agents.choosing.altering import altered
    from ssl4rl_agents.choosing.measures import calibrated, chosen, log_odds, per_token, picture_gain
    from ssl4rl_agents.choosing.options import Scored, option_logprobs, score_options
    from ssl4rl_agents.choosing.statistics import Paired, holm, paired, sign_flip

__all__ = [
    "Paired",
    "Scored",
    "altered",
    "calibrated",
    "chosen",
    "holm",
    "log_odds",
    "option_logprobs",
    "paired",
    "per_token",
    "picture_gain",
    "score_options",
    "sign_flip",
]

__getattr__, __dir__ = lazily(
    __name__,
    {
        "Paired": "statistics",
        "Scored": "options",
        "altered": "altering",
        "calibrated": "measures",
        "chosen": "measures",
        "holm": "statistics",
        "log_odds": "measures",
        "option_logprobs": "options",
        "paired": "statistics",
        "per_token": "measures",
        "picture_gain": "measures",
        "score_options": "options",
        "sign_flip": "statistics",
    },
)
