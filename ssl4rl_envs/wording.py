r"""The wording of an answer: what stands in an answer block, read as the strict grammar would write it.

First the dress is taken off: Markdown, LaTeX, quotes, brackets, one full stop, "the answer is". What is left is read by what
the task knows of its labels.

- One value is a *name* between words that say nothing: a label, a synonym, a number in words or with ".0". "The second tile"
  is one where labels count from 1, the letter of an option where the question lists them; a letter beside a label must agree.
- Several values are *items*, as many as are asked for, between separators of one kind, or in the rows of a square. An item is
  a name, with a noun before it that is the same for all. Answers that are no numbers may be numbered, from 1 on.

Nothing is dropped between two names, so that two different ones are never read as one of them.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import lru_cache

from ssl4rl_envs.answers import AnswerFormat, fold
from ssl4rl_envs.numerals import place, spelled

SAID = (
    *("the", "my", "this", "that", "answer", "final", "correct", "is", "it", "was", "has", "been", "be", "in"),
    *("option", "choice", "picture", "image"),
)
"""Words that say nothing beside any label."""

RELATING = ("is", "was", "has", "been", "be", "in", "by", "of")
"""Those that relate what stands beside them: between several values they say something else than a list."""

ABOUT = ("pictures", "images", "by", "of")
"""Words that say nothing beside a label that is no number and no letter of a thing: "2 pictures" are not picture 2."""

MOST_CHARACTERS = 500
"""Of an answer; nothing longer is read."""

_DETERMINERS = ("the", "my", "this", "that", "final", "correct", "odd")
"""Words before "one" that make it a pronoun."""

_SIGNS = str.maketrans(
    {
        **dict.fromkeys("\u2018\u2019\u201a", "'"),
        **dict.fromkeys("\u201c\u201d\u201e\u00ab\u00bb", '"'),
        **{"\u2013": "-", "\u2014": "-", "\u2265": ">=", "\u2194": "<->", "\u2116": "#", "\u2022": "*"},
    }
)
"""Typographic signs, and how a keyboard writes them. The minus sign is none of them."""

_PLAIN = (
    (re.compile(r"\\(?:text|textbf|textit|textrm|mathrm|mathbf|mathit)\{([^{}]*)\}"), r"\1"),
    (re.compile(r"\^\{\\circ\}|\^\\circ|\\degrees?\b|(?<=\d)(?:\^\{o\}|\^o\b| ?[\u00ba\u02da\u2218])"), "\N{DEGREE SIGN}"),
    (re.compile(r"\\[,;! ]"), " "),
    (re.compile(r"\\boxed\{([^{}]*)\}"), r" \1 "),
    (re.compile(r"(?<![\w$])\$([^$]+)\$(?![\w$])"), r"\1"),
    (re.compile(r"\\\(((?:(?!\\[()]).)*)\\\)"), r" \1 "),
    (re.compile(r"(?<=\w)'s\b"), " is"),
    (re.compile(r"\bno\. ?(?=\d)", re.IGNORECASE), "#"),
)
_EMPHASIS = re.compile(r"(?<!\w)(\*{1,3}|_{1,3}|`{1,3})(?![\s*_`])(.+?)(?<![\s*_`])\1(?!\w)", re.DOTALL)
_BRACKETS = (r"\(((?:[^()]|\([^()]*\))*)\)", r"\[(\[[^\[\]]*\]|[^\[\]]*)\]", r'"([^"]*)"', r"'([^']*)'")
_AROUND = (
    r"```(?:[a-z]*\s)?([^`]*)```",
    r"#{1,6} +(.*)",
    r"\$\$([^$]*)\$\$",
    r"\\\[((?:(?!\\[\[\]]).)*)\\\]",
    r"(.*[^.])\.",
    r"(.*[^\s!?.,;:])[!,]",
    r"([^()\[\]]*\w)\)",
    r"(?i:(?:the |my )?(?:final |correct )?answer(?: is:?|:))\s?(.+)",
    r"(?i:(?!none|no\b|both)(.+) is (?:correct|right|(?:the|my) (?:final |correct |right )?(?:answer|choice|option)))",
)
_ITEM_SHELLS = tuple(re.compile(shell) for shell in _BRACKETS)
_SHELLS = tuple(re.compile(shell, re.DOTALL) for shell in (*_BRACKETS, *_AROUND))
_READABLE = re.compile(r"[ -~\n\N{DEGREE SIGN}\N{RIGHTWARDS ARROW}]+")

_MINUS = re.compile(r"(?:^|[^\w\s])\s*-\s*\w|(?:^|\s)-\w|[A-Za-z]{2}\s+-\s*\d")
_APART = re.compile(r"\d[\s_]+\d")
_LETTER_FIRST = re.compile(r"(?:[(\[](?P<in>[a-z])[)\]][.:]?|(?P<out>[a-z])(?:[.:),]|(?=[ (\[]))) ?(?P<label>.+)")
_LETTER_LAST = re.compile(
    r"(?P<label>.+?),?(?: ?[(\[](?:option |choice )?(?P<in>[a-z])[)\]]| (?:option |choice )?(?P<out>[a-z]))"
)
_BULLET = re.compile(r"[-*] +")
_NUMBERED = re.compile(r"[(\[]?\b(\d+)(?:[)\]]?[.:]|[)\]]| [-=](?= ))\s*")
_ROW = re.compile(r"\[([^\[\]]*)\]")
_MATRIX = re.compile(r"\[(?:\s*\[[^\[\]]*\],?)+\s*\]")

_LISTS = (",", ";", r"->|=>|\N{RIGHTWARDS ARROW}", r"\|")
_AND = r"(?:&|(?<!\w)and(?!\w))"
_PAIR = r"<->|(?<!\w)with(?!\w)"


def body_of(body: str, answer_format: AnswerFormat) -> str | None:
    """Return what stands in an answer block as the strict grammar writes it, or None where it is not one answer."""
    text = unwrap(body)
    if text is None:
        return None
    values = [_one(text, answer_format)] if answer_format.slots == 1 else _several(text, answer_format)
    known = [value for value in values if value is not None]
    return answer_format.format(known) if known and len(known) == len(values) else None


def unwrap(body: str) -> str | None:
    """Take off what an answer is dressed in, and leave lines as they are; None where other characters are left."""
    text = "\n".join(" ".join(line.split()) for line in body.splitlines() if line.strip()).translate(_SIGNS)
    if len(text) > MOST_CHARACTERS:
        return None
    for pattern, plain in _PLAIN:
        text = pattern.sub(plain, text)
    text = _undressed(text.strip(), _SHELLS)
    return text if _READABLE.fullmatch(text) else None


def _undressed(text: str, shells: Iterable[re.Pattern[str]]) -> str:
    before = None
    while text != before:
        before, text = text, _EMPHASIS.sub(r"\2", text)
        for shell in shells:
            match = shell.fullmatch(text)
            if match is not None:
                text = match[1].strip()
    return text


# Names


def mentions(text: str, answer_format: AnswerFormat) -> bool:
    """Return whether a name of some answer that is a word stands in a text."""
    folded = fold(text)
    words = "|".join(re.escape(name) for name in _names(answer_format) if len(name) > 1)
    return folded is None or re.search(rf"(?<!\w)(?:{words})(?!\w)", folded) is not None


@lru_cache(maxsize=256)
def _names(answer_format: AnswerFormat) -> dict[str, int]:
    """Return the values of a slot by all their names, folded: labels, synonyms, numbers in words."""
    names = dict(answer_format.values)
    for word, label in answer_format.synonyms.items():
        names[fold(word) or ""] = answer_format.labels.index(label)
    for label, value in answer_format.values.items():
        if label.isdecimal():
            names |= dict.fromkeys(spelled(int(label)), value)
    return names


def _named(folded: str, answer_format: AnswerFormat) -> int | None:
    """Return the value of a folded name, with its unit or without."""
    names = _names(answer_format)
    joined = re.sub(r"(?<=[>=]) (?=\w)|(?<=\w) (?=\+$)", "", folded)
    return names.get(joined, names.get(answer_format.bare(joined)))


def _counts(answer_format: AnswerFormat) -> bool:
    """Return whether labels are the numbers of things, from 1 on."""
    return all(label == str(number + 1) for number, label in enumerate(answer_format.labels))


def _lettered(answer_format: AnswerFormat) -> bool:
    """Return whether some label is a letter, so that a letter is no option's."""
    return any(len(label) == 1 and label.isalpha() for label in answer_format.labels)


