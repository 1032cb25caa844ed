"""What a model makes of the words and of the picture: balanced questions, those that habit answers, blank pictures."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ssl4rl_agents.choosing.asking import BLANK, SHOWN, SWAPPED, drawn, scored
from ssl4rl_agents.choosing.measures import chosen
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
        task: that says which answers its words suggest, as SceneQA does.
        questions: how many.
        seed: of the questions, and of what is swapped.

    Raises:
        ValueError: as of `asking.drawn` and `Asked.congruent`.
    """
    asked = drawn(Interface(task, "text", "direct"), Stream.span("test", seed, 0, questions))
    seen = asked.seen(policy, (SHOWN, BLANK, SWAPPED), lambda _: np.random.default_rng(seed), by_item=False)
    right = {how: chosen(logprobs) == asked.truth for how, logprobs in scored(policy, seen, asked.options).items()}
    kinds = np.array(asked.kinds)
    found = {"all": _habits(right, asked.congruent, np.ones(questions, bool))}
    for name in task.kind_names:
        if name in asked.kinds:
            found[name] = _habits(right, asked.congruent, kinds == name)
    return found


def _habits(right: dict[str, NDArray[np.bool_]], habitual: NDArray[np.bool_], rows: NDArray[np.bool_]) -> Habits:
    def share(how: str, which: NDArray[np.bool_]) -> float:
        return float(right[how][rows & which].mean()) if (rows & which).any() else float("nan")

    everything = np.ones_like(rows)
    return Habits(
        int(rows.sum()),
        share(SHOWN, everything),
        share(SHOWN, habitual),
        share(SHOWN, ~habitual),
        share(BLANK, everything),
        share(SWAPPED, everything),
    )
