"""Rows of a file: TSV, CSV, JSONL, JSON or parquet, each row with its number for errors."""

from __future__ import annotations

import ast
import csv
import json
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ssl4rl_agents.choosing.questions import BadRowError
from ssl4rl_envs.installing import need

SUFFIXES = (".tsv", ".csv", ".jsonl", ".json", ".parquet")
LONGEST_CELL = 2**31 - 1
"""Pictures stand in cells, of which csv takes 131,072 letters otherwise."""

Row = dict[str, Any]


def read_rows(file: Path) -> list[tuple[int, Row]]:
    """Return the rows of a file and their numbers, from 1; of text files, the numbers of their lines.

    Raises:
        BadRowError: a row cannot be read, or the file holds none.
        FileNotFoundError: there is no such file.
        ImportError: it is parquet, and pyarrow is not installed.
        ValueError: it is called otherwise than files of rows are.
    """
    if not file.is_file():
        raise FileNotFoundError(f"there is no file {file}")
    readers = {".tsv": _separated, ".csv": _separated, ".jsonl": _lines, ".json": _array, ".parquet": _parquet}
    if file.suffix not in readers:
        raise ValueError(f"questions are read from files *{', *'.join(SUFFIXES)}; got {file}")
    rows = list(readers[file.suffix](file))
    if not rows:
        raise BadRowError(file, None, "it holds no row; a question is a row")
    return rows


def missing(value: Any) -> bool:
    """Return whether a cell says nothing: it is empty, null or NaN, as pandas writes and reads them."""
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return True
    return isinstance(value, str) and value.strip() in ("", "nan", "NaN")


def listed(value: Any) -> list[Any] | None:
    """Return a cell of several values as a list, which it is, or is written like in JSON or Python; None if it is none."""
    if isinstance(value, (list, tuple)):
        return list(value)
    if isinstance(value, str) and value.startswith("[") and value.rstrip().endswith("]"):
        for read in (json.loads, ast.literal_eval):
            try:
                found = read(value)
            except (ValueError, SyntaxError):
                continue
            if isinstance(found, (list, tuple)):
                return list(found)
    return None


def _separated(file: Path) -> Iterator[tuple[int, Row]]:
    before = csv.field_size_limit(LONGEST_CELL)
    try:
        with file.open(encoding="utf-8-sig", newline="") as opened:
            reader = csv.DictReader(opened, delimiter="\t" if file.suffix == ".tsv" else ",")
            for row in reader:
                if None in row or None in row.values():
                    wanted = len(reader.fieldnames or ())
                    found = wanted - list(row.values()).count(None) if None not in row else wanted + len(row[None])
                    raise BadRowError(
                        file, reader.line_num, f"it has {found} cells, and the first line names {wanted} columns"
                    )
                yield reader.line_num, dict(row)
    except UnicodeDecodeError as error:
        raise BadRowError(file, None, f"it is not in UTF-8, as it should be: {error}") from error
    except csv.Error as error:
        raise BadRowError(file, reader.line_num, f"it cannot be read: {error}") from error
    finally:
        csv.field_size_limit(before)


def _lines(file: Path) -> Iterator[tuple[int, Row]]:
    with file.open(encoding="utf-8-sig") as opened:
        for number, line in enumerate(opened, 1):
            if line.strip():
                yield number, _object(file, number, line)


def _object(file: Path, number: int, line: str) -> Row:
    try:
        row = json.loads(line)
    except ValueError as error:
        raise BadRowError(file, number, f"it is no JSON: {error}") from error
    if not isinstance(row, dict):
        raise BadRowError(file, number, f'a question is an object, {{"question": ...}}, got {type(row).__name__}')
    return row


def _array(file: Path) -> Iterator[tuple[int, Row]]:
    try:
        held = json.loads(file.read_text(encoding="utf-8-sig"))
    except ValueError as error:
        raise BadRowError(file, None, f"it is no JSON: {error}") from error
    rows = held.get("questions") if isinstance(held, dict) else held
    if not isinstance(rows, list):
        raise BadRowError(file, None, 'it should hold a list of questions, or an object with one, {"questions": [...]}')
    for number, row in enumerate(rows, 1):
        if not isinstance(row, dict):
            raise BadRowError(file, number, f'a question is an object, {{"question": ...}}, got {type(row).__name__}')
        yield number, row


def _parquet(file: Path) -> Iterator[tuple[int, Row]]:
    need(f"reading {file}", "data", "pyarrow")
    import pyarrow.parquet

    number = 0
    for batch in pyarrow.parquet.ParquetFile(file).iter_batches(256):
        for row in batch.to_pylist():
            number += 1
            yield number, row
