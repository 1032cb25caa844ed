"""The paper's rewards and data under our audit: the same reply, or the same look, put to its rules and to our environments.

A finding is what something earns that has not looked at the picture, or earns without a clear answer. On the paper's side it
follows from its rules as `theirs` restates them; on ours it is what our environments pay, question by question.
"""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ssl4rl_benchmarks.paper import theirs
from ssl4rl_benchmarks.paper.declaration import IMAGES, Question
from ssl4rl_envs import Stream, Task, make_task
from ssl4rl_envs.images.contrastive import Contrastive
from ssl4rl_envs.images.views import draw_views
from ssl4rl_envs.interface import Interface
from ssl4rl_envs.stream import SPLITS
from ssl4rl_envs.task import Batch

SIDE = 64
PICTURES: dict[str, Any] = {"source": "scenes", "image_size": SIDE}
SPLIT, SEED = "test", 2510
THOUGHT = "<think>I have not looked.</think> "
LARGE = 3
"""Parts along each side of the larger jigsaw."""


@dataclass(frozen=True)
class Finding:
    """One line of the table.

    Args:
        task: of the paper.
        what: was said, or looked at.
        theirs, ours: what that earns, or how often it is right, on average.
        chance: what the best answer earns without looking, here.
        note: how the figures come about.
    """

    task: str
    what: str
    theirs: float
    ours: float
    chance: float
    note: str = ""


Reply = Callable[[str], str]
"""Makes a reply of the right answer to a question as its side writes it."""


@dataclass(frozen=True)
class Said:
    """A reply that is put to both sides.

    Args:
        what: it is called.
        theirs, ours: how it is made of the right answer, by the side's own words.
        note: for the table.
    """

    what: str
    theirs: Reply
    ours: Reply
    note: str = ""


def answer(words: str) -> str:
    """Return a reply that thinks first, and says no more than its answer."""
    return f"{THOUGHT}<answer>{words}</answer>"


def _same(make: Reply) -> tuple[Reply, Reply]:
    return make, make


def orders(cells: int) -> tuple[Said, ...]:
    """Return replies to a jigsaw of so many parts."""
    ones = answer(",".join(["1"] * cells))
    counted = answer(",".join(map(str, range(1, cells + 1))))
    return (
        Said("the right order", *_same(answer)),
        Said(f"1, {cells} times", *_same(lambda _: ones), "it is no permutation"),
        Said("always 1, 2, 3, ...", *_same(lambda _: counted), "one right place is worth nothing here"),
        Said("the right order, and more numbers", *_same(lambda truth: answer(f"{truth},1,2,3"))),
        Said(
            "the right order, but for a word in the first place",
            *_same(lambda truth: answer(",".join(["first", *truth.split(",")[1:]]))),
        ),
    )


def choices(constants: tuple[str, str], written: tuple[str, str], how: str) -> tuple[Said, ...]:
    """Return replies to a choice.

    Args:
        constants: one answer, as their side and ours write it.
        written: the same in a reply that means it, in other words.
        how: these words differ.
    """
    return (
        Said("the right answer", *_same(answer)),
        Said(f"always {constants[0]}", lambda _: answer(constants[0]), lambda _: answer(constants[1])),
        Said(
            "the right answer within the thinking, and no other",
            *_same(lambda truth: f"<think><answer>{truth}</answer></think>"),
        ),
        Said(
            "the right answer, and then another",
            lambda truth: f"{answer(truth)} <answer>{constants[0]}</answer>",
            lambda truth: f"{answer(truth)} <answer>{constants[1]}</answer>",
            "the first of two counts there",
        ),
        Said(
            f"the right answer, {how}",
            lambda truth: answer(_in_words(truth, written[0])),
            lambda truth: answer(_in_words(truth, written[1])),
            "a right answer that is not paid",
        ),
    )


def _in_words(truth: str, pattern: str) -> str:
    return pattern.format(truth=truth, title=truth.title(), spaced=truth.replace("-", " ").title())


