"""What is true of drawn scenes, where nobody would say otherwise: what is seen, and which of two answers is right."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from ssl4rl_envs.images.scene_words import (
    ANSWERS,
    BUILDINGS,
    COMPARISON,
    HUES,
    LAKE,
    LIT_FROM_LEFT,
    MORE_THINGS,
    NAME_OF_KIND,
    NAMES,
    NOBODY,
    QUESTION_KINDS,
)
from ssl4rl_envs.sources.scene_facts import Facts
from ssl4rl_envs.sources.scene_models import COLOURS, GROUNDS, SKIES, SLOTS

Words = NDArray[np.int64]
Truths = NDArray[np.int64]

NONE = -1
"""In the place of an answer where none is right, or people may not agree on one."""

SEEN = 0.7
"""Least share of a thing that nothing hides and no edge cuts off. What is seen less is neither there nor not."""

BESIDE, MIDDLE = 0.2, 0.12
"""How far things are apart that stand left and right of each other, and from the middle in a half; shares of the picture."""

TALLER, LARGER = 1.15, 1.5
"""By how much the larger of two things is at least higher, and takes more room."""

NEARER = 0.08
"""How much lower the nearer of two things stands at least, as a share of the picture."""

_KIND = {name: number for number, name in enumerate(QUESTION_KINDS)}
_WORD = {word: number for number, word in enumerate(ANSWERS)}
_YES, _NO, _ZERO, _LEFT, _RIGHT, _FIRST, _SECOND = (
    _WORD[word] for word in ("yes", "no", "0", "left", "right", "first", "second")
)
_FIRST_NAME = ANSWERS.index(NAMES[0])
_HUE = np.array([_WORD[name] if name in HUES else NONE for name in COLOURS])
_SKY = {name: number for number, name in enumerate(SKIES)}
_GROUND = {name: number for number, name in enumerate(GROUNDS)}
_DAYLIGHT = np.isin(np.arange(len(SKIES)), [_SKY["clear"], _SKY["dawn"], _SKY["overcast"]])
_BUILDING = [NAMES.index(name) for name in BUILDINGS]


def _truth_table(names: tuple[str, ...], said: dict[str, tuple[str, ...]]) -> NDArray[np.bool_]:
    """Return of which words each of some names says that they are true, (names, words)."""
    table = np.zeros((len(names), len(ANSWERS)), bool)
    for word, meant in said.items():
        table[[names.index(name) for name in meant], _WORD[word]] = True
    return table


_OF_SKY = _truth_table(
    tuple(SKIES),
    {
        "day": ("clear", "overcast"),
        "night": ("night",),
        "evening": ("dusk",),
        "blue": ("clear",),
        "grey": ("overcast",),
    },
)
_OF_GROUND = _truth_table(tuple(GROUNDS), {"grass": ("meadow",), "sand": ("sand",), "snow": ("snow",), "soil": ("soil",)})


class Seen:
    """n scenes as people see them; things one a slot, each array (n, 4).

    Args:
        facts: what the drawer knows.

    Attributes:
        name: positions in NAMES, -1 where there is none.
        share: how much of each is seen, at least; 0 where it looks like what is behind it.
        box: (n, 4, 4) left, right, upper and lower ends.
    """

    def __init__(self, facts: Facts) -> None:
        self.facts = facts
        self.name = NAME_OF_KIND[facts.kind]
        self.box = facts.boxes()
        left, right, up, down = np.moveaxis(self.box, -1, 0)
        whole = (right - left) * (down - up)
        shown = (np.minimum(right, 1.0) - np.maximum(left, 0.0)) * (np.minimum(down, 1.0) - np.maximum(up, 0.0))
        hidden = np.zeros_like(whole)
        for slot in range(len(SLOTS)):
            for nearer in range(slot + 1, len(SLOTS)):
                across = np.minimum(right[:, slot], right[:, nearer]) - np.maximum(left[:, slot], left[:, nearer])
                along = np.minimum(down[:, slot], down[:, nearer]) - np.maximum(up[:, slot], up[:, nearer])
                hidden[:, slot] += np.where(self.name[:, nearer] >= 0, np.maximum(across, 0) * np.maximum(along, 0), 0.0)
        self.share = np.where(self.name >= 0, (shown - hidden) / whole, 0.0)
        self.share[:, 0] *= facts.stands_out  # of what looks like the sky nothing is seen

    def only(self, names: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
        """Return the slots of the things of these names (n,), and where there is just one such and it is seen."""
        there = self.name == names[:, None]
        slot = there.argmax(axis=1)
        return slot, (there.sum(axis=1) == 1) & (_of(self.share, slot) >= SEEN)

    def whether(self, names: NDArray[np.int64]) -> Truths:
        """Return 1 where there is something of these names (n,), 0 where there is not, -1 where it is hardly seen."""
        there = self.name == names[:, None]
        seen = (there & (self.share >= SEEN)).any(axis=1)
        lake = self.facts.ground == _GROUND["water"]
        found = np.where(seen, 1, np.where(there.any(axis=1), NONE, 0))
        return np.asarray(np.where(names == LAKE, lake.astype(np.int64), found), np.int64)


def _of(values: NDArray[np.float64], slot: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return the values of one slot a row."""
    return np.asarray(values[np.arange(len(slot)), slot])


