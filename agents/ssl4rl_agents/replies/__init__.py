"""Stored replies: asked for, kept as rows that hold keys and no scores, and scored from the keys alone.

What was replied and what it is worth are two things. A row (`rows`) holds no score and no truth; `scoring` makes the question
again from the keys and scores the reply, today by one grammar and tomorrow by another. Models behind an endpoint, models of
transformers, people and rules all leave such rows (`files`) to the same questions (`quiz`), so that they stand in one table.
"""

from typing import TYPE_CHECKING

from ssl4rl_envs.lazy import lazily

if TYPE_CHECKING:
    from ssl4rl_agents.replies.answering import collect_answers
    from ssl4rl_agents.replies.files import ReplyFile, read_replies
    from ssl4rl_agents.replies.measurement import Measurement, Prices
    from ssl4rl_agents.replies.quiz import Quiz
    from ssl4rl_agents.replies.rows import ReplyRow
    from ssl4rl_agents.replies.scoring import measure_replies

__all__ = [
    "Measurement",
    "Prices",
    "Quiz",
    "ReplyFile",
    "ReplyRow",
    "collect_answers",
    "measure_replies",
    "read_replies",
]

__getattr__, __dir__ = lazily(
    __name__,
    {
        "Measurement": "measurement",
        "Prices": "measurement",
        "Quiz": "quiz",
        "ReplyFile": "files",
        "ReplyRow": "rows",
        "collect_answers": "answering",
        "measure_replies": "scoring",
        "read_replies": "files",
    },
)
