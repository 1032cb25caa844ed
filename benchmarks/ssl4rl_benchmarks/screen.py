"""Tables for people: on a terminal no wider than it is, elsewhere a line a row."""

from __future__ import annotations

import shutil
import textwrap
from collections.abc import Sequence

LEAST = 24
"""Letters that a column of words needs to be read well."""

GAP = "  "


def width() -> int:
    """Return how many letters a line may have: of the terminal (or $COLUMNS); 0, for any number, where there is none."""
    return shutil.get_terminal_size((0, 0)).columns


def filled(words: str, room: int, indent: str = "") -> str:
    """Return words in lines of at most `room` letters (any number if 0), those after the first indented."""
    if not room:
        return words
    wrapper = textwrap.TextWrapper(room, subsequent_indent=indent, break_long_words=False, break_on_hyphens=False)
    return "\n".join(wrapper.wrap(words)) or words


def columns(rows: Sequence[Sequence[str]], room: int, *, first: int = 0) -> str:
    """Return rows in columns; where they are too wide, the last column is wrapped, or else stands below the others.

    Args:
        rows: of one length each, at least two; the last column is words.
        room: letters of a line; 0 for any number.
        first: how wide the first column is at most; what is longer has a line of its own.
    """
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    widths[0] = min(widths[0], first) if first else widths[0]
    before = sum(widths[:-1]) + len(GAP) * (len(widths) - 1)
    indent = " " * before if not room or room - before >= min(LEAST, widths[-1]) else " " * 6
    lines = []
    for row in rows:
        head = GAP.join(cell.ljust(size) for cell, size in zip(row[:-1], widths, strict=False))
        if len(head) + len(GAP) > len(indent):
            lines += [filled(head.rstrip(), room, "    "), filled(f"{indent}{row[-1]}", room, indent)]
        else:
            lines.append(filled(f"{head}{GAP}{row[-1]}", room, indent))
    return "\n".join(line.rstrip() for line in lines)


def table(header: Sequence[str], rows: Sequence[Sequence[str]], room: int | None = None) -> str:
    """Return a table with aligned columns; where that is too wide, each row as a paragraph of its own.

    Args:
        header: names of the columns.
        rows: cells.
        room: letters of a line, 0 for any number; by default those of the terminal.
    """
    room = width() if room is None else room
    last = max((len(row[-1]) for row in rows), default=0)
    sizes = [max(len(row[column]) for row in [header, *rows]) for column in range(len(header) - 1)]
    left = room - sum(sizes) - len(GAP) * len(sizes)
    if not room or left >= min(LEAST, last):
        return columns([header, *rows], room)
    paragraphs = []
    for row in rows:
        told = [f"{GAP}{name} {cell}" for name, cell in zip(header[1:], row[1:], strict=True) if cell]
        paragraphs.append("\n".join(filled(line, room, GAP * 2) for line in [row[0], *told]))
    return "\n".join(paragraphs)
