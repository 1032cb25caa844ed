r"""The lenient grammar: what models write that were not trained for ours, where it is exactly one answer.

A reply is rewritten as the strict grammar would have it, in two steps.

Of the whole reply, what stands after the last `</think>` counts: all of it where there is no thinking, nothing where thinking
goes on to the end. The answer is the last `<answer>...</answer>` in it, or the last `\boxed{...}` where there is no such
block. Text around it says nothing, but other blocks must give the same answer, no negation, alternative, sign or other
direction may stand in the clause beside it, and nothing behind it may take it back. The example of the instructions is no
answer when it is quoted with the words that introduce it.

Of the answer, `ssl4rl_envs.wording` says which one it is. Everything else is no answer: two labels, "90 or 180", "not 90",
"about 90", "-90", "90 degrees clockwise" where the other direction is asked for.
"""

from __future__ import annotations

import re
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ssl4rl_envs import tool_calls
from ssl4rl_envs.answers import AnswerFormat
from ssl4rl_envs.wording import body_of, mentions

THOUGHTS: tuple[tuple[str, str], ...] = (
    ("<thinking>", "</thinking>"),
    ("<thought>", "</thought>"),
    ("[THINK]", "[/THINK]"),
    ("◁think▷", "◁/think▷"),
)
"""How some models mark their thinking in place of <think> and </think>."""

_BLOCK = re.compile(r"<answer>(?P<tagged>(?:[^<]|<(?=->))*)</answer>")
_BOX = re.compile(r"\\boxed\{(?P<boxed>(?:[^{}<>]|\{[^{}<>]*\})*)\}")
_QUOTED = re.compile(
    r"(?:\bin this form|\bfor example|\be\.g\.)[\s:,]*(?:<think>[^<>]*</think>\s*)?<answer>[^<>]*</answer>", re.IGNORECASE
)
_DENIED = re.compile(r"(?:\bnot|n't|\bnever|\bneither|\bnor|\beither|\bor|\bunless)\b[^\w.\n]*$", re.IGNORECASE)
_TAKEN_BACK = re.compile(
    r"^(?:\s*\?|[^\w\n]*\b(?:or|maybe|perhaps|possibly|otherwise|unless|rather|instead)\b)"
    r"|(?:^|[.!?\n])\W{0,9}(?:wait|actually|sorry|correction|scratch|strike|alternatively|hmm|oops|edit|hold on|on reflection"
    r"|on second thoughts?|let me (?:correct|rethink|reconsider|re-?check|double.check)|(?:no,? )?make (?:it|that))\b"
    r"|\b(?:i mean|i meant|i was wrong|my mistake|my bad|changed my mind|take (?:it|that) back)\b"
    r"|\b(?:it|that|this|which) (?:is|was) (?:wrong|incorrect|false|mistaken|a mistake)\b"
    r"|^\W*no\b(?:\W*$|\s*[^\w\s]|\s+(?:it|its|that|this|the|these|those|there|i|we|you|my|a|an|not|in|on|wait)\b)",
    re.IGNORECASE,
)
"""What, behind a block, takes its answer back."""

_OBJECTS = re.compile(r"^\W*(?:no|but|however|though|although|yet|still)\b([^.!?\n]*)", re.IGNORECASE)
"""The sentence behind a block where it may take the answer back: "No further words" does not, "But 180 fits too" does."""

_DOUBT = re.compile(
    r"^\W*$|\d|\b[A-HJ-Z]\b|n't\b"
    r"|(?i:\b(?:not|never|could|might|may|would|should|also|too|either|or|perhaps|maybe|possibly|probably|likely|wait|actually)\b)"
    r"|(?i:\b(?:rather|instead|others?|another|again|if|wrong|mistaken?|incorrect|else|think|seems?|looks?|un\w+|doubt\w*)\b)"
)
"""Words by which it does; so do numbers, letters and labels."""

_OTHER_WAY = r"(?<!counter)(?<!counter[ -])(?<!anti)(?<!anti[ -])clockwise"
_BEFORE = re.compile(
    r"(?:\bnot|n't|\bnever|\bwrong|\bincorrect|\binstead|\brather|\bexcept|\banything but|\bexample|"
    rf"{_OTHER_WAY})\b[^.,;:!?\n]*$"
    r"|(?:\bminus\s*|\w\s*[-/]\s*|[-/])$",
    re.IGNORECASE,
)
"""What, in the clause before a block, says that its answer is another or none."""

_AFTER = re.compile(
    rf"^(?:\s*[/\d]|[^.,;:!?\n]*(?:\bnot|n't|\bwrong|\bincorrect|\bfalse|\bmistaken|{_OTHER_WAY})\b)", re.IGNORECASE
)
"""The same, in the clause behind it."""


def rewrite(text: str, answer_format: AnswerFormat, style: str = "direct") -> list[str]:
    """Return the answers of a reply's blocks as the strict grammar writes them, without tags; none where a block has none.

    The reply is an answer if there is one and all are read as the same. In the "tool" style calls are blocks too.

    Args:
        text: the whole reply.
        answer_format: of what was asked.
        style: "direct", "think" or "tool".
    """
    bodies = blocks(tool_calls.as_blocks(text) if style == "tool" else text, answer_format)
    answers = [body_of(body, answer_format) for body in bodies]
    return [] if None in answers else [answer for answer in answers if answer is not None]


def agreed(answers: list[NDArray[Any] | None]) -> NDArray[Any] | None:
    """Return the answer that all are; None where they differ, one is none, or there are none."""
    found = [answer for answer in answers if answer is not None]
    alike = found and len(found) == len(answers) and all(np.array_equal(answer, found[0]) for answer in found)
    return found[0] if alike else None


def blocks(text: str, answer_format: AnswerFormat) -> list[str]:
    """Return what stands in the answer blocks of a reply, in their order; none where a block is denied or ill-formed."""
    for opening, closing in THOUGHTS:
        text = text.replace(opening, "<think>").replace(closing, "</think>")
    said = _QUOTED.sub(" ", text).rpartition("</think>")[2]
    rest = _BLOCK.sub(" ", said)
    if any(tag in rest for tag in ("<think>", "<answer>", "</answer>")):
        return []
    found = list(_BLOCK.finditer(said)) + list(_BOX.finditer(rest))
    for block in found:
        around = block.string
        before, after = around[: block.start()], around[block.end() :]
        denied = any(sign.search(before) for sign in (_DENIED, _BEFORE)) or _AFTER.search(after)
        if denied or _taken_back(after, answer_format):
            return []
    bodies = [block[1] for block in found]
    return [body for body in bodies[:-1] if body.strip(" .\n")] + bodies[-1:]


def _taken_back(after: str, answer_format: AnswerFormat) -> bool:
    """Return whether what stands behind an answer takes it back, or sets another beside it."""
    if _TAKEN_BACK.search(after):
        return True
    objection = _OBJECTS.match(after)
    return objection is not None and (_DOUBT.search(objection[1]) is not None or mentions(objection[1], answer_format))
