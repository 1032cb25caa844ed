"""Pictures of instances: one card an instance, with its question and, where it has been answered, answer and truth.

Everything here works from what a task declares (its pictures, prompts and answer format), so a new task draws itself.
"""

from __future__ import annotations

import os
import sys
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass, field
from importlib.util import find_spec
from itertools import zip_longest
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from ssl4rl_envs.task import Batch, Score, Task

MODES: tuple[str, ...] = ("rgb_array", "ansi", "human")

_WIDTH = 360  # of a card, in pixels
_MARGIN = 14
_INK, _PAPER, _FRAME = (32, 36, 44), (255, 255, 255), (222, 226, 232)
_RIGHT, _PART, _WRONG, _TRUTH = (22, 128, 72), (176, 112, 16), (190, 42, 50), (90, 98, 112)


@dataclass(frozen=True)
class Verdict:
    """What came of an answer.

    Args:
        answer: in words; None where there was none.
        truth: in words; None where the task has no words.
        reward: of the episode.
        success: whether it was right.
        pictures: that show the answer and the truth, of tasks without words.
    """

    answer: str | None
    truth: str | None
    reward: float
    success: bool
    pictures: dict[str, NDArray[np.uint8]] = field(default_factory=dict)

    def __str__(self) -> str:
        """Put it in one line."""
        reward = f"reward {self.reward:.2f}"
        return reward if self.truth is None else f"{self.said}, truth {self.truth}, {reward}"

    @property
    def said(self) -> str:
        """What was answered, in words."""
        return "no answer" if self.answer is None else f"answer {self.answer}"


@dataclass(frozen=True)
class Card:
    """What is drawn of an instance: its pictures with their names, its question, and the verdict if it is known."""

    pictures: dict[str, NDArray[np.uint8]]
    question: str
    verdict: Verdict | None


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


def card(task: Task, batch: Batch, row: int, verdict: Verdict | None) -> Card:
    """Collect what is to be drawn of one row of a batch."""
    pictures = task.pictures(batch, row) | (verdict.pictures if verdict is not None else {})
    return Card(pictures, task.caption(batch.rows(slice(row, row + 1)))[0], verdict)


def _font(size: int) -> Any:
    return ImageFont.load_default(size)


def draw(card: Card) -> NDArray[np.uint8]:
    """Draw a card, uint8 (height, 360, 3); its height follows from what it holds."""
    count = len(card.pictures)
    side = (_WIDTH - (count + 1) * _MARGIN) // max(1, count)
    font, small = _font(14), _font(12)
    question = textwrap.wrap(card.question, 50)
    top = _MARGIN + (16 if count > 1 else 0)
    heights = [round(side * picture.shape[0] / picture.shape[1]) for picture in card.pictures.values()]
    text_top = top + max(heights, default=0) + 10
    height = text_top + 18 * len(question) + 28 + _MARGIN // 2
    canvas = Image.new("RGB", (_WIDTH, height), _PAPER)
    pen = ImageDraw.Draw(canvas)
    for i, ((name, picture), shown) in enumerate(zip(card.pictures.items(), heights, strict=True)):
        left = _MARGIN + i * (side + _MARGIN)
        if count > 1:
            pen.text((left, _MARGIN - 4), name, _TRUTH, small)
        canvas.paste(Image.fromarray(picture).resize((side, shown), Image.Resampling.BICUBIC), (left, top))
        pen.rectangle((left, top, left + side - 1, top + shown - 1), outline=_FRAME)
    for line, words in enumerate(question):
        pen.text((_MARGIN, text_top + 18 * line), words, _INK, font)
    bottom = text_top + 18 * len(question) + 6
    if card.verdict is not None:
        _draw_verdict(pen, card.verdict, bottom, font)
    pen.rectangle((0, 0, _WIDTH - 1, height - 1), outline=_FRAME)
    return np.asarray(canvas)


def _draw_verdict(pen: ImageDraw.ImageDraw, verdict: Verdict, top: int, font: Any) -> None:
    colour = _RIGHT if verdict.success else _PART if verdict.reward > 0 else _WRONG
    left, words = float(_MARGIN), f"reward {verdict.reward:.2f}"
    if verdict.truth is not None:
        pen.text((left, top), verdict.said, colour, font)
        left += pen.textlength(verdict.said + "   ", font)
        words = f"truth {verdict.truth}   {words}"
    pen.text((left, top), words, colour if verdict.truth is None else _TRUTH, font)


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


def has_display() -> bool:
    """Return whether a window can be opened: a display is announced, and Python has tkinter."""
    if sys.platform not in ("win32", "darwin") and not os.environ.get("DISPLAY"):
        return False
    return find_spec("_tkinter") is not None and find_spec("tkinter") is not None


def usable_modes() -> list[str]:
    """Return the render modes that work on this machine."""
    return [mode for mode in MODES if mode != "human" or has_display()]


def check_mode(mode: str | None) -> str | None:
    """Return `mode` if it can be used here.

    Raises:
        ValueError: it is no render mode, or "human" without a display.
    """
    if mode is not None and mode not in MODES:
        raise ValueError(f"render_mode must be one of {', '.join(MODES)} or None, got {mode!r}")
    if mode == "human" and not has_display():
        raise ValueError(
            "render_mode='human' opens a window, and this machine has no display (or Python lacks tkinter); "
            "use render_mode='rgb_array' and save the picture"
        )
    return mode


class Window:
    """A window that shows one picture at a time."""

    def __init__(self) -> None:
        import tkinter

        self._root = tkinter.Tk()
        self._root.title("SSL4RL")
        self._label = tkinter.Label(self._root)
        self._label.pack()

    def show(self, picture: NDArray[np.uint8]) -> None:
        """Show a uint8 picture (height, width, 3)."""
        from PIL import ImageTk

        self._photo = ImageTk.PhotoImage(Image.fromarray(picture), master=self._root)
        self._label.configure(image=str(self._photo))
        self._root.update()

    def close(self) -> None:
        """Close the window."""
        self._root.destroy()
