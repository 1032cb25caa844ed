"""Why an answer about a drawn scene is right, in a sentence, from what the drawer knows."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ssl4rl_envs.images.scene_truth import Seen
from ssl4rl_envs.images.scene_words import (
    ANSWERS,
    AT_NIGHT,
    BUILDINGS,
    COMPARISON,
    COUNTED,
    LAKE,
    LIT_FROM_LEFT,
    MORE_THINGS,
    NAMES,
    NOBODY,
    QUESTION_KINDS,
    WITH_SNOW,
)
from ssl4rl_envs.sources.scene_facts import Facts

_THINGS = (*NAMES, "lake")
_OTHER_SIDE = {"left": "right", "right": "left"}
_SKY = {
    "day": "It is light, and there is no evening sun, so it is day.",
    "night": "The sky is dark and shows moon and stars, so it is night.",
    "evening": "The sky is purple and orange with a low sun, so it is evening.",
    "blue": "The sky is clear and blue.",
    "grey": "The sky is overcast and grey.",
}
_WHAT = {
    AT_NIGHT: "is it night",
    WITH_SNOW: "does snow cover the ground",
    LIT_FROM_LEFT: "does the light come from the left",
}


def reasons(asked: NDArray[np.int64], target: NDArray[np.int64], facts: Facts, second: Facts | None = None) -> list[str]:
    """Return why the answers `target` (n,) to questions (n, 6) are right, a sentence each; the facts as of `truths`."""
    shown = [_named(Seen(facts)), _named(Seen(second)) if second is not None else []]
    rows = zip(asked.tolist(), target.tolist(), strict=True)
    return [_reason(row, ANSWERS[truth], [names[k] for names in shown if names]) for k, (row, truth) in enumerate(rows)]


def _named(seen: Seen) -> list[list[str]]:
    """Return the names of the things of each scene, from far to near."""
    return [[NAMES[place] for place in row if place != NOBODY] for row in seen.name.tolist()]


def _reason(row: list[int], truth: str, shown: list[list[str]]) -> str:
    kind, a, b, *_ = row
    name = QUESTION_KINDS[kind]
    if name == COMPARISON:
        return _compared(a, truth, shown)
    thing, than = (_THINGS[place] if 0 <= place < len(_THINGS) else "" for place in (a, b))
    other = next((ANSWERS[place] for place in row[3:5] if ANSWERS[place] != truth), "")
    if name == "existence":
        listed = f"There is {_a(shown[0])}"
        return f"There is a {thing}." if truth == "yes" else f"{listed}, and no {thing}."
    if name == "count":
        counted = [each for each in shown[0] if a == 0 or each in (BUILDINGS if COUNTED[a] == "buildings" else ("tree",))]
        return f"There is {_a(counted) if counted else f'none of the {COUNTED[a]}'}: {truth}."
    if name == "colour":
        return f"The {thing} is {truth}, and no part of it is {other}."
    if name == "position":
        return f"The {thing} is {truth} of {f'the {than}' if than else 'the middle of the picture'}."
    if name == "size":
        return f"The {truth} takes {'less' if a else 'more'} room in the picture than the {other}."
    if name == "depth":
        return (
            f"The foot of the {truth} is {'higher' if a else 'lower'} in the picture than that of the {other}, so it is "
            + ("farther away." if a else "nearer.")
        )
    if name == "light":
        light = _OTHER_SIDE[truth] if a else truth
        return f"The light comes from the {light}, and shadows fall to the {_OTHER_SIDE[light]}."
    return _SKY[truth] if name == "sky" else f"The ground has the colour of {truth}, not of {other}."


def _compared(topic: int, truth: str, shown: list[list[str]]) -> str:
    which = ("first", "second").index(truth)
    if topic == MORE_THINGS:
        counts = [len(names) for names in shown]
        return f"The first picture shows {counts[0]} things and the second {counts[1]}, so the {truth} shows more."
    if topic in _WHAT:
        return f"Only in the {truth} picture {_WHAT[topic]}."
    thing = "lake" if topic == LAKE else NAMES[topic]
    return f"The {truth} picture shows a {thing}, and the {('first', 'second')[1 - which]} does not."


def _a(names: list[str]) -> str:
    """Return names as a list in words."""
    each = [f"a {name}" for name in names]
    return each[0] if len(each) == 1 else f"{', '.join(each[:-1])} and {each[-1]}"