ANSWERS: dict[str, tuple[str, ...]] = {
    "position": ("top-left", "top-right", "bottom-left", "bottom-right"),
    "rotation": ("0", "90", "180", "270"),
    "contrastive": ("positive", "negative"),
}
"""What the paper's questions are answered by, all equally likely: a random choice makes them, or equal numbers."""

SAID: dict[str, tuple[Said, ...]] = {
    "position": choices(("top-left", "top left"), ("{title}", "{title}"), "with capitals"),
    "rotation": choices(("90", "90"), ("{truth} degrees", "{truth} degrees"), "with its unit"),
    "contrastive": choices(("positive", "same"), ("{title}", "{title}"), "with a capital"),
    "jigsaw": orders(4),
}


def audit(episodes: int = 2048) -> list[Finding]:
    """Return all lines of the table.

    Args:
        episodes: questions that are put to each of our environments.
    """
    found = []
    for question in IMAGES:
        task = make_task(question.env, **question.args, **PICTURES)
        found += _replies(question.name, task, SAID[question.name], episodes)
        if question.name == "jigsaw":
            large = make_task(question.env, grid=LARGE, **{**PICTURES, "image_size": 60})
            constant = orders(LARGE**2)[1:2]
            found += _replies(f"jigsaw, {LARGE} x {LARGE}", large, constant, min(episodes, 256))
    return [*found, *_looks(episodes), *_data(episodes)]


def _replies(name: str, task: Task, said: Sequence[Said], episodes: int) -> list[Finding]:
    """Put replies to both sides."""
    batch = task.sample(Stream.span(SPLIT, SEED, 0, episodes))
    right = task.format_all(task.oracle(batch), batch)
    return [
        Finding(name, each.what, _their_mean(name, each), paid(task, batch, right, each.ours), task.chance, each.note)
        for each in said
    ]


def paid(task: Task, batch: Batch, right: Sequence[str | None], reply: Reply) -> float:
    """Return what our environment pays on average for replies that are made of the right answers."""
    replies = [reply((words or "").replace(", ", ",") if "," in (words or "") else words or "") for words in right]
    return float(Interface(task, "text", "think").step(batch, replies).step.score.reward.mean())


def _their_mean(name: str, said: Said) -> float:
    """Return what the paper's rule pays for a reply on average over its answers, all of which are equally likely."""
    if name in ANSWERS:
        truths = ANSWERS[name]
        return sum(theirs.paid_choice(said.theirs(truth), truth) for truth in truths) / len(truths)
    cells = 4 if name == "jigsaw" else LARGE**2
    truths = _orders(cells)
    return sum(theirs.paid_order(said.theirs(truth), truth) for truth in truths) / len(truths)


def _orders(cells: int) -> tuple[str, ...]:
    """Return orders over which a mean is that over all: all of four; of more, those that turn a circle, place by place."""
    if cells == 4:
        return tuple(",".join(map(str, order)) for order in itertools.permutations(range(1, 5)))
    return tuple(",".join(str((place + turn) % cells + 1) for place in range(cells)) for turn in range(cells))


def _looks(episodes: int) -> list[Finding]:
    """Return what is found by who sees nothing of a turned picture but its frame."""
    rotation = _of("rotation")
    task = make_task(rotation.env, **rotation.args, **PICTURES)
    ours, fitted, kept = _by_shape(task, episodes), "builders that fit the frame to the angle", "builders that keep the frame"
    told: dict[float, list[str]] = {}
    for width, height in theirs.COMMON_SIZES:
        told.setdefault(theirs.told_by_frame(width, height), []).append(f"{width} x {height}")
    looks = [(f"its size, pictures of {', '.join(told[share])}", share, fitted) for share in sorted(told)]
    everywhere = np.mean([theirs.told_by_frame(width, height) for width in theirs.SIDES for height in theirs.SIDES])
    looks += [(f"its size, all pictures of {theirs.SIDES[0]} to {theirs.SIDES[-1]} pixels", float(everywhere), fitted)]
    looks += [("whether there is black at its edges, pictures that are not square", theirs.told_by_black(640, 480), kept)]
    return [Finding("rotation", what, share, ours, task.chance, note) for what, share, note in looks]


