"""Captions of drawn scenes: what is there, in which colours, where, under which sky and in which light, in words.

They are made of `Scenes.labels`, so what a caption says is true of the whole scene.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ssl4rl_envs.sources.scene_models import COLOURS, GROUNDS, KINDS, SKIES, SLOTS
from ssl4rl_envs.stream import Stream

DESCRIBE = ("Describe the picture.", "What does the picture show?", "Say what is to be seen.")
"""How a caption is asked for."""

_KINDS, _COLOURS, _SKIES, _GROUNDS = tuple(KINDS), tuple(COLOURS), tuple(SKIES), tuple(GROUNDS)
_ABOVE = {
    "clear": "a clear sky",
    "dawn": "a sky at dawn",
    "dusk": "a sky at dusk",
    "overcast": "a grey sky",
    "night": "a night sky",
}
_BELOW = {"meadow": "a meadow", "sand": "sand", "snow": "snow", "soil": "bare soil", "water": "a lake"}
_NUMBERS = ("no", "one", "two", "three", "four")
_DEPTHS = {"floating": "in the air", "far": "far away", "near": "near", "front": "in front"}


class Thing(NamedTuple):
    """One thing of a scene: what it is called, "red house", how far from the left it is, as a share, and where in depth."""

    name: str
    x: float
    depth: str


@dataclass(frozen=True)
class Seen:
    """What one scene shows.

    Args:
        things: from left to right.
        sky, ground: names of `SKIES` and `GROUNDS`.
        light: the side that the light comes from, "left" or "right".
    """

    things: tuple[Thing, ...]
    sky: str
    ground: str
    light: str


def seen(labels: dict[str, NDArray[Any]]) -> list[Seen]:
    """Return what n scenes show, from their `Scenes.labels`."""
    scenes = []
    for row in range(len(labels["sky"])):
        things = [
            Thing(f"{_COLOURS[labels['colour'][row, slot]]} {_KINDS[kind]}", float(labels["x"][row, slot]), SLOTS[slot])
            for slot, kind in enumerate(labels["kind"][row])
            if kind >= 0
        ]
        scenes.append(
            Seen(
                tuple(sorted(things, key=lambda thing: thing.x)),
                _SKIES[labels["sky"][row]],
                _GROUNDS[labels["ground"][row]],
                ("left", "right")[labels["light"][row]],
            )
        )
    return scenes


def things(scene: Seen, wording: int) -> str:
    """Say what is there, in which colours, from left to right."""
    named = [f"a {thing.name}" if thing.name[0] != "o" else f"an {thing.name}" for thing in scene.things]
    return (
        f"From left to right: {', '.join(named)}.",
        f"There {'is' if len(named) == 1 else 'are'} {listed(named)}.",
        f"The picture shows {listed(named)}.",
    )[wording]


def count(scene: Seen, wording: int) -> str:
    """Say how many things there are."""
    number = _NUMBERS[len(scene.things)]
    noun = "thing" if number == "one" else "things"
    return (
        f"There {'is' if number == 'one' else 'are'} {number} {noun}.",
        f"The picture shows {number} {noun}.",
        f"{number.capitalize()} {noun} can be seen.",
    )[wording]


def places(scene: Seen, wording: int) -> str:
    """Say where the things are, across and in depth."""
    where = [(f"the {thing.name}", third(thing.x), _DEPTHS[thing.depth]) for thing in scene.things]
    first, last = scene.things[0].name, scene.things[-1].name
    return (
        _begin(listed([f"{name} is {side}" for name, side, _ in where])),
        _begin(listed([f"{name} is {depth}" for name, _, depth in where])),
        f"The {first} is left of the {last}." if first != last else f"The {first} is {where[0][1]}.",
    )[wording]


def sky(scene: Seen, wording: int) -> str:
    """Say what sky and ground there are."""
    above, below = _ABOVE[scene.sky], _BELOW[scene.ground]
    return (f"There is {above} above {below}.", f"The ground is {below}, under {above}.", f"It is {below} under {above}.")[
        wording
    ]


def light(scene: Seen, wording: int) -> str:
    """Say from which side the light comes."""
    other = {"left": "right", "right": "left"}[scene.light]
    return (
        f"The light comes from the {scene.light}.",
        f"The {scene.light} side is lit.",
        f"Shadows fall to the {other}.",
    )[wording]


ASPECTS: dict[str, Callable[[Seen, int], str]] = {
    "things": things,
    "count": count,
    "places": places,
    "sky": sky,
    "light": light,
}
"""What a caption can tell of, by name: each says it of a scene in one of `WORDINGS` ways."""

WORDINGS = 3


def scene_captions(labels: dict[str, NDArray[Any]], stream: Stream, aspects: tuple[str, ...] = tuple(ASPECTS)) -> list[str]:
    """Say something of each of n scenes.

    Args:
        labels: of `Scenes.labels`.
        stream: of n rows; decides of what each caption tells, and in which words.
        aspects: names of `ASPECTS`, all equally likely.
    """
    chosen, wordings = stream.integers(0, len(aspects)), stream.integers(0, WORDINGS)
    return [
        ASPECTS[aspects[aspect]](scene, int(wording))
        for scene, aspect, wording in zip(seen(labels), chosen, wordings, strict=True)
    ]


def listed(parts: list[str]) -> str:
    """Join parts as people do: "a, b and c"."""
    *some, last = parts
    return f"{', '.join(some)} and {last}" if some else last


def third(x: float) -> str:
    """Return in which third of a picture something is, `x` from its left as a share."""
    return "on the left" if x < 1 / 3 else "on the right" if x > 2 / 3 else "in the middle"


def _begin(sentence: str) -> str:
    return f"{sentence[0].upper()}{sentence[1:]}."


def asked(stream: Stream) -> list[str]:
    """Return n prompts that ask for a caption, by the stream's rows."""
    return [DESCRIBE[number] for number in np.asarray(stream.integers(0, len(DESCRIBE)))]
