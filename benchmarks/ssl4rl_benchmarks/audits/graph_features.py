"""What can be measured of a neighbourhood without a network: what is counted in it, features that agree, and numbers.

What boosted trees make of degrees, counts and common neighbours is in `structure`. Features that agree are signal, and a
baseline to beat; local numbers and the order of edges must tell nothing.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ssl4rl_agents.rules.graph_rules import adjacency, features
from ssl4rl_benchmarks.audits import structure
from ssl4rl_benchmarks.audits.features import Table
from ssl4rl_benchmarks.audits.text_overlap import TEXTS, reads_texts, text_overlap
from ssl4rl_envs import Batch
from ssl4rl_envs.graphs.base import GraphTask

COUNTED = (structure.DEGREE, structure.COUNTS, structure.COMMON, structure.WAYS, structure.WORD, structure.ALL)
DESCRIBED = ("feature overlap", "numbering")
GRAPH_SOLVERS = (*COUNTED, *DESCRIBED, TEXTS)
EDGES = 8
"""First edges of which the numbers are looked at."""


def graph_solvers_of(task: GraphTask) -> list[str]:
    """Return the solvers that a graph task can be put to, by name."""
    return [*structure.groups_of(task), *DESCRIBED, *([TEXTS] if reads_texts(task) else [])]


def describe_graphs(solver: str, task: GraphTask, batch: Batch) -> Table:
    """Return what one of `DESCRIBED` or `TEXTS` sees of n neighbourhoods, (n, features).

    Beside the question where there are several.
    """
    seen = _seen(solver, task, batch)
    if task.role != "question":
        return seen
    query = batch.observation["query"]
    known = np.arange(int(task.observation_space["query"].high.max()) + 1)  # type: ignore[attr-defined]
    return np.concatenate([seen, *((query[:, [slot]] == known).astype(np.float64) for slot in range(query.shape[1]))], axis=1)


def _seen(solver: str, task: GraphTask, batch: Batch) -> Table:
    shown = batch.observation
    if solver == TEXTS:
        return text_overlap(task, batch)
    if solver == "numbering":
        there = np.repeat(shown["edge_mask"][:, None, :EDGES], 2, axis=1).reshape(len(batch), -1)
        places = np.concatenate([shown["target"], shown["edge_index"][:, :, :EDGES].reshape(len(batch), -1)], axis=1)
        exists = np.concatenate([np.ones_like(shown["target"]), there], axis=1)
        # As a share of how many nodes there are: what that tells is another matter.
        return np.where(exists, (places + 0.5) / shown["node_mask"].sum(axis=1, keepdims=True), 0.5)
    return _overlap(task, shown, adjacency(shown), np.arange(len(batch))[:, None], shown["target"])


def _overlap(
    task: GraphTask,
    shown: dict[str, NDArray[Any]],
    joined: NDArray[np.float32],
    row: NDArray[np.int64],
    targets: NDArray[Any],
) -> Table:
    if task.role == "node":
        x = features(task, shown)
        seen = shown["x_mask"].astype(np.float32)
        near = joined[row, targets] * seen[:, None]
        if "query" in shown:
            asked = np.take_along_axis(x, np.broadcast_to(shown["query"][:, None], (*x.shape[:2], targets.shape[1])), axis=2)
            of_near = np.einsum("nkm,nmk->nk", near, asked) / np.maximum(near.sum(axis=2), 1)
            of_all = np.einsum("nm,nmk->nk", seen, asked) / np.maximum(seen.sum(axis=1), 1)[:, None]
            return np.concatenate([of_near, of_all], axis=1).astype(np.float64)
        return np.asarray((near @ x / np.maximum(near.sum(axis=2, keepdims=True), 1)).reshape(len(x), -1), np.float64)
    x = features(task, shown, targets)
    one, others = x[:, :1], x[:, 1:]
    product = (one * others).sum(axis=2)
    norms = np.sqrt((one**2).sum(axis=2) * (others**2).sum(axis=2))
    return np.concatenate([product, product / np.maximum(norms, 1e-9)], axis=1).astype(np.float64)
