"""MultipleChoice: one wording for the answers of all tasks, around any task that has a few: options with letters."""

from __future__ import annotations

import dataclasses
from functools import cached_property
from string import ascii_uppercase
from typing import Any, Self

import numpy as np
from gymnasium import spaces
from numpy.typing import NDArray

from ssl4rl_envs.answers import AnswerFormat
from ssl4rl_envs.kinds import HABIT
from ssl4rl_envs.mixture import Parts
from ssl4rl_envs.stream import Stream
from ssl4rl_envs.task import Batch, Score, Task

OPTIONS = "options"
"""What an observation holds beside the task's own."""

ASKED = "multiple_choice.target"
"""What is remembered: the target as the task inside has it."""

NONE = -1
"""Stands in the place of an option that there is not."""

MOST_LETTERS = len(ascii_uppercase)
"""Most options of a question."""

SAMPLED = 256
"""Questions by which chance is found."""


class MultipleChoice(Task):
    """A task's questions, whose answers are listed in an order of their own and are given by a letter.

    "Which half of this picture is brighter? ... Options: (A) right, (B) left. Which option is it? Answer with its letter." So
    all tasks have their answers in common, and none teaches words of its own: whoever answers has to read what a letter
    stands for, because the order is drawn anew for every question. Question i is that of the task without it.

    An observation holds `options` beside what the task shows: int64 (letters,), which action of the task each letter stands
    for, counted from its first one; -1 for letters that a question has no use for. Actions are letters.

    Args:
        task: what is asked, in one decision; its answers can be counted, and at most 26 are offered.

    Raises:
        ValueError: it has several decisions, no words, or answers that no letters can stand for.
    """

    asks = "what the task inside asks, of options with letters"

    def __init__(self, task: Task) -> None:
        name, space = type(task).__name__, task.action_space
        if task.horizon != 1:
            raise ValueError(f"{name} takes up to {task.horizon} decisions; multiple_choice is for tasks of one")
        if not task.has_text:
            raise ValueError(f"{name} has no answers in words, so there are no options to list for multiple_choice")
        if not isinstance(space, spaces.Discrete) or task.most_offered > MOST_LETTERS:
            raise ValueError(
                f"multiple_choice lists up to {MOST_LETTERS} answers, each of one number; those of {name} are {space}"
            )
        self.task, self.images, self._actions = task, task.images, space
        self._letters = letters = task.most_offered
        self.action_space = spaces.Discrete(letters)
        self.answer_format = AnswerFormat(tuple(ascii_uppercase[:letters]))
        options = spaces.Box(NONE, int(space.n) - 1, (letters,), np.int64)
        self.observation_space = spaces.Dict({**task.observation_space.spaces, OPTIONS: options})

    @cached_property
    def chance(self) -> float:
        """What any letter earns: the mean over all that is offered, since the order tells nothing."""
        batch = self.sample(Stream.span("train", 0, 0, SAMPLED).branch("chance"))
        offered = batch.observation[OPTIONS] != NONE
        paid = [self.score(np.full(len(batch), letter), batch).reward for letter in range(offered.shape[1])]
        return round(float(((np.stack(paid, axis=1) * offered).sum(axis=1) / offered.sum(axis=1)).mean()), 6)

    @property
    def kind_names(self) -> tuple[str, ...]:
        """Those of the task inside."""
        return self.task.kind_names

    @property
    def stream_key(self) -> int:
        """The task's own: what is asked does not depend on how answers are listed."""
        return self.task.stream_key

    def paired(self, word: str) -> Self:
        """Return a copy around a task that is paired by this word."""
        copied = super().paired(word)
        copied.task = self.task.paired(word)
        return copied

    def reason_for(self, shortcut: str) -> str | None:
        """Return what the task inside says."""
        return self.task.reason_for(shortcut)

    def make(self, stream: Stream) -> Batch:
        """Make the task's instances, and draw the order of their options."""
        batch = self.task.make(stream)
        offered = self.task.offered(batch)
        assert offered is not None  # since actions are numbers
        shuffled = stream.branch("options").permutation(offered.shape[1])
        there = np.take_along_axis(offered, shuffled, axis=1)
        places = np.argsort(~there, axis=1, kind="stable")[:, : self._letters]
        options = np.where(
            np.take_along_axis(there, places, axis=1), np.take_along_axis(shuffled, places, axis=1), NONE
        ).astype(np.int64)
        habits = {HABIT: self._named(batch.memory[HABIT], options)} if HABIT in batch.memory else {}
        return dataclasses.replace(
            batch,
            observation={**batch.observation, OPTIONS: options},
            target=self._named(self.task.oracle(batch), options),
            memory={**batch.memory, **habits, ASKED: batch.target},
        )

    def score(self, answers: NDArray[Any], batch: Batch) -> Score:
        """Score what letters stand for as the task inside does; letters without an option get 0."""
        valid = self.valid(answers)
        meant = self._meant(np.where(valid, answers, 0), batch)
        return self.task.score(np.where(valid, meant, self.task.no_answer).astype(self._actions.dtype), self._inner(batch))

    def info(self, batch: Batch) -> dict[str, NDArray[Any]]:
        """Return the public facts of the task inside, and `action_mask`, (n, letters) int8, 1 for those that are options."""
        facts = self.task.info(self._inner(batch))
        return {**facts, "action_mask": (batch.observation[OPTIONS] != NONE).astype(np.int8)}

    def question(self, batch: Batch) -> list[str]:
        """Ask in the words of the task inside, then list the options."""
        start, listed = int(self._actions.start), batch.observation[OPTIONS]
        words = {place: self.task.format(start + place) for place in np.unique(listed[listed != NONE]).tolist()}
        said = []
        for question, options in zip(self.task.question(self._inner(batch)), listed.tolist(), strict=True):
            there = [f"({ascii_uppercase[letter]}) {words[place]}" for letter, place in enumerate(options) if place != NONE]
            said.append(f"{question} Options: {', '.join(there)}. Which option is it? Answer with its letter.")
        return said

    def example(self) -> Any:
        """Return the first letter."""
        return 0

    def pictures(self, batch: Batch, row: int) -> dict[str, NDArray[np.uint8]]:
        """Return the pictures of the task inside."""
        return self.task.pictures(self._inner(batch), row)

    def illustrate(self, answer: Any, batch: Batch, row: int) -> dict[str, NDArray[np.uint8]]:
        """Return the pictures of what a letter stands for, as the task inside draws them."""
        letter = np.asarray(answer)[None]
        there = self.valid(letter)[0]
        meant = self._meant(letter, batch.rows(slice(row, row + 1)))[0] if there else self.task.no_answer
        return self.task.illustrate(meant, self._inner(batch), row)

    def rationale(self, batch: Batch) -> list[str]:
        """Say why as the task inside does, and which letter that is."""
        letters = self.truths(batch)
        reasons = self.task.rationale(self._inner(batch))
        return [f"{why} That is option {letter}." for why, letter in zip(reasons, letters, strict=True)]

    def _meant(self, letters: NDArray[Any], batch: Batch) -> NDArray[Any]:
        """Return the task's own actions (n,) that letters (n,) stand for, `no_answer` where there is no such option."""
        places = batch.observation[OPTIONS][np.arange(len(batch)), letters]
        return np.where(places == NONE, self.task.no_answer, places + int(self._actions.start))

    def _named(self, actions: NDArray[Any], options: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return the letters (n,) that stand for the task's own actions (n,)."""
        places = np.asarray(actions)[:, None] - int(self._actions.start)
        return np.asarray((options == places).argmax(axis=1), np.int64)

    def _inner(self, batch: Batch) -> Batch:
        """Return the instances as the task itself made them."""
        observation = {name: values for name, values in batch.observation.items() if name != OPTIONS}
        memory = {name: values for name, values in batch.memory.items() if name != ASKED}
        if HABIT in memory:
            memory[HABIT] = self._meant(memory[HABIT], batch)
        return dataclasses.replace(batch, observation=observation, target=batch.memory[ASKED], memory=memory)


def as_multiple_choice(task: Task) -> Task:
    """Return a task with its answers listed as options; of a mixture, with those of each part.

    Raises:
        ValueError: as `MultipleChoice`.
    """
    if isinstance(task, Parts):
        return Parts([MultipleChoice(part) for part in task.tasks], task.weights.tolist())
    return MultipleChoice(task)