def _ordinal(folded: str, answer_format: AnswerFormat) -> int | None:
    """Return the value of "second" or "2nd" where labels count things."""
    number = place(folded) if _counts(answer_format) else None
    return answer_format.values.get(str(number))


def _option(folded: str, answer_format: AnswerFormat) -> int | None:
    """Return the value of a letter that is a label, or an option's where the question lists all and names none by letters."""
    if not re.fullmatch("[a-z][.:)]?", folded):
        return None
    letter = folded[0]
    number = ord(letter) - ord("a")
    if _lettered(answer_format) or not answer_format.listed or number >= len(answer_format.labels):
        return answer_format.values.get(letter)
    return number


# One value


def _one(text: str, answer_format: AnswerFormat) -> int | None:
    """Return the value of one slot, or None: of a name, of a letter, or of both where they agree."""
    flat = " ".join(text.split())
    folded = None if _MINUS.search(flat) or _APART.search(flat) else fold(flat)
    if folded is None:
        return None
    value = _phrase(folded, answer_format)
    if value is not None:
        return value
    for bare in _leading(folded, _fillers(answer_format)):
        for beside in filter(None, (_LETTER_FIRST.fullmatch(bare), _LETTER_LAST.fullmatch(bare))):
            option = _option(beside["in"] or beside["out"], answer_format)
            label = _phrase(_undressed(beside["label"], _ITEM_SHELLS), answer_format, letters=False)
            if option is not None and option == label:
                return option
    return None