def _by_shape(task: Task, episodes: int) -> float:
    """Return how often the answer is found by who sees the shapes of the pictures alone: the likeliest answer of each."""
    batch = task.sample(Stream.span(SPLIT, SEED, 0, episodes))
    shapes: dict[tuple[Any, ...], Counter[int]] = {}
    for row, target in enumerate(batch.target.tolist()):
        shape = tuple(pictures[row].shape for _, pictures in sorted(batch.observation.items()))
        shapes.setdefault(shape, Counter())[target] += 1
    if len(shapes) == 1:  # nothing is told, and the likeliest of a sample is not the likeliest of all
        return task.chance
    return sum(count.most_common(1)[0][1] for count in shapes.values()) / episodes


def _data(episodes: int) -> list[Finding]:
    """Return what is wrong with which pictures are asked about, and when."""
    found = [
        Finding(
            "all",
            f"validation questions that are trained on too, {script}",
            theirs.seen_in_training(lists),
            _shared(episodes),
            0.0,
            "ours: pictures are split by what they show",
        )
        for script, lists in theirs.LISTS.items()
    ]
    rows = ("a", "a", "b", "b")
    found.append(
        Finding(
            "contrastive",
            '"negative" pairs that show one picture, where each picture stands in two of four rows',
            theirs.false_negatives(rows),
            _false_negatives(episodes),
            0.0,
            "ours: pictures of one photograph are one item",
        )
    )
    found.append(
        Finding(
            "rotation",
            "pictures of one colour that are asked about",
            1.0,
            _asked_of_nothing(),
            0.0,
            "only a picture's size is looked at there; ours is an error that says so",
        )
    )
    return found


def _shared(episodes: int) -> float:
    """Return which share of the pictures of our test questions are in our train questions."""
    items = []
    for split in SPLITS[0], SPLITS[-1]:
        task = make_task("SSL4RL/Rotation-v0", **PICTURES)
        items.append(task.sample(Stream.span(split, SEED, 0, episodes)).items)
    return float(np.isin(items[1], items[0]).mean())


def _false_negatives(episodes: int) -> float:
    """Return how many of our pairs of different pictures show one picture, where the source holds each of them twice."""
    pictures = make_task("SSL4RL/Rotation-v0", reference=True, **PICTURES).sample(Stream.span("train", SEED, 0, 24))
    twice = np.concatenate([pictures.observation["reference"]] * 2)
    question = _of("contrastive")
    task = Contrastive(twice, SIDE, **question.args)
    stream = Stream.span("train", SEED, 0, episodes)
    first, _, other = task.draw(stream)
    look, other_look = (
        task.source.pixels(draw_views(stream, task.source, task.image_size, items=views.items), task.image_size)
        for views in (first, other)
    )
    return float((look == other_look).all(axis=(1, 2, 3)).mean())


def _asked_of_nothing() -> float:
    """Return whether we ask about pictures of one colour."""
    rotation = _of("rotation")
    try:
        make_task(rotation.env, **rotation.args, source=_blank_pictures(), image_size=SIDE)
    except ValueError:
        return 0.0
    return 1.0


def _blank_pictures() -> NDArray[np.uint8]:
    """Return pictures (24, SIDE, SIDE, 3), each of one grey."""
    return np.full((24, SIDE, SIDE, 3), np.arange(100, 124, dtype=np.uint8)[:, None, None, None])


def _of(name: str) -> Question:
    return next(question for question in IMAGES if question.name == name)


def table(found: Sequence[Finding]) -> str:
    """Write findings as a table in Markdown."""
    lines = ["| task | what is said, or looked at | the paper | ours | chance | |", "| --- | --- | --- | --- | --- | --- |"]
    lines += [
        f"| {each.task} | {each.what} | {each.theirs:.3f} | {each.ours:.3f} | {each.chance:.3f} | {each.note} |"
        for each in found
    ]
    return "\n".join(lines) + "\n"
