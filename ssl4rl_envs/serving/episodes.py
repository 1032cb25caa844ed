"""Episodes: questions asked and answered by their keys, many at once.

A question is a seed, an index and the answers given so far. Everything else is made again from these when it is needed, so a
server keeps a few numbers for a session, however large the pictures are, and questions of many sessions are one batch.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ssl4rl_envs import answers
from ssl4rl_envs.actions import inside
from ssl4rl_envs.briefly import briefly
from ssl4rl_envs.composite import Composite
from ssl4rl_envs.covered import Covered
from ssl4rl_envs.png import to_base64, to_png
from ssl4rl_envs.stream import Stream, check_split
from ssl4rl_envs.task import Batch, Task

Said = str | NDArray[Any]
"""An answer: the words of a reply, or an action."""


@dataclass(frozen=True)
class Question:
    """Where a question is from, and what it was answered so far."""

    seed: int
    index: int
    given: tuple[NDArray[Any], ...] = ()
    ended: bool = False


@dataclass(frozen=True)
class Result:
    """What a client is told after a question was asked (`reward` is None) or answered; all of it plain data."""

    question: Question
    observation: dict[str, Any]
    reward: float | None
    facts: dict[str, Any]

    @property
    def data(self) -> dict[str, Any]:
        """As OpenEnv puts it on the wire."""
        shown = {**self.observation, "metadata": self.facts}
        return {"observation": shown, "reward": self.reward, "done": self.question.ended, "metadata": self.facts}


class Episodes:
    """Asks and scores questions of a task, a whole batch at a time; it keeps nothing between calls.

    Args:
        task: what is asked.
        split: whose items are asked about.
        prompt_style, grammar: as of the environments.
        arrays: whether observations hold the task's arrays beside pictures and words.

    Raises:
        ValueError: an argument is not one of its values.
    """

    def __init__(self, task: Task, split: str, prompt_style: str = "direct", grammar: str = "strict", arrays: bool = False):
        self.task, self.split, self.arrays = task, check_split(split), arrays or not task.has_text
        self.prompt_style, self.grammar = answers.check_style(prompt_style), answers.check_grammar(grammar)
        task.sample(Stream.span(split, 0, 0, 1))  # an empty split is an error here, not at the first question

    def action(self, value: Any) -> NDArray[Any]:
        """Return an action from plain data.

        Raises:
            ValueError: it lies outside the action space.
        """
        space = self.task.action_space
        try:
            given = np.asarray([value])
        except ValueError:  # lists of unequal lengths
            given = np.asarray([None])
        if not inside(space, given)[0]:
            raise ValueError(f"an action lies in {space}, got {briefly(value)}")
        chosen: NDArray[Any] = given.astype(space.dtype)[0]
        return chosen

    def ask(self, questions: Sequence[Question]) -> list[Result]:
        """Show what is asked."""
        state = self._state(questions)
        each = zip(questions, self._observations(state), self._facts(questions, state), strict=True)
        return [Result(question, shown, None, facts) for question, shown, facts in each]

    def answer(self, questions: Sequence[Question], said: Sequence[Said]) -> list[Result]:
        """Take one decision in each; words are read as the environments read them."""
        state = self._state(questions)
        decided, valid = self._read(said, state)
        step = self.task.advance(state, decided)
        turns = np.array([len(question.given) + 1 for question in questions])
        over = (step.terminated | (turns >= self.task.horizon)).tolist()
        after = [
            replace(question, given=(*question.given, answer), ended=end)
            for question, answer, end in zip(questions, decided, over, strict=True)
        ]
        # Where one decision is an episode, nothing has changed that would be worth showing again.
        observations = self._observations(step.state) if self.task.horizon > 1 else [{} for _ in questions]
        facts, parsed, truths = self._facts(after, step.state), self.task.format_all(decided, state), self._truths(state)
        for row, fact in enumerate(facts):
            fact |= {"success": bool(step.score.success[row]), "valid": bool(valid[row]), "parsed": parsed[row]}
            fact |= {"truth": truths[row]} if over[row] else {}
        each = zip(after, observations, step.score.reward.tolist(), facts, strict=True)
        return [Result(*result) for result in each]

    def _state(self, questions: Sequence[Question]) -> Batch:
        """Make the questions again, and take the decisions that were taken."""
        stream = Stream(self.split, [each.seed for each in questions], [each.index for each in questions])
        state = self.task.sample(stream)
        for turn in range(max(len(each.given) for each in questions)):
            rows = np.array([len(each.given) > turn for each in questions])
            given = np.stack([each.given[turn] for each in questions if len(each.given) > turn])
            state = state.replace(rows, self.task.advance(state.rows(rows), given).state)
        return state

    def _read(self, said: Sequence[Said], state: Batch) -> tuple[NDArray[Any], NDArray[np.bool_]]:
        """Return what was answered, (n, ...) and `no_answer` where nothing was, and where something was, (n,)."""
        decided, valid = np.repeat(self.task.no_answer[None], len(said), axis=0), np.zeros(len(said), bool)
        texts = {row: each for row, each in enumerate(said) if isinstance(each, str)}
        if texts:
            rows = np.array(list(texts))
            read = self.task.parse_all(list(texts.values()), state.rows(rows), self.prompt_style, self.grammar)
            decided[rows], valid[rows] = read
        for row, each in enumerate(said):
            if not isinstance(each, str):
                decided[row], valid[row] = each, self.task.valid(each[None])[0]
        return decided, valid

    def _truths(self, state: Batch) -> list[Any]:
        return self.task.truths(state) if self.task.has_text else self.task.oracle(state).tolist()

    def _facts(self, questions: Sequence[Question], state: Batch) -> list[dict[str, Any]]:
        """Return what everybody may know beside what is shown, by row."""
        told = {name: values.tolist() for name, values in self.task.info(state).items()}
        return [
            {"seed": each.seed, "index": each.index, "turn": len(each.given), **{name: told[name][row] for name in told}}
            for row, each in enumerate(questions)
        ]

    def _observations(self, state: Batch) -> list[dict[str, Any]]:
        shown: list[dict[str, Any]] = [
            {"images": [_shown(state.observation[name][row]) for name in self.task.images]} for row in range(len(state))
        ]
        if self.task.has_text:
            choices = dict(_choices(self.task, state, np.arange(len(state))))
            for row, prompt in enumerate(self.task.prompts(state, self.prompt_style)):
                shown[row] |= {"prompt": prompt, "choices": choices[row]}
        if self.arrays:
            for name in sorted(set(state.observation) - set(self.task.images)):
                for row, values in enumerate(state.observation[name].tolist()):
                    shown[row].setdefault("arrays", {})[name] = values
        return shown


def _shown(picture: NDArray[np.uint8]) -> str:
    """Return a picture as clients get it; pressed quickly rather than small, since it is looked at once."""
    return to_base64(to_png(picture, compress_level=1))


def _choices(task: Task, state: Batch, rows: NDArray[np.int64]) -> Iterator[tuple[int, dict[str, Any] | None]]:
    """Give what answers to each row are made of: the labels, how many of them, and whether they must differ."""
    if isinstance(task, Composite) and not isinstance(task, Covered):
        for number, own, part in task.asked(state):
            yield from _choices(task.tasks[number], part, rows[own])
        return
    written = task.answer_format if len(task.answer_formats) == 1 else None  # what has several forms is typed
    said = None
    if written is not None:
        said = {"labels": list(written.labels), "slots": written.slots, "distinct": written.distinct}
    yield from ((int(row), said) for row in rows)
