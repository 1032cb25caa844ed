"""Downstream sets in files: tables of one's own, MMBench's TSV, SEED-Bench's JSON."""

from __future__ import annotations

import base64
import binascii
import re
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path
from string import ascii_uppercase
from typing import Any

from ssl4rl_agents.choosing.questions import BadRowError, Picture, Question, rotations
from ssl4rl_agents.choosing.tables import Row, listed, missing, read_rows

REFERENCE = 64
"""A cell of at most so many letters may name another row, as in VLMEvalKit, whose pictures it shows."""

BASE64 = re.compile(r"[A-Za-z0-9+/=\s]{65,}")
DATA_URL = re.compile(r"data:image/[\w.+-]+;base64,")
SEED_SUFFIXES = ("", ".jpg", ".jpeg", ".png")


@dataclass(frozen=True)
class Columns:
    """What the columns of a table are called.

    Args:
        key: the name of a question, one of its own; rows are numbered where there is none.
        question, hint: words; the hint, which may be missing, stands before the question.
        picture: a path, base64, bytes, several of these in a list, or the key of a row that has them. Where the table has no
            such column, `picture_path` is looked for.
        picture_path: the same, by the name that VLMEvalKit has for paths.
        options: a column that holds a list of options; without it, the columns A, B, C, ... hold one each.
        answer: the right option: its letter, its words, or its number from 0.
        kind: what is asked about, e.g. a category.
        favoured: the option that words alone suggest, as `answer`.
    """

    key: str = "index"
    question: str = "question"
    hint: str = "hint"
    picture: str = "image"
    picture_path: str = "image_path"
    options: str = "options"
    answer: str = "answer"
    kind: str = "category"
    favoured: str = "favoured"

    @classmethod
    def of(cls, said: Sequence[str]) -> Columns:
        """Return the columns that "answer=label" and the like rename.

        Raises:
            ValueError: it is written otherwise, or there is no such column to rename.
        """
        known = [each.name for each in fields(cls)]
        named: dict[str, str] = {}
        for pair in said:
            name, equals, column = pair.partition("=")
            if not equals or name not in known or not column:
                raise ValueError(f"columns are named as NAME=COLUMN, where NAME is one of {', '.join(known)}; got {pair!r}")
            named[name] = column
        return cls(**named)


@dataclass(frozen=True)
class Read:
    """The questions of a file, and how many rows were left out for which reason."""

    questions: list[Question]
    left_out: dict[str, int] = field(default_factory=dict)


def read_table(file: Path, columns: Columns | None = None, pictures: Path | None = None) -> Read:
    """Read a table of questions with options: TSV, CSV, JSONL, JSON or parquet.

    Args:
        file: one row a question.
        columns: what they are called.
        pictures: the folder that paths of pictures start from; that of the file by default.

    Raises:
        BadRowError: a row is no question.
        OSError, ImportError, ValueError: as of `tables.read_rows`.
    """
    names, rows = columns or Columns(), read_rows(file)
    reader = _TableReader(file, names, pictures or file.parent, rows)
    return Read(_distinct(file, [reader.question(number, row) for number, row in rows]))


def read_mmbench(file: Path, columns: Columns | None = None, pictures: Path | None = None) -> Read:
    """Read a table as MMBench's, each question with its options in all rotations; arguments and errors as of `read_table`."""
    plain = read_table(file, columns, pictures)
    return Read([turned for question in plain.questions for turned in rotations(question)], plain.left_out)


