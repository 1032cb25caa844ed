"""What an agent sees of a task and how its actions are understood: arrays, or pictures and words."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Any, NamedTuple, TypeVar, cast

import numpy as np
from gymnasium import spaces
from numpy.typing import NDArray

from ssl4rl_envs import answers
from ssl4rl_envs.actions import as_rows, check_count, fault, inside
from ssl4rl_envs.arguments import one_of
from ssl4rl_envs.boxes import slim
from ssl4rl_envs.briefly import briefly
from ssl4rl_envs.memory import copy_of
from ssl4rl_envs.speech import MAX_PROMPT, MAX_REPLY
from ssl4rl_envs.task import Batch, Completer, Step, Task, nothing

SpaceT = TypeVar("SpaceT", bound=spaces.Space[Any])

INTERFACES: tuple[str, ...] = ("array", "text")


class Transition(NamedTuple):
    """A `Step`, and how the actions were read.

    Args:
        step: what the decisions led to.
        answered: (n,) whether the action was a valid answer.
        written: with text, the answers in words, None where there was none. Empty with arrays, where nobody reads words:
            `Task.format_all` writes `answers` for who wants them.
        answers: (n, ...) the answers themselves, `Task.no_answer` where there was none.
    """

    step: Step
    answered: NDArray[np.bool_]
    written: list[str | None]
    answers: NDArray[Any]


class Interface:
    """The array or text side of a task, batch-first; shared by the single and the vector environment.

    Args:
        task: the task.
        name: "array" or "text".
        prompt_style: "direct", "think" or "tool".
        grammar: how replies are read: "strict" or "lenient".

    Raises:
        ValueError: an argument is not one of its values, or the task has no text side.
    """

    def __init__(self, task: Task, name: str, prompt_style: str, grammar: str = "strict") -> None:
        if one_of("interface", name, INTERFACES) == "text" and not task.has_text:
            raise ValueError(f"{type(task).__name__} has no text interface; use interface='array'")
        if list(task.images) != sorted(task.images):
            raise ValueError(
                f"{type(task).__name__}.images must be in alphabetical order, as Gymnasium keeps them: {task.images}"
            )
        self.task, self.text, self.prompt_style = task, name == "text", answers.check_style(prompt_style)
        self.grammar = answers.check_grammar(grammar)
        self.observation_space: spaces.Dict = _own(task.observation_space)
        self.action_space: spaces.Space[Any] = _own(task.action_space)
        self.shown: frozenset[str] = frozenset(task.images if self.text else task.observation_space.spaces)
        if self.text:
            shown: dict[str, spaces.Space[Any]] = {key: self.observation_space[key] for key in task.images}
            self.observation_space = spaces.Dict({**shown, "prompt": answers.PromptSpace(MAX_PROMPT)})
            self.action_space = answers.ReplySpace(MAX_REPLY)

    def observe(self, batch: Batch) -> dict[str, Any]:
        """Return copies of what is shown of n instances: arrays (n, ...) and, as text, the tuple of their prompts."""
        shown: dict[str, Any] = self.copies(batch)
        return {**shown, "prompt": self.prompts(batch)} if self.text else shown

    def arrays(self, batch: Batch) -> dict[str, NDArray[Any]]:
        """Return the arrays that are shown of n instances, (n, ...) by name: not copies of what the batch has."""
        if self.text:
            return {name: batch.observation[name] for name in self.task.images}
        return self.task.complete(batch).observation

    def copies(self, batch: Batch) -> dict[str, NDArray[Any]]:
        """Return the arrays that are shown of n instances, none of them the batch's own."""
        return {**self.held(batch), **self.completer()(batch)}

    def held(self, batch: Batch) -> dict[str, NDArray[Any]]:
        """Return copies of those of them that the batch holds."""
        return {name: copy_of(values) for name, values in batch.observation.items() if name in self.shown}

    def completer(self) -> Completer:
        """Return what lays out the others."""
        return nothing if self.text else self.task.completer()

    def heard(self, transition: Transition) -> dict[str, NDArray[Any]]:
        """Return what `info` says of answers, arrays (n, ...) by name."""
        success = transition.step.score.success
        heard: dict[str, NDArray[Any]] = {"success": success, "is_success": success}
        if self.text:
            heard |= {"valid": transition.answered, "parsed": _words(transition.written)}
        return heard

    def told(self, batch: Batch) -> dict[str, NDArray[Any]]:
        """Return what `info` says of the truth where an episode has ended, arrays (n, ...) by name."""
        told: dict[str, NDArray[Any]] = {"target": batch.target}
        if self.text:
            told["truth"] = _words(self.task.truths(batch))
        return told

    def silence(self, batch: Batch) -> dict[str, NDArray[Any]]:
        """Return what stands in `info` in the place of what nobody may know yet: everything of `heard` and `told`.

        So infos have one structure, whatever has happened. It is the same for all questions of a task: no success, a target
        of -1 (0 where the targets of the task are unsigned), and empty words.
        """
        count, target = len(batch), batch.target
        silence: dict[str, NDArray[Any]] = {name: np.zeros(count, bool) for name in ("success", "is_success")}
        silence["target"] = np.full_like(target, -1 if target.dtype.kind in "if" else 0)
        if self.text:
            silence["valid"] = np.zeros(count, bool)
            silence |= {name: _words([""] * count) for name in ("parsed", "truth")}
        return silence

    def prompts(self, batch: Batch) -> tuple[str, ...]:
        """Return the prompts of n instances."""
        return tuple(self.task.prompts(batch, self.prompt_style))

    def step(self, state: Batch, actions: Any) -> Transition:
        """Take one decision in each of n rows.

        Raises:
            TypeError: the actions are no sequence, or one of the text interface is not a str.
            ValueError: there are not n actions, or one lies outside the array interface's action space.
        """
        check_count(actions, len(state))
        if self.text:
            array, answered = self.task.parse_all(actions, state, self.prompt_style, self.grammar)
            return Transition(self.task.advance(state, array), answered, self.task.format_all(array, state), array)
        given = as_rows(actions, self.action_space)
        within = inside(self.action_space, given)
        if np.count_nonzero(within) < len(within):
            outside, space = briefly(actions[int(within.argmin())]), self.action_space
            raise ValueError(f"action {outside} lies outside the action space {briefly(space)}{fault(space, given)}")
        array = given.astype(self.task.action_space.dtype)
        answered = within if type(self.task).valid is Task.valid else self.task.valid(array)  # which would ask the same
        return Transition(self.task.advance(state, array), answered, [], array)


def _words(said: Sequence[str | None]) -> NDArray[Any]:
    """Return words (n,), empty ones where there are none."""
    words = np.empty(len(said), object)
    words[:] = [word or "" for word in said]
    return words


def _own(space: SpaceT) -> SpaceT:
    """Return a copy of a task's space with a generator of its own: sampling in one environment must not move another's.

    Each space within it has one too: a task may name one space twice, and a copy of the whole would as well.
    """
    parts = {name: _own(part) for name, part in space.spaces.items()} if isinstance(space, spaces.Dict) else None
    if parts is not None:
        own = cast(SpaceT, spaces.Dict(parts))
    else:
        own = copy.deepcopy(cast(SpaceT, slim(space)) if isinstance(space, spaces.Box) else space)
    own.seed()
    return own
