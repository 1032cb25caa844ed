"""What can be measured of a neighbourhood without a network: degrees, what lies between nodes, features that agree, numbers.

All but the last are legitimate signal and baselines to beat; local numbers and the order of edges must tell nothing.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ssl4rl_agents.rules.graphs import adjacency, features
from ssl4rl_benchmarks.audits.features import Table
from ssl4rl_envs import Batch
from ssl4rl_envs.graphs.base import GraphTask

GRAPH_SOLVERS = ("degree", "common neighbours", "longer ways", "feature overlap", "numbering")
BETWEEN = ("common neighbours", "longer ways")
"""What there is between two nodes."""

EDGES = 8
"""First edges of which the numbers are looked at."""


def graph_solvers_of(task: GraphTask) -> list[str]:
    """Return the solvers that a graph task can be put to, by name."""
    return [name for name in GRAPH_SOLVERS if name not in BETWEEN or task.role != "node"]


def describe_graphs(solver: str, task: GraphTask, batch: Batch) -> Table:
    """Return what a solver sees of n neighbourhoods, (n, features)."""
    shown = batch.observation
    if solver == "numbering":
        there = np.repeat(shown["edge_mask"][:, None, :EDGES], 2, axis=1).reshape(len(batch), -1)
        places = np.concatenate([shown["target"], shown["edge_index"][:, :, :EDGES].reshape(len(batch), -1)], axis=1)
        exists = np.concatenate([np.ones_like(shown["target"]), there], axis=1)
        # As a share of how many nodes there are: what that tells is another matter.
        return np.where(exists, (places + 0.5) / shown["node_mask"].sum(axis=1, keepdims=True), 0.5)
    joined = adjacency(shown)
    targets = shown["target"]
    row = np.arange(len(batch))[:, None]
    if solver == "degree":
        degrees = joined.sum(axis=2)[row, targets]
        return np.concatenate([degrees, np.log1p(degrees)], axis=1)
    if solver in BETWEEN:
        one, others = joined[row, targets[:, :1]], joined[row, targets[:, 1:]]
        near = one if solver == "common neighbours" else one @ joined  # then ways have three edges
        ways = (near * others).sum(axis=2)
        return np.concatenate([ways, np.log1p(ways)], axis=1).astype(np.float64)
    return _overlap(task, shown, joined, row, targets)


def _overlap(
    task: GraphTask,
    shown: dict[str, NDArray[Any]],
    joined: NDArray[np.float32],
    row: NDArray[np.int64],
    targets: NDArray[Any],
) -> Table:
    x = features(task, shown)
    if task.role == "node":
        seen = shown["x_mask"].astype(np.float32)
        near = joined[row, targets] * seen[:, None]
        if "query" in shown:
            asked = np.take_along_axis(x, np.broadcast_to(shown["query"][:, None], (*x.shape[:2], targets.shape[1])), axis=2)
            of_near = np.einsum("nkm,nmk->nk", near, asked) / np.maximum(near.sum(axis=2), 1)
            of_all = np.einsum("nm,nmk->nk", seen, asked) / np.maximum(seen.sum(axis=1), 1)[:, None]
            return np.concatenate([of_near, of_all], axis=1).astype(np.float64)
        return np.asarray((near @ x / np.maximum(near.sum(axis=2, keepdims=True), 1)).reshape(len(x), -1), np.float64)
    one, others = x[row, targets[:, :1]], x[row, targets[:, 1:]]
    product = (one * others).sum(axis=2)
    norms = np.sqrt((one**2).sum(axis=2) * (others**2).sum(axis=2))
    return np.concatenate([product, product / np.maximum(norms, 1e-9)], axis=1).astype(np.float64)