def read_seed_bench(file: Path, columns: Columns | None = None, pictures: Path | None = None) -> Read:
    """Read SEED-Bench's JSON; questions about videos, and those whose options are pictures, are left out and counted.

    Args:
        file: {"questions": [...], "question_type": {...}}.
        columns: no use is made of them.
        pictures: the folder in which the files `data_id` lie; that of the file by default.

    Raises:
        BadRowError, OSError, ValueError: as of `read_table`.
    """
    import json

    del columns
    folder, rows = pictures or file.parent, read_rows(file)
    held = json.loads(file.read_text(encoding="utf-8-sig"))
    types = held.get("question_type", {}) if isinstance(held, dict) else {}
    kinds = {str(number): name for name, number in types.items()}
    questions, left_out = [], Counter[str]()
    for number, row in rows:
        shown = str(_cell(file, number, row, "data_type"))
        if shown.lower() not in ("image", "single image", "multiple images"):
            left_out[f"data_type {shown}"] += 1
            continue
        questions.append(_of_seed_bench(file, number, row, folder, kinds))
    return Read(_distinct(file, questions), dict(left_out))


READERS: dict[str, Callable[[Path, Columns | None, Path | None], Read]] = {
    "table": read_table,
    "mmbench": read_mmbench,
    "seed-bench": read_seed_bench,
}
"""How the questions of a file are read, by the name of its format."""


def _of_seed_bench(file: Path, number: int, row: Row, folder: Path, kinds: dict[str, str]) -> Question:
    names = [f"choice_{letter}" for letter in "abcd"]
    options = tuple(str(row[name]) for name in names if not missing(row.get(name)))
    answer = str(_cell(file, number, row, "answer")).strip()
    if answer not in ascii_uppercase[: len(options)] or len(answer) != 1:
        raise BadRowError(file, number, f"answer must be the letter of one of its {len(options)} choices, got {answer!r}")
    given = _cell(file, number, row, "data_id")
    shown = tuple(_seed_picture(file, number, folder, str(each)) for each in listed(given) or [given])
    kind = str(row.get("question_type_id", ""))
    return Question(
        key=str(_cell(file, number, row, "question_id")),
        pictures=shown,
        prompt=str(_cell(file, number, row, "question")),
        options=options,
        truth=ascii_uppercase.index(answer),
        kind=kinds.get(kind, kind),
        picture=" ".join(each.id for each in shown),
    )


def _seed_picture(file: Path, number: int, folder: Path, name: str) -> Picture:
    for suffix in SEED_SUFFIXES:  # names of CC3M's pictures have none
        path = folder / f"{name}{suffix}"
        if path.is_file():
            return Picture(path, f"{file}, row {number}, {path}")
    raise BadRowError(
        file,
        number,
        f"there is no picture {folder / name}; give the folder that holds the files named by data_id (--pictures)",
    )


