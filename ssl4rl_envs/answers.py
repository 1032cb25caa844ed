"""Text answers: the strict grammar, which every task has by default, and the Gymnasium spaces that carry text.

A reply is right only when it can be read in one way. In the "direct" style it is the answer tag and nothing else,

    <answer>90</answer>

and in the "think" style one thinking block before it:

    <think>The trees lie on their side ...</think> <answer>90</answer>

White space around the blocks is free. Anything else (text outside, a second tag, tags inside the thinking, an echo of
the prompt) is not an answer. Labels are ASCII, and so is what is read as one: a letter or digit that only looks like one of
theirs, or becomes one when case is folded, is another character. The one sign beside ASCII is the degree sign.

In the "tool" style the reply is a tool call instead (`ssl4rl_envs.tool_calls`).

The lenient grammar (`ssl4rl_envs.lenient`) reads besides what models write that were not trained for this form.
"""

from __future__ import annotations

import re
import string
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Literal, NoReturn, get_args

import numpy as np
from gymnasium import spaces
from gymnasium.vector.utils import create_shared_memory
from numpy.typing import NDArray

from ssl4rl_envs import tool_calls
from ssl4rl_envs.arguments import one_of

PromptStyle = Literal["direct", "think", "tool"]
PROMPT_STYLES: tuple[str, ...] = get_args(PromptStyle)
Grammar = Literal["strict", "lenient"]
GRAMMARS: tuple[str, ...] = get_args(Grammar)

YES_OR_NO = {"true": "yes", "false": "no", "y": "yes", "n": "no"}
"""Synonyms of the labels of questions that are answered by yes or no, for the lenient grammar."""

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
        ValueError: `style` is none of "direct", "think" and "tool".
    """
    return one_of("prompt_style", style, PROMPT_STYLES)


def check_grammar(grammar: str) -> str:
    """Return `grammar` if it is known.

    Raises:
        ValueError: `grammar` is neither "strict" nor "lenient".
    """
    return one_of("grammar", grammar, GRAMMARS)


def extract(text: str, style: str) -> str | None:
    """Return what stands between the answer tags of a well-formed reply, or in its call, or None.

    Args:
        text: the whole reply.
        style: "direct", "think" or "tool" (see the module's text).
    """
    if style == "tool":
        return tool_calls.body_of(text)
    match = _GRAMMAR[check_style(style)].fullmatch(text)
    if match is None:
        return None
    if any(tag in match.groupdict().get("thought", "") for tag in _TAGS):
        return None
    return match["body"]


def fold(word: str) -> str | None:
    """Fold case, and treat spaces, hyphens and underscores inside a name as one: 'Top-Left' and 'top left' are equal.

    None where a character is neither ASCII nor white space nor the degree sign: the long s, the Kelvin sign and the digits of
    other scripts would fold to letters and digits of labels.
    """
    spaced = re.sub(r"\s", " ", word.strip())
    if not spaced.replace("\N{DEGREE SIGN}", "").isascii():
        return None
    return re.sub(r"[ _-]+", " ", spaced.lower())


@dataclass(frozen=True)
class AnswerFormat:
    """How the answers of a task are written: a fixed number of slots, each one of the same labels.

    Args:
        labels: the names of the values 0, 1, 2, ... of a slot, e.g. ("0", "90", "180", "270").
        slots: how many values an answer has; 1 for a `Discrete` action, its length for a `MultiDiscrete` one.
        units: words that may follow a label and say nothing new, e.g. ("degrees", "°").
        distinct: whether the slots must differ (a permutation).
        synonyms: other words for labels, for the lenient grammar, e.g. {"upper left": "top left"}.
        fillers: words that may stand beside a label and say nothing new, for the lenient grammar, e.g. ("tile",).
        listed: whether the question lists all labels in their order, so that "(B)" means the second, for the lenient grammar.

    Raises:
        ValueError: two labels read the same or are not ASCII, an answer written with them cannot be read back, or a synonym
            is a label itself or one of something that is none.
    """

    labels: tuple[str, ...]
    slots: int = 1
    units: tuple[str, ...] = ()
    distinct: bool = False
    synonyms: Mapping[str, str] = field(default_factory=dict, hash=False)
    fillers: tuple[str, ...] = ()
    listed: bool = False

    def __post_init__(self) -> None:
        if not all(label.isascii() for label in self.labels):
            raise ValueError(f"labels must be ASCII, as prompts are, got {self.labels}")
        if len(self.values) != len(self.labels):
            raise ValueError(f"labels must differ after folding case and hyphens, got {self.labels}")
        for word, label in self.synonyms.items():
            if label not in self.labels or fold(word) is None or self.value(word) is not None:
                raise ValueError(f"a synonym is another word for one of {self.labels}, got {word!r} for {label!r}")
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

    @cached_property
    def values(self) -> dict[str, int]:
        """The values of a slot by their folded labels."""
        return {fold(label) or "": value for value, label in enumerate(self.labels)}

    def bare(self, folded: str) -> str:
        """Return a folded word without the unit at its end."""
        for unit in self.units:
            end = fold(unit) or ""
            if folded.endswith(end) and folded != end:
                return folded.removesuffix(end).rstrip()
        return folded

    def value(self, word: str) -> int | None:
        """Return the value that a word names, with or without a unit; None if it is no label."""
        folded = fold(word)
        return None if folded is None else self.values.get(self.bare(folded))

    def parse(self, body: str) -> NDArray[np.int64] | None:
        """Return the values, shape () for one slot and (slots,) for more, or None where the text is not one answer.

        Several values are separated by commas, or by white space alone; brackets may stand around them all.
        """
        body = body.strip()
        if body and _BRACKETS.get(body[0]) == body[-1]:
            body = body[1:-1]
        words = [body] if self.slots == 1 else body.split("," if "," in body else None)
        values = [self.value(word) for word in words]
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
    if style == "tool":
        return tool_calls.arguments(body)
    answer = f"<answer>{body}</answer>"
    return f"<think>{thought}</think> {answer}" if check_style(style) == "think" else answer


def instructions(style: str, example: str) -> str:
    """Say how to reply, with `example` as the text of the example's answer; "" for "tool", where a schema says it."""
    if check_style(style) == "tool":
        return ""
    if style == "think":
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


@create_shared_memory.register(PromptSpace)
def _refuse_shared_memory(space: PromptSpace, n: int = 1, ctx: Any = None) -> NoReturn:
    """Refuse what Gymnasium would take: its asynchronous environments hand out zeros in the place of words, without an error.

    Raises:
        ValueError: always.
    """
    del space, n, ctx
    raise ValueError(
        "text does not go through Gymnasium's shared memory: all prompts would arrive empty; pass shared_memory=False to "
        "AsyncVectorEnv (with make_vec, vector_kwargs={'shared_memory': False}), or leave vectorization_mode out"
    )


def check_ascii(prompts: Sequence[str]) -> None:
    """Raise ValueError where a prompt holds a character outside printable ASCII."""
    for prompt in prompts:
        if prompt.isascii() and prompt.isprintable():
            continue
        outside = sorted(set(prompt) - set(string.printable))
        if outside:
            raise ValueError(f"prompts must be printable ASCII, found {outside} in {prompt!r}")
