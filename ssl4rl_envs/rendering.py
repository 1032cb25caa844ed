"""Pictures of instances: one card an instance, with its question and, where it has been answered, answer and truth.

Everything here works from what a task declares (its pictures, prompts and answer format), so a new task draws itself.
"""

from __future__ import annotations

import operator
import textwrap
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import lru_cache, reduce
from itertools import zip_longest
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from ssl4rl_envs.stream import Stream
from ssl4rl_envs.task import Batch, Score, Task

_WIDTH = 360  # of a card, in pixels
_MARGIN = 14
_TEXT = 14  # size of words, in pixels
_NAME = 16  # room for the names of pictures
_PROBES = 8  # questions by which a task's canvas is measured
_INK, _PAPER, _FRAME = (32, 36, 44), (255, 255, 255), (222, 226, 232)
Colour = tuple[int, int, int]
Line = list[tuple[str, Colour]]
"""Words and their colours, from left to right."""

_GAP = "   "  # between the parts of a verdict
TRUTH = "true"
"""What `Task.illustrate` calls the picture of the right answer."""

_RIGHT, _PART, _WRONG, _TRUTH = (22, 128, 72), (176, 112, 16), (190, 42, 50), (90, 98, 112)


@dataclass(frozen=True)
class Verdict:
    """What came of an answer; or the right one alone, where nobody was asked (`reveal`).

    Args:
        answer: in words; None where there was none.
        truth: in words; None where the task has no words.
        reward: of the episode; None where nobody was asked.
        success: whether it was right.
        pictures: that show the answer and the truth, of tasks without words.
    """

    answer: str | None
    truth: str | None
    reward: float | None
    success: bool
    pictures: dict[str, NDArray[np.uint8]] = field(default_factory=dict)

    def __str__(self) -> str:
        """Put it in one line."""
        return ", ".join(words for words, _ in self.parts)

    @property
    def parts(self) -> Line:
        """What is said of it, part by part, each in its colour."""
        if self.reward is None:
            return [] if self.truth is None else [(f"right answer {self.truth}", _RIGHT)]
        colour = _RIGHT if self.success else _PART if self.reward > 0 else _WRONG
        reward = f"reward {self.reward:.2f}"
        if self.truth is None:
            return [(reward, colour)]
        return [(self.said, colour), (f"truth {self.truth}", _TRUTH), (reward, _TRUTH)]

    @property
    def said(self) -> str:
        """What was answered, in words."""
        return "no answer" if self.answer is None else f"answer {self.answer}"


@dataclass(frozen=True)
class Card:
    """What is drawn of an instance: its pictures with their names, its question, and the verdict if it is known.

    `slots` is for how many pictures there is room side by side, those of a verdict that is to come included.
    """

    pictures: dict[str, NDArray[np.uint8]]
    question: str
    verdict: Verdict | None
    slots: int = 1

    @property
    def side(self) -> int:
        """Width of a picture, in pixels of the card."""
        many = max(self.slots, len(self.pictures))
        return (_WIDTH - (many + 1) * _MARGIN) // many

    @property
    def named(self) -> bool:
        """Whether the pictures have their names above them."""
        return max(self.slots, len(self.pictures)) > 1


@dataclass(frozen=True)
class Canvas:
    """How many pixels high the parts of a card are: pictures with their names, question, verdict."""

    pictures: int
    question: int
    verdict: int

    @property
    def height(self) -> int:
        """Of the whole card: even, since video that plays everywhere (4:2:0) has no odd lines."""
        needed = _MARGIN + self.pictures + 10 + self.question + 6 + self.verdict + _MARGIN // 2
        return needed + needed % 2

    def __or__(self, other: Canvas) -> Canvas:
        """Return the least canvas that holds what either does."""
        pairs = ((getattr(self, name), getattr(other, name)) for name in ("pictures", "question", "verdict"))
        return Canvas(*(max(pair) for pair in pairs))


