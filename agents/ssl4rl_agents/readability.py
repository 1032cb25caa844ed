"""How many replies can be read, and a warning where nearly none can: such a run learns nothing and measures nothing."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ssl4rl_envs.answers import wrap
from ssl4rl_envs.interface import Interface

ENOUGH = 64
"""Replies before anything is said while more are to come."""

READABLE = 0.5
"""Where fewer replies than this share can be read, a score says nothing of what was understood."""

NEARLY_NONE = 0.05
"""The share of readable replies below which it is."""

EXAMPLES, LONGEST = 3, 300
"""How many replies are shown, and how much of each."""

TRUNCATED = " [truncated]"
"""Ends every reply that reached the length limit, so that it is read as what it is: by the strict grammar no answer, by the
lenient one what it said in whole before."""


class UnreadableReplies(UserWarning):
    """Nearly no reply could be read."""


@dataclass
class Count:
    """Replies: how many, how many could be read, how many were cut off, and some that could not be read."""

    replies: int = 0
    read: int = 0
    cut: int = 0
    examples: list[str] = field(default_factory=list)

    def note(self, replies: Sequence[Any], read: NDArray[np.bool_], cut: NDArray[np.bool_] | None) -> None:
        """Add n replies, of which `read` (n,) were answers and `cut` (n,) were cut off."""
        self.replies += len(replies)
        self.read += int(read.sum())
        self.cut += 0 if cut is None else int(cut.sum())
        self.examples += [str(replies[row]) for row in np.flatnonzero(~read)[: EXAMPLES - len(self.examples)]]


class Readability:
    """Counts the replies that can be read, and warns once where nearly none of the last ones can.

    Args:
        interface: how replies are read.
        aloud: whether to warn.
    """

    def __init__(self, interface: Interface, *, aloud: bool = True) -> None:
        self._interface, self._aloud = interface, aloud
        self._all, self._last = Count(), Count()

    @property
    def counts(self) -> tuple[int, int]:
        """How many replies could be read since the beginning, and how many there were."""
        return self._all.read, self._all.replies

    @property
    def share(self) -> float | None:
        """The share of readable replies since the beginning; None where there were none."""
        return self._all.read / self._all.replies if self._all.replies else None

    def begin(self) -> None:
        """Begin to count; what the warning goes by is kept."""
        self._all = Count()

    def note(self, actions: Sequence[Any], read: NDArray[np.bool_], cut: NDArray[np.bool_] | None = None) -> None:
        """Count replies; actions that are no words do not count.

        Args:
            actions: n of them.
            read: (n,) which were answers.
            cut: (n,) which were cut off at the longest length, if that is known.
        """
        if not self._interface.text:
            return
        self._all.note(actions, read, cut)
        self._last.note(actions, read, cut)
        if self._last.replies >= ENOUGH:
            self.say()

    def say(self) -> None:
        """Warn if nearly none of the replies since the last time could be read, however few they were: no more will come."""
        if self._aloud and self._last.read < NEARLY_NONE * self._last.replies:
            self._aloud = False
            # Of no line of code, since none is to be changed.
            warnings.warn_explicit(sentence(self._last, self._interface), UnreadableReplies, "ssl4rl", 0, "ssl4rl")
        self._last = Count()


def sentence(count: Count, interface: Interface) -> str:
    """Say that nearly no reply can be read, what was expected, and what came."""
    cut = f" ({count.cut} were cut off at the longest length, policy.max_new_tokens)" if count.cut else ""
    hint = "" if interface.grammar == "lenient" else "; grammar 'lenient' reads more"
    shown = "\n".join(f"  {_shortened(reply)!r}" for reply in count.examples)
    return (
        f"nearly no reply can be read: {count.read} of {count.replies}{cut}. Expected in prompt_style "
        f"{interface.prompt_style!r}, grammar {interface.grammar!r}{hint}:\n  {expected(interface)!r}\nReplies were:\n{shown}"
    )


def expected(interface: Interface) -> str:
    """Return a reply as it should be, with the example's answer."""
    task = interface.task.parts[0] if interface.task.parts else interface.task
    thought = "..." if interface.prompt_style == "think" else ""
    return wrap(task.format(task.example()), interface.prompt_style, thought)


def _shortened(reply: str) -> str:
    half = LONGEST // 2
    return reply if len(reply) <= LONGEST else f"{reply[:half]} ... {reply[-half:]}"
