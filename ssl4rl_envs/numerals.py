"""Numbers in words: "two hundred and seventy", "second", "more than three"."""

from __future__ import annotations

import re

_UNITS = (
    *("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve", "thirteen"),
    *("fourteen", "fifteen", "sixteen", "seventeen", "eighteen", "nineteen"),
)
_TENS = ("twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety")
_ORDINALS = (
    *("first", "second", "third", "fourth", "fifth", "sixth", "seventh", "eighth", "ninth", "tenth", "eleventh", "twelfth"),
    *("thirteenth", "fourteenth", "fifteenth", "sixteenth"),
)


def spelled(number: int) -> tuple[str, ...]:
    """Return how a number is written in words, with spaces for hyphens; none beyond 0 to 999."""
    if not 0 <= number <= 999:
        return ()
    if number < 20:
        return (_UNITS[number],)
    if number < 100:
        rest = f" {_UNITS[number % 10]}" if number % 10 else ""
        return (_TENS[number // 10 - 2] + rest,)
    hundreds = f"{_UNITS[number // 100]} hundred"
    return (
        tuple(f"{hundreds}{link}{rest}" for rest in spelled(number % 100) for link in (" ", " and "))
        if number % 100
        else (hundreds,)
    )


def at_least(number: int) -> tuple[str, ...]:
    """Return how "so many or more" is written, for a whole number from 1 on."""
    found: list[str] = []
    for this in (str(number), *spelled(number)):
        found += [f"{this}+", f"{this} or more", f"at least {this}", f">={this}"]
    for below in (str(number - 1), *spelled(number - 1)):
        found += [f"more than {below}", f"greater than {below}", f"over {below}", f">{below}"]
    return tuple(found)


def place(word: str) -> int | None:
    """Return the place that an ordinal in lower case names, counted from 1: 2 for "second" and "2nd"; None for others."""
    if word in _ORDINALS:
        return _ORDINALS.index(word) + 1
    digits = re.fullmatch(r"([0-9]*?)((?<!1)1st|(?<!1)2nd|(?<!1)3rd|[04-9]th|1[1-3]th)", word)
    return int(re.sub(r"[a-z]", "", digits[0])) if digits else None
