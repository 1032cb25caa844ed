"""Text files of edges: bytes to lines, lines to cells, by one separator a file.

pandas reads tables as well, but counts nothing of what it leaves out, knows one character for comments and guesses where
separators are mixed; networkx reads neither headers nor named columns. Splitting lines is the little that is left to do here.
"""

from __future__ import annotations

import codecs
import csv
import re
from collections.abc import Sequence
from dataclasses import dataclass

from ssl4rl_envs.sources.edge_formats import refuse_metis

COMMENTS = ("#", "%", "//")
SEPARATORS = {"\t": "a tab", ";": "';'", ",": "','"}
BLANKS = "blanks"
ADJACENCY = "a list of neighbours line by line is read from a file that ends in .adjlist"

_BOMS = {  # those of 32 bits first: they begin like those of 16
    codecs.BOM_UTF8: "utf-8-sig",
    codecs.BOM_UTF32_LE: "utf-32",
    codecs.BOM_UTF32_BE: "utf-32",
    codecs.BOM_UTF16_LE: "utf-16",
    codecs.BOM_UTF16_BE: "utf-16",
}
_QUOTED = re.compile(r'"[^"]*"')
_BEHIND_QUOTES = re.compile(r'("(?:[^"]|"")*") +(?=[,;\t]|$)')
_SEP = re.compile(r'("?)sep=(.)\1[,;]*', re.IGNORECASE)
_AROUND = re.compile(r"\s*([,;])\s*")
_ATTRIBUTES = re.compile(r"[\s,;]*\{(.*)\}$")
_TWO_NUMBERS = re.compile(r"[+-]?\d+(?: *\t *| +)[+-]?\d+(?:\s|$)", re.ASCII)
_TWO_NAMES = re.compile(r"[^\s,;]*?\w[^\s,;]*\s+[^\s,;]*?\w[^\s,;]*(?:\s|$)")
_NUMBERS_APART = re.compile(r"[+-]?\d+ +[+-]?\d+\s*$", re.ASCII)


@dataclass(frozen=True)
class Table:
    """The cells of a text file.

    Args:
        file: its name, for messages.
        rows: cells, stripped; lines that are empty or comments are no rows.
        lines: the number of each row's line, from 1.
        comments: how many lines are comments, or tell Excel the separator.
        late_comments: numbers of those that stand below the first row, and so may be meant as edges.
        heading: the cells of the comment right above the first row, which may name columns.
        attributes: how many lines end in attributes as networkx writes them, `{'weight': 2}`, that are not empty.
    """

    file: str
    rows: list[list[str]]
    lines: list[int]
    comments: int
    late_comments: list[int]
    heading: list[str]
    attributes: int


def decode(data: bytes, file: str) -> str:
    """Return the text of a file: UTF-8, or what its byte-order mark says.

    Raises:
        ValueError: it is neither.
    """
    encoding = next((name for mark, name in _BOMS.items() if data.startswith(mark)), "utf-8")
    try:
        text = data.decode(encoding)
    except UnicodeDecodeError as error:
        line = data[: error.start].count(b"\n") + 1
        raise ValueError(f"{file}, line {line}: a text of edges is UTF-8, and this is not ({error.reason})") from error
    if "\0" in text:
        raise ValueError(f"{file} holds zero bytes: it is no text, or UTF-16 without a byte-order mark; save it as UTF-8")
    return text


_PAIR = re.compile(r"[(\[]\s*([^()\[\]]*?)\s*[)\]]\s*,?")