def _phrase(folded: str, answer_format: AnswerFormat, *, letters: bool = True) -> int | None:
    """Return the value of a name, or of a letter, between words that say nothing.

    Behind numbers and letters of things there are none: "a tile" and "2 tiles" name no tile.
    """
    fillers = _fillers(answer_format)
    nouns = (*answer_format.fillers, "option", "choice")
    behind = () if _counts(answer_format) or _lettered(answer_format) else tuple(word for word in fillers if word != "is")
    for bare in _leading(folded, fillers):
        plain, before = _undressed(bare, _ITEM_SHELLS), folded[: len(folded) - len(bare)].split()
        whole = re.sub(r"^\+?(\d+)(?:\.00?)?(?![\d.+])", r"\1", plain)
        pronoun = whole == "one" and before and before[-1] in _DETERMINERS
        found = [_option(plain, answer_format)] if letters else []
        found += [] if pronoun else [_named(name, answer_format) for name in _trailing(whole, behind)]
        found += [_ordinal(name, answer_format) for name in _trailing(plain, nouns)]
        value = next((value for value in found if value is not None), None)
        if value is not None:
            return value
    return None


def _fillers(answer_format: AnswerFormat) -> tuple[str, ...]:
    things = _counts(answer_format) or _lettered(answer_format)
    return (*SAID, *(() if things else ABOUT), *answer_format.fillers)


@lru_cache(maxsize=256)
def _any_of(fillers: tuple[str, ...]) -> str:
    words = sorted({fold(filler) or "" for filler in fillers}, key=len, reverse=True)
    return rf"(?:{'|'.join(map(re.escape, words))})"


def _leading(folded: str, fillers: tuple[str, ...]) -> list[str]:
    """Return a text without none, one, two, ... of the fillers that it begins with; "#" is one before a number."""
    found, pattern = [folded], re.compile(rf"{_any_of(fillers)}(?:: ?| |(?=[(\[#]))|# ?(?=\d)")
    while match := pattern.match(found[-1]):
        found.append(found[-1][match.end() :])
    return found


