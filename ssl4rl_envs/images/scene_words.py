"""Questions about drawn scenes: which there are, how they are put, and what may be answered."""

from __future__ import annotations

import itertools
from functools import cache

import numpy as np
from numpy.typing import NDArray

from ssl4rl_envs.sources.scene_models import COLOURS_OF_KIND, KINDS, KINDS_OF_SLOT
from ssl4rl_envs.stream import hash_seed

NAMES = tuple(dict.fromkeys("tree" if kind.endswith("tree") else kind for kind in KINDS))
"""What things are called: all trees are trees."""

NAME_OF_KIND = np.array([NAMES.index("tree" if kind.endswith("tree") else kind) for kind in KINDS] + [-1])
"""Position in NAMES of every kind, and, at -1, of nothing."""

STANDING = tuple(name for name in NAMES if name in ("house", "tower", "windmill", "tree"))
BUILDINGS = ("house", "tower", "windmill")
FLOATING, GROWING = KINDS_OF_SLOT["floating"], KINDS_OF_SLOT["growing"]

HUES = ("red", "yellow", "green", "blue", "purple", "white")
"""Colours that nobody calls by another name, by daylight."""

_SIZED = (
    *(("house", name) for name in ("balloon", "flower", "mushroom", "cactus")),
    *(("tree", name) for name in ("balloon", "flower", "cactus")),
)
"""Beside those that stand, two things of which either may look the larger."""

_ALIKE = ({"blue", "purple"}, {"yellow", "white"}, {"red", "purple"})
_NOT_WHITE = (*FLOATING, "tower", "windmill", "mushroom", "boat")
"""Things that are lost before clouds when they are white, or have pale parts whatever their colour: whether they are white is
not asked."""

ANSWERS: tuple[str, ...] = (
    *("yes", "no", "0", "1", "2", "3", "4"),
    *(*HUES, "grey", "left", "right"),
    *NAMES,
    *("day", "night", "evening", "grass", "sand", "snow", "soil", "first", "second"),
)
"""All words there are to answer with."""

ONE_PICTURE = ("existence", "count", "colour", "position", "size", "depth", "light", "sky", "ground")
COMPARISON = "comparison"
QUESTION_KINDS = (*ONE_PICTURE, COMPARISON)

NOBODY = -1
"""In the place of an argument that a question does not have."""

COUNTED = ("things", "buildings", "trees")
SKY_PAIRS = (("day", "night"), ("blue", "grey"), ("evening", "night"), ("evening", "day"))
GROUND_PAIRS = (("grass", "sand"), ("grass", "snow"), ("grass", "soil"), ("sand", "snow"), ("snow", "soil"))
LAKE = len(NAMES)
"""In the place of the name of a thing: a lake."""
MORE_THINGS, AT_NIGHT, WITH_SNOW, LIT_FROM_LEFT = range(len(NAMES) + 1, len(NAMES) + 5)
"""In the place of the name of a thing: what else two pictures are compared in."""


def _pairs(options: tuple[str, ...]) -> list[tuple[str, str]]:
    return list(itertools.combinations(options, 2))


def _row(kind: str, a: int, b: int, options: tuple[str, str]) -> tuple[int, ...]:
    return (QUESTION_KINDS.index(kind), a, b, *(ANSWERS.index(option) for option in options))


def _meet() -> list[tuple[str, str]]:
    """Return which two things may be seen in one scene, in either order."""
    several = [FLOATING, STANDING, ("boat",), GROWING]
    found = [pair for one, other in itertools.combinations(several, 2) for pair in itertools.product(one, other)]
    found += itertools.combinations(STANDING, 2)
    return [*found, *((other, one) for one, other in found)]


def _colours_of(name: str) -> tuple[str, ...]:
    kinds = [kind for kind in KINDS if NAMES[NAME_OF_KIND[KINDS.index(kind)]] == name]
    known = {hue for kind in kinds for hue in COLOURS_OF_KIND.get(kind, HUES)}
    return tuple(hue for hue in HUES if hue in known and not (hue == "white" and name in _NOT_WHITE))