def truths(words: Words, facts: Facts, second: Facts | None = None) -> Truths:
    """Return the right answers to questions about scenes, (n,) positions in ANSWERS, `NONE` where there is not just one.

    Args:
        words: (n, 5) or more, questions of `scene_words.words_of`.
        facts: of the scenes.
        second: of the second scenes, where two are compared.
    """
    result = np.full(len(words), NONE, np.int64)
    for kind in np.unique(words[:, 0]).tolist():
        rows = np.flatnonzero(words[:, 0] == kind)
        seen = Seen(facts.rows(rows))
        if QUESTION_KINDS[kind] == COMPARISON:
            assert second is not None
            result[rows] = _compared(words[rows], seen, Seen(second.rows(rows)))
        else:
            result[rows] = _ABOUT[QUESTION_KINDS[kind]](words[rows], seen)
    offered = (result[:, None] == words[:, 3:5]).any(axis=1)
    return np.where(offered, result, NONE)


def _either(
    first: NDArray[np.bool_], second: NDArray[np.bool_], one: int | NDArray[np.int64], other: int | NDArray[np.int64]
) -> Truths:
    """Return one answer where the first holds, the other where the second does."""
    return np.asarray(np.where(first, one, np.where(second, other, NONE)), np.int64)


def _existence(words: Words, seen: Seen) -> Truths:
    found = seen.whether(words[:, 1])
    return _either(found == 1, found == 0, _YES, _NO)


def _count(words: Words, seen: Seen) -> Truths:
    tree = NAMES.index("tree")
    counted = np.stack([seen.name >= 0, np.isin(seen.name, _BUILDING), seen.name == tree])
    counted = counted[words[:, 1], np.arange(len(words))]
    clear = (~counted | (seen.share >= SEEN)).all(axis=1)
    return np.where(clear, _ZERO + counted.sum(axis=1), NONE)


def _colour(words: Words, seen: Seen) -> Truths:
    slot, good = seen.only(words[:, 1])
    rows = np.arange(len(slot))
    main, accent = _HUE[seen.facts.colour[rows, slot]], _HUE[seen.facts.accent[rows, slot]]
    plain = (accent[:, None] != words[:, 3:5]).all(axis=1)
    return np.where(good & plain & _DAYLIGHT[seen.facts.sky], main, NONE)


def _position(words: Words, seen: Seen) -> Truths:
    one, good = seen.only(words[:, 1])
    other, also = seen.only(words[:, 2])
    middle = seen.box[..., :2].mean(axis=-1)
    alone = words[:, 2] == NOBODY
    away = _of(middle, one) - np.where(alone, 0.5, _of(middle, other))
    least = np.where(alone, MIDDLE, BESIDE)
    good &= alone | also
    return _either(good & (away <= -least), good & (away >= least), _LEFT, _RIGHT)


