"""Which answers may be given in a state of a task: those to the part that is asked, whose actions have an effect.

The task says so of each row (`Task.info`): which part of a mixture is asked, and `action_mask`. Policies that keep to it are
told beside what is shown, under `ANSWERABLE`; a graph network by the numbers of its actions, one that writes words by what
its task reads as them.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import permutations, product
from typing import Any

import numpy as np
from gymnasium import spaces
from numpy.typing import NDArray

from ssl4rl_envs.answers import AnswerFormat, wrap
from ssl4rl_envs.mixture import TASK
from ssl4rl_envs.task import Batch, Task

ANSWERABLE = "answerable"
"""What `answerable` says, among what is shown."""

MOST = 4096
"""Texts of a form that are looked at one by one."""

AT_ONCE = 64
"""Texts that are read at a time, each as the reply to a copy of the question."""

BETWEEN = ", "


def answerable(task: Task, batch: Batch) -> NDArray[np.int16] | None:
    """Return what may be answered in each row (n, 1 + actions): which part of a mixture is asked, then its action mask.

    None where the task is no mixture and all of its actions have an effect at all times.
    """
    facts = task.info(batch)
    mask, part = facts.get("action_mask"), facts.get(TASK)
    if mask is None and part is None:
        return None
    asked = np.zeros((len(batch), 1), np.int16) if part is None else np.asarray(part, np.int16)[:, None]
    return asked if mask is None else np.concatenate([asked, np.asarray(mask, np.int16)], axis=1)


@dataclass(frozen=True)
class Answers:
    """The answers to one part of a task in words, and which actions they are.

    Args:
        forms: an answer has one of them.
        texts: the answers of those forms that can be looked at one by one.
        needs: (texts, actions) bool, which places of an action mask each of them needs.
        free: the other forms, of which all may be said.
        freely: (actions,) bool, which places answers of those need.
        whole: whether the task reads all answers of these forms.
    """

    forms: tuple[AnswerFormat, ...]
    texts: tuple[bytes, ...]
    needs: NDArray[np.bool_]
    free: tuple[AnswerFormat, ...]
    freely: NDArray[np.bool_]
    whole: bool

    def allowed(self, mask: NDArray[np.bool_]) -> NDArray[np.bool_] | None:
        """Return which texts (texts,) an action mask (actions,) allows; None where all may be said that has such a form.

        A mask that forbids everything forbids nothing: something has to be said.

        Raises:
            ValueError: it forbids some answers of a form that has too many to look at.
        """
        if not len(mask):
            mask = np.ones(len(self.freely), bool)
        if not mask[self.freely].all():
            raise ValueError(
                f"rollout.constrained looks at up to {MOST} answers of a form one by one, and an action mask forbids some of "
                f"{[len(form.labels) for form in self.free]} labels in {[form.slots for form in self.free]} slots"
            )
        found = np.asarray(~(self.needs & ~mask).any(axis=1))
        if not (found.any() or self.free):
            found[:] = True
        return None if found.all() and self.whole else found


def answers_to(task: Task, question: Batch, forms: Sequence[AnswerFormat]) -> Answers:
    """Return the answers in words to one part of a task.

    Args:
        task: reads them.
        question: one that asks about the part.
        forms: of all answers to the task.

    Raises:
        ValueError: the task's own form has no answer.
    """
    read = {form: one for form in forms if (one := _FormRead.by(task, question, form)).answered.any()}
    whole = {text for one in read.values() if one.answered.all() for text in one.texts}
    # What is left of another part's form says nothing that a form of one's own does not say.
    kept = {form: one for form, one in read.items() if one.answered.all() or not set(one.texts) <= whole}
    if not kept:
        raise ValueError(f"{type(task).__name__} reads none of its own answers, {[form.labels for form in forms]}")
    listed = [one for one in kept.values() if one.listed]
    return Answers(
        tuple(kept),
        tuple(text.encode() for one in listed for text in one.texts),
        np.concatenate([np.zeros((0, _places(task.action_space)), bool), *(one.needs for one in listed)]),
        tuple(form for form, one in kept.items() if not one.listed),
        np.any(
            [np.zeros(_places(task.action_space), bool), *(one.needs.any(0) for one in kept.values() if not one.listed)], 0
        ),
        all(one.answered.all() for one in kept.values()),
    )


@dataclass(frozen=True)
class _FormRead:
    """What a task reads of the answers that have a form.

    Args:
        listed: whether these were all of them, or only some in which every label stands in every slot.
        answered: (answers,) bool, which it reads.
        texts: those that it reads.
        needs: (texts, actions) bool, which places of an action mask each of these needs.
    """

    listed: bool
    answered: NDArray[np.bool_]
    texts: tuple[str, ...]
    needs: NDArray[np.bool_]

    @classmethod
    def by(cls, task: Task, question: Batch, form: AnswerFormat) -> _FormRead:
        listed, labels = _count(form) <= MOST, len(form.labels)
        some = (form.format((np.arange(form.slots) + first) % labels) for first in range(labels))
        bodies = list(_texts(form) if listed else some)
        actions, answered = _read(task, question, bodies)
        texts = tuple(body for body, known in zip(bodies, answered.tolist(), strict=True) if known)
        return cls(listed, answered, texts, _needs(task.action_space, actions)[answered])


def begins(form: AnswerFormat, text: bytes, end: bytes, used: frozenset[int] = frozenset(), slot: int = 0) -> bool:
    """Return whether some answer of a form, and what follows it, `end`, begin with a text."""
    if slot == form.slots:
        return end.startswith(text)
    between = (BETWEEN if slot + 1 < form.slots else "").encode()
    for value, label in enumerate(form.labels):
        if form.distinct and value in used:
            continue
        said = label.encode() + between
        if said.startswith(text):
            return True
        if text.startswith(said) and begins(form, text[len(said) :], end, used | {value}, slot + 1):
            return True
    return False


def _count(form: AnswerFormat) -> int:
    return math.perm(len(form.labels), form.slots) if form.distinct else len(form.labels) ** form.slots


def _texts(form: AnswerFormat) -> Iterator[str]:
    chosen = permutations(form.labels, form.slots) if form.distinct else product(form.labels, repeat=form.slots)
    return map(BETWEEN.join, chosen)


def _read(task: Task, question: Batch, bodies: Sequence[str]) -> tuple[NDArray[Any], NDArray[np.bool_]]:
    """Return what a task reads of answers to a question, and which it reads."""
    actions, answered = [], []
    for start in range(0, len(bodies), AT_ONCE):
        replies = [wrap(body, "direct") for body in bodies[start : start + AT_ONCE]]
        read, known = task.parse_all(replies, question.rows(np.zeros(len(replies), np.int64)), "direct")
        actions.append(read)
        answered.append(known)
    return np.concatenate(actions), np.concatenate(answered)


def _places(space: spaces.Space[Any]) -> int:
    """Return how long an action mask is: one place an action, or, of several numbers, those of one after another's."""
    if isinstance(space, spaces.Discrete):
        return int(space.n)
    return int(space.nvec.sum()) if isinstance(space, spaces.MultiDiscrete) else 0


def _needs(space: spaces.Space[Any], actions: NDArray[Any]) -> NDArray[np.bool_]:
    """Return which places of an action mask actions (n, ...) need, (n, places)."""
    needs = np.zeros((len(actions), _places(space)), bool)
    if isinstance(space, spaces.Discrete):
        starts, flat = np.zeros(1, np.int64), (actions - space.start)[:, None]
    elif isinstance(space, spaces.MultiDiscrete):
        starts = np.concatenate([[0], np.cumsum(space.nvec.ravel())[:-1]])
        flat = actions.reshape(len(actions), -1) - space.start.ravel()
    else:
        return needs
    places = starts + flat
    inside = (places >= 0) & (places < needs.shape[1])
    rows = np.broadcast_to(np.arange(len(actions))[:, None], places.shape)
    needs[rows[inside], places[inside]] = True
    return needs
