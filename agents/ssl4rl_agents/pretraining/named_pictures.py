"""Captions of the pictures of a folder, whose names say what is seen, as stamps and exported collections have them."""

from __future__ import annotations

import re
from pathlib import Path

from ssl4rl_envs.sources import PictureSource, load_images

LONGEST = 120
"""Longest caption that is taken from a file, in characters."""

_SPLIT = re.compile(r"(?<=[a-z])(?=[A-Z])|[^A-Za-z]+")
_SENTENCE = re.compile(r"(?<=[.!?])\s")


def named_source(folder: str) -> tuple[PictureSource, list[str]]:
    """Return the pictures of a folder, as a source, and what each is, in the order of the items.

    Args:
        folder: "folder:PATH", with options as every source of pictures takes them.

    Raises:
        ValueError: the source is no folder, or a picture has a name without words.
    """
    source = load_images(folder)
    root = Path(folder.removeprefix("folder:").partition("?")[0]).expanduser().resolve()
    files = getattr(source, "files", None)
    if not folder.startswith("folder:") or files is None:
        raise ValueError(f"captions of names are of a folder of pictures, folder:PATH, got {folder!r}")
    return source, [caption_of(Path(file), root) for file in files]


def caption_of(file: Path, root: Path) -> str:
    """Return what a picture is: the first sentence of NAME.txt beside it, or the words of its name, as in "A red fox".

    Where a name has no words, "0042.png", those of its folder count.

    Args:
        file: the picture, somewhere in `root`.
        root: the folder whose own name says nothing.

    Raises:
        ValueError: neither the name nor a folder's holds a word; the message names the file.
    """
    beside = file.with_suffix(".txt")
    if beside.is_file() and (told := first_sentence(beside.read_text(encoding="utf-8", errors="replace"))):
        return told
    below = file.resolve().relative_to(root) if file.resolve().is_relative_to(root) else Path(file.name)
    for name in (below.stem, *reversed(below.parent.parts)):
        if words := words_of(name):
            article = "An" if words[0] in "aeiou" else "A"
            return f"{article} {words}."
    raise ValueError(
        f"{file} has a name without words, and so have its folders: nothing says what it shows; put {beside.name} beside it"
    )


def first_sentence(text: str) -> str:
    """Return the first sentence of a text in printable ASCII; "" where there is none, or it is too long to be a caption."""
    line = text.strip().splitlines()[0] if text.strip() else ""
    plain = line.translate(_PLAIN).encode("ascii", "ignore").decode().strip()
    sentence = _SENTENCE.split(plain)[0] if plain else ""
    return sentence if len(sentence) <= LONGEST else ""


def words_of(name: str) -> str:
    """Return the words of a name in small letters: "redFox_02" is "red fox"."""
    return " ".join(part.lower() for part in _SPLIT.split(name) if part)


_PLAIN = str.maketrans({"\u2018": "'", "\u2019": "'", "\u201c": '"', "\u201d": '"', "\u2013": "-", "\u2014": "-"})
