r"""The lenient grammar: what models write that were not trained for ours, where it is exactly one answer.

A reply is rewritten as the strict grammar would have it, in two steps.

Of the whole reply, what stands after the last `</think>` counts: all of it where there is no thinking, nothing where thinking
goes on to the end. The answer is the last `<answer>...</answer>` in it, or the last `\boxed{...}` where there is no such
block. Text around it says nothing, but other blocks must give the same answer, and no negation, alternative, sign or other
direction may stand in the clause beside it. The example of the instructions is no answer when it is quoted with the words
that introduce it.

Of the answer, Markdown, LaTeX, quotes, brackets, one full stop and the task's fillers ("tile", "counter-clockwise") are taken
off. What is left must be one label or synonym, or the letter of a listed option, with the option's label or without.
Everything else is no answer: two labels, "90 or 180", "not 90", "about 90", "-90", "90 degrees clockwise" where the other
direction is asked for.
"""

from __future__ import annotations

import re
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ssl4rl_envs.answers import AnswerFormat, fold

THOUGHTS: tuple[tuple[str, str], ...] = (
    ("<thinking>", "</thinking>"),
    ("<thought>", "</thought>"),
    ("[THINK]", "[/THINK]"),
    ("◁think▷", "◁/think▷"),
)
"""How some models mark their thinking in place of <think> and </think>."""

FILLERS = (
    *("the", "my", "this", "answer", "final", "correct", "is", "it", "was", "has", "been", "be", "by", "in", "of"),
    *("picture", "pictures", "image", "images", "option", "choice"),
)
"""Words that say nothing beside any label."""

RELATING = {"is", "was", "has", "been", "be", "by", "in", "of"}
"""Those that relate what stands beside them: between several values they say something else than a list."""

_BLOCK = re.compile(r"<answer>(?P<tagged>(?:[^<>]|(?<=[-=])>)*)</answer>")
_BOX = re.compile(r"\\boxed\{(?P<boxed>(?:[^{}<>]|\{[^{}<>]*\})*)\}")
_QUOTED = re.compile(
    r"(?:\bin this form|\bfor example|\be\.g\.)[\s:,]*(?:<think>[^<>]*</think>\s*)?<answer>[^<>]*</answer>", re.IGNORECASE
)
_DENIED = re.compile(r"(?:\bnot|n't|\bnever|\bneither|\bnor|\beither|\bor|\bunless)\b[^\w.\n]*$", re.IGNORECASE)
_TAKEN_BACK = re.compile(
    r"^(?:\s*\?|[^\w\n]*\b(?:or|maybe|perhaps|possibly|otherwise|unless|but)\b"
    r"|\W*\b(?:wait|actually|sorry|correction|scratch|alternatively|hmm|no)\b)",
    re.IGNORECASE,
)

_OTHER_WAY = r"(?<!counter)(?<!counter[ -])(?<!anti)(?<!anti[ -])clockwise"
_BEFORE = re.compile(
    r"(?:\bnot|n't|\bnever|\bwrong|\bincorrect|\binstead|\brather|\bexcept|\banything but|\bexample|"
    rf"{_OTHER_WAY})\b[^.,;:!?\n]*$"
    r"|(?:\bminus\s*|\w\s*[-/]\s*|[-/])$",
    re.IGNORECASE,
)
"""What, in the clause before a block, says that its answer is another or none."""

_AFTER = re.compile(
    rf"^(?:\s*[/\d]|[^.,;:!?\n]*(?:\bnot|n't|\bwrong|\bincorrect|\bfalse|\bmistaken|{_OTHER_WAY})\b)"
    r"|\b(?:i mean|i meant|changed my mind)\b",
    re.IGNORECASE,
)
"""The same, in the clause behind it, and what takes it back anywhere behind it."""

_LATEX = (
    (re.compile(r"\\(?:text|textbf|textit|textrm|mathrm|mathbf|mathit)\{([^{}]*)\}"), r"\1"),
    (re.compile(r"\^\{\\circ\}|\^\\circ|\\degrees?\b"), "\N{DEGREE SIGN}"),
    (re.compile(r"\\[,;! ]"), " "),
)
_EMPHASIS = re.compile(r"(?<!\w)(\*{1,3}|_{1,3}|`{1,3})(?![\s*_`])(.+?)(?<![\s*_`])\1(?!\w)")
_SHELLS = tuple(
    re.compile(shell)
    for shell in (
        r"```(?:[a-z]* )?([^`]*)```",
        r"#{1,6} +(.*)",
        r"\\boxed\{([^{}]*)\}",
        r"\$([^$]*)\$",
        r"\$\$([^$]*)\$\$",
        r"\\\(((?:(?!\\[()]).)*)\\\)",
        r"\\\[((?:(?!\\[\[\]]).)*)\\\]",
        r"\(([^()]*)\)",
        r"\[(\[[^\[\]]*\]|[^\[\]]*)\]",
        r'"([^"]*)"',
        r"'([^']*)'",
        r"(.*[^.])\.",
        r"(?i:(?:the |my )?(?:final |correct )?answer(?: is|:| is:)) ?(.+)",
    )
)
_READABLE = re.compile(r"[ -~\N{DEGREE SIGN}\N{RIGHTWARDS ARROW}]+")
_MINUS = re.compile(r"(?:^|[^\w\s])\s*-\s*\w|(?:^|\s)-\w")
_LETTERED = re.compile(r"(?:[(\[]([A-Za-z])[)\]][.:]?|([A-Za-z])[.:)])\s*(\S.*)")
_SEPARATORS = (",", ";", r"->|=>|\N{RIGHTWARDS ARROW}", r"\|", "-", r"\s")