def _two(words: Words, seen: Seen) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.bool_]]:
    """Return the slots of the two things that are offered as answers, and where both are seen."""
    (one, good), (other, also) = (seen.only(words[:, place] - _FIRST_NAME) for place in (3, 4))
    return one, other, good & also


def _size(words: Words, seen: Seen) -> Truths:
    one, other, good = _two(words, seen)
    left, right, up, down = np.moveaxis(seen.box, -1, 0)
    ratios = [_of(values, one) / _of(values, other) for values in (down - up, (right - left) * (down - up))]
    larger = (ratios[0] >= TALLER) & (ratios[1] >= LARGER)
    smaller = (ratios[0] <= 1 / TALLER) & (ratios[1] <= 1 / LARGER)
    return _which(words, good & larger, good & smaller)


def _depth(words: Words, seen: Seen) -> Truths:
    one, other, good = _two(words, seen)
    away = _of(seen.facts.y, one) - _of(seen.facts.y, other)
    return _which(words, good & (away >= NEARER), good & (away <= -NEARER))


def _which(words: Words, first: NDArray[np.bool_], second: NDArray[np.bool_]) -> Truths:
    """Return which of the two things that are offered has more of something, or less where that is asked."""
    less = words[:, 1] == 1
    return _either(np.where(less, second, first), np.where(less, first, second), words[:, 3], words[:, 4])


def _light(words: Words, seen: Seen) -> Truths:
    shadows, told = words[:, 1] == 1, seen.facts.sky != _SKY["overcast"]
    left = (seen.facts.light == 0) != shadows
    return _either(told & left, told & ~left, _LEFT, _RIGHT)


def _by_table(table: NDArray[np.bool_], words: Words, values: NDArray[np.int64], told: NDArray[np.bool_]) -> Truths:
    first, second = (table[values, words[:, place]] & told for place in (3, 4))
    return _either(first, second, words[:, 3], words[:, 4])


def _sky(words: Words, seen: Seen) -> Truths:
    return _by_table(_OF_SKY, words, seen.facts.sky, np.ones(len(words), bool))


def _ground(words: Words, seen: Seen) -> Truths:
    return _by_table(_OF_GROUND, words, seen.facts.ground, _DAYLIGHT[seen.facts.sky])


def _compared(words: Words, first: Seen, second: Seen) -> Truths:
    """Return in which of two pictures there is what is asked for, or more of it."""
    has = [_has(words[:, 1], seen) for seen in (first, second)]
    clear = (has[0] != NONE) & (has[1] != NONE)
    apart = np.where(words[:, 1] == MORE_THINGS, 2, 1)
    clear &= (words[:, 1] > LAKE) | (first.facts.count() == second.facts.count())  # so that the busier tells nothing
    return _either(clear & (has[0] - has[1] >= apart), clear & (has[1] - has[0] >= apart), _FIRST, _SECOND)


def _has(topic: NDArray[np.int64], seen: Seen) -> Truths:
    """Return how much there is in scenes of what they are compared in, (n,), `NONE` where that is not clear."""
    facts = seen.facts
    clear = ((seen.name < 0) | (seen.share >= SEEN)).all(axis=1)
    count = np.where(clear, (seen.name >= 0).sum(axis=1), NONE)
    night = _either(facts.sky == _SKY["night"], _OF_SKY[facts.sky, _WORD["day"]], 1, 0)
    snow = np.where(_DAYLIGHT[facts.sky], facts.ground == _GROUND["snow"], NONE)
    light = np.where(facts.sky == _SKY["overcast"], NONE, facts.light == 0)
    special = np.stack([count, night, snow, light])
    about = np.clip(topic - MORE_THINGS, 0, LIT_FROM_LEFT - MORE_THINGS)
    return np.where(topic > LAKE, special[about, np.arange(len(topic))], seen.whether(topic))


_ABOUT: dict[str, Callable[[Words, Seen], Truths]] = {
    "existence": _existence,
    "count": _count,
    "colour": _colour,
    "position": _position,
    "size": _size,
    "depth": _depth,
    "light": _light,
    "sky": _sky,
    "ground": _ground,
}
