"""What stands behind a path in the name of a source: ``folder:/data/pictures?dedup=false&side=native``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import NamedTuple

SMALLEST = 4
"""A picture has at least this many pixels on its shorter side."""

SHORT_SIDE = 256
"""Pictures are kept at most this large on their shorter side, in pixels, unless told otherwise."""

NATIVE = "native"


class Settings(NamedTuple):
    """How pictures are kept.

    Attributes:
        side: most pixels of the shorter side; larger pictures are reduced to it. None keeps every picture at its own size.
        dedup: whether near-duplicates are looked for; without, only pictures of equal pixels are kept together.
    """

    side: int | None = SHORT_SIDE
    dedup: bool = True

    def text(self) -> str:
        """Return what says the same behind a path; nothing where all is as it is by default."""
        words = [] if self.dedup else ["dedup=false"]
        if self.side != SHORT_SIDE:
            words.append(f"side={NATIVE if self.side is None else self.side}")
        return "&".join(words)


USUAL = Settings()


def checked(side: int | str | None, dedup: bool) -> Settings:
    """Return settings that were given in Python.

    Raises:
        ValueError: the side is neither "native" nor a whole number that pictures can be reduced to.
    """
    if side is None or side == NATIVE:
        return Settings(None, dedup)
    if isinstance(side, bool) or not isinstance(side, int) or side < SMALLEST:
        raise ValueError(f"side must be {NATIVE!r} or a whole number from {SMALLEST} on, in pixels, got {side!r}")
    return Settings(side, dedup)


def split_name(
    text: str,
    settings: Settings = USUAL,
    more: Sequence[str] = (),
) -> tuple[str, Settings, dict[str, str]]:
    """Take apart what stands behind the colon of a name.

    Args:
        text: e.g. "/data/pictures?dedup=false&side=512". A path that is there by the whole of its name is that path.
        settings: what holds where the name says nothing else.
        more: options that this kind of source takes besides "dedup" and "side".

    Returns:
        The path, the settings, and what was given of `more`.

    Raises:
        ValueError: an option is unknown, given twice, or has no such value.
    """
    path, mark, words = text.rpartition("?")
    if not mark or "=" not in words or Path(text).expanduser().exists():
        return text, settings, {}
    given: dict[str, str] = {}
    for word in words.split("&"):
        option, equals, value = word.partition("=")
        if option not in ("dedup", "side", *more) or not equals:
            raise ValueError(f"{text!r} has the unknown option {word!r}; known are {', '.join(('dedup', 'side', *more))}")
        if option in given:
            raise ValueError(f"{text!r} gives {option!r} twice")
        given[option] = value
    return path, _settings(given, settings), {name: value for name, value in given.items() if name in more}


def joined(path: str, settings: Settings, more: Mapping[str, str | None] = MappingProxyType({})) -> str:
    """Return what `split_name` takes apart."""
    words = [*([settings.text()] if settings.text() else []), *(f"{name}={value}" for name, value in more.items() if value)]
    return f"{path}?{'&'.join(words)}" if words else path


def _settings(given: Mapping[str, str], otherwise: Settings) -> Settings:
    side: int | str | None = otherwise.side
    if "side" in given:
        side = int(given["side"]) if given["side"].isdecimal() else given["side"]
    dedup = given.get("dedup", str(otherwise.dedup)).lower()
    if dedup not in ("true", "false"):
        raise ValueError(f"dedup must be true or false, got {dedup!r}")
    return checked(side, dedup == "true")
