"""What is said of a task: how it is asked and shown, how replies are read, and how answers are written.

The other half of the contract, what is asked and what answers are worth, is `ssl4rl_envs.task.Task`, which builds on this.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from ssl4rl_envs import answers, lenient
from ssl4rl_envs.answers import AnswerFormat
from ssl4rl_envs.briefly import briefly

if TYPE_CHECKING:
    from ssl4rl_envs.task import Batch

MAX_PROMPT = 16_384
"""Longest prompt, in characters."""

MAX_REPLY = 16_384
"""Longest reply that can score, in characters."""

MOST_CHOICES = 32
"""Most answers of a question that are listed one by one."""


class Speech(ABC):
    """Questions and answers in words and pictures.

    A task writes `question` and `example`, and names an `answer_format`; prompts, reading and writing follow from these. A
    task whose words are its own writes `read` and `format`; one whose answers words do not describe, `illustrate`.

    Attributes:
        asks: what the task asks, in a few words.
        images: the keys of the observation that are uint8 RGB pictures (height, width, 3), in the order of showing,
            which is alphabetical, because that is how Gymnasium orders the keys of a Dict space.
        answer_format: how an answer is written, or None for a task that has no text interface.
    """

    asks: ClassVar[str]
    images: tuple[str, ...]
    answer_format: AnswerFormat | None

    # What speech must know of answers; `Task` says it.

    @property
    @abstractmethod
    def no_answer(self) -> NDArray[Any]:
        """What stands in the place of an answer that could not be read."""

    @abstractmethod
    def valid(self, answers: NDArray[Any]) -> NDArray[np.bool_]:
        """Return which answers (n, ...) mean something, (n,)."""

    @abstractmethod
    def oracle(self, batch: Batch) -> NDArray[Any]:
        """Return the right answers (n, ...)."""

    @abstractmethod
    def offered(self, batch: Batch) -> NDArray[np.bool_] | None:
        """Return which actions each of n questions offers, (n, actions); None where actions are not single numbers."""

    # What a task says.

    @abstractmethod
    def question(self, batch: Batch) -> list[str]:
        """Put the question in words, one string an instance, printable ASCII, without the instructions how to reply."""

    @abstractmethod
    def example(self) -> Any:
        """Return a valid answer for the instructions to show; the same for all instances."""

    def caption(self, batch: Batch) -> list[str]:
        """Return what stands below the pictures of n questions, for people; by default the questions."""
        return self.question(batch)

    def pictures(self, batch: Batch, row: int) -> dict[str, NDArray[np.uint8]]:
        """Return the pictures of one instance by name, as people are to see them."""
        return {name: batch.observation[name][row] for name in self.images}

    def illustrate(self, answer: Any, batch: Batch, row: int) -> dict[str, NDArray[np.uint8]]:
        """Return pictures that show an answer and the truth ("true"), for answers that words do not describe; else none."""
        del answer, batch, row
        return {}

    def rationale(self, batch: Batch) -> list[str]:
        """Say why a teacher decides as `Task.demonstrate` does, one printable line of ASCII a row, without tags.

        For lessons and for people: it may know all that the drawer of a question knows, and says nothing else. By default
        what was to be found and what it is.
        """
        asked = type(self).asks[:1].upper() + type(self).asks[1:]
        return [f"{asked}: {'as it is painted' if truth is None else truth}." for truth in self.truths(batch)]

    def read(self, body: str) -> NDArray[Any] | None:
        """Read what stands between the tags of a reply; None where it is not one answer.

        Raises:
            ValueError: the task has no text answers.
        """
        return self._written_as().parse(body)

    def format(self, answer: Any) -> str:
        """Write an answer in words, without tags; `read` reads it back.

        Raises:
            ValueError: the task has no text answers.
        """
        return self._written_as().format(answer)

    # What follows from it.

    @property
    def answer_formats(self) -> tuple[AnswerFormat, ...]:
        """The forms that an answer may have in words: `answer_format`, and others where answers are of several kinds."""
        return () if self.answer_format is None else (self.answer_format,)

    @property
    def has_text(self) -> bool:
        """Whether the task can be answered in words."""
        return self.answer_format is not None

    def prompts(self, batch: Batch, style: str = "direct") -> list[str]:
        """Return the whole prompts: each question with the instructions of `style`, of which "tool" has none."""
        return with_instructions(self, self.question(batch), style)

    def parse(self, text: str, style: str = "direct", grammar: str = "strict") -> NDArray[Any] | None:
        """Read a reply; None where it is not exactly one valid answer.

        Args:
            text: the whole reply.
            style: "direct", "think" or "tool".
            grammar: "strict" (see `answers`), or "lenient", which reads all that the strict one does as that does, and what
                else is one answer (see `lenient`).
        """
        return read_reply(text, self.answer_formats, self._valid_answer, style, grammar)

    def parse_all(
        self, texts: Sequence[str], batch: Batch, style: str, grammar: str = "strict"
    ) -> tuple[NDArray[Any], NDArray[np.bool_]]:
        """Read the replies to n questions: answers (n, ...), `no_answer` where there is none, and which there are (n,)."""
        del batch
        array = np.repeat(self.no_answer[None], len(texts), axis=0)
        read: dict[str, NDArray[Any] | None] = {}  # many reply with the same words
        for row, text in enumerate(texts):
            if not isinstance(text, str) or text not in read:
                read[text] = self.parse(text, style, grammar)
            answer = read[text]
            if answer is not None:
                array[row] = answer
        return array, self.valid(array)

    def format_all(self, answers: NDArray[Any], batch: Batch) -> list[str | None]:
        """Write the answers to n questions in words; None where an answer is not valid or the task has no words."""
        del batch
        written: list[str | None] = [None] * len(answers)
        words: dict[bytes, str] = {}
        for row in np.flatnonzero(self.valid(answers) & self.has_text).tolist():
            answer = answers[row]
            key = answer.tobytes()
            if key not in words:
                words[key] = self.format(answer)
            written[row] = words[key]
        return written

    def truths(self, batch: Batch) -> list[str | None]:
        """Put the truth of n questions in words, for people; None where the task has no words."""
        return self.format_all(self.oracle(batch), batch)

    def choices(self, batch: Batch) -> list[tuple[str, ...]] | None:
        """Return the answers in words that each of n questions offers, in the order of the actions.

        None where they cannot be listed: the task has no words, answers have several numbers or endless ones, or a question
        offers more than `MOST_CHOICES`.
        """
        offered = self.offered(batch) if self.has_text else None
        if offered is None or offered.sum(axis=1).max(initial=0) > MOST_CHOICES:
            return None
        first = int(self.no_answer) + 1  # the least action
        words = {place: self.format(first + place) for place in np.flatnonzero(offered.any(axis=0)).tolist()}
        return [tuple(words[place] for place in np.flatnonzero(row).tolist()) for row in offered]

    def _valid_answer(self, body: str) -> NDArray[Any] | None:
        answer = self.read(body)
        return answer if answer is not None and self.valid(answer[None])[0] else None

    def _written_as(self) -> AnswerFormat:
        if self.answer_format is None:
            raise ValueError(f"{type(self).__name__} has no text answers")
        return self.answer_format


def with_instructions(task: Speech, questions: Sequence[str], style: str = "direct") -> list[str]:
    """Return whole prompts: questions about a task, in its own words or in others, with the instructions of `style`."""
    how = answers.instructions(style, task.format(task.example()))
    prompts = {question: f"{question} {how}".rstrip() for question in questions}  # many ask all in the same words
    answers.check_ascii(list(prompts.values()))
    return [prompts[question] for question in questions]


def read_reply(
    text: str,
    formats: Sequence[AnswerFormat],
    read: Callable[[str], NDArray[Any] | None],
    style: str = "direct",
    grammar: str = "strict",
) -> NDArray[Any] | None:
    """Read a reply; None where it is not exactly one valid answer.

    Args:
        text: the whole reply.
        formats: the forms of which an answer has one; the lenient grammar rewrites a reply as one of them.
        read: reads what stands between the tags.
        style, grammar: as of `Speech.parse`.

    Raises:
        TypeError: the reply is no str.
        ValueError: style or grammar are unknown.
    """
    if not isinstance(text, str):
        how = "; write a call as JSON, json.dumps(call)" if style == "tool" else ""
        raise TypeError(f"a reply must be a str, got {type(text).__name__}: {briefly(text)}{how}")
    forgiving = answers.check_grammar(grammar) == "lenient"
    if len(text) > MAX_REPLY:
        return None
    body = answers.extract(text, style)
    answer = None if body is None else read(body)
    if answer is not None or not forgiving:
        return answer
    found = [lenient.agreed([read(body) for body in lenient.rewrite(text, form, style)]) for form in formats]
    return lenient.agreed([answer for answer in found if answer is not None])
