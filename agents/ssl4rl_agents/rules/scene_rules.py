"""A rule by hand for questions about drawn scenes: how bright and of which colours parts of the picture are."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ssl4rl_envs import Task
from ssl4rl_envs.images.scene_qa import SceneQA
from ssl4rl_envs.images.scene_words import ANSWERS, AT_NIGHT, COMPARISON, HUES, LIT_FROM_LEFT, QUESTION_KINDS, WITH_SNOW
from ssl4rl_envs.sources.scene_models import COLOURS, GROUNDS, SKIES

Shown = dict[str, NDArray[Any]]
Scores = NDArray[np.float64]

_SKY_OF = {"day": "clear", "night": "night", "evening": "dusk", "blue": "clear", "grey": "overcast"}
_GROUND_OF = {"grass": "meadow", "sand": "sand", "snow": "snow", "soil": "soil"}
_NEAR_HUE = 60.0
"""Pixels within this distance of a colour, in RGB, are of it."""


def likelier(task: Task, shown: Shown) -> NDArray[np.int64]:
    """SceneQA: of the two answers the one that the colours of sky, ground and things, and the brighter side, speak for.

    Where they say nothing, the first that is offered.
    """
    assert isinstance(task, SceneQA)
    asked = shown["asked"]
    pictures = [shown[name].astype(np.float64) for name in task.images]
    if task.kinds == (COMPARISON,):
        speaks = _compared(asked[:, 1], pictures)
    else:
        sky = asked[:, :1] == QUESTION_KINDS.index("sky")
        speaks = np.where(
            sky, _of_sky(pictures[0]), _of_things(pictures[0]) + _of_ground(pictures[0]) + _of_light(pictures[0])
        )
    shadows = (asked[:, :1] == QUESTION_KINDS.index("light")) & (asked[:, 1:2] == 1)  # they fall away from the light
    speaks = np.where(shadows, -speaks, speaks)
    first, second = (np.take_along_axis(speaks, asked[:, place, None], axis=1)[:, 0] for place in (3, 4))
    return np.where(second > first, asked[:, 4], asked[:, 3])


def _of_sky(picture: Scores) -> Scores:
    """Return how much pictures (n, size, size, 3) speak for words about the sky, (n, words)."""
    seen = picture[:, : picture.shape[1] // 6].mean(axis=(1, 2))
    return _scores({word: -np.linalg.norm(seen - SKIES[name].top, axis=1) for word, name in _SKY_OF.items()})


def _of_ground(picture: Scores) -> Scores:
    """Return how much they speak for words about the ground."""
    seen = picture[:, -(picture.shape[1] // 6) :].mean(axis=(1, 2))
    return _scores({word: -np.linalg.norm(seen - GROUNDS[name].near, axis=1) for word, name in _GROUND_OF.items()})


def _of_things(picture: Scores) -> Scores:
    """Return how much of them is of each colour that things have."""
    return _scores({hue: (np.linalg.norm(picture - COLOURS[hue], axis=3) < _NEAR_HUE).mean(axis=(1, 2)) for hue in HUES})


def _of_light(picture: Scores) -> Scores:
    """Return how bright their upper halves are on either side."""
    half = picture.shape[1] // 2
    sides = picture[:, :half].mean(axis=(1, 3))
    return _scores({"left": sides[:, :half].mean(axis=1), "right": sides[:, -half:].mean(axis=1)})


def _scores(of: dict[str, Scores]) -> Scores:
    """Return what is said of some words for all of them, 0 for the others, (n, words)."""
    scores = np.zeros((len(next(iter(of.values()))), len(ANSWERS)))
    for word, score in of.items():
        scores[:, ANSWERS.index(word)] = score
    return scores


def _compared(topic: NDArray[np.int64], pictures: list[Scores]) -> Scores:
    """Return how much two pictures speak for "first" and "second", (n, words)."""
    found = {}
    for word, picture in zip(("first", "second"), pictures, strict=True):
        sides = _of_light(picture)
        about = {
            AT_NIGHT: -picture.mean(axis=(1, 2, 3)),
            WITH_SNOW: _of_ground(picture)[:, ANSWERS.index("snow")],
            LIT_FROM_LEFT: sides[:, ANSWERS.index("left")] - sides[:, ANSWERS.index("right")],
        }
        found[word] = np.select([topic == number for number in about], list(about.values()), 0.0)
    return _scores(found)
