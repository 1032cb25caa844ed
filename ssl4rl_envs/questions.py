"""Questions: which instances a single or a vector environment asks, in which order, and by whose choice."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ssl4rl_envs.arguments import whole_number
from ssl4rl_envs.attempts import Attempts
from ssl4rl_envs.interface import Interface, Transition
from ssl4rl_envs.lookahead import LookAhead
from ssl4rl_envs.prefetch import Keys, Prefetch
from ssl4rl_envs.registration import build_task
from ssl4rl_envs.schedules import Schedule
from ssl4rl_envs.stream import Stream, as_words, check_split
from ssl4rl_envs.task import Batch, Task

LAST = (1 << 63) - 1
"""Number of the last episode that an environment counts to."""


class Asking(ABC):
    """What a single and a vector environment share: a task, how it is shown, and the instances being asked.

    Args:
        task: a `Task`, or its class as "module:Class", which is built from `arguments`.
        arguments: the task's keyword arguments.
        split, interface, prompt_style, group_size, attempts, grammar: as of `SSLEnv`.
    """

    def __init__(
        self,
        task: Task | str,
        arguments: dict[str, Any],
        split: str,
        interface: str,
        prompt_style: str,
        group_size: int,
        attempts: int,
        grammar: str = "strict",
    ) -> None:
        self.split = check_split(split)
        self.group_size, self.attempts = whole_number("group_size", group_size, 1), whole_number("attempts", attempts, 1)
        self.built_from = (task, arguments)
        """What the task was built from: its class and arguments."""
        self.schedule: Schedule | None = None
        self._shown_as = (interface, prompt_style, grammar)
        self._batch: Batch | None = None
        self._said: tuple[Batch, tuple[str, ...]] | None = None
        self._use(build_task(task, arguments))

    @property
    def batch(self) -> Batch:
        """The instances being asked.

        Raises:
            RuntimeError: nothing is being asked yet.
        """
        if self._batch is None:
            raise RuntimeError("nothing is being asked yet; call reset() first")
        return self._batch

    @property
    def mixture(self) -> Task | None:
        """The task without attempts round it, if it is a mixture."""
        task = self.task.task if isinstance(self.task, Attempts) else self.task
        return task if task.parts else None

    @property
    def asking(self) -> bool:
        """Whether anything is being asked."""
        return self._batch is not None

    def follow(self, schedule: Schedule, task: Task) -> None:
        """Let `schedule` choose which part of the mixture `task` each new instance is of; the questions start anew."""
        if not task.parts or len(task.parts) != schedule.parts:
            raise ValueError(f"a schedule over {schedule.parts} parts needs a mixture of as many tasks, got {task}")
        self.schedule = schedule
        self._use(task)

    def observe(self) -> dict[str, Any]:
        """Return copies of what is shown, batch-first: they are the agent's, who may write into them."""
        shown: dict[str, Any] = self.interface.copies(self.batch)
        return shown | self._prompt()

    def _prompt(self) -> dict[str, Any]:
        """Return the prompts by their name, with text; they are made once for a state."""
        if not self.interface.text:
            return {}
        if self._said is None or self._said[0] is not self.batch:
            self._said = self.batch, self.interface.prompts(self.batch)
        return {"prompt": self._said[1]}

    def _use(self, task: Task) -> None:
        self.task = task if self.attempts == 1 else Attempts(task, self.attempts)
        self.interface = Interface(self.task, *self._shown_as)
        self.task.sample(Stream(self.split, [0], [0]))  # an empty split is an error here, not at the first reset
        self._batch = self._said = None
        self._begin()

    @abstractmethod
    def close(self) -> None:
        """Let go of what was made ahead; what is being asked stays, and everything may be asked on."""

    @abstractmethod
    def _begin(self) -> None:
        """Forget seeds and indices, before anything is asked of a task."""