def read_table(text: str, file: str) -> Table:
    """Split a text into rows of cells.

    Lines end in LF, CR LF or CR. Lines that begin with `#`, `%` or `//` are comments. Cells may stand in double quotes,
    and all pairs in brackets. A first line `sep=;` tells the separator, as it tells Excel.

    Raises:
        ValueError: the lines have not one separator, or a line has not two names; the message names file and line.
    """
    lines: list[tuple[int, str]] = []
    comments, late, attributes = 0, [], 0
    told: str | None = None
    heading = ""
    for number, line in enumerate(text.replace("\r\n", "\n").replace("\r", "\n").split("\n"), 1):
        content = line.strip(" \ufeff\x1a")  # marks that are left amid files where Windows joins them
        if not content.strip(" \t\v\f,;"):
            continue
        if content.startswith(COMMENTS):
            comments += 1
            if lines:
                late.append(number)
            else:
                heading = content.strip("#%/ ").replace('"', "")
            continue
        if not lines and told is None and (found := _SEP.fullmatch(content)):
            told = BLANKS if found[2] == " " else found[2]
            comments += 1
            continue
        if content.endswith("}") and (found := _ATTRIBUTES.search(content)):
            attributes += bool(found[1].strip())
            content = content[: found.start()]
        lines.append((number, content))
    if not lines:
        raise ValueError(f"{file} holds no edge" + (f", only {comments} lines of comments" if comments else ""))
    pairs = [_PAIR.fullmatch(content.strip()) for _, content in lines]
    if all(pairs):  # as Python prints tuples and lists
        lines = [(number, pair[1]) for (number, _), pair in zip(lines, pairs, strict=True) if pair]
    refuse_metis(lines, file)
    separator = told or separator_of(lines, file)
    if told is not None and told != BLANKS:
        for place in lines:
            if told not in (bare := _bare(place[1])):
                _refuse(place, bare, repr(told), file)
    rows = [_cells(content, separator, file, number) for number, content in lines]
    return Table(file, rows, [number for number, _ in lines], comments, late, _cells(heading, separator, file, 0), attributes)


def separator_of(lines: Sequence[tuple[int, str]], file: str) -> str:
    """Return what separates the cells of all lines: a tab, ";", "," or `BLANKS` (any white space).

    A separator is in every line. Where both "," and ";" are, it is the one that keeps the other out of the first two
    cells. Two whole numbers apart by blanks are two cells whatever follows, since a weight may be "0,5" and some collections
    put tabs behind the two nodes.

    Raises:
        ValueError: lines differ in what separates them; the message names the first.
    """
    bare = [_bare(content) for _, content in lines]
    body = bare[1:] or bare  # the first line may be a header
    first_cells = (content.partition("\t")[0] for content in body)
    if all("\t" in content for content in bare) and not all(_NUMBERS_APART.match(cell) for cell in first_cells):
        return "\t"
    numbers = all(_TWO_NUMBERS.match(content) for content in body)
    common = [] if numbers else [mark for mark in ";," if all(mark in content for content in bare)]
    if len(common) == 2:
        common = [mark for mark in common if all(_apart(content, mark) for content in bare)]
        if not common:
            raise ValueError(f"{file}: every line holds ';' and ','; put names that hold one of them in double quotes")
    if common:
        return common[0]
    for mark in () if numbers else SEPARATORS:
        held = [mark in content for content in bare]
        if 2 * sum(held) >= len(held):
            _refuse(lines[held.index(False)], bare[held.index(False)], SEPARATORS[mark], file)
    for line, content in zip(lines, bare, strict=True):
        if not _TWO_NAMES.match(content) or ("\t" in content and not numbers):
            _refuse(line, content, BLANKS, file)
    return BLANKS


def _bare(content: str) -> str:
    """Return a line with a letter for what stands in quotes, and without blanks around "," and ";"."""
    content = _QUOTED.sub("q", content) if '"' in content else content
    apart = (" " in content or "\t" in content) and ("," in content or ";" in content)
    return (_AROUND.sub(r"\1", content) if apart else content).strip()


def _apart(content: str, mark: str) -> bool:
    """Return whether a line cut at "," or ";" has two first cells that do not hold the other."""
    return not any((";" if mark == "," else ",") in cell for cell in content.split(mark)[:2])


def _refuse(line: tuple[int, str], bare: str, separator: str, file: str) -> None:
    number, content = line
    if len(re.split(r"[\s,;]+", bare.strip(" \t,;"))) < 2:
        raise ValueError(f"{file}, line {number}: an edge is two node names, got {content!r}; {ADJACENCY}")
    raise ValueError(
        f"{file}, line {number}: {content!r} is not two node names apart by {separator}, as in other lines; a file has one "
        "separator (a tab, ';', ',' or blanks), and names that hold it stand in double quotes"
    )


def _cells(content: str, separator: str, file: str, number: int) -> list[str]:
    if '"' not in content:
        return content.split() if separator == BLANKS else [cell.strip() for cell in content.split(separator)]
    blanks = separator == BLANKS
    try:
        text = content.replace("\t", " ") if blanks else _BEHIND_QUOTES.sub(r"\1", content)
        (found,) = csv.reader([text], delimiter=" " if blanks else separator, skipinitialspace=True, strict=True)
    except csv.Error as error:
        raise ValueError(f"{file}, line {number}: {error} in {content!r}") from error
    return [cell.strip() for cell in found]
