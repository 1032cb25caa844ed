"""Rules for tasks over graphs: common neighbours, words in common, and counting edges."""

from __future__ import annotations

from typing import Any, cast

import numpy as np
from gymnasium import spaces
from numpy.typing import NDArray

from ssl4rl_envs import Task
from ssl4rl_envs.graphs.base import GraphTask
from ssl4rl_envs.graphs.graph_qa import GraphQA
from ssl4rl_envs.graphs.graph_questions import NO, QUESTIONS, YES, settled
from ssl4rl_envs.graphs.graph_walk import GOAL, HERE, VISITED
from ssl4rl_envs.graphs.node_attribute import NodeAttribute

Shown = dict[str, NDArray[Any]]
Answers = NDArray[np.int64]

ALIKE = 0.1
"""Cosine of the features of two nodes above which they are taken to be joined."""


def joined(task: Task, shown: Shown) -> Answers:
    """EdgePrediction: nodes that have a neighbour in common, or features that agree, are joined."""
    common, cosine = _pairs(task, shown)
    return np.asarray((common[:, 0] > 0) | (cosine[:, 0] > ALIKE), np.int64)


def nearest(task: Task, shown: Shown) -> Answers:
    """NeighborChoice: the candidate with most common neighbours; among equals, the one with the most similar features."""
    common, cosine = _pairs(task, shown)
    return np.asarray((common + cosine).argmax(axis=1), np.int64)


def hops(_: Task, shown: Shown) -> Answers:
    """GraphDistance: count the edges of the shortest way that is shown."""
    near = adjacency(shown)
    row, (first, second) = np.arange(len(near)), shown["target"].T
    reached = np.zeros(near.shape[:2], bool)
    reached[row, first] = True
    answers = np.full(len(near), 3, np.int64)
    for away in range(3):
        reached = reached | ((reached.astype(np.float32)[:, None] @ near)[:, 0] > 0)
        answers = np.where(reached[row, second] & (answers == 3), away, answers)
    return answers


def read_off(task: Task, shown: Shown) -> Answers:
    """GraphQA: of the two answers that are offered, the one that is right of the nodes that are asked about."""
    assert isinstance(task, GraphQA)
    query, (first, second), row = shown["query"], shown["target"].T, np.arange(len(shown["query"]))
    options = np.sort(query[:, 1:], axis=1) - len(QUESTIONS)
    options[np.isin(options[:, 1], (YES,))] = YES, NO  # as `settled` has it: what holds comes first
    one, _ = settled(query[:, 0], options, adjacency(shown), shown["node_mask"] == 1)
    return np.asarray(np.where(one[row, first, second], options[:, 0], options[:, 1]), np.int64)


def towards(task: Task, shown: Shown) -> Answers:
    """GraphWalk: go to the goal if it is near, else where one has not been, to the node whose features are most like its."""
    _, cosine = _pairs(task, shown)
    kind = np.take_along_axis(shown["mark"], shown["target"][:, 1:], axis=1)
    return np.asarray(
        (cosine + 2.0 * (kind == GOAL) - 2.0 * (kind == VISITED) - 4.0 * (kind == HERE)).argmax(axis=1), np.int64
    )


def still_possible(_: Task, shown: Shown) -> Answers:
    """GraphSearch: the first candidate that is as far from those that were named as these told."""
    near = adjacency(shown)
    row, nodes, told = np.arange(len(near))[:, None], shown["target"][:, 1:], shown["told"]
    apart = np.where(np.eye(nodes.shape[1], dtype=bool), 0, -1) + np.zeros((len(near), 1, 1), np.int64)
    reached = np.zeros((len(near), nodes.shape[1], near.shape[1]), np.float32)
    reached[row, np.arange(nodes.shape[1]), nodes] = 1
    for away in range(1, near.shape[1]):
        reached = np.minimum(reached + reached @ near, 1)
        there = np.take_along_axis(reached, np.broadcast_to(nodes[:, None], apart.shape), axis=2) > 0
        apart = np.where((apart < 0) & there, away, apart)
        if (apart >= 0).all():
            break
    fits = ((apart == told[:, :, None]) | (told[:, :, None] < 0)).all(axis=1)
    return np.asarray(fits.argmax(axis=1), np.int64)


def words_of_neighbours(task: Task, shown: Shown) -> Answers:
    """MaskedFeatures: a node has the words that its neighbours have."""
    x, near = features(task, shown), adjacency(shown)
    row = np.arange(len(near))[:, None]
    around = near[row, shown["target"]] * shown["x_mask"][:, None]  # (n, K, M)
    asked = np.take_along_axis(x, np.broadcast_to(shown["query"][:, None], (*x.shape[:2], shown["query"].shape[1])), axis=2)
    answers = (np.einsum("nkm,nmk->nk", around, asked) > 0).astype(np.int64)
    return np.asarray(answers if len(task.action_space.shape or ()) else answers[:, 0], np.int64)


def hidden_property(task: Task, shown: Shown) -> Answers:
    """NodeAttribute: words as the neighbours', as many edges as are shown, or the group whose typical words are around.

    A word that is typical of several groups counts for each of them by a share.
    """
    assert isinstance(task, NodeAttribute)
    if task.attribute == "word":
        return words_of_neighbours(task, shown)
    if task.attribute == "degree":
        edges = adjacency(shown)[np.arange(len(shown["target"])), shown["target"][:, 0]].sum(axis=1)
        return np.asarray(np.minimum(task.range_of(edges), int(cast("spaces.Discrete", task.action_space).n) - 1), np.int64)
    x = features(task, shown)
    stands_for = np.zeros((task.groups, x.shape[2]), np.float32)
    np.put_along_axis(stands_for, task.typical_words(), 1, axis=1)
    stands_for /= np.maximum(stands_for.sum(axis=0), 1)
    found = np.einsum("nm,nmf,gf->ng", shown["x_mask"].astype(np.float32), x, stands_for, optimize=True)
    return np.asarray(found.argmax(axis=1), np.int64)


def adjacency(shown: Shown) -> NDArray[np.float32]:
    """Return which local numbers are joined, (n, M, M)."""
    count, width = shown["node_mask"].shape
    result = np.zeros((count, width, width), np.float32)
    kept = shown["edge_mask"] == 1
    row = np.repeat(np.arange(count)[:, None], kept.shape[1], axis=1)[kept]
    result[row, shown["edge_index"][:, 0][kept], shown["edge_index"][:, 1][kept]] = 1
    return result


def features(task: Task, shown: Shown, nodes: NDArray[np.int64] | None = None) -> NDArray[np.float32]:
    """Return the features of the nodes that are shown, (n, M, F), or of some of them, by their numbers (n, K)."""
    assert isinstance(task, GraphTask)
    of = shown["x"] if "x" in shown else np.maximum(shown["node_id"], 0)
    of = of if nodes is None else of[np.arange(len(of))[:, None], nodes]
    found: NDArray[np.float32] = of if "x" in shown else task.source.features[of]
    return found


def _pairs(task: Task, shown: Shown) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return common neighbours and cosines of features of the first target with each of the others, (n, K - 1) each."""
    near, targets = adjacency(shown), shown["target"]
    row, x = np.arange(len(near))[:, None], features(task, shown, targets)
    common = (near[row, targets[:, :1]] * near[row, targets[:, 1:]]).sum(axis=2)
    one, others = x[:, :1], x[:, 1:]
    norms = np.sqrt((one**2).sum(axis=2) * (others**2).sum(axis=2))
    return common.astype(np.float64), (one * others).sum(axis=2) / np.maximum(norms, 1e-9)
