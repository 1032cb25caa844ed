"""Questions of a task that are answered by choice: what each offers, which is right, and what is seen of them when altered.

The probe of training, downstream sets, the habits of pretrained models and the declared experiment all ask like this, and
differ in what they make of the log-probabilities.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from ssl4rl_agents.choosing.altering import HOW, altered, pictures_in
from ssl4rl_agents.choosing.options import option_logprobs
from ssl4rl_agents.policies.policy import Policy
from ssl4rl_agents.runtime.device import autocast
from ssl4rl_envs import Stream, Task
from ssl4rl_envs.graphs.rewiring import rewired
from ssl4rl_envs.interface import Interface
from ssl4rl_envs.kinds import HABIT
from ssl4rl_envs.task import Batch

SHOWN, BLANK, SWAPPED, REWIRED = "shown", "blank", "swapped", "rewired"
ALTERED = (*HOW, REWIRED)
"""What is seen of questions: what they show; altered as `altering.HOW` says; of graphs in words, other edges."""

Seen = dict[str, dict[str, Any]]
"""What a policy takes of questions, by how it was altered."""

Luck = Callable[[str], np.random.Generator]
"""Decides what is swapped and in which order pixels are, by how pictures are altered."""


@dataclass(frozen=True)
class Asked:
    """n questions of a task, each with answers that are listed.

    Args:
        interface: the side of the task on which they are put.
        stream: what they were drawn with.
        batch: the questions, as the task has them.
        actions: what each offers, as actions.
        labels: the same in words; where the task has none, the actions written down.
        truth: (n,) which of these is right.
        favoured: (n,) which of these the words suggest; None where the task does not say.
        kinds: (n,) what each asks about, by the names of the task's levels; empty where the task does not say.
        items: (n,) what each is about; one that is about nothing that others may be about has a negative number of its own.
    """

    interface: Interface
    stream: Stream
    batch: Batch
    actions: list[tuple[int, ...]]
    labels: list[tuple[str, ...]]
    truth: NDArray[np.int64]
    favoured: NDArray[np.int64] | None
    kinds: list[str]
    items: NDArray[np.int64]

    @property
    def options(self) -> Sequence[tuple[Any, ...]]:
        """What each question offers, as a policy of its interface answers: words or actions."""
        return self.labels if self.interface.text else self.actions

    @property
    def congruent(self) -> NDArray[np.bool_]:
        """Whether the words suggest the right answer, (n,).

        Raises:
            ValueError: the task does not say what they suggest.
        """
        if self.favoured is None:
            raise ValueError(f"{type(self.interface.task).__name__} does not say which answers its words suggest")
        return np.asarray(self.favoured == self.truth, np.bool_)

    @property
    def pictures(self) -> bool:
        """Whether they show pictures."""
        return bool(pictures_in(self._first()))

    @property
    def ways(self) -> tuple[str, ...]:
        """How what they show can be altered: pictures and graphs as `HOW` says, graphs in words `REWIRED`; or not."""
        if self.pictures or "edge_index" in self._first():
            return HOW
        return (REWIRED,) if "edge_index" in self.batch.observation else ()

    def _first(self) -> dict[str, Any]:
        return self.interface.observe(self.batch.rows(slice(0, 1)))

    def truth_first(self) -> Asked:
        """Return the same questions, each with the right option before the others."""
        orders = [
            [right, *(place for place in range(len(each)) if place != right)]
            for each, right in zip(self.actions, self.truth.tolist(), strict=True)
        ]
        return replace(
            self,
            actions=[tuple(each[place] for place in order) for each, order in zip(self.actions, orders, strict=True)],
            labels=[tuple(each[place] for place in order) for each, order in zip(self.labels, orders, strict=True)],
            truth=np.zeros_like(self.truth),
            favoured=None if self.favoured is None else _places(orders, self.favoured),
        )

    def seen(self, policy: Policy, ways: Sequence[str], luck: Luck, *, by_item: bool = True) -> Seen:
        """Return what a policy takes of the questions, altered in several ways.

        Args:
            policy: that is to be asked.
            ways: `SHOWN`, as they are, and some of `self.ways`.
            luck: as of `Luck`.
            by_item: swap pictures between questions about different items alone, and not between any.

        Raises:
            ValueError: what is shown cannot be altered like that.
            NothingToSwapError: how is "swapped", and nearly all questions are about one item.
        """
        shown = policy.observe(self.interface, self.batch)
        groups = self.items.tolist() if by_item else None
        seen: Seen = {}
        for how in ways:
            if how == SHOWN:
                seen[how] = shown
            elif how == REWIRED:
                batch = rewired(self.interface.task, self.batch, self.stream.branch(REWIRED))
                seen[how] = policy.observe(self.interface, batch)
            else:
                seen[how] = altered(shown, how, luck(how), groups=groups)
        return seen


def obstacle(task: Task, batch: Batch, *, words: bool) -> str:
    """Return what a task does for which its questions cannot be asked by choice; nothing where they can.

    Args:
        task: that asks.
        batch: some of its questions.
        words: whether the answers are to be chosen among words, and not among actions.
    """
    if task.horizon > 1:
        return "takes several decisions"
    listed: Sequence[Any] | NDArray[np.bool_] | None = task.choices(batch) if words else task.offered(batch)
    return "has answers that cannot be listed" if listed is None else ""


def drawn(interface: Interface, stream: Stream) -> Asked:
    """Draw questions of a task, and list what they offer.

    Args:
        interface: the side of the task on which they are put.
        stream: of n rows.

    Raises:
        ValueError: see `obstacle`.
    """
    task = interface.task
    batch = task.sample(stream)
    why = obstacle(task, batch, words=interface.text)
    if why:
        raise ValueError(f"questions are asked by choice among the answers to one decision, and {type(task).__name__} {why}")
    offered = task.offered(batch)
    assert offered is not None, "what has words for all actions has actions"
    least = int(np.asarray(task.no_answer)) + 1
    actions = [tuple((least + np.flatnonzero(row)).tolist()) for row in offered]
    labels = task.choices(batch) or [tuple(map(str, each)) for each in actions]
    items, favoured = np.asarray(batch.items), batch.memory.get(HABIT)
    return Asked(
        interface,
        stream,
        batch,
        actions,
        labels,
        _places(actions, task.oracle(batch)),
        None if favoured is None else _places(actions, favoured),
        _kinds(task, batch),
        np.where(items >= 0, items, -1 - np.arange(len(batch))),
    )


def scored(policy: Policy, seen: Seen, options: Sequence[Sequence[Any]]) -> dict[str, NDArray[np.float32]]:
    """Return the log-probabilities of options, (n, k), -inf where a question has fewer, by how they were altered."""
    return {how: option_logprobs(policy, observations, options).numpy() for how, observations in seen.items()}


@torch.no_grad()
def replies(policy: Policy, observations: dict[str, Any]) -> Any:
    """Return the likeliest reply, token by token, to each of n questions: words, or actions (n, ...)."""
    with autocast(policy, next(policy.parameters()).device):
        samples = policy.generate(policy.encode(observations), deterministic=True)
    return policy.decode(samples.tokens, samples.mask, samples.truncated)


def _places(listed: Sequence[Sequence[int]], wanted: NDArray[Any]) -> NDArray[np.int64]:
    """Return where in lists (n) one number of each stands, (n,)."""
    return np.array([each.index(number) for each, number in zip(listed, wanted.tolist(), strict=True)], np.int64)


def _kinds(task: Task, batch: Batch) -> list[str]:
    """Return what each question asks about: the level of that number where the task says `kind`."""
    found = task.info(batch).get("kind")
    if found is None:
        return [""] * len(batch)
    names = task.kind_names
    return [names[kind] if kind < len(names) else str(kind) for kind in np.asarray(found).tolist()]