@cache
def words_of(kind: str) -> NDArray[np.int64]:
    """Return the questions of a kind, one a row: kind, two arguments, and the two answers that are offered, (m, 5)."""
    places = [NAMES.index(name) for name in NAMES]
    if kind == "existence":
        rows = [_row(kind, a, NOBODY, ("yes", "no")) for a in (*places, LAKE)]
    elif kind == "count":
        offered = {0: _pairs(("2", "3", "4")), 1: _pairs(("0", "1", "2")), 2: _pairs(("0", "1", "2"))}
        rows = [_row(kind, a, NOBODY, pair) for a, pairs in offered.items() for pair in pairs]
    elif kind == "colour":
        rows = [
            _row(kind, a, NOBODY, pair) for a in places for pair in _pairs(_colours_of(NAMES[a])) if set(pair) not in _ALIKE
        ]
    elif kind == "position":
        sides = ("left", "right")
        rows = [_row(kind, NAMES.index(one), NAMES.index(other), sides) for one, other in _meet()]
        rows += [_row(kind, a, NOBODY, sides) for a in places]
    elif kind in ("size", "depth"):
        both = [*_pairs(STANDING), *(_SIZED if kind == "size" else ())]
        rows = [_row(kind, less, NOBODY, pair) for pair in both for less in (0, 1)]
    elif kind == "light":
        rows = [_row(kind, shadows, NOBODY, ("left", "right")) for shadows in (0, 1)]
    elif kind == "sky":
        rows = [_row(kind, a, NOBODY, pair) for a, pair in enumerate(SKY_PAIRS)]
    elif kind == "ground":
        rows = [_row(kind, NOBODY, NOBODY, pair) for pair in GROUND_PAIRS]
    else:
        topics = (*places, LAKE, MORE_THINGS, AT_NIGHT, WITH_SNOW, LIT_FROM_LEFT)
        rows = [_row(kind, a, NOBODY, ("first", "second")) for a in topics]
    return np.array(rows, np.int64)