class Question(Asking):
    """The question that one environment asks, along the endless stream of its seed; arguments as of `Asking`."""

    _seed: int | None
    _ahead: LookAhead

    @property
    def index(self) -> int:
        """The number of the instance being asked in its stream."""
        return self._episode // self.group_size

    def restart(self, seed: int | None, generator: np.random.Generator, options: dict[str, Any] | None = None) -> None:
        """Set the seed; None lets the stream go on, and draws a seed if there is none yet.

        Args:
            seed: of the stream.
            generator: for a seed that was never given.
            options: of ``reset``: ``{"index": k}`` asks instance k of the stream next.

        Raises:
            TypeError: the options are no dict.
            ValueError: an option is unknown, or an index no whole number from 0 on.
        """
        index = _index_of(options, self.group_size)
        if self._seed is None:
            self._seed = int(generator.integers(1 << 63, size=1)[0])
        if seed is not None:
            self._seed, self._episode = int(as_words([seed], "seed")[0]), -1
            self._ahead.begin()
        if index is not None:
            self._episode = int(index[0]) * self.group_size - 1
            self._ahead.begin()

    def ask(self) -> None:
        """Move on: to the next repeat of the instance, or to the next instance."""
        assert self._seed is not None
        self._episode += 1
        self._steps = 0
        index = self._episode // self.group_size
        if self.schedule is None:
            self._batch = self._ahead.take(self._seed, index)
        else:
            if self._episode % self.group_size == 0:
                self._chosen = self.schedule.choose(1)
            self._batch = self.task.sample_parts(Stream(self.split, [self._seed], [index]), self._chosen)

    def answer(self, action: Any) -> tuple[Transition, bool]:
        """Take one decision; return what it led to, and whether the horizon cuts the episode off."""
        transition = self.interface.step(self.batch, [action])
        step = transition.step
        self._batch = step.state
        self._steps += 1
        ended = bool(step.terminated[0])
        truncated = not ended and self._steps >= self.task.horizon
        if self.schedule is not None and (ended or truncated):
            self.schedule.record(self._chosen, step.score.success)
        return transition, truncated

    def observe(self) -> dict[str, Any]:
        """Return copies of what is shown, without the axis of a batch: they are the agent's, who may write into them."""
        shown = self._ahead.give(self.batch)
        if shown is None:
            shown = {name: values[0] for name, values in self.interface.copies(self.batch).items()}
        if self.interface.text:
            shown["prompt"] = self._prompt()["prompt"][0]
        return shown

    def facts(self) -> dict[str, Any]:
        """Return what everybody may know beside what is shown, for `info`: numbers, or arrays, by name."""
        facts: dict[str, Any] = {"index": self._episode // self.group_size}
        told = self.task.info(self.batch)
        if self.schedule is not None:
            told = told | self.schedule.info(self._chosen)
        for name, values in told.items():
            facts[name] = values[0].item() if values.ndim == 1 else values[0]
        return facts

    def close(self) -> None:
        """Let go of the block that was sampled ahead."""
        self._ahead.forget()

    def _begin(self) -> None:
        self._seed, self._episode, self._steps = None, -1, 0
        self._chosen = np.zeros(1, np.int64)
        self._ahead = LookAhead(self.interface, self.split)


class Questions(Asking):
    """The questions that `count` environments ask, each along the endless stream of its own seed.

    Args:
        count: how many environments.
        prefetch: how many batches are made ahead in a thread.
        others: as of `Asking`.
    """

    _seeds: NDArray[np.uint64] | None
    _ahead: Prefetch | None
    _shown: dict[str, Any] | None

    def __init__(self, task: Task | str, arguments: dict[str, Any], count: int, prefetch: int, *others: Any) -> None:
        self._count, self._prefetch = count, whole_number("prefetch", prefetch, 0)
        self._episodes, self._steps, self._chosen = np.zeros((3, count), np.int64)
        super().__init__(task, arguments, *others)

    @property
    def indices(self) -> NDArray[np.int64]:
        """The numbers of the instances being asked in their streams, (count,)."""
        return self._episodes // self.group_size

    def restart(
        self,
        seeds: Sequence[int | None],
        rows: NDArray[np.bool_],
        generator: np.random.Generator,
        options: dict[str, Any] | None = None,
    ) -> None:
        """Set the seeds of the marked environments; None lets a stream go on, and draws its seed if it has none yet.

        Args:
            seeds: (count,) one an environment.
            rows: (count,) the marked environments.
            generator: for seeds that were never given.
            options: of ``reset``: ``{"index": k}`` (one for all, or (count,)) asks instance k of the stream next.

        Raises:
            TypeError: the options are no dict.
            ValueError: an option is unknown, or an index no whole number from 0 on.
        """
        index = _index_of(options, self.group_size, self._count)
        if self._seeds is None:
            self._seeds = generator.integers(1 << 63, size=self._count).astype(np.uint64)
        given = {row: value for row, value in enumerate(seeds) if value is not None and rows[row]}
        if given:
            self._seeds[list(given)] = as_words(list(given.values()), "seed")
            self._episodes[list(given)] = -1
        if index is not None:
            self._episodes[rows] = index[rows] * self.group_size - 1

    def ask(self, rows: NDArray[np.bool_]) -> None:
        """Move the marked environments on: to the next repeat of their instance, or to the next instance."""
        self._episodes[rows] += 1
        self._steps[rows] = 0
        whole = bool(rows.all())
        fresh, shown = self._make(rows)
        self._batch, self._shown = (fresh, shown) if whole else (self.batch.replace(rows, fresh), None)
        if self._shown and self.interface.text:
            self._said = fresh, self._shown["prompt"]

    def answer(self, actions: Any, rows: NDArray[np.bool_] | None = None) -> tuple[Transition, NDArray[np.bool_]]:
        """Take one decision in each environment, or in the marked ones.

        Args:
            actions: as many as there are marked environments.
            rows: (count,) the marked environments; all by default.

        Returns:
            What it led to in these, and which of their episodes are cut off by the horizon.
        """
        whole = rows is None or bool(rows.all())
        chosen = np.ones(self._count, bool) if rows is None else rows
        transition = self.interface.step(self.batch if whole else self.batch.rows(chosen), actions)
        self._shown = None
        step = transition.step
        self._batch = step.state if whole else self.batch.replace(chosen, step.state)
        self._steps[chosen] += 1
        truncated = ~step.terminated & (self._steps[chosen] >= self.task.horizon)
        if self.schedule is not None:
            ended = step.terminated | truncated
            self.schedule.record(self._chosen[chosen][ended], step.score.success[ended])
        return transition, truncated

    def observe(self) -> dict[str, Any]:
        """Return copies of what is shown, batch-first; one that was made ahead, once."""
        shown, self._shown = self._shown, None
        return super().observe() if shown is None else shown

    def surrender(self) -> dict[str, Any]:
        """Return what is shown for the last time, batch-first: no copies, since whoever asks next lets go of the arrays."""
        return self.interface.arrays(self.batch) | self._prompt()

    def facts(self) -> dict[str, NDArray[Any]]:
        """Return what everybody may know beside it, for `info`: arrays (count, ...) by name."""
        facts = {"index": self.indices, **self.task.info(self.batch)}
        return facts if self.schedule is None else facts | self.schedule.info(self._chosen)

    def close(self) -> None:
        """Let go of what was made ahead, and end the thread that makes it."""
        if self._ahead is not None:
            self._ahead.close()

    def _make(self, rows: NDArray[np.bool_]) -> tuple[Batch, dict[str, Any] | None]:
        """Return the questions that the marked environments ask, and what is shown of them where it was made already."""
        assert self._seeds is not None
        seeds, episodes = self._seeds[rows], self._episodes[rows]
        if self.schedule is not None:
            new = rows & (self._episodes % self.group_size == 0)
            self._chosen[new] = self.schedule.choose(int(new.sum()))
            stream = Stream(self.split, seeds, episodes // self.group_size)
            return self.task.sample_parts(stream, self._chosen[rows]), None
        if self._ahead is None:
            return self.task.compact(Stream(self.split, seeds, episodes // self.group_size)), None
        keys, *following = (Keys(seeds, (episodes + k) // self.group_size) for k in range(self._prefetch + 1))
        return self._ahead.take(rows, keys, following)

    def _begin(self) -> None:
        self._shown = self._seeds = None
        off = self._prefetch == 0 or self.schedule is not None  # who follows a schedule does not know what comes next
        self._ahead = None if off else Prefetch(self.task, self.split, self.interface.observe, self._count)
        self._episodes[:], self._steps[:] = -1, 0


_OF_WRAPPERS = ("minari_autoseed",)
"""Options of ``reset`` that are meant for a wrapper around the environment, which passes them on nevertheless."""


def checked_options(options: Any) -> dict[str, Any]:
    """Return the options of ``reset``, none where there are none.

    Raises:
        TypeError: they are no mapping.
    """
    if options is not None and not isinstance(options, Mapping):
        raise TypeError(f"options of reset() are a dict, e.g. {{'index': 3}}, got {type(options).__name__}")
    return dict(options or {})


def _index_of(options: dict[str, Any] | None, group_size: int, count: int | None = None) -> NDArray[np.int64] | None:
    """Return the indices (count,) that the options of ``reset`` ask for, or None; raises as `restart`.

    Args:
        options: of ``reset``.
        group_size: how often a question is asked in a row.
        count: how many environments a vector environment has; None for a single one.
    """
    options = checked_options(options)
    unknown = sorted(str(name) for name in set(options) - {"index", *_OF_WRAPPERS})
    if unknown:
        takes = "index" if count is None else "index and reset_mask"
        raise ValueError(f"reset() knows no option {', '.join(unknown)}; it takes {takes}")
    if options.get("index") is None:
        return None
    index = as_words(options["index"], "index")
    if int(index.max(initial=0)) > LAST // group_size:
        raise ValueError(f"index must be at most {LAST // group_size}, as far as episodes are counted, got {index.max()}")
    index = index.astype(np.int64)
    if len(index) not in (1, count or 1):
        need = "one index" if count is None else f"one index for all or {count}, one an environment"
        raise ValueError(f"need {need}, got {len(index)}")
    return np.broadcast_to(index, count or 1)
