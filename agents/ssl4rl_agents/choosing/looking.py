"""Is it looking? The same held-out questions with true and with altered pictures: what remains then, words give."""

from __future__ import annotations

import warnings
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ssl4rl_agents.choosing.altering import deranged
from ssl4rl_agents.choosing.asking import BLANK, REWIRED, SHOWN, Seen, drawn, obstacle, scored
from ssl4rl_agents.choosing.measures import chosen, picture_gain
from ssl4rl_agents.choosing.statistics import paired
from ssl4rl_agents.policies.policy import Policy
from ssl4rl_envs import Stream, Task, hash_seed
from ssl4rl_envs.interface import Interface

HELD = 2**28
"""Bytes of pictures that are kept from one look to the next; of more, questions are made anew each time."""

ABOVE = 0.1
"""The share of what there is above a choice at random that training must reach before not looking alarms anybody."""


class NotLooking(UserWarning):
    """Answers are no better with what is shown than with a blank one, while training is right more often than by chance."""


@dataclass(frozen=True)
class Look:
    """What a policy answers by choice to n questions with true and altered pictures.

    Args:
        accuracy: the share of right answers, by how pictures were altered; "shown" is as they are.
        gain: mean log-odds of the truth with the picture less those with a blank one, in nats; of graphs in words, less
            those with other edges.
        chance: the share of right answers of a choice at random.
        better: whether the answers are better with the picture than with a blank one, or the truth likelier, beyond the
            spread of the questions (95 % intervals).
    """

    accuracy: dict[str, float]
    gain: float
    chance: float
    better: bool

    def metrics(self) -> dict[str, float]:
        """Return what is logged, by name."""
        shares = {f"looking/{how}": share for how, share in self.accuracy.items()}
        return {**shares, "looking/picture_gain": self.gain, "looking/chance": self.chance}


class Probe:
    """Asks the same held-out questions whenever it is told to; nothing of training is touched.

    Args:
        task: what is asked.
        interface: the side of it that the policy sees, as it is.
        count: how many questions.
        split: of which items.
        setting: what asks for it, for errors.

    Raises:
        ValueError: the answers to the task cannot be listed, it shows nothing that can be altered, or nearly all questions
            are about one item.
    """

    def __init__(
        self, task: Task, interface: Interface, count: int, split: str = "validation", setting: str = "probe_every"
    ) -> None:
        self._seed = hash_seed(0, "looking")
        name, few = type(task).__name__, task.sample(Stream.span(split, self._seed, 0, 2))
        why = obstacle(task, few, words=interface.text)
        if why:
            raise ValueError(f"{setting} compares the answers that one decision offers, and {name} {why}; set it to 0")
        self._asked, self._kept, self._alarmed = drawn(interface, Stream.span(split, self._seed, 0, count)), Seen(), False
        if not self._asked.ways:
            raise ValueError(f"{setting} needs a picture or a graph to alter, and {name} shows none; set it to 0")
        deranged(self._asked.items.tolist(), np.random.default_rng(0))  # which cannot be done to questions about one picture

    def watch(self, policy: Policy, iteration: int, success: float | None, *, aloud: bool) -> dict[str, float]:
        """Look, and warn where a policy that looked, or had not earned anything yet, does not look; return what is logged.

        Args:
            policy: is asked.
            iteration: for the warning.
            success: the share of its right answers in training, None where nobody knows.
            aloud: whether to warn.
        """
        look = self.look(policy)
        alarm = alarming(look, success)
        if alarm and aloud and not self._alarmed:
            warn(look, iteration, "picture" if self._asked.pictures else "graph")
        self._alarmed = alarm
        return {**look.metrics(), "looking/alarm": float(alarm)}

    def look(self, policy: Policy) -> Look:
        """Ask all questions in all ways."""
        asked = self._asked
        seen = self._kept or asked.seen(policy, (SHOWN, *asked.ways), self._luck)
        self._kept = seen if _bytes(seen) <= HELD else {}
        return judged(scored(policy, seen, asked.options), asked.truth, asked.items)

    def _luck(self, how: str) -> np.random.Generator:
        return np.random.default_rng(hash_seed(self._seed, how))


def judged(scores: dict[str, NDArray[np.float32]], truth: NDArray[np.int64], items: NDArray[np.int64]) -> Look:
    """Sum up what a policy thinks of the options of n questions.

    Args:
        scores: log-probabilities (n, k), -inf where there is no option, by how the pictures were altered.
        truth: (n,) which option is right.
        items: (n,) what the questions are about; those about one are not independent.
    """
    right = {how: (chosen(logprobs) == truth).astype(np.float64) for how, logprobs in scores.items()}
    without = BLANK if BLANK in scores else REWIRED
    several = np.isfinite(scores[SHOWN]).sum(1) > 1  # who offers one answer alone has no odds
    gains = np.full(len(truth), np.nan)
    gains[several] = picture_gain(scores[SHOWN][several], scores[without][several], truth[several])
    better = any(_above_0(values, items) for values in (right[SHOWN] - right[without], gains))
    chance = float((1 / np.isfinite(scores[SHOWN]).sum(1)).mean())
    return Look(
        {how: float(share.mean()) for how, share in right.items()},
        float(np.nanmean(gains)) if several.any() else 0.0,
        chance,
        better,
    )


def alarming(look: Look, success: float | None) -> bool:
    """Return whether a policy is right more often than by chance in training while its answers owe nothing to the picture.

    Args:
        look: what it answers.
        success: the share of its right answers in training, None where nobody knows; what words give counts as any other.
    """
    return success is not None and not look.better and success - look.chance >= ABOVE * (1 - look.chance)


def warn(look: Look, iteration: int, shown: str) -> None:
    """Say that a policy does not look.

    Args:
        look: what it answers.
        iteration: of training.
        shown: what the task shows, "picture" or "graph".
    """
    accuracy = look.accuracy
    without = BLANK if BLANK in accuracy else REWIRED
    instead = (
        "other edges" if without == REWIRED else {"picture": "a blank one", "graph": "neither features nor edges"}[shown]
    )
    warnings.warn_explicit(
        f"ALARM: it is not looking. At iteration {iteration}, {accuracy[SHOWN]:.1%} of the held-out questions are answered "
        f"rightly by choice with the {shown} and {accuracy[without]:.1%} with {instead} (the {shown} adds {look.gain:+.2f} "
        f"nats to the truth; a choice at random is right in {look.chance:.1%}), while training is right more often than "
        "that: it owes that to the words",
        NotLooking,
        "ssl4rl",
        0,
        "ssl4rl",
    )


def _above_0(values: NDArray[np.float64], clusters: NDArray[np.int64]) -> bool:
    finite = np.isfinite(values)
    if len(np.unique(clusters[finite])) < 2:
        return bool(values[finite].mean() > 0) if finite.any() else False
    return paired(values[finite], clusters[finite]).low > 0


def _bytes(seen: Seen) -> int:
    return sum(int(getattr(values, "nbytes", 0)) for shown in seen.values() for values in shown.values())
