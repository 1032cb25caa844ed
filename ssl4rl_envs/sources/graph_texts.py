"""What nodes say of themselves: texts and named words of a graph; how they are checked, told and kept in one split."""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np
import scipy.sparse
from numpy.typing import ArrayLike, NDArray

from ssl4rl_envs.briefly import briefly
from ssl4rl_envs.sources.notices import warn
from ssl4rl_envs.stream import hash_rows

_PLAIN = {
    **dict.fromkeys("‐‑‒–—―−", "-"),
    **dict.fromkeys("‘’‚‛′ʻʼ`´", "'"),
    **dict.fromkeys("“”„‟″«»", "'"),
    "…": "...",
    "ß": "ss",
    "æ": "ae",
    "Æ": "AE",
    "ø": "o",
    "Ø": "O",
    "œ": "oe",
    "Œ": "OE",
    "ł": "l",
    "Ł": "L",
    "đ": "d",
    "Đ": "D",
    "ð": "d",
    "þ": "th",
    "ı": "i",
    "×": "x",
}
"""What ASCII has for letters and signs that do not come apart into one of its own and a mark."""

_CONTROLS = dict.fromkeys((*range(32), 127), " ")
_OURS = str.maketrans({'"': "'", ";": ",", "<": "(", ">": ")", "[": "(", "]": ")", "{": "(", "}": ")", "|": "/"})
"""Signs that prompts, replies and templates of models are written with, and what stands for them in a text."""

_OF_NODE = re.compile(r"\bnodes?\W*(?=\d)", re.IGNORECASE)


def unmarked(text: str) -> str:
    """Return a text whose letters have no marks: "Café" is "Cafe"."""
    if text.isascii():
        return text
    text = unicodedata.normalize("NFKD", "".join(_PLAIN.get(letter, letter) for letter in text))
    return "".join(letter for letter in text if not unicodedata.combining(letter))


def plain(text: str) -> str:
    """Return a text in printable ASCII and one line: `unmarked`, "?" for each letter that has no likeness there."""
    letters = text if text.isascii() else unmarked(text).encode("ascii", "replace").decode()
    return " ".join(letters.translate(_CONTROLS).split())


def told(text: str) -> str:
    """Return a text as prompts tell it: `plain`, in one line, without what a prompt's own syntax is made of.

    Quotation marks become single ones, semicolons commas, and brackets of all kinds round ones, so that no text ends itself,
    opens an `<answer>` or is read as a special token of a model. "node 3" becomes "number 3": nodes are named by the prompt
    alone.
    """
    return _OF_NODE.sub("number ", plain(text).translate(_OURS))


def checked_texts(texts: Sequence[Any] | NDArray[Any] | None, count: int, name: str) -> tuple[str, ...] | None:
    """Return the texts of a graph's nodes, one a node; None where there are none.

    Raises:
        ValueError: they are not as many strings as there are nodes.
    """
    if texts is None:
        return None
    if isinstance(texts, str):
        raise ValueError(f"graph {name!r}: texts must be {count} strings, one a node, got one string, {briefly(texts)}")
    found = tuple(texts.tolist() if isinstance(texts, np.ndarray) else texts)
    if len(found) != count:
        raise ValueError(f"graph {name!r}: texts must be {count} strings, one a node, got {len(found)}")
    for node, text in enumerate(found):
        if not isinstance(text, str):
            raise ValueError(
                f"graph {name!r}: texts must be strings, '' where a node has none, and that of node {node} is {briefly(text)}"
            )
    lost = Counter(letter for text in found if not text.isascii() for letter in unmarked(text) if not letter.isascii())
    if lost:
        first = ", ".join(repr(letter) for letter, _ in lost.most_common(3))
        warn(
            f"graph {name!r}: its texts hold {lost.total()} letters that plain ASCII has no likeness of ({first}, ...); "
            "prompts tell each as '?'"
        )
    return found


def checked_vocabulary(
    words: Sequence[Any] | NDArray[Any] | None, table: ArrayLike | None, name: str
) -> tuple[str, ...] | None:
    """Return the names of the columns of binary features; None where they have none.

    Raises:
        ValueError: they are not as many different words as there are columns, or features are not binary.
    """
    if words is None:
        return None
    features = np.zeros((0, 0), np.float32) if table is None else np.asarray(table)
    width = features.shape[1]
    if isinstance(words, str):
        raise ValueError(f"graph {name!r}: the vocabulary must be {width} strings, got one string, {briefly(words)}")
    found = tuple(words.tolist() if isinstance(words, np.ndarray) else words)
    if len(found) != width:
        raise ValueError(
            f"graph {name!r}: the vocabulary must name each of {width} features, (F,) strings, got {len(found)}"
            + (" and no features" if table is None else "")
        )
    if not found:
        return None
    for column, word in enumerate(found):
        if not isinstance(word, str) or not told(word):
            raise ValueError(f"graph {name!r}: the vocabulary must be words, and that of feature {column} is {briefly(word)}")
    columns: dict[str, int] = {}
    for column, word in enumerate(found):
        first = columns.setdefault(told(word), column)
        if first != column:
            raise ValueError(
                f"graph {name!r}: the vocabulary must be different words in plain ASCII, and features {first} and {column} "
                f"are both {told(word)!r}"
            )
    if not ((features == 0) | (features == 1)).all():
        raise ValueError(f"graph {name!r}: a vocabulary names words that a node has or lacks, and features are not 0 and 1")
    return found


def together(hashes: NDArray[np.uint64], texts: Sequence[str]) -> NDArray[np.uint64]:
    """Return hashes (N,) that are equal for nodes with equal hashes or equal texts, and for those that such nodes link.

    Texts are compared as they are told, in small letters; an empty one equals no other. The numbers of nodes play no part.
    """
    numbers: dict[str, int] = {}
    of_text = [numbers.setdefault(said, len(numbers)) if said else -1 for said in (told(text).lower() for text in texts)]
    _, of_hash = np.unique(hashes, return_inverse=True)
    says = np.array(of_text, np.int64)
    rows, speaking = int(of_hash.max()) + 1, says >= 0
    ends = of_hash[speaking], rows + says[speaking]
    size = rows + len(numbers)
    links = scipy.sparse.coo_array((np.ones(len(ends[0]), np.int8), ends), shape=(size, size))
    group = scipy.sparse.csgraph.connected_components(links, directed=False)[1][of_hash]
    least = np.full(int(group.max()) + 1, np.iinfo(np.uint64).max, np.uint64)
    np.minimum.at(least, group, hashes)
    return hash_rows(least[group][:, None], "texts")


def digest_words(strings: Sequence[str]) -> bytes:
    """Return strings as bytes that no other strings have, for a fingerprint."""
    parts = [string.encode("utf-8", "surrogatepass") for string in strings]
    return b"".join(f"{len(part)}:".encode() + part for part in parts)
