"""Actions that look at a part of what is hidden, or answer: the space of both, and how one is told from the other."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from typing import Any

import numpy as np
from gymnasium import spaces
from numpy.typing import NDArray

from ssl4rl_envs.actions import inside
from ssl4rl_envs.patches import NO_LOOK

Actions = NDArray[Any]


class LookOrAnswer(ABC):
    """Actions by which an agent looks at one of some patches or gives an answer.

    Args:
        patches: how many patches there are, numbered from 0.
        answers: the space of answers.

    Attributes:
        space: the actions.
    """

    space: spaces.Discrete | spaces.MultiDiscrete | spaces.Box

    def __init__(self, patches: int, answers: spaces.Space) -> None:  # type: ignore[type-arg]
        self.patches, self.answers = patches, answers

    @abstractmethod
    def looks(self, actions: Actions) -> NDArray[np.int64]:
        """Return the patches that actions (n, ...) look at, (n,), `NO_LOOK` where they look at none."""

    @abstractmethod
    def narrow(self, actions: Actions) -> Actions:
        """Return what actions (n, ...) say as answers; of those that look at a patch that is anything."""

    @abstractmethod
    def answering(self, answers: Actions) -> Actions:
        """Return the actions that give answers (n, ...)."""

    @abstractmethod
    def looking(self, patches: NDArray[np.int64]) -> Actions:
        """Return the actions that look at patches (n,)."""

    def mask(self, looks: NDArray[np.bool_], answers: NDArray[np.int8] | None = None) -> NDArray[np.int8] | None:
        """Return which actions have an effect as masks are written; None where answers are endless.

        That is one number an action, or, of several slots, those of one slot after those of another.

        Args:
            looks: (n, patches) which patches there is something to see in.
            answers: the mask of the answers, (n, ...), as theirs is written; all have an effect if not given.
        """
        del looks, answers
        return None


class OneNumber(LookOrAnswer):
    """Answers are one number: first all patches, then all answers."""

    answers: spaces.Discrete

    def __init__(self, patches: int, answers: spaces.Discrete) -> None:
        super().__init__(patches, answers)
        self.space = spaces.Discrete(patches + int(answers.n))

    def looks(self, actions: Actions) -> NDArray[np.int64]:
        """Return the patches that are looked at."""
        return np.where(inside(self.space, actions) & (actions < self.patches), actions, NO_LOOK).astype(np.int64)

    def narrow(self, actions: Actions) -> Actions:
        """Return the answers, outside of their space for looks."""
        return actions - self.patches + int(self.answers.start)

    def answering(self, answers: Actions) -> Actions:
        """Return the actions of answers."""
        return answers - int(self.answers.start) + self.patches

    def looking(self, patches: NDArray[np.int64]) -> Actions:
        """Return the actions of looks."""
        return patches.astype(self.space.dtype)

    def mask(self, looks: NDArray[np.bool_], answers: NDArray[np.int8] | None = None) -> NDArray[np.int8]:
        """Return (n, patches + answers)."""
        allowed = np.ones((len(looks), int(self.answers.n)), np.int8) if answers is None else answers
        return np.concatenate([looks.astype(np.int8), allowed], axis=1)


class SeveralNumbers(LookOrAnswer):
    """Answers are several whole numbers: before them stands 0, or the number of a patch, counted from 1, to look at."""

    answers: spaces.MultiDiscrete

    def __init__(self, patches: int, answers: spaces.MultiDiscrete) -> None:
        super().__init__(patches, answers)
        counts, starts = (
            [first, *values.ravel().tolist()] for first, values in ((patches + 1, answers.nvec), (0, answers.start))
        )
        self.space = spaces.MultiDiscrete(counts, start=starts)

    def looks(self, actions: Actions) -> NDArray[np.int64]:
        """Return the patches that are looked at, whatever stands behind them."""
        return np.where(inside(self.space, actions), actions[:, 0] - 1, NO_LOOK).astype(np.int64)

    def narrow(self, actions: Actions) -> Actions:
        """Return what stands behind the first number."""
        return actions[:, 1:].reshape(len(actions), *self.answers.nvec.shape)

    def answering(self, answers: Actions) -> Actions:
        """Return the answers behind a 0."""
        flat = _flat(answers)
        return np.concatenate([np.zeros((len(flat), 1), flat.dtype), flat], axis=1)

    def looking(self, patches: NDArray[np.int64]) -> Actions:
        """Return the numbers of patches before the least answer."""
        least = np.broadcast_to(self.answers.start.ravel(), (len(patches), self.answers.start.size))
        return np.concatenate([patches[:, None] + 1, least], axis=1).astype(self.space.dtype)

    def mask(self, looks: NDArray[np.bool_], answers: NDArray[np.int8] | None = None) -> NDArray[np.int8]:
        """Return (n, 1 + patches + all values of all slots)."""
        one = np.ones((len(looks), 1), np.int8)
        allowed = np.ones((len(looks), int(self.answers.nvec.sum())), np.int8) if answers is None else answers
        return np.concatenate([one, looks.astype(np.int8), allowed], axis=1)


class Painted(LookOrAnswer):
    """Answers are numbers on a scale: before them stands one more, which answers at -1 and looks at the last patch at 1."""

    answers: spaces.Box

    def __init__(self, patches: int, answers: spaces.Box) -> None:
        super().__init__(patches, answers)
        low, high = (
            np.concatenate([np.array([first], answers.dtype), ends.ravel()])
            for first, ends in ((-1, answers.low), (1, answers.high))
        )
        self.space = spaces.Box(low, high, dtype=answers.dtype.type)

    def looks(self, actions: Actions) -> NDArray[np.int64]:
        """Return the patches that are looked at: [-1, 1] is divided evenly among answering and the patches."""
        asked = np.floor((actions[:, 0].astype(np.float64) + 1) / 2 * (self.patches + 1))
        asked = np.where(np.isfinite(asked), np.clip(asked, 0, self.patches), 0) - 1
        return np.where(inside(self.space, actions), asked, NO_LOOK).astype(np.int64)

    def narrow(self, actions: Actions) -> Actions:
        """Return what stands behind the first number."""
        return actions[:, 1:].reshape(len(actions), *self.answers.shape)

    def answering(self, answers: Actions) -> Actions:
        """Return the answers behind a -1."""
        flat = _flat(answers)
        return np.concatenate([np.full((len(flat), 1), -1, flat.dtype), flat], axis=1)

    def looking(self, patches: NDArray[np.int64]) -> Actions:
        """Return the middle of a patch's share of the scale, before zeros within bounds."""
        first = (2 * patches + 3) / (self.patches + 1) - 1
        rest = np.clip(np.zeros((len(patches), self.answers.low.size)), self.answers.low.ravel(), self.answers.high.ravel())
        return np.concatenate([first[:, None], rest], axis=1).astype(self.space.dtype)


def _flat(answers: Actions) -> Actions:
    """Return n answers with their numbers in a row, (n, numbers); n may be 0."""
    return answers.reshape(len(answers), math.prod(answers.shape[1:]))


def look_or_answer(patches: int, answers: spaces.Space) -> LookOrAnswer:  # type: ignore[type-arg]
    """Return the actions for so many patches and answers of a space.

    Raises:
        TypeError: no task answers like this.
    """
    if isinstance(answers, spaces.Discrete):
        return OneNumber(patches, answers)
    if isinstance(answers, spaces.MultiDiscrete):
        return SeveralNumbers(patches, answers)
    if isinstance(answers, spaces.Box):
        return Painted(patches, answers)
    raise TypeError(f"answers of a task that is looked at are Discrete, MultiDiscrete or Box, got {answers}")
