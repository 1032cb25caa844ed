"""What is asked in words about a small graph: the questions, their wordings, and of which nodes each has which answer."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ssl4rl_envs.graphs.neighbourhoods import Neighbourhood
from ssl4rl_envs.stream import Stream

Whole = NDArray[np.int64]
Pairs = NDArray[np.bool_]

NO, YES, FIRST, SECOND = range(4)
WORDS = ("no", "yes", "first", "second")
"""Answers other than numbers; those follow, from 1 on."""


@dataclass(frozen=True)
class Question:
    """One question.

    Args:
        kind: what sort of question it is.
        answers: the one and the other, of `WORDS`; empty where two numbers are offered.
        habit: which of the two is the one of habit, 0 or 1; of numbers 0 is the smaller.
        wordings: ways to ask it, of nodes {a} and {b}; the first is the plain one.
        reasons: why the one and why the other is right.
    """

    kind: str
    answers: tuple[int, ...]
    habit: int
    wordings: tuple[str, ...]
    reasons: tuple[str, str]

    @property
    def of_one(self) -> bool:
        """Whether it is about one node rather than two."""
        return "{b}" not in self.wordings[0]


QUESTIONS = (
    Question(
        "edge",
        (YES, NO),
        1,
        (
            "Are node {a} and node {b} joined by an edge?",
            "Is there an edge between node {a} and node {b}?",
            "Does an edge lead from node {a} to node {b}?",
        ),
        ("The edge {a}-{b} is listed", "No edge {a}-{b} is listed"),
    ),
    Question(
        "common",
        (YES, NO),
        0,
        (
            "Do node {a} and node {b} share a neighbour?",
            "Is there a node that is joined to both node {a} and node {b}?",
            "Is some node a neighbour of both node {a} and node {b}?",
        ),
        ("Node {c} is joined to node {a} and to node {b}", "No node is joined to both node {a} and node {b}"),
    ),
    Question(
        "path",
        (YES, NO),
        1,
        (
            "Is there a path of at most 2 edges between node {a} and node {b}?",
            "Can one go from node {a} to node {b} over at most 2 edges?",
            "Is node {b} within 2 edges of node {a}?",
        ),
        (
            "The shortest path from node {a} to node {b} has {d} edge{s}",
            "There is no path of 2 edges or fewer from node {a} to node {b}",
        ),
    ),
    Question(
        "path",
        (YES, NO),
        0,
        (
            "Is there a path of at most 3 edges between node {a} and node {b}?",
            "Can one go from node {a} to node {b} over at most 3 edges?",
            "Is node {b} within 3 edges of node {a}?",
        ),
        (
            "The shortest path from node {a} to node {b} has {d} edge{s}",
            "There is no path of 3 edges or fewer from node {a} to node {b}",
        ),
    ),
    Question(
        "degree",
        (FIRST, SECOND),
        0,
        (
            "Which has more neighbours, the first, node {a}, or the second, node {b}?",
            "Of node {a}, the first, and node {b}, the second, which is joined to more nodes?",
            "Which of two nodes has more edges: the first is node {a}, the second node {b}?",
        ),
        ("Node {a} has {m} edge{s} and node {b} {n}", "Node {a} has {m} edge{s} and node {b} {n}"),
    ),
    Question(
        "triangle",
        (YES, NO),
        1,
        (
            "Is node {a} part of a triangle?",
            "Are two neighbours of node {a} joined to each other?",
            "Is there a triangle with node {a} as a corner?",
        ),
        ("Two neighbours of node {a} are joined", "No two neighbours of node {a} are joined"),
    ),
    Question(
        "count",
        (),
        0,
        (
            "How many neighbours does node {a} have?",
            "To how many nodes is node {a} joined?",
            "How many edges does node {a} have?",
        ),
        ("Node {a} has {m} edge{s}", "Node {a} has {m} edge{s}"),
    ),
)
"""All questions; the number of one is its place here."""

KINDS = tuple(dict.fromkeys(question.kind for question in QUESTIONS))
"""Sorts of question; the number of one is its place here."""

KIND_OF = np.array([KINDS.index(question.kind) for question in QUESTIONS], np.int64)
COUNTING = next(number for number, question in enumerate(QUESTIONS) if not question.answers)
WORDINGS = min(len(question.wordings) for question in QUESTIONS)

_FIRST_OF_KIND = np.searchsorted(KIND_OF, np.arange(len(KINDS)))  # those of a kind stand side by side
_MANY = np.bincount(KIND_OF)
_HABIT = np.array([question.habit for question in QUESTIONS], np.int64)
_ANSWERS = np.array([question.answers or (0, 0) for question in QUESTIONS], np.int64)


def ask(stream: Stream, kinds: tuple[str, ...]) -> tuple[Whole, Whole]:
    """Draw questions and their wordings, (n,) each: all kinds are equally likely, and of a kind all questions."""
    known = np.array([KINDS.index(name) for name in kinds], np.int64)
    kind = known[stream.integers(0, len(known))]
    return _FIRST_OF_KIND[kind] + stream.below(_MANY[kind]), stream.integers(0, WORDINGS)


def offer(question: Whole, degree: Whole, numbers: int, stream: Stream) -> tuple[Whole, Whole, NDArray[np.bool_]]:
    """Return the two answers that questions offer, which of them is the one of habit, and which questions have two.

    Of numbers two are offered that nodes of the graph have edges, drawn at random.

    Args:
        question: (n,) of `ask`.
        degree: (n, M) edges of nodes, 0 where there is none.
        numbers: 1 to so many may be offered.
        stream: of n rows.

    Returns:
        answers as actions (n, 2), 0 or 1 (n,), and (n,).
    """
    there = np.stack([(degree == number + 1).any(axis=1) for number in range(numbers)], axis=1)
    keys = np.where(there, stream.words((numbers,)) >> np.uint64(1), np.uint64(2**64 - 1))
    two = np.argsort(keys, axis=1, kind="stable")[:, :2].astype(np.int64) + len(WORDS)
    counting = question == COUNTING
    options = np.where(counting[:, None], two, _ANSWERS[question])
    habit = np.where(counting, two[:, 0] > two[:, 1], _HABIT[question]).astype(np.int64)
    return options, habit, ~counting | (there.sum(axis=1) > 1)


def adjacency(hood: Neighbourhood) -> NDArray[np.float32]:
    """Return which local numbers are joined, (n, M, M)."""
    count, width = hood.nodes.shape
    near = np.zeros((count, width, width), np.float32)
    row = np.repeat(np.arange(count)[:, None], hood.edge_mask.shape[1], axis=1)[hood.edge_mask]
    near[row, hood.edge_index[:, 0][hood.edge_mask], hood.edge_index[:, 1][hood.edge_mask]] = 1
    return near


def settled(question: Whole, options: Whole, near: NDArray[np.float32], exists: NDArray[np.bool_]) -> tuple[Pairs, Pairs]:
    """Return of which pairs of nodes the one answer is right, and of which the other, (n, M, M) each.

    A question about one node is about the pair of it and itself.

    Args:
        question, options: (n,) and (n, 2) of `ask` and `offer`; the first of the options belongs to the one.
        near: (n, M, M) of `adjacency`.
        exists: (n, M).
    """
    two = near @ near
    degree, alone = near.sum(axis=2), np.eye(near.shape[1], dtype=bool)[None]
    within = near + two
    ahead = degree[:, :, None] - degree[:, None]
    corner = np.einsum("nij,nij->ni", two, near) > 0
    counted = [degree == (options[:, [side]] - len(WORDS) + 1) for side in range(2)]
    ones = [near, two, within, within + two @ near, ahead, corner, counted[0]]
    one = np.zeros(near.shape, np.bool_)
    other = np.zeros(near.shape, np.bool_)
    for number, (kind, values) in enumerate(zip(QUESTIONS, ones, strict=True)):
        rows = np.flatnonzero(question == number)
        of = np.asarray(values)[rows]
        true = (of[:, :, None] if kind.of_one else of) > 0
        false = counted[1][rows][:, :, None] if number == COUNTING else (of < 0 if kind.kind == "degree" else ~true)
        where = alone if kind.of_one else ~alone
        one[rows], other[rows] = true & where, false & where
    both = exists[:, :, None] & exists[:, None]
    return one & both, other & both


def pick(choices: Pairs, stream: Stream) -> Whole:
    """Return of pairs (n, M, M) one that is true, all equally likely, (n, 2); (0, 0) where there is none."""
    flat = choices.reshape(len(choices), -1)
    place = stream.below(flat.sum(axis=1))
    found = ((np.cumsum(flat, axis=1) == place[:, None] + 1) & flat).argmax(axis=1)
    return np.stack(np.divmod(found, choices.shape[1]), axis=1)
