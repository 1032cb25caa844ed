"""Tasks made of tasks: whatever such a task does not do in its own way, the task inside that is asked does."""

from __future__ import annotations

import copy
from abc import abstractmethod
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Self, TypeVar

import numpy as np
from gymnasium import spaces
from numpy.typing import NDArray

from ssl4rl_envs.answers import AnswerFormat
from ssl4rl_envs.stream import Stream
from ssl4rl_envs.task import Batch, Score, Task

Value = TypeVar("Value")

Rows = NDArray[np.int64]


class Composite(Task):
    """A task whose instances are each of one of the tasks inside it, by itself or changed.

    It passes on every method of `Task`, so that nothing of a task inside is lost. A subclass says which instances are whose
    (`asked`), and does in its own way what makes it another task: `make`, `advance`, `chance`, `stream_key` always.
    What has no batch to tell which task is meant (`read`, `format`, `parse`, `valid`, `example`) is passed on where there is
    one task inside; with several it is an error, but for what a subclass answers for all.
    """

    tasks: tuple[Task, ...]
    """The tasks that it is made of."""

    @abstractmethod
    def asked(self, batch: Batch) -> Iterator[tuple[int, Rows, Batch]]:
        """Go through the tasks that are asked in a batch: number, rows, and the instances as the task itself made them."""

    def narrow(self, answers: NDArray[Any], number: int) -> NDArray[Any]:
        """Return what a task inside takes of answers (n, ...); by default all."""
        del number
        return answers

    def widen(self, answers: NDArray[Any], rows: Rows, given: NDArray[Any]) -> None:
        """Write the answers of a task inside into rows of answers (n, ...)."""
        answers[rows] = given

    @property
    def parts(self) -> tuple[Task, ...]:
        """The parts of the mixture inside, if it is one."""
        return self.tasks[0].parts if len(self.tasks) == 1 else ()

    @property
    def has_text(self) -> bool:
        """Whether every task inside can be answered in words."""
        return all(task.has_text for task in self.tasks)

    @property
    def answer_formats(self) -> tuple[AnswerFormat, ...]:
        """The forms of answers to the tasks inside, each once."""
        return tuple(dict.fromkeys(form for task in self.tasks for form in task.answer_formats))

    @property
    def kind_names(self) -> tuple[str, ...]:
        """Those of the tasks inside, where all have the same; none otherwise, since a number would mean several things."""
        names = {task.kind_names for task in self.tasks}
        return names.pop() if len(names) == 1 else ()

    @property
    def most_offered(self) -> int:
        """Most actions that a question of any task inside offers; 0 where actions are not single numbers."""
        most = max(task.most_offered for task in self.tasks)
        return most if isinstance(self.action_space, spaces.Discrete) else 0

    @property
    def no_answer(self) -> NDArray[Any]:
        """What stands in the place of an answer that could not be read."""
        return self.tasks[0].no_answer if len(self.tasks) == 1 else super().no_answer

    def paired(self, word: str) -> Self:
        """Return a copy around tasks that are paired by this word."""
        return super().paired(word).around(tuple(each.paired(word) for each in self.tasks))

    def around(self, tasks: tuple[Task, ...]) -> Self:
        """Return a copy around other tasks of the same kinds, which ask and show in the same form."""
        task = copy.copy(self)
        task.tasks = tasks
        return task

    def reason_for(self, shortcut: str) -> str | None:
        """Return why a solver may beat chance: what the first task inside says that has a reason."""
        reasons = (task.reason_for(shortcut) for task in self.tasks)
        return next((reason for reason in reasons if reason is not None), None)

    def sample_parts(self, stream: Stream, chosen: Rows) -> Batch:
        """Make instances of the chosen parts; raises as `Task.sample_parts` where the one task inside is no mixture."""
        return self._only().sample_parts(stream, chosen)

    def score(self, answers: NDArray[Any], batch: Batch) -> Score:
        """Score as the tasks inside do."""
        reward, success = np.zeros(len(batch), np.float32), np.zeros(len(batch), bool)
        for number, rows, part in self.asked(batch):
            score = self.tasks[number].score(self.narrow(answers[rows], number), part)
            reward[rows], success[rows] = score.reward, score.success
        return Score(reward, success)

    def random_answers(self, batch: Batch, stream: Stream) -> NDArray[Any]:
        """Return answers that are valid in the tasks that are asked."""
        answers = self._zeros(len(batch))
        for number, rows, part in self.asked(batch):
            self.widen(answers, rows, self.tasks[number].random_answers(part, stream.redraw(rows, 1)))
        return answers

    def blind_answers(self) -> NDArray[Any]:
        """Return answers that may earn something from who does not look."""
        return self.tasks[0].blind_answers() if len(self.tasks) == 1 else super().blind_answers()

    def oracle(self, batch: Batch) -> NDArray[Any]:
        """Return the right answers, with zeros where a task inside has no use for a slot."""
        answers = self._zeros(len(batch))
        for number, rows, part in self.asked(batch):
            self.widen(answers, rows, self.tasks[number].oracle(part))
        return answers

    def demonstrate(self, batch: Batch) -> NDArray[Any]:
        """Decide as the teachers of the tasks inside do."""
        answers = self._zeros(len(batch))
        for number, rows, part in self.asked(batch):
            self.widen(answers, rows, self.tasks[number].demonstrate(part))
        return answers

    def rationale(self, batch: Batch) -> list[str]:
        """Say why, in the words of the tasks inside."""
        return self._gather(batch, lambda number, _, part: self.tasks[number].rationale(part))

    def valid(self, answers: NDArray[Any]) -> NDArray[np.bool_]:
        """Return which answers are valid, as the task inside says."""
        return self._only().valid(answers)

    def info(self, batch: Batch) -> dict[str, NDArray[Any]]:
        """Return the public facts of the tasks that are asked, zeros where one has no such fact."""
        facts: dict[str, NDArray[Any]] = {}
        for number, rows, part in self.asked(batch):
            for name, values in self.tasks[number].info(part).items():
                facts.setdefault(name, np.zeros((len(batch), *values.shape[1:]), values.dtype))[rows] = values
        return facts

    def question(self, batch: Batch) -> list[str]:
        """Ask in the words of the tasks inside."""
        return self._gather(batch, lambda number, _, part: self.tasks[number].question(part))

    def example(self) -> Any:
        """Return the example of the task inside."""
        return self._only().example()

    def caption(self, batch: Batch) -> list[str]:
        """Return what the tasks inside put below their pictures."""
        return self._gather(batch, lambda number, _, part: self.tasks[number].caption(part))

    def pictures(self, batch: Batch, row: int) -> dict[str, NDArray[np.uint8]]:
        """Return the pictures of the task that is asked, under its own names."""
        number, part = self._one(batch, row)
        return self.tasks[number].pictures(part, 0)

    def illustrate(self, answer: Any, batch: Batch, row: int) -> dict[str, NDArray[np.uint8]]:
        """Return the pictures of an answer as the task that is asked draws them."""
        number, part = self._one(batch, row)
        return self.tasks[number].illustrate(self.narrow(np.asarray(answer)[None], number)[0], part, 0)

    def prompts(self, batch: Batch, style: str = "direct") -> list[str]:
        """Return the prompts of the tasks inside."""
        return self._gather(batch, lambda number, _, part: self.tasks[number].prompts(part, style))

    def read(self, body: str) -> NDArray[Any] | None:
        """Read as the task inside does."""
        return self._only().read(body)

    def format(self, answer: Any) -> str:
        """Write as the task inside does."""
        return self._only().format(answer)

    def parse(self, text: str, style: str = "direct", grammar: str = "strict") -> NDArray[Any] | None:
        """Read a reply as the task inside does; of several, `parse_all` knows which was asked."""
        return self._only().parse(text, style, grammar)

    def parse_all(
        self, texts: Sequence[str], batch: Batch, style: str, grammar: str = "strict"
    ) -> tuple[NDArray[Any], NDArray[np.bool_]]:
        """Read each reply as the task that was asked does."""
        answers = np.repeat(self.no_answer[None], len(texts), axis=0)
        answered = np.zeros(len(texts), bool)
        for number, rows, part in self.asked(batch):
            array, answered[rows] = self.tasks[number].parse_all([texts[row] for row in rows], part, style, grammar)
            found = rows[answered[rows]]
            answers[found] = 0
            self.widen(answers, found, array[answered[rows]])
        return answers, answered

    def format_all(self, answers: NDArray[Any], batch: Batch) -> list[str | None]:
        """Write each answer as the task that was asked does."""
        return self._gather(
            batch, lambda number, rows, part: self.tasks[number].format_all(self.narrow(answers[rows], number), part)
        )

    def truths(self, batch: Batch) -> list[str | None]:
        """Put the truth in the words of the tasks inside."""
        return self._gather(batch, lambda number, _, part: self.tasks[number].truths(part))

    def choices(self, batch: Batch) -> list[tuple[str, ...]] | None:
        """Return what the tasks that are asked offer; None where one of them cannot list it."""
        listed = self._gather(batch, self._choices_of)
        offered = [words for words in listed if words is not None]
        return offered if len(offered) == len(listed) else None

    def _choices_of(self, number: int, rows: Rows, part: Batch) -> Sequence[tuple[str, ...] | None]:
        return self.tasks[number].choices(part) or [None] * len(rows)

    def _only(self) -> Task:
        """Return the task inside.

        Raises:
            ValueError: there are several.
        """
        if len(self.tasks) > 1:
            raise ValueError(f"what a reply means depends on what was asked; use {type(self).__name__}.parse_all")
        return self.tasks[0]

    def _one(self, batch: Batch, row: int) -> tuple[int, Batch]:
        """Return which task one row asks, and its instance."""
        ((number, _, part),) = self.asked(batch.rows(slice(row, row + 1)))
        return number, part

    def _zeros(self, count: int) -> NDArray[Any]:
        return np.zeros((count, *(self.action_space.shape or ())), self.action_space.dtype)

    def _gather(self, batch: Batch, say: Callable[[int, Rows, Batch], Sequence[Value]]) -> list[Value]:
        """Return what the tasks that are asked say of their rows, in the order of the rows."""
        gathered: dict[int, Value] = {}
        for number, rows, part in self.asked(batch):
            gathered.update(zip(rows.tolist(), say(number, rows, part), strict=True))
        return [gathered[row] for row in range(len(batch))]