def favours(words: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return which of the two answers that questions (m, 5) of `words_of` offer is the one of habit, (m,), 0 or 1.

    It is a hash of what is asked, in words, so that the biased and the balanced form of a task have the same habits.
    """
    return np.array([hash_seed("habit", *_said(row)) & 1 for row in words.tolist()], np.int64)


def _said(row: list[int]) -> tuple[str, ...]:
    """Return what a question asks, in words that stay the same when more questions are added."""
    kind, a, b, one, other = row
    things = (*NAMES, "lake", "more things", "night", "snow", "lit from the left")
    about = {"count": COUNTED, "light": ("light", "shadows"), "sky": ("sky",) * len(SKY_PAIRS)}.get(
        QUESTION_KINDS[kind], things
    )
    if QUESTION_KINDS[kind] in ("size", "depth"):
        about = ("more", "less")
    named = tuple("" if place == NOBODY else about[place] for place in (a, b))
    return (QUESTION_KINDS[kind], *named, *sorted((ANSWERS[one], ANSWERS[other])))


# ------------------------------------------------------------------------------------------------ how they are put

_ASIDE = "Sun, moon, stars, clouds, mountains and bushes do not count."

_PUT: dict[str, tuple[tuple[str, ...], ...]] = {
    "existence": (("Is there {a} in the picture?", "Does the picture show {a}?", "Can {a} be seen in this picture?"),),
    "count": (
        (
            f"How many things are in the picture? {_ASIDE}",
            f"Count the things in the picture. {_ASIDE}",
            f"What is the number of things that this picture shows? {_ASIDE}",
        ),
        (
            "How many buildings are in the picture? Houses, towers and windmills count.",
            "Count the buildings in the picture: houses, towers and windmills.",
            "What is the number of houses, towers and windmills together?",
        ),
        (
            "How many trees are in the picture? Bushes do not count.",
            "Count the trees in the picture, not the bushes.",
            "What is the number of trees that this picture shows? Bushes do not count.",
        ),
    ),
    "colour": (("What colour is the {a}?", "Which colour does the {a} have?", "In which colour is the {a} painted?"),),
    "position": (
        (
            "Where is the {a}, seen from the {b}?",
            "On which side of the {b} is the {a}?",
            "Look at the {b}. To which side of it is the {a}?",
        ),
        (
            "In which half of the picture is the {a}?",
            "On which side of the picture is the {a}?",
            "Where is the {a}, in the left or in the right half?",
        ),
    ),
    "size": (
        ("Which looks larger, the {one} or the {other}?", "Is the {one} or the {other} larger in the picture?"),
        ("Which looks smaller, the {one} or the {other}?", "Is the {one} or the {other} smaller in the picture?"),
    ),
    "depth": (
        ("Which is nearer to the viewer, the {one} or the {other}?", "Does the {one} or the {other} stand closer?"),
        ("Which is farther away, the {one} or the {other}?", "Does the {one} or the {other} stand farther off?"),
    ),
    "light": (
        ("From which side does the light come?", "On which side is the source of the light?", "Which side is the light on?"),
        (
            "To which side do the shadows fall?",
            "On which side of things do their shadows lie?",
            "Where do the shadows point?",
        ),
    ),
    "sky": (
        ("What time is it in the picture?", "Which time of the day does the picture show?", "When is this?"),
        ("What colour is the sky?", "Which colour does the sky have?", "In which colour is the sky painted?"),
    ),
    "ground": (("What is the ground covered with?", "What covers the ground?", "What is the ground made of?"),),
    COMPARISON: (
        ("In which picture is there {a}?", "Which picture shows {a}?", "In which of the two pictures can {a} be seen?"),
        (
            f"In which picture are there more things? {_ASIDE}",
            f"Which picture shows more things? {_ASIDE}",
            f"Count the things in both pictures. Where are there more? {_ASIDE}",
        ),
        ("In which picture is it night?", "Which picture shows the night?", "Where is it night?"),
        ("In which picture does snow lie on the ground?", "Which picture shows snow?", "Where does snow cover the ground?"),
        (
            "In which picture does the light come from the left?",
            "Which picture is lit from the left?",
            "In which of the two pictures is the light on the left?",
        ),
    ),
}
"""How questions are put, by kind and by what they are about, each several ways, the plain one first. {a} and {b} are the
things, {one} and {other} the answers in the order in which they are offered."""

MOST_WORDINGS = 6
"""Wordings are drawn from so many numbers, which leave each of 1, 2 or 3 wordings equally likely."""


def _form_of(kind: str, a: int, b: int, offered: set[str]) -> int:
    """Return which of the lists of wordings of its kind a question has."""
    if kind in ("count", "size", "depth", "light"):
        return a
    if kind == "position":
        return int(b == NOBODY)
    if kind == "sky":
        return int("grey" in offered)
    return max(0, a - LAKE) if kind == COMPARISON else 0


@cache
def _question(kind: int, a: int, b: int, one: int, other: int, wording: int) -> str:
    name, things = QUESTION_KINDS[kind], (*NAMES, "lake")
    offered = ANSWERS[one], ANSWERS[other]
    ways = _PUT[name][_form_of(name, a, b, set(offered))]
    indefinite = name in ("existence", COMPARISON)
    first, second = ("" if not 0 <= place < len(things) else things[place] for place in (a, b))
    asked = ways[wording % len(ways)].format(
        a=f"a {first}" if indefinite else first, b=second, one=offered[0], other=offered[1]
    )
    return f"{asked} Answer with one of these: {offered[0]} or {offered[1]}."


def put(asked: NDArray[np.int64]) -> list[str]:
    """Put questions (n, 6) in words: kind, two arguments, the answers in the order in which they are offered, the wording."""
    return [_question(*row) for row in asked.tolist()]