def _trailing(folded: str, fillers: tuple[str, ...]) -> list[str]:
    """Return a text without none, one, two, ... of the fillers that it ends with, in brackets or not."""
    found, words = [folded], _any_of(fillers)
    pattern = re.compile(rf" (?:{words}|\({words}\))$")
    while fillers and (match := pattern.search(found[-1])):
        found.append(found[-1][: match.start()])
    return found


# Several values


def _several(text: str, answer_format: AnswerFormat) -> list[int | None]:
    """Return the values of several slots; none where the text is no list of as many."""
    nouns = tuple(word for word in (*SAID, *answer_format.fillers) if word not in RELATING)
    word = _any_of(nouns)
    text = re.sub(rf"(?i)^(?:{word}\s+)*{word}(?::\s*|\s+(?:is|are):?\s+)", "", text)
    text = _undressed(text, _ITEM_SHELLS)
    if _MATRIX.fullmatch(text):
        text = "\n".join(row.strip(" ,") for row in _ROW.findall(text[1:-1]))
    numbers = any(character.isdigit() for label in answer_format.labels for character in label)
    pieces = [] if numbers else _numbered(text)
    pieces = pieces or _pieces(text, answer_format.slots, rf"(?:{word}(?=\s)|#)")
    if len(pieces) != answer_format.slots or any(_MINUS.search(piece) for piece in pieces):
        return []
    items = [_leading(fold(_undressed(piece, _ITEM_SHELLS)) or "", nouns) for piece in pieces]
    first, *others = [item[0].removesuffix(item[-1]).replace("#", "").split() for item in items]
    kinds = {words[-1] for words in others if words}  # "place 1, tile 2" tells where a tile is
    if kinds and not (len(kinds) == 1 and kinds <= {noun.removesuffix("s") for noun in first}):
        return []
    return [_named(_undressed(item[-1], _ITEM_SHELLS), answer_format) for item in items]


def _numbered(text: str) -> list[str]:
    """Return what stands behind the numbers 1, 2, 3, ... of a numbered list; none where there are other numbers or none."""
    before, *found = _NUMBERED.split(text)
    inside = [re.sub(r"[\s,;.]*(?:\band)?\s*$", "", piece) for piece in found[1::2]]
    return inside if not before and found[::2] == [str(number + 1) for number in range(len(inside))] else []


def _pieces(text: str, slots: int, noun: str) -> list[str]:
    """Return the items of a list, or of the rows of a square; others than were asked for where it is neither."""
    lines = re.sub(r"(?<=[,;>\N{RIGHTWARDS ARROW}])\n", " ", text).split("\n")
    if len(lines) > 1 and all(_BULLET.match(line) for line in lines):
        lines = [_BULLET.sub("", line, count=1) for line in lines]
    if len(lines) == 1:
        return _split(lines[0], slots, noun)
    if len(lines) == slots:
        return lines
    rows = [line.strip("| ") for line in lines]
    marks = next((mark for mark in (",", r"\|") if re.search(mark, rows[0])), r"\s")
    cells = [re.split(rf"\s*{marks}\s*", row) for row in rows]
    return [cell for row in cells for cell in row] if all(len(row) == len(rows) for row in cells) else []


def _split(line: str, slots: int, noun: str) -> list[str]:
    """Split a line at separators of one kind, and perhaps a last "and"."""
    marks = [_PAIR, *_LISTS, _AND] if slots == 2 else [*_LISTS, _AND, "-"]
    mark = next((mark for mark in marks if re.search(mark, line)), None)
    if mark is None:
        return re.findall(rf"(?i)(?:{noun} ?)*\S+", line)
    pieces = re.split(rf"\s*(?:{mark})\s*", line)
    if mark in (",", ";"):
        pieces[-1:] = re.split(rf"\s*{_AND}\s*", re.sub(rf"^{_AND}\s*", "", pieces[-1]))
    return pieces