def rewrite(text: str, answer_format: AnswerFormat) -> list[str]:
    """Return the answers of a reply's blocks as the strict grammar writes them, without tags; none where a block has none.

    The reply is an answer if there is one and all are read as the same.

    Args:
        text: the whole reply.
        answer_format: of what was asked.
    """
    bodies = blocks(text)
    answers = [body_of(body, answer_format) for body in bodies]
    return [] if None in answers else [answer for answer in answers if answer is not None]


def agreed(answers: list[NDArray[Any] | None]) -> NDArray[Any] | None:
    """Return the answer that all are; None where they differ, one is none, or there are none."""
    found = [answer for answer in answers if answer is not None]
    alike = found and len(found) == len(answers) and all(np.array_equal(answer, found[0]) for answer in found)
    return found[0] if alike else None


def blocks(text: str) -> list[str]:
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
        if any(sign.search(before) for sign in (_DENIED, _BEFORE)) or any(
            sign.search(after) for sign in (_TAKEN_BACK, _AFTER)
        ):
            return []
    bodies = [block[1] for block in found]
    return [body for body in bodies[:-1] if body.strip(" .\n")] + bodies[-1:]


def body_of(body: str, answer_format: AnswerFormat) -> str | None:
    """Return what stands in an answer block as the strict grammar writes it, or None where it is not one answer."""
    text = unwrap(body)
    if text is None:
        return None
    values = [_one(text, answer_format)] if answer_format.slots == 1 else _several(text, answer_format)
    known = [value for value in values if value is not None]
    if len(known) != len(values) or len(values) != answer_format.slots:
        return None
    return answer_format.format(known)


def unwrap(body: str) -> str | None:
    """Take off Markdown, LaTeX, quotes, brackets, a full stop and "the answer is"; None where other characters are left."""
    text = " ".join(body.split())
    for pattern, plain in _LATEX:
        text = pattern.sub(plain, text)
    before = None
    while text != before:
        before, text = text, _EMPHASIS.sub(r"\2", text)
        for shell in _SHELLS:
            match = shell.fullmatch(text)
            if match is not None:
                text = match[1].strip()
    return text if _READABLE.fullmatch(text) else None


def _one(text: str, answer_format: AnswerFormat, *, letters: bool = True) -> int | None:
    """Return the value of one slot, or None."""
    value = _named(text, answer_format)
    if value is not None:
        return value
    if _MINUS.search(text):
        return None
    lettered = _LETTERED.fullmatch(text) if letters else None
    if lettered is not None:
        value = _option(lettered[1] or lettered[2], answer_format)
        label = unwrap(lettered[3])
        return value if label is not None and value == _one(label, answer_format, letters=False) else None
    plain = _without_fillers(text, answer_format)
    value = _named(plain, answer_format)
    return _option(plain, answer_format) if value is None and letters else value


def _named(text: str, answer_format: AnswerFormat) -> int | None:
    """Return the value of a label or synonym, with its unit or without."""
    folded = fold(text)
    if folded is None:
        return None
    synonyms = {fold(word): label for word, label in answer_format.synonyms.items()}
    label = synonyms.get(folded) or synonyms.get(answer_format.bare(folded))
    return answer_format.value(text if label is None else label)


def _option(text: str, answer_format: AnswerFormat) -> int | None:
    """Return the value of a letter that is a label, or an option's where the question lists all and names none by letters."""
    letter = fold(text.rstrip(".:)"))
    if letter is None or not re.fullmatch("[a-z]", letter):
        return None
    if letter in answer_format.values:
        return answer_format.values[letter]
    number = ord(letter) - ord("a")
    named_by_letters = any(len(label) == 1 and label.isalpha() for label in answer_format.values)
    return number if answer_format.listed and not named_by_letters and number < len(answer_format.labels) else None


def _without_fillers(text: str, answer_format: AnswerFormat) -> str:
    """Return a text without the words that say nothing, folded, and without what they leave behind."""
    plain = fold(re.sub(r":(?=\s|$)|#(?=\d)", " ", text)) or ""
    words = sorted((fold(filler) or "" for filler in (*FILLERS, *answer_format.fillers)), key=len, reverse=True)
    plain = re.sub(rf"(?<![\w-])(?:{'|'.join(map(re.escape, words))})(?![\w-])", " ", plain)
    return " ".join(re.sub(r"\(\s*\)", " ", plain).split())


def _several(text: str, answer_format: AnswerFormat) -> list[int | None]:
    """Return the values of several slots, separated by one kind of separator and perhaps a last "and"."""
    if re.search(r"(?:^|[^\w])-\w", text):
        return []
    joined = re.sub(
        r"(.*[^\s,]),?\s+and\s+([^,;\s]+)$", r"\1, \2" if "," in text or answer_format.slots == 2 else r"\1 \2", text
    )
    for filler in sorted({*FILLERS, *answer_format.fillers} - RELATING, key=len, reverse=True):
        joined = re.sub(rf"\b{re.escape(filler)}\b", " ", joined, flags=re.IGNORECASE)
    joined = re.sub(r":(?=\s|$)", " ", joined, count=1) if re.match(r"\s*:", joined) else joined
    joined = joined.strip()
    separator = next((mark for mark in _SEPARATORS if re.search(mark, joined)), r"\s")
    pieces = re.split(rf"\s*(?:{separator})\s*" if separator != r"\s" else r"\s+", joined)
    plain = [unwrap(piece) for piece in pieces]
    return [None if piece is None else _one(piece, answer_format, letters=False) for piece in plain]