class _TableReader:
    """Makes questions of the rows of one table."""

    def __init__(self, file: Path, columns: Columns, folder: Path, rows: Sequence[tuple[int, Row]]) -> None:
        self.file, self.columns, self.folder = file, columns, folder
        self.by_key = {str(row[columns.key]): row for _, row in rows if not missing(row.get(columns.key))}

    def question(self, number: int, row: Row) -> Question:
        names = self.columns
        options, letters = self._options(number, row)
        hint = row.get(names.hint)
        words = str(_cell(self.file, number, row, names.question, self._rename("question")))
        shown = self._pictures(number, row)
        key = row.get(names.key)
        favoured = row.get(names.favoured)
        kind = row.get(names.kind)
        return Question(
            key=str(number) if missing(key) else str(key),
            pictures=shown,
            prompt=words if missing(hint) else f"{hint}\n{words}",
            options=options,
            truth=self._place(number, names.answer, row.get(names.answer), options, letters),
            kind="" if missing(kind) else str(kind),
            picture=" ".join(each.id for each in shown) or f"row {number}",
            favoured=None if missing(favoured) else self._place(number, names.favoured, favoured, options, letters),
        )

    def _rename(self, name: str) -> str:
        return f"; if it is called otherwise, say so: --columns {name}=COLUMN"

    def _options(self, number: int, row: Row) -> tuple[tuple[str, ...], bool]:
        """Return the options of a row, and whether they stand in columns A, B, C, ..."""
        held = row.get(self.columns.options)
        if not missing(held):
            options = listed(held)
            if options is None:
                raise BadRowError(
                    self.file,
                    number,
                    f'{self.columns.options} must hold a list of options, e.g. ["cat", "dog"], got {held!r}',
                )
            letters = False
        else:
            options, letters = [row[letter] for letter in ascii_uppercase if not missing(row.get(letter))], True
        said = tuple(str(option).strip() for option in options)
        if len(said) < 2 or len(set(said)) != len(said):
            raise BadRowError(
                self.file,
                number,
                f"a question has two options or more, all different, in the columns A, B, C, ... or as a list in the column "
                f"{self.columns.options} (--columns options=COLUMN); got {list(said)}",
            )
        return said, letters

    def _place(self, number: int, column: str, value: Any, options: tuple[str, ...], letters: bool) -> int:
        """Return which option a cell names."""
        said = "" if missing(value) else str(value).strip()
        by_letter = ascii_uppercase.find(said) if len(said) == 1 else -1
        by_words = options.index(said) if said in options else -1
        by_number = int(said) if said.isdecimal() and not letters else -1
        order = [by_letter, by_words] if letters else [by_words, by_letter, by_number]
        if isinstance(value, int) and not letters:
            order = [value]
        place = next((place for place in order if 0 <= place < len(options)), None)
        if place is None:
            raise BadRowError(
                self.file,
                number,
                f"{column} must name one of the options {list(options)}, by its letter (A is the first), its words"
                + ("" if letters else " or its number from 0")
                + f"; got {value!r}",
            )
        return place

    def _pictures(self, number: int, row: Row) -> tuple[Picture, ...]:
        names = self.columns
        column = names.picture if names.picture in row else names.picture_path
        cell = row.get(column)
        if missing(cell):
            return ()
        if isinstance(cell, (str, int)) and len(str(cell)) <= REFERENCE and str(cell) in self.by_key:
            other = self.by_key[str(cell)].get(column)
            if missing(other) or (
                isinstance(other, (str, int)) and len(str(other)) <= REFERENCE and str(other) in self.by_key
            ):
                raise BadRowError(
                    self.file, number, f"{column} names the row {cell!r}, which holds no picture itself; name one that does"
                )
            cell = other
        where = f"{self.file}, row {number}"
        return tuple(self._picture(number, column, each, where) for each in listed(cell) or [cell])

    def _picture(self, number: int, column: str, value: Any, where: str) -> Picture:
        if isinstance(value, dict):  # as datasets stores pictures in parquet
            value = value.get("bytes") or value.get("path")
        if isinstance(value, (bytes, bytearray)):
            return Picture(bytes(value), where)
        text = str(value)
        coded = DATA_URL.sub("", text, count=1)
        if coded == text and len(text) < 1024 and (self.folder / text).is_file():
            return Picture(self.folder / text, f"{where}, {self.folder / text}")
        if coded != text or BASE64.fullmatch(coded):
            try:
                return Picture(base64.b64decode(coded, validate=False), where)
            except binascii.Error as error:
                raise BadRowError(self.file, number, f"{column} is no base64: {error}") from error
        shown = text if len(text) <= 80 else f"{text[:77]}..."
        raise BadRowError(
            self.file,
            number,
            f"{column} must be a picture: a file in {self.folder} (another folder: --pictures), base64, or the "
            f"{self.columns.key} of a row that has one; got {shown!r}",
        )


def _cell(file: Path, number: int, row: Row, name: str, more: str = "") -> Any:
    value = row.get(name)
    if missing(value):
        why = "is empty" if name in row else f"is missing; there are {', '.join(map(str, row))}"
        raise BadRowError(file, number, f"{name} {why}{more}")
    return value


def _distinct(file: Path, questions: list[Question]) -> list[Question]:
    twice = [key for key, count in Counter(question.key for question in questions).items() if count > 1]
    if twice:
        raise BadRowError(
            file, None, f"{len(twice)} questions share their names, {twice[0]!r} first; each needs one of its own"
        )
    return questions
