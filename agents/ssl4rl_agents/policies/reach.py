"""Which answers the tokens that go on with a reply lead to, and what is left of these where not all may be given."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ssl4rl_agents.policies.answerable import Answers, begins

Text = Callable[[Sequence[int]], bytes]
"""What tokens stand for."""


@dataclass(frozen=True)
class Limit:
    """Which answers to a part of a task may be given, where not all may.

    Args:
        number: the limit's own.
        part: whose answers.
        allowed: (texts,) int64, which of its texts.
    """

    number: int
    part: int
    allowed: NDArray[np.int64]


@dataclass(frozen=True)
class Reach:
    """Where tokens lead that stand for a part of an answer.

    Args:
        tokens: (k,) int64.
        texts: (k, texts) bool, which texts a reply may still become.
        free: (k,) bool, whether it may become an answer that is not among the texts.
    """

    tokens: NDArray[np.int64]
    texts: NDArray[np.bool_]
    free: NDArray[np.bool_]

    def left(self, mask: NDArray[np.uint8], limit: Limit) -> NDArray[np.uint8]:
        """Return what is left of a mask of these tokens under a limit: those that lead to an answer that may be given."""
        found = mask.copy()
        lost = self.tokens[~(self.texts[:, limit.allowed].any(1) | self.free)]
        np.bitwise_and.at(found, lost // 8, ~(1 << lost % 8).astype(np.uint8))
        return found


class Around:
    """What stands around an answer in a reply.

    Args:
        marker: right before it; nothing else in a reply is like it.
        end: right behind it.
        size: how many tokens there are.
        text: what they stand for.
    """

    def __init__(self, marker: str, end: str, size: int, text: Text) -> None:
        self._marker, self._end, self._size, self._text = marker.encode(), end.encode(), size, text
        self._crossing: NDArray[np.bool_] | None = None

    def reach(self, said: Sequence[int], mask: NDArray[np.uint8], answers: Answers) -> Reach | None:
        """Return where the tokens of a mask lead behind what was said; None where none of them is a part of an answer."""
        text = self._text(said)
        _, marker, body = text.partition(self._marker)
        if marker and self._end in body:
            return None
        tokens = np.flatnonzero(np.unpackbits(mask, bitorder="little"))
        if not marker:
            tokens = tokens[self._crosses()[tokens]]
        if not len(tokens):
            return None
        bodies = [(text + self._text([token])).partition(self._marker)[2] for token in tokens.tolist()]
        whole = [answer + self._end for answer in answers.texts]
        return Reach(
            tokens,
            np.array([[answer.startswith(body) for answer in whole] for body in bodies], bool),
            np.array([any(begins(form, body, self._end) for form in answers.free) for body in bodies], bool),
        )

    def _crosses(self) -> NDArray[np.bool_]:
        """Return which tokens hold the last letter before an answer, and more, (tokens,) bool."""
        if self._crossing is None:
            last = self._marker[-1:]
            self._crossing = np.array([last in self._text([token])[:-1] for token in range(self._size)], bool)
        return self._crossing
