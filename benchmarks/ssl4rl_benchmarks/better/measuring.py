"""What a policy says of the same held-out questions about scenes: with the picture, with none, with another's."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ssl4rl_agents.choosing import calibrated, picture_gain
from ssl4rl_agents.choosing.asking import BLANK, SHOWN, SWAPPED, drawn, replies, scored
from ssl4rl_agents.policies.policy import Policy
from ssl4rl_benchmarks.better.declaration import KINDS, QUESTIONS
from ssl4rl_envs import Stream, Task, make_task
from ssl4rl_envs.interface import Interface

SPLIT, SEED = "test", 2026
"""Which questions; the same for every model."""

CHUNK = 512
"""Questions that are asked at a time."""

WAYS = (SHOWN, BLANK, SWAPPED)
"""What is shown of a question: its picture, one grey, or the picture of another question."""

LIGHT = ("light, source", "light, shadows")
"""What rows call the halves of the kind "light": from which side it comes, and to which side shadows fall."""

OF_QUESTIONS = ("congruent", "right", "readable", "items", "about")
"""What `Records` keep of each question beside log-probabilities."""


@dataclass(frozen=True)
class Records:
    """What a policy said of n questions of a kind.

    Args:
        logprobs: log-probabilities (n, options) of the replies that a question offers, by what was shown; the option that
            is right stands first.
        congruent: (n,) whether the words favour the right answer.
        right: (n,) whether its likeliest reply, with the picture, was right.
        readable: (n,) whether that was an answer.
        items: (n,) the scenes.
        about: (n,) what is asked within the kind, the first argument of each question; see `scene_words.words_of`.
    """

    logprobs: dict[str, NDArray[np.float32]]
    congruent: NDArray[np.bool_]
    right: NDArray[np.bool_]
    readable: NDArray[np.bool_]
    items: NDArray[np.int64]
    about: NDArray[np.int64]

    def where(self, rows: NDArray[np.bool_]) -> Records:
        """Return what was said of some of the questions."""
        logprobs = {way: values[rows] for way, values in self.logprobs.items()}
        return Records(logprobs, *(getattr(self, name)[rows] for name in OF_QUESTIONS))

    def summary(self) -> dict[str, float]:
        """Return the numbers that a row keeps; shares in [0, 1], gains in nats."""
        shown, blank = self.logprobs[SHOWN], self.logprobs[BLANK]
        chosen, truth = right_share(shown), np.zeros(len(shown), np.int64)
        return {
            "questions": len(chosen),
            "accuracy": _mean(chosen),
            "congruent": _mean(chosen[self.congruent]),
            "incongruent": _mean(chosen[~self.congruent]),
            "blank": _mean(right_share(blank)),
            "swapped": _mean(right_share(self.logprobs[SWAPPED])),
            "subtracted": _mean(right_share(calibrated(shown, blank))),
            "gain": _mean(picture_gain(shown, blank, truth)),
            "greedy": _mean(self.right),
            "readable": _mean(self.readable),
        }


def right_share(scores: NDArray[Any]) -> NDArray[np.float64]:
    """Return how right the choice of the highest score (n, options) is: 1, 0, or a share where several are equal."""
    best = scores >= scores.max(axis=1, keepdims=True)
    share: NDArray[np.float64] = best[:, 0] / best.sum(axis=1)
    return share


def _mean(values: NDArray[Any]) -> float:
    return float(values.mean()) if len(values) else float("nan")


def measure(policy: Policy, pictures: dict[str, Any], questions: int, prompt_style: str = "direct") -> dict[str, Records]:
    """Ask a policy the same balanced questions as any other, kind by kind.

    Args:
        policy: who.
        pictures: arguments of the task: `source`, `image_size`, `wording`, and `multiple_choice` where answers are letters.
        questions: of each kind.
        prompt_style: how it is asked.
    """
    found = {}
    for kind in KINDS:
        task = make_task(QUESTIONS, kinds=kind, **pictures)
        found[kind] = ask(policy, task, questions, prompt_style)
    return found


def summaries(found: dict[str, Records]) -> dict[str, dict[str, float]]:
    """Return the numbers that a row keeps of each kind, and of both halves of "light"; see `Records.summary`."""
    halves = {name: found["light"].where(found["light"].about == about) for about, name in enumerate(LIGHT)}
    return {name: records.summary() for name, records in {**found, **halves}.items()}


def ask(policy: Policy, task: Task, questions: int, prompt_style: str = "direct") -> Records:
    """Ask a policy the first held-out questions of a task."""
    interface = Interface(task, "text", prompt_style)
    parts = [
        _ask(policy, interface, Stream.span(SPLIT, SEED, first, min(CHUNK, questions - first)))
        for first in range(0, questions, CHUNK)
    ]
    logprobs = {way: np.concatenate([part.logprobs[way] for part in parts]) for way in WAYS}
    return Records(logprobs, *(np.concatenate([getattr(part, name) for part in parts]) for name in OF_QUESTIONS))


def _ask(policy: Policy, interface: Interface, stream: Stream) -> Records:
    task, asked = interface.task, drawn(interface, stream).truth_first()
    seen = asked.seen(policy, WAYS, lambda _: np.random.default_rng(0), by_item=False)
    answers, readable = task.parse_all(replies(policy, seen[SHOWN]), asked.batch, interface.prompt_style)
    right, about = task.score(answers, asked.batch).success, asked.batch.observation["asked"][:, 1]
    return Records(scored(policy, seen, asked.options), asked.congruent, right, readable, asked.items, about)
