"""Is it looking? The same held-out questions with true and with altered pictures: what remains then, words give."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ssl4rl_agents.choosing.altering import HOW, altered, deranged, pictures_in
from ssl4rl_agents.choosing.measures import chosen, picture_gain
from ssl4rl_agents.choosing.options import option_logprobs
from ssl4rl_agents.choosing.statistics import paired
from ssl4rl_agents.policies.policy import Policy
from ssl4rl_envs import Stream, Task, hash_seed
from ssl4rl_envs.graphs.rewiring import rewired
from ssl4rl_envs.interface import Interface
from ssl4rl_envs.task import Batch

SHOWN, BLANK, REWIRED = "shown", "blank", "rewired"
"""How questions are shown: as they are; altered as `altering.HOW` says; about graphs in words, with other edges."""

HELD = 2**28
"""Bytes of pictures that are kept from one look to the next; of more, questions are made anew each time."""

ABOVE = 0.1
"""The share of what there is above a choice at random that training must reach before not looking alarms anybody."""


class NotLooking(UserWarning):
    """Answers are no better with the picture than with a blank one, while training is right more often than by chance."""


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


@dataclass(frozen=True)
class Asked:
    """n questions as a policy takes them, with altered pictures or as they are.

    Args:
        observations: what is shown, by how it was altered.
        options: what each question offers, words or actions.
        truth: (n,) which of these is right.
    """

    observations: dict[str, dict[str, Any]]
    options: list[tuple[Any, ...]]
    truth: NDArray[np.int64]


class Probe:
    """Asks the same held-out questions whenever it is told to; nothing of training is touched.

    Args:
        task: what is asked.
        interface: the side of it that the policy sees, as it is.
        count: how many questions.
        split: of which items.

    Raises:
        ValueError: the answers to the task cannot be listed, it shows nothing that can be altered, or nearly all questions
            are about one item.
    """

    def __init__(self, task: Task, interface: Interface, count: int, split: str = "validation") -> None:
        self._task, self._interface, self._seed = task, interface, hash_seed(0, "looking")
        self._batch = task.sample(Stream.span(split, self._seed, 0, count))
        self._kept: Asked | None = None
        self._alarmed = False
        _require_choices(task, interface, self._batch)
        items = np.asarray(self._batch.items)
        self._items: NDArray[np.int64] = np.where(items >= 0, items, -1 - np.arange(count))
        deranged(self._items.tolist(), np.random.default_rng(0))  # which cannot be done to questions about one picture

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
            warn(look, iteration)
        self._alarmed = alarm
        return {**look.metrics(), "looking/alarm": float(alarm)}

    def look(self, policy: Policy) -> Look:
        """Ask all questions in all ways."""
        asked = self._kept or self._asked(policy)
        self._kept = asked if _bytes(asked) <= HELD else None
        scores = {how: option_logprobs(policy, seen, asked.options).numpy() for how, seen in asked.observations.items()}
        return judged(scores, asked.truth, self._items)

    def _asked(self, policy: Policy) -> Asked:
        batch, task = self._batch, self._task
        shown = policy.observe(self._interface, batch)
        offered = task.offered(batch)
        assert offered is not None, "the constructor has seen to it"
        least = int(np.asarray(task.no_answer)) + 1
        actions = [tuple((least + np.flatnonzero(row)).tolist()) for row in offered]
        truth = np.array([each.index(int(right)) for each, right in zip(actions, task.oracle(batch), strict=True)], np.int64)
        words = task.choices(batch) if self._interface.text else None
        groups = self._items.tolist()
        if not pictures_in(shown) and "edge_index" not in shown:  # a graph in words
            drawn = Stream.span("validation", self._seed, 0, len(batch)).branch(REWIRED)
            seen = {REWIRED: policy.observe(self._interface, rewired(task, batch, drawn))}
            return Asked({SHOWN: shown, **seen}, actions if words is None else list(words), truth)
        seen = {how: altered(shown, how, np.random.default_rng(hash_seed(self._seed, how)), groups=groups) for how in HOW}
        return Asked({SHOWN: shown, **seen}, actions if words is None else list(words), truth)


def _require_choices(task: Task, interface: Interface, batch: Batch) -> None:
    few = batch.rows(slice(0, 2))
    listed = task.choices(few) if interface.text else task.offered(few)
    if task.horizon > 1 or listed is None:
        raise ValueError(
            f"probe_every compares the answers that one decision offers, and {type(task).__name__} "
            f"{'takes several decisions' if task.horizon > 1 else 'has answers that cannot be listed'}; leave it out"
        )
    shown = interface.observe(few)
    if not pictures_in(shown) and "edge_index" not in {*shown, *few.observation}:
        raise ValueError(
            f"probe_every needs a picture or a graph to alter, and {type(task).__name__} shows none; leave it out"
        )


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


def warn(look: Look, iteration: int) -> None:
    """Say that a policy does not look."""
    accuracy = look.accuracy
    without = accuracy.get(BLANK, accuracy.get(REWIRED, 0.0))
    warnings.warn_explicit(
        f"ALARM: it is not looking. At iteration {iteration}, {accuracy[SHOWN]:.1%} of the held-out questions are answered "
        f"rightly by choice with the picture and {without:.1%} with a blank one (the picture adds {look.gain:+.2f} "
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


def _bytes(asked: Asked) -> int:
    return sum(int(getattr(values, "nbytes", 0)) for seen in asked.observations.values() for values in seen.values())
