"""What a model makes of the words and of the picture: balanced questions, those that habit answers, blank pictures."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ssl4rl_agents.choosing.altering import altered
from ssl4rl_agents.choosing.measures import chosen
from ssl4rl_agents.choosing.options import option_logprobs
from ssl4rl_agents.policies.policy import Policy
from ssl4rl_envs import Stream, Task
from ssl4rl_envs.interface import Interface


@dataclass(frozen=True)
class Habits:
    """Shares of balanced questions that are answered rightly, by choosing the likelier of the answers that are offered.

    Args:
        questions: how many were asked.
        balanced: of all.
        congruent: of those whose right answer is the one of habit.
        incongruent: of the others.
        blank, swapped: of all, with grey pictures, and with those of other questions.
    """

    questions: int
    balanced: float
    congruent: float
    incongruent: float
    blank: float
    swapped: float


def measure_habits(policy: Policy, task: Task, questions: int, seed: int = 0) -> dict[str, Habits]:
    """Ask balanced questions of the test split; return what came of it, of all and by kind.

    Args:
        policy: that answers; in words.
        task: questions with `favoured` in what they remember, as those of SceneQA.
        questions: how many.
        seed: of the questions.
    """
    batch = task.sample(Stream.span("test", seed, 0, questions))
    shown = Interface(task, "text", "direct").observe(batch)
    options, truths = task.choices(batch), task.truths(batch)
    assert options is not None
    rng = np.random.default_rng(seed)
    seen = {"shown": shown, **{how: altered(shown, how, rng) for how in ("blank", "swapped")}}
    right = {how: _right(policy, each, options, truths) for how, each in seen.items()}
    habitual = batch.memory["favoured"] == batch.target
    names = [level.name for level in task.levels]
    found = {"all": _habits(right, habitual, np.ones(questions, bool))}
    for kind in np.unique(batch.memory["kind"]):
        found[names[kind]] = _habits(right, habitual, batch.memory["kind"] == kind)
    return found


def _right(policy: Policy, shown: dict[str, Any], options: list[tuple[str, ...]], truths: list[Any]) -> NDArray[np.bool_]:
    """Return to which questions the likeliest of the offered answers is the right one, (n,)."""
    best = chosen(option_logprobs(policy, shown, options)).tolist()
    return np.array([each[place] == truth for each, place, truth in zip(options, best, truths, strict=True)])


def _habits(right: dict[str, NDArray[np.bool_]], habitual: NDArray[np.bool_], rows: NDArray[np.bool_]) -> Habits:
    def share(how: str, which: NDArray[np.bool_]) -> float:
        return float(right[how][rows & which].mean()) if (rows & which).any() else float("nan")

    everything = np.ones_like(rows)
    return Habits(
        int(rows.sum()),
        share("shown", everything),
        share("shown", habitual),
        share("shown", ~habitual),
        share("blank", everything),
        share("swapped", everything),
    )
