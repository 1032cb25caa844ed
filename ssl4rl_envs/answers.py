"""Text answers: one strict grammar for every task, and the Gymnasium spaces that carry text.

A reply is right only when it can be read in one way. In the "direct" style it is the answer tag and nothing else,

    <answer>90</answer>

and in the "think" style one thinking block before it:

    <think>The trees lie on their side ...</think> <answer>90</answer>

White space around the blocks is free. Anything else (text outside, a second tag, tags inside the thinking, an echo of
the prompt) is not an answer.
"""

from __future__ import annotations

import re
import string
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from gymnasium import spaces
from numpy.typing import NDArray

PROMPT_STYLES: tuple[str, ...] = ("direct", "think")

_TAGS = ("<think>", "</think>", "<answer>", "</answer>")
_ANSWER = r"<answer>(?P<body>[^<>]*)</answer>"
_GRAMMAR = {
    "direct": re.compile(rf"\s*{_ANSWER}\s*"),
    "think": re.compile(rf"\s*<think>(?P<thought>.*?)</think>\s*{_ANSWER}\s*", re.DOTALL),
}
_BRACKETS = {"[": "]", "(": ")"}


def check_style(style: str) -> str:
    """Return `style` if it is known.

    Raises:
        ValueError: `style` is neither "direct" nor "think".
    """
    if style not in _GRAMMAR:
        raise ValueError(f"prompt_style must be one of {', '.join(PROMPT_STYLES)}, got {style!r}")
    return style


def extract(text: str, style: str) -> str | None:
    """Return what stands between the answer tags of a well-formed reply, or None.

    Args:
        text: the whole reply.
        style: "direct" or "think" (see the module's text).
    """
    match = _GRAMMAR[check_style(style)].fullmatch(text)
    if match is None:
        return None
    if any(tag in match.groupdict().get("thought", "") for tag in _TAGS):
        return None
    return match["body"]


def _normalise(word: str) -> str:
    """Fold case, and treat spaces, hyphens and underscores inside a name as one: 'Top-Left' and 'top left' are equal."""
    return re.sub(r"[\s_-]+", " ", word.strip().casefold())


@dataclass(frozen=True)
class AnswerFormat:
    """How the answers of a task are written: a fixed number of slots, each one of the same labels.

    Args:
        labels: the names of the values 0, 1, 2, ... of a slot, e.g. ("0", "90", "180", "270").
        slots: how many values an answer has; 1 for a `Discrete` action, its length for a `MultiDiscrete` one.
        units: words that may follow a label and say nothing new, e.g. ("degrees", "°").
        distinct: whether the slots must differ (a permutation).

    Raises:
        ValueError: two labels read the same, or an answer written with them cannot be read back.
    """

    labels: tuple[str, ...]
    slots: int = 1
    units: tuple[str, ...] = ()
    distinct: bool = False

    def __post_init__(self) -> None:
        if len({_normalise(label) for label in self.labels}) != len(self.labels):
            raise ValueError(f"labels must differ after folding case and hyphens, got {self.labels}")
        if self.slots < 1 or (self.distinct and self.slots > len(self.labels)):
            raise ValueError(f"{self.slots} slots cannot be filled from {len(self.labels)} labels")
        for value in range(len(self.labels)):
            answer = (value + np.arange(self.slots)) % len(self.labels)
            text = self.format(answer)
            read = self.parse(text)
            if not text.strip() or set("<>") & set(text) or read is None or not np.array_equal(np.atleast_1d(read), answer):
                raise ValueError(
                    f"an answer written {text!r} cannot be read back; choose labels without brackets, commas or units"
                )

    def _value(self, word: str) -> int | None:
        folded = _normalise(word)
        for unit in self.units:
            if folded.endswith(_normalise(unit)) and folded != _normalise(unit):
                folded = folded.removesuffix(_normalise(unit)).rstrip()
                break
        by_label = {_normalise(label): value for value, label in enumerate(self.labels)}
        return by_label.get(folded)

    def parse(self, body: str) -> NDArray[np.int64] | None:
        """Return the values, shape () for one slot and (slots,) for more, or None where the text is not one answer.

        Several values are separated by commas, or by white space alone; brackets may stand around them all.
        """
        body = body.strip()
        if body and _BRACKETS.get(body[0]) == body[-1]:
            body = body[1:-1]
        words = [body] if self.slots == 1 else body.split("," if "," in body else None)
        values = [self._value(word) for word in words]
        if len(values) != self.slots or any(value is None for value in values):
            return None
        if self.distinct and len(set(values)) != len(values):
            return None
        answer = np.array(values, np.int64)
        return answer[0] if self.slots == 1 else answer

    def format(self, answer: Any) -> str:
        """Write an answer as `parse` reads it: '90', or '2, 1, 4, 3' where there are several slots."""
        values = np.atleast_1d(np.asarray(answer))
        return ", ".join(self.labels[int(value)] for value in values)


def wrap(body: str, style: str, thought: str = "") -> str:
    """Write a reply in `style` around the text of an answer, as `extract` reads it."""
    answer = f"<answer>{body}</answer>"
    return f"<think>{thought}</think> {answer}" if check_style(style) == "think" else answer


def instructions(style: str, example: str) -> str:
    """Say how to reply, with `example` as the text of the example's answer."""
    if check_style(style) == "think":
        return (
            "First think inside <think> and </think>, then give the answer inside <answer> and </answer>, "
            f"for example: <think>what you see</think> <answer>{example}</answer>"
        )
    return f"Reply with the answer alone, in this form: <answer>{example}</answer>"


class PromptSpace(spaces.Text):
    """Prompts: printable ASCII of 0 to `max_length` characters."""

    def __init__(self, max_length: int) -> None:
        super().__init__(max_length, min_length=0, charset=string.printable)


class ReplySpace(spaces.Text):
    """Replies: any string of 0 to `max_length` characters; samples are printable ASCII.

    Longer strings, and strings outside the space, may still be given to ``step``: they score 0.
    """

    def __init__(self, max_length: int) -> None:
        super().__init__(max_length, min_length=0, charset=string.printable)

    def contains(self, x: Any) -> bool:
        """Return whether `x` is a str of at most `max_length` characters, whatever they are."""
        return isinstance(x, str) and len(x) <= self.max_length


def check_ascii(prompts: Sequence[str]) -> None:
    """Raise ValueError where a prompt holds a character outside printable ASCII."""
    for prompt in prompts:
        outside = sorted(set(prompt) - set(string.printable))
        if outside:
            raise ValueError(f"prompts must be printable ASCII, found {outside} in {prompt!r}")
