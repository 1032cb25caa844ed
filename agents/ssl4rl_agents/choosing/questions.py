"""A question of a downstream set: pictures, words, options and which is right; how it is put, and how replies are read."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from io import BytesIO
from pathlib import Path
from string import ascii_uppercase
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from ssl4rl_envs.answers import AnswerFormat, extract, fold, instructions
from ssl4rl_envs.arguments import one_of
from ssl4rl_envs.sources.decoding import decode
from ssl4rl_envs.speech import read_reply

Reply = Literal["letter", "words"]
REPLIES = ("letter", "words")


class BadRowError(ValueError):
    """A row of a file that is no question: which file, which row, what is wrong, and what would be right."""

    def __init__(self, file: Path, row: int | str | None, problem: str) -> None:
        where = f"{file}" if row is None else f"{file}, row {row}"
        super().__init__(f"{where}: {problem}")


@dataclass(frozen=True)
class Picture:
    """A picture that is decoded when it is shown.

    Args:
        data: the bytes of a picture file, or where one lies.
        where: what to call it in errors.
    """

    data: bytes | Path
    where: str

    @property
    def id(self) -> str:
        """What is the same for the same picture: its path, or the digest of its bytes."""
        if isinstance(self.data, Path):
            return str(self.data)
        return hashlib.blake2b(self.data, digest_size=12).hexdigest()

    def pixels(self, most: int | None = None) -> NDArray[np.uint8]:
        """Return it as uint8 RGB (height, width, 3), upright, scaled down to a longer side of `most` pixels.

        Raises:
            ValueError: it is no picture, or cannot be read; the message says which.
        """
        try:
            data = self.data.read_bytes() if isinstance(self.data, Path) else self.data
            shown = decode(data).pixels
        except Exception as error:  # Pillow's readers raise errors of many types
            raise ValueError(f"{self.where} cannot be read as a picture: {error}") from error
        if most is not None and max(shown.shape[:2]) > most:
            small = Image.fromarray(shown)
            small.thumbnail((most, most), Image.Resampling.BICUBIC)
            shown = np.asarray(small)
        return shown

    def __repr__(self) -> str:
        return f"Picture({self.where})"


def picture_of(pixels: NDArray[np.uint8], where: str) -> Picture:
    """Return pixels (height, width, 3) as a picture."""
    held = BytesIO()
    Image.fromarray(pixels).save(held, "PNG")
    return Picture(held.getvalue(), where)


@dataclass(frozen=True)
class Question:
    """A question with options, one of which is right.

    Args:
        key: its name, one of its own in the set.
        pictures: shown with it, perhaps none.
        prompt: the question in words, without the options and without how to reply.
        options: two or more.
        truth: which one is right, from 0.
        kind: what it asks about, for results by kind; "" where nobody says.
        picture: what it is about: questions about one picture are not independent.
        group: of a question that is asked with its options in all rotations, its name: it is right if all of these are.
        favoured: the option that the words alone suggest, where somebody says so.
    """

    key: str
    pictures: tuple[Picture, ...]
    prompt: str
    options: tuple[str, ...]
    truth: int
    kind: str = ""
    picture: str = ""
    group: str | None = None
    favoured: int | None = None

    def __post_init__(self) -> None:
        if len(self.options) < 2 or not 0 <= self.truth < len(self.options):
            raise ValueError(f"question {self.key}: of {len(self.options)} options, number {self.truth} cannot be the truth")


def rotations(question: Question) -> list[Question]:
    """Return a question with its options in all rotations, as MMBench asks it (Liu et al. 2023, arXiv 2307.06281)."""
    count = len(question.options)

    def turned(place: int | None, by: int) -> int | None:
        return None if place is None else (place - by) % count

    return [
        replace(
            question,
            key=f"{question.key}/{by}",
            options=question.options[by:] + question.options[:by],
            truth=(question.truth - by) % count,
            favoured=turned(question.favoured, by),
            group=question.key,
        )
        for by in range(count)
    ]


@dataclass(frozen=True)
class Wording:
    """How questions of a file are put to a policy.

    Args:
        reply: "letter" names the option by its letter, "words" by its words.
        style: "direct" or "think".
    """

    reply: Reply = "letter"
    style: str = "direct"

    def __post_init__(self) -> None:
        one_of("reply", self.reply, REPLIES)

    def offered(self, question: Question) -> tuple[str, ...]:
        """Return what may be answered, one for each option."""
        if self.reply == "words":
            return question.options
        return tuple(ascii_uppercase[: len(question.options)])

    def prompt(self, question: Question) -> str:
        """Return the whole prompt: the question, its options, and how to reply.

        The example of a reply is one of the options, another from question to question, so that it favours none.
        """
        offered = self.offered(question)
        digest = hashlib.blake2b(question.key.encode(), digest_size=4).digest()
        how = instructions(self.style, offered[int.from_bytes(digest) % len(offered)])
        if self.reply == "words":
            return f"{question.prompt}\nOptions: {', '.join(question.options)}.\n{how}"
        listed = "\n".join(f"{letter}. {option}" for letter, option in zip(offered, question.options, strict=True))
        return f"{question.prompt}\n{listed}\nAnswer with the option's letter. {how}"


def understood(reply: Any, offered: tuple[str, ...], style: str, grammar: str) -> int | None:
    """Return which of the offered answers a reply in words gives; None where it is not exactly one of them.

    Args:
        reply: the whole reply.
        offered: what may be answered.
        style: "direct" or "think".
        grammar: "strict" or "lenient", as for tasks (`ssl4rl_envs.answers`). Options that cannot be told apart once case is
            folded, or hold brackets or commas, are read strictly and as they are written.
    """
    try:
        form = AnswerFormat(offered)
    except ValueError:
        body = extract(reply, style)
        found = [number for number, option in enumerate(offered) if body is not None and _alike(body, option)]
        return found[0] if len(found) == 1 else None
    answer = read_reply(reply, [form], form.parse, style, grammar)
    return None if answer is None else int(answer)


def _alike(body: str, option: str) -> bool:
    folded = fold(body)
    return body.strip() == option.strip() or (folded is not None and folded == fold(option))