def judge(task: Task, batch: Batch, answers: NDArray[Any], score: Score) -> list[Verdict]:
    """Put the outcome of answers (n, ...) to n questions in words; `Task.no_answer` stands where there was none."""
    said, truths = task.format_all(answers, batch), task.truths(batch)
    return [
        Verdict(
            said[row],
            truths[row],
            float(score.reward[row]),
            bool(score.success[row]),
            task.illustrate(answers[row], batch, row),
        )
        for row in range(len(batch))
    ]


def reveal(task: Task, batch: Batch) -> list[Verdict]:
    """Put the right answers to n questions in words, or in pictures where a task has no words; nobody has answered."""
    answers, truths = task.oracle(batch), task.truths(batch)
    shown = [task.illustrate(answers[row], batch, row) for row in range(len(batch))]
    return [
        Verdict(None, truth, None, success=True, pictures={TRUTH: pictures[TRUTH]} if TRUTH in pictures else {})
        for truth, pictures in zip(truths, shown, strict=True)
    ]


def card(task: Task, batch: Batch, row: int, verdict: Verdict | None) -> Card:
    """Collect what is to be drawn of one row of a batch."""
    one = batch.rows(slice(row, row + 1))
    asked = task.pictures(batch, row)
    slots = len(asked) + len(task.illustrate(task.oracle(one)[0], batch, row))
    told = verdict.pictures if verdict is not None else {}
    return Card(asked | told, task.caption(one)[0], verdict, slots)


def canvas_of(card: Card) -> Canvas:
    """Return how much room a card takes by itself."""
    heights = [round(card.side * picture.shape[0] / picture.shape[1]) for picture in card.pictures.values()]
    question, verdict = _lines(card.question, _TEXT), _verdict_lines(card.verdict, _TEXT)
    room = (len(question) * _line(_TEXT), max(1, len(verdict)) * _line(_TEXT))
    return Canvas((_NAME if card.named else 0) + max(heights, default=0), *room)


def canvas_for(task: Task, split: str) -> Canvas:
    """Return the canvas that holds the cards of a task before and after an answer, from a few of its questions.

    All cards drawn on one canvas are of one size. What takes more room than those few do is drawn smaller: see `draw`.
    """
    if task.parts:
        return reduce(operator.or_, (canvas_for(part, split) for part in task.parts))
    batch = task.sample(Stream.span(split, 0, 0, _PROBES))
    answers = task.oracle(batch)
    verdicts = judge(task, batch, answers, task.score(answers, batch))
    return reduce(operator.or_, (canvas_of(card(task, batch, row, verdict)) for row, verdict in enumerate(verdicts)))


def draw(card: Card, canvas: Canvas | None = None) -> NDArray[np.uint8]:
    """Draw a card, uint8 (height, 360, 3).

    Args:
        card: what is drawn.
        canvas: how high the card is; by default as high as it needs. What does not fit is drawn smaller, never cut off.
    """
    room = canvas or canvas_of(card)
    image = Image.new("RGB", (_WIDTH, room.height), _PAPER)
    pen = ImageDraw.Draw(image)
    top = _MARGIN + (_NAME if card.named else 0)
    for i, (name, picture) in enumerate(card.pictures.items()):
        left = _MARGIN + i * (card.side + _MARGIN)
        share = min(card.side / picture.shape[1], (_MARGIN + room.pictures - top) / picture.shape[0])
        width, height = (max(1, round(share * length)) for length in (picture.shape[1], picture.shape[0]))
        if card.named:
            pen.text((left, _MARGIN - 4), name, _TRUTH, _font(12))
        image.paste(Image.fromarray(picture).resize((width, height), Image.Resampling.BICUBIC), (left, top))
        pen.rectangle((left, top, left + width - 1, top + height - 1), outline=_FRAME)
    top = _MARGIN + room.pictures + 10
    _write(pen, top, room.question, lambda size: _plain(card.question, size, _INK))
    _write(pen, top + room.question + 6, room.verdict, lambda size: _verdict_lines(card.verdict, size))
    pen.rectangle((0, 0, _WIDTH - 1, room.height - 1), outline=_FRAME)
    return np.array(image)  # a copy that may be written to, as whoever wraps an environment may want to


@lru_cache(maxsize=16)
def _font(size: int) -> Any:
    return ImageFont.load_default(size)


