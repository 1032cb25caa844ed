"""Answers by choice: what a policy thinks of each answer that a question offers, with the picture and without it.

A greedy reply says little of a policy that is unsure of the form of replies, or of one that would say the same whatever it is
shown. So the offered answers are compared by their log-probabilities (`options`), the same questions are put with pictures
that say nothing (`altering`), and what pictures add is a number of each question (`measures`). What a task's questions offer,
and what is seen of them in each way, everybody who asks like this takes from `asking`. Differences between two policies are
paired by question (`statistics`).

Downstream sets are questions that nobody is trained on, from files (`formats`, `tables`, `questions`) or environments
(`sets`). A policy leaves a record of each (`records`), and these are summed up, before and after (`summary`); where a run
began, `sides` knows. Other programs ask by themselves (`harnesses`).
"""

from typing import TYPE_CHECKING

from ssl4rl_envs.lazy import lazily

if TYPE_CHECKING:
    from ssl4rl_agents.choosing.altering import altered
    from ssl4rl_agents.choosing.measures import calibrated, chosen, log_odds, per_token, picture_gain
    from ssl4rl_agents.choosing.options import Scored, option_logprobs, score_options
    from ssl4rl_agents.choosing.questions import Question, Wording
    from ssl4rl_agents.choosing.records import Record, answer, read_records, write_records
    from ssl4rl_agents.choosing.sets import EnvSet, FileSet
    from ssl4rl_agents.choosing.statistics import Paired, holm, paired, sign_flip
    from ssl4rl_agents.choosing.summary import compare, summarise, units_of

__all__ = [
    "EnvSet",
    "FileSet",
    "Paired",
    "Question",
    "Record",
    "Scored",
    "Wording",
    "altered",
    "answer",
    "calibrated",
    "chosen",
    "compare",
    "holm",
    "log_odds",
    "option_logprobs",
    "paired",
    "per_token",
    "picture_gain",
    "read_records",
    "score_options",
    "sign_flip",
    "summarise",
    "units_of",
    "write_records",
]

__getattr__, __dir__ = lazily(
    __name__,
    {
        "EnvSet": "sets",
        "FileSet": "sets",
        "Paired": "statistics",
        "Question": "questions",
        "Record": "records",
        "Scored": "options",
        "Wording": "questions",
        "altered": "altering",
        "answer": "records",
        "calibrated": "measures",
        "chosen": "measures",
        "compare": "summary",
        "holm": "statistics",
        "log_odds": "measures",
        "option_logprobs": "options",
        "paired": "statistics",
        "per_token": "measures",
        "picture_gain": "measures",
        "read_records": "records",
        "score_options": "options",
        "sign_flip": "statistics",
        "summarise": "summary",
        "units_of": "summary",
        "write_records": "records",
    },
)
