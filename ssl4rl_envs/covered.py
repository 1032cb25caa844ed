"""Covered: a task whose pictures are covered, around any task of one decision: look where it is worth it, then answer."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence
from functools import cached_property
from typing import Any

import numpy as np
from gymnasium import spaces
from numpy.typing import NDArray

from ssl4rl_envs.actions import bounds, inside
from ssl4rl_envs.answers import AnswerFormat
from ssl4rl_envs.arguments import whole_number
from ssl4rl_envs.composite import Composite, Rows
from ssl4rl_envs.kernels.tensors import room_beside
from ssl4rl_envs.looking import look_or_answer
from ssl4rl_envs.patches import NO_LOOK, Pictures, cut_into, detail_of, next_looks, uncover
from ssl4rl_envs.speech import read_reply
from ssl4rl_envs.stream import Stream, hash_seed
from ssl4rl_envs.task import Batch, Score, Step, Task, keep_to

UNCOVERED = "uncovered"
WHOLE, DECISIONS = "whole.", "decisions"
"""What is remembered: the pictures themselves, by their names behind this, and how many decisions were taken."""

GREY = 128
"""Grey level of what covers pictures."""


class Covered(Composite):
    """A task's questions, whose pictures are covered by patches; uncovering one costs a share of what the answer earns.

    A picture is covered by grid x grid patches of grey, numbered from left to right, top to bottom, the second picture's
    after the first's. Beside the pictures as they are covered an agent sees `uncovered`, (patches,) int8, 1 where it has
    looked. An action looks at a patch or answers, which ends the episode (`looking`). An answer is paid what the task inside
    pays for it, times 1 - `cost` for every patch that was uncovered. Looks earn nothing themselves; one at a patch that is
    uncovered already costs nothing, and uses up a decision, as every reply does.

    Nothing is seen before the first look, so the best policy that does not look at what is shown answers at once, without
    looking: chance is that of the task inside. The oracle knows the truth and answers at once as well, for 1; nobody who has
    to look reaches that. A teacher (`demonstrate`) looks first: always at the covered patch with most detail, until it has
    seen half of the detail of every picture or has one decision left, and then gives the right answer. Detail is the sum of
    what neighbouring pixels differ by.

    Args:
        task: what is asked.
        grid: patches a side, 2 or more.
        looks: most looks; the horizon is one more.
        cost: what a look costs, as a share of what an answer earns.

    Raises:
        ValueError: the task has several decisions, or shows no pictures; there are pixels without a patch of their own; all
            looks together would cost more than an answer earns.
    """

    asks = "what the task inside asks, of pictures that are uncovered patch by patch"
    answer_format = None

    def __init__(self, task: Task, grid: int, looks: int, cost: float) -> None:
        if task.horizon != 1:
            raise ValueError(f"{type(task).__name__} takes up to {task.horizon} decisions; only tasks of one can be covered")
        if not task.images or not set(task.images) <= set(task.observation_space):
            raise ValueError(f"{type(task).__name__} shows no pictures, so there is nothing to cover")
        grid, looks = whole_number("grid", grid, 2), whole_number("looks", looks, 1)
        if not (cost >= 0 and cost * looks < 1):
            raise ValueError(
                f"cost must be at least 0, and below {1 / looks:.3g}, so that {looks} looks leave something of an answer's "
                f"reward, got {cost}"
            )
        self.tasks, self.horizon, self.grid, self.cost = (task,), looks + 1, grid, cost
        self.images = task.images
        shapes = {name: task.observation_space[name].shape or () for name in self.images}
        self._patches = [patch for name in self.images for patch in cut_into(name, shapes[name], grid)]
        self.actions = look_or_answer(self.patches, task.action_space)
        self.action_space = self.actions.space
        self._look_format = AnswerFormat(
            tuple(f"look {patch + 1}" for patch in range(self.patches)),
            synonyms={
                f"{words} {patch + 1}": f"look {patch + 1}"
                for patch in range(self.patches)
                for words in ("look at", "look at patch", "uncover", "uncover patch")
            },
        )
        shown = {UNCOVERED: spaces.Box(0, 1, (self.patches,), np.int8)}
        self.observation_space = spaces.Dict({**task.observation_space.spaces, **shown})

    @cached_property
    def chance(self) -> float:
        """That of the task inside: who does not look does best to answer at once."""
        return self.task.chance

    @property
    def task(self) -> Task:
        """What is asked."""
        return self.tasks[0]

    @property
    def patches(self) -> int:
        """How many patches there are, of all pictures together."""
        return len(self.images) * self.grid**2

    @property
    def stream_key(self) -> int:
        """Another than the task's own, unless both are paired by one word: then they ask the same."""
        if self._pairing is not None:
            return super().stream_key
        return hash_seed("covered", self.task.stream_key, *self._configuration)

    @property
    def answer_formats(self) -> tuple[AnswerFormat, ...]:
        """Looks, and the forms of answers to the task inside."""
        return (self._look_format, *self.task.answer_formats)

    @property
    def most_offered(self) -> int:
        """Looks at all patches and the most answers that the task inside offers; 0 where actions are not single numbers."""
        most = self.patches + self.task.most_offered
        return most if isinstance(self.action_space, spaces.Discrete) else 0

    @property
    def no_answer(self) -> NDArray[Any]:
        """What stands in the place of an action that could not be read."""
        low, _ = bounds(self.action_space)
        return np.asarray(low - 1, self.action_space.dtype)

    def make(self, stream: Stream) -> Batch:
        """Make the task's instances, with all covered."""
        return self._begin(self.task.make(stream))

    def sample_parts(self, stream: Stream, chosen: NDArray[np.int64]) -> Batch:
        """Make instances of the chosen parts of a mixture, with all covered."""
        return self._begin(self.task.sample_parts(stream, chosen))

    def reason_for(self, shortcut: str) -> str | None:
        """Return None: what is covered may tell nothing, whatever is accepted of the pictures of the task inside."""
        del shortcut
        return None

    def valid(self, answers: NDArray[Any]) -> NDArray[np.bool_]:
        """Return which actions look at a patch or give a valid answer."""
        within = inside(self.action_space, answers)
        result = within.copy()
        rows = np.flatnonzero(within & (self.actions.looks(answers) == NO_LOOK))
        if len(rows):
            result[rows] = self.task.valid(self.actions.narrow(answers[rows]))
        return result

    def score(self, answers: NDArray[Any], batch: Batch) -> Score:
        """Score answers as the task inside does, less what was spent on looking; looks earn nothing."""
        reward, success = np.zeros(len(batch), np.float32), np.zeros(len(batch), bool)
        rows = np.flatnonzero(self.valid(answers) & (self.actions.looks(answers) == NO_LOOK))
        if len(rows):
            score = self.task.score(self.actions.narrow(answers[rows]), self._inner(batch.rows(rows)))
            looked = batch.observation[UNCOVERED][rows].sum(axis=1, dtype=np.int64)
            reward[rows], success[rows] = score.reward * (1 - self.cost * looked).astype(np.float32), score.success
        return Score(reward, success)

    def advance(self, state: Batch, actions: NDArray[Any]) -> Step:
        """Uncover a patch in each row, or score its answer; what is neither uses up a decision."""
        looks, valid = self.actions.looks(actions), self.valid(actions)
        uncovered = state.observation[UNCOVERED].copy()
        rows = np.flatnonzero(looks != NO_LOOK)
        uncovered[rows, looks[rows]] = 1
        pictures = uncover(self._patches, looks, state.observation, self._whole(state))
        observation = {**state.observation, **pictures, UNCOVERED: uncovered}
        memory = {**state.memory, DECISIONS: state.memory[DECISIONS] + 1}
        after = dataclasses.replace(state, observation=observation, memory=memory)
        return Step(after, self.score(actions, state), valid & (looks == NO_LOOK))

    def info(self, batch: Batch) -> dict[str, NDArray[Any]]:
        """Return the public facts of the task inside, and `action_mask` where actions can be counted.

        It is 0 for looks at what is uncovered, for all looks where one decision is left, which is to answer, and for answers
        that the task inside does not offer.
        """
        left = batch.memory[DECISIONS] < self.horizon - 1
        facts = super().info(batch)
        mask = self.actions.mask((batch.observation[UNCOVERED] == 0) & left[:, None], facts.pop("action_mask", None))
        return {**facts, **({} if mask is None else {"action_mask": mask})}

    def oracle(self, batch: Batch) -> NDArray[Any]:
        """Return the right answers, given at once."""
        return self.actions.answering(self.task.oracle(self._inner(batch)))

    def demonstrate(self, batch: Batch) -> NDArray[Any]:
        """Return where a teacher looks next, or the right answer where it has seen enough."""
        actions = self.actions.answering(self.task.demonstrate(self._inner(batch)))
        looks = self._next_looks(batch)
        rows = np.flatnonzero(looks != NO_LOOK)
        actions[rows] = self.actions.looking(looks[rows])
        return actions

    def rationale(self, batch: Batch) -> list[str]:
        """Say why a teacher looks where it does, or that it has seen enough, and why the answer is what it is."""
        looks, why = self._next_looks(batch).tolist(), self.task.rationale(self._inner(batch))
        return [self._reason(batch, row, look, why[row]) for row, look in enumerate(looks)]

    def random_answers(self, batch: Batch, stream: Stream) -> NDArray[Any]:
        """Return a look at any patch in one half of the rows, drawn at random, and valid answers in the other.

        In the place of a look that shows nothing new is anything that is offered.
        """
        actions = self.actions.answering(self.task.random_answers(self._inner(batch), stream))
        coins = stream.branch("looks")
        rows = np.flatnonzero(coins.integers(0, 2))
        actions[rows] = self.actions.looking(coins.integers(0, self.patches)[rows])
        space = self.action_space
        return keep_to(self.offered(batch), space, actions, stream) if isinstance(space, spaces.Discrete) else actions

    def blind_answers(self) -> NDArray[Any]:
        """Return the task's own, given at once."""
        return self.actions.answering(self.task.blind_answers())

    def question(self, batch: Batch) -> list[str]:
        """Say what is covered, then ask in the task's words."""
        return self._behind(self._covering(batch), self.task.question(self._shown(batch)))

    def caption(self, batch: Batch) -> list[str]:
        """Say how much is uncovered, below the task's own words."""
        count = batch.observation[UNCOVERED].sum(axis=1).tolist()
        looked = [f"({seen} of {self.patches} patches uncovered)" for seen in count]
        return self._behind(self.task.caption(self._shown(batch)), looked)

    def pictures(self, batch: Batch, row: int) -> dict[str, NDArray[np.uint8]]:
        """Return the pictures as they are covered."""
        return Task.pictures(self, batch, row)

    def illustrate(self, answer: Any, batch: Batch, row: int) -> dict[str, NDArray[np.uint8]]:
        """Return the pictures of an answer as the task inside draws them; a look has none but the truth."""
        action = np.asarray(answer)[None]
        given = self.actions.narrow(action)[0] if self.valid(action)[0] and self.actions.looks(action)[0] == NO_LOOK else None
        inner = self._inner(batch)
        return self.task.illustrate(self.task.no_answer if given is None else given, inner, row)

    def prompts(self, batch: Batch, style: str = "direct") -> list[str]:
        """Say what is covered, before the task's prompts."""
        return self._behind(self._covering(batch), self.task.prompts(self._shown(batch), style))

    def example(self) -> Any:
        """Return the example of the task inside."""
        return self.actions.answering(np.asarray(self.task.example())[None])[0]

    def read(self, body: str) -> NDArray[Any] | None:
        """Read a look, or what the task inside reads."""
        look = self._look(body)
        answer = None if look is not None else self.task.read(body)
        return look if answer is None else self.actions.answering(np.asarray(answer)[None])[0]

    def format(self, answer: Any) -> str:
        """Write a look, or as the task inside does."""
        action = np.asarray(answer)[None]
        look = int(self.actions.looks(action)[0])
        if look != NO_LOOK:
            return self._look_format.format(look)
        return self.task.format(self.actions.narrow(action)[0])

    def parse(self, text: str, style: str = "direct", grammar: str = "strict") -> NDArray[Any] | None:
        """Read a reply as a look, or as the task inside does."""
        look = read_reply(text, (self._look_format,), self._look, style, grammar)
        answer = None if look is not None else self.task.parse(text, style, grammar)
        return look if answer is None else self.actions.answering(answer[None])[0]

    def parse_all(
        self, texts: Sequence[str], batch: Batch, style: str, grammar: str = "strict"
    ) -> tuple[NDArray[Any], NDArray[np.bool_]]:
        """Read each reply as a look, or as the task inside does."""
        actions = np.repeat(self.no_answer[None], len(texts), axis=0)
        answers, answered = self.task.parse_all(texts, self._inner(batch), style, grammar)
        rows = np.flatnonzero(answered)
        actions[rows] = self.actions.answering(answers[rows])
        for row in np.flatnonzero(~answered).tolist():
            look = read_reply(texts[row], (self._look_format,), self._look, style, grammar)
            if look is not None:
                actions[row], answered[row] = look, True
        return actions, answered

    def format_all(self, answers: NDArray[Any], batch: Batch) -> list[str | None]:
        """Write each look, and each answer as the task inside does."""
        looks = self.actions.looks(answers)
        written = self.task.format_all(self.actions.narrow(answers), self._inner(batch))
        within = inside(self.action_space, answers) & self.has_text
        return [
            None if not within[row] else written[row] if look == NO_LOOK else self._look_format.format(look)
            for row, look in enumerate(looks.tolist())
        ]

    def choices(self, batch: Batch) -> list[tuple[str, ...]] | None:
        """Return the looks and the answers that each question offers."""
        return Task.choices(self, batch)

    def asked(self, batch: Batch) -> Iterator[tuple[int, Rows, Batch]]:
        """Give all rows to the one task."""
        yield 0, np.arange(len(batch)), self._inner(batch)

    def _begin(self, batch: Batch) -> Batch:
        count = len(batch)
        grey = {name: room_beside(batch.observation[name], batch.observation[name].shape, GREY) for name in self.images}
        observation = {**batch.observation, **grey, UNCOVERED: np.zeros((count, self.patches), np.int8)}
        whole = {f"{WHOLE}{name}": batch.observation[name] for name in self.images}
        memory = {**batch.memory, **whole, DECISIONS: np.zeros(count, np.int64)}
        return dataclasses.replace(batch, observation=observation, memory=memory)

    def _inner(self, batch: Batch) -> Batch:
        """Return the instances as the task itself made them."""
        shown = self._shown(batch)
        return dataclasses.replace(shown, observation={**shown.observation, **self._whole(batch)})

    def _shown(self, batch: Batch) -> Batch:
        """Return the instances in the task's own form, their pictures as they are covered: questions tell no more."""
        added = {DECISIONS, *(f"{WHOLE}{name}" for name in self.images)}
        observation = {name: values for name, values in batch.observation.items() if name != UNCOVERED}
        memory = {name: values for name, values in batch.memory.items() if name not in added}
        return dataclasses.replace(batch, observation=observation, memory=memory)

    def _whole(self, batch: Batch) -> Pictures:
        """Return the pictures without what covers them."""
        return {name: batch.memory[f"{WHOLE}{name}"] for name in self.images}

    def _next_looks(self, batch: Batch) -> NDArray[np.int64]:
        """Return where a teacher looks next, (n,), `NO_LOOK` where it has seen enough or has to answer."""
        detail = detail_of(self._patches, self._whole(batch))
        looks = next_looks(detail, batch.observation[UNCOVERED] == 1, self.grid**2)
        return np.where(batch.memory[DECISIONS] < self.horizon - 1, looks, NO_LOOK)

    def _reason(self, batch: Batch, row: int, look: int, why: str) -> str:
        seen = int(batch.observation[UNCOVERED][row].sum())
        known = f"Uncovered: {seen} of {self.patches} patches." if seen else "Everything is covered."
        if look != NO_LOOK:
            where = " on its picture" if len(self.images) > 1 else ""
            return f"{known} Patch {look + 1} has most detail of those that are covered{where}."
        left = batch.memory[DECISIONS][row] < self.horizon - 1
        return f"{known} {'They hold enough of the detail to answer.' if left else 'No look is left.'} {why}"

    def _look(self, body: str) -> NDArray[Any] | None:
        patch = self._look_format.parse(body)
        return None if patch is None else np.asarray(self.actions.looking(np.asarray(patch)[None])[0])

    def _covering(self, batch: Batch) -> list[str]:
        """Say in words what is covered, what a look costs, and what has been uncovered."""
        several, each = len(self.images) > 1, self.grid**2
        numbered = f"1 to {each}" + (f" on the first picture, then on to {self.patches}" if several else "")
        what = "Each picture is" if several else "The picture is"
        rule = (
            f"{what} covered by {self.grid} x {self.grid} grey patches, numbered from left to right, top to bottom: "
            f'{numbered}. Answer "{self._look_format.labels[0]}" to uncover patch 1, and so on; '
            f"every patch takes {100 * self.cost:.3g} % off what a right answer earns."
        )
        said = []
        for row, decisions in zip(batch.observation[UNCOVERED], batch.memory[DECISIONS].tolist(), strict=True):
            numbers = ", ".join(str(patch + 1) for patch in np.flatnonzero(row).tolist())
            left = max(0, self.horizon - 1 - decisions)
            said.append(f"{rule} Uncovered: {numbers or 'none'}. Looks left: {left}.")
        return said

    @staticmethod
    def _behind(first: Sequence[str], second: Sequence[str]) -> list[str]:
        return [f"{one} {other}" for one, other in zip(first, second, strict=True)]