def _line(size: int) -> int:
    """Return how far lines of a size are apart, in pixels."""
    return size + 4


def _lines(words: str, size: int) -> list[str]:
    """Break words into lines that fit a card, as wide as they are in a font of that size; long words are broken too."""
    font, room, lines = _font(size), _WIDTH - 2 * _MARGIN, [""]
    for word in words.split():
        longer = f"{lines[-1]} {word}".strip()
        if font.getlength(longer) <= room:
            lines[-1] = longer
            continue
        lines.append("")
        for letter in word:
            if font.getlength(lines[-1] + letter) > room:
                lines.append("")
            lines[-1] += letter
    return [line for line in lines if line]


def _plain(words: str, size: int, colour: Colour) -> list[Line]:
    return [[(line, colour)] for line in _lines(words, size)]


def _verdict_lines(verdict: Verdict | None, size: int) -> list[Line]:
    """Return the lines of a verdict: as many of its parts side by side as fit, and what is longer than a line broken."""
    lines: list[Line] = []
    room = float(_WIDTH - 2 * _MARGIN)
    left = 0.0
    for words, colour in () if verdict is None else verdict.parts:
        width = _font(size).getlength(f"{_GAP}{words}")
        if lines and width <= left:
            lines[-1].append((f"{_GAP}{words}", colour))
            left -= width
        else:
            lines += _plain(words, size, colour)
            left = room - _font(size).getlength(lines[-1][0][0])
    return lines


def _write(pen: ImageDraw.ImageDraw, top: int, room: int, broken: Callable[[int], list[Line]]) -> None:
    """Write lines in the largest size that leaves them room, `_TEXT` at most."""
    size = _TEXT
    while size > 1 and len(broken(size)) * _line(size) > room:
        size -= 1
    for number, line in enumerate(broken(size)):
        left = float(_MARGIN)
        for words, colour in line:
            pen.text((left, top + number * _line(size)), words, colour, _font(size))
            left += pen.textlength(words, _font(size))


def board(cards: Sequence[Card], columns: int = 4) -> NDArray[np.uint8]:
    """Draw cards in a grid, uint8 (height, width, 3).

    Raises:
        ValueError: there is no card.
    """
    if not cards:
        raise ValueError("a board needs at least one card")
    drawn = [draw(one) for one in cards]
    columns = min(columns, len(drawn))
    gap = 12
    rows = [drawn[start : start + columns] for start in range(0, len(drawn), columns)]
    heights = [max(picture.shape[0] for picture in row) for row in rows]
    canvas = np.full((sum(heights) + gap * (len(rows) + 1), columns * (_WIDTH + gap) + gap, 3), 244, np.uint8)
    top = gap
    for row, height in zip(rows, heights, strict=True):
        for i, picture in enumerate(row):
            left = gap + i * (_WIDTH + gap)
            canvas[top : top + picture.shape[0], left : left + _WIDTH] = picture
        top += height + gap
    return canvas


def to_ansi(card: Card, columns: int = 32) -> str:
    """Write a card for a terminal with 24-bit colour: half blocks for the pictures, then the words."""
    blocks = []
    for picture in card.pictures.values():
        rows = max(2, round(columns * picture.shape[0] / picture.shape[1] / 2) * 2)
        small = np.asarray(Image.fromarray(picture).resize((columns, rows), Image.Resampling.BOX))
        blocks.append(["".join(map(_half_block, small[r], small[r + 1])) + "\x1b[0m" for r in range(0, rows, 2)])
    lines = ["  ".join(parts) for parts in zip_longest(*blocks, fillvalue=" " * columns)]
    lines += textwrap.wrap(card.question, 80)
    if card.verdict is not None:
        lines.append(str(card.verdict))
    return "\n".join(lines)


def _half_block(upper: NDArray[np.uint8], lower: NDArray[np.uint8]) -> str:
    (r, g, b), (r2, g2, b2) = upper, lower
    return f"\x1b[38;2;{r};{g};{b}m\x1b[48;2;{r2};{g2};{b2}m\u2580"
