"""Batches of graphs as a graph network takes them: encoded observations, and their union, one big graph."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import Any, Self

import numpy as np
import torch
from torch import Tensor

from ssl4rl_agents.policies.answerable import ANSWERABLE


@dataclass(frozen=True)
class GraphInputs:
    """n graphs, each padded to M nodes and E edges, and what is asked about each of them.

    Args:
        x: (n, M, F) float32 features of the nodes, or None where `node_id` says which they are.
        node_id: (n, M) int64 rows of the table of features, -1 where padded; or None.
        shown: (n, M) bool, whose features may be seen.
        exists: (n, M) bool, which nodes there are.
        edge_index: (n, 2, E) int64 local numbers of nodes; messages go from row 0 to row 1.
        edge_exists: (n, E) bool, which edges there are.
        target: (n, K) int64 local numbers of the nodes that are asked about.
        query: (n, K) int64 what is asked of each, or None.
        mark: (n, M) int64 what a node is to the question, or None.
        allowed: (n, answers) bool, which may be given, those of one slot after those of another; None where any may.
    """

    x: Tensor | None
    node_id: Tensor | None
    shown: Tensor
    exists: Tensor
    edge_index: Tensor
    edge_exists: Tensor
    target: Tensor
    query: Tensor | None
    mark: Tensor | None = None
    allowed: Tensor | None = None

    def __len__(self) -> int:
        return len(self.target)

    def rows(self, rows: Tensor) -> Self:
        """Return the chosen graphs, in the order of `rows`."""
        parts: dict[str, Any] = {field.name: getattr(self, field.name) for field in fields(self)}
        chosen: dict[str, Any] = {name: None if part is None else part[rows] for name, part in parts.items()}
        return replace(self, **chosen)


@dataclass(frozen=True)
class Union:
    """The disjoint union of n graphs, with nothing that is padding.

    Args:
        shown: (nodes,) bool, whose features may be seen.
        x: (shown nodes, F) the features of these, or None where `node_id` says which they are.
        node_id: (shown nodes,) int64 rows of the table of features, or None.
        edge_index: (2, edges) int64.
        target: (n, K) int64 numbers of the nodes that are asked about.
        mark: (nodes,) int64 what a node is to the question, or None.
    """

    shown: Tensor
    x: Tensor | None
    node_id: Tensor | None
    edge_index: Tensor
    target: Tensor
    mark: Tensor | None = None


def encode_graphs(observations: dict[str, Any], device: torch.device) -> GraphInputs:
    """Copy a batch of observations of a task about graphs to a device.

    Args:
        observations: `x` (n, M, F) or `node_id` (n, M), `node_mask` (n, M), `edge_index` (n, 2, E), `edge_mask` (n, E) and
            `target` (n, K); perhaps `x_mask` (n, M), 0 where features are hidden, `query` (n, K) and `mark` (n, M), and which
            answers may be given (see `answerable`).
        device: where to.
    """

    def numbers(name: str, dtype: torch.dtype) -> Tensor | None:
        if name not in observations:
            return None
        return torch.tensor(np.ascontiguousarray(observations[name]), dtype=dtype, device=device)

    def needed(name: str, dtype: torch.dtype) -> Tensor:
        found = numbers(name, dtype)
        if found is None:
            raise ValueError(f"an observation of a graph needs {name}; it has {', '.join(sorted(observations))}")
        return found

    exists = needed("node_mask", torch.bool)
    shown, answers = numbers("x_mask", torch.bool), numbers(ANSWERABLE, torch.bool)
    return GraphInputs(
        x=numbers("x", torch.float32),
        node_id=numbers("node_id", torch.int64),
        shown=exists if shown is None else shown & exists,
        exists=exists,
        edge_index=needed("edge_index", torch.int64),
        edge_exists=needed("edge_mask", torch.bool),
        target=needed("target", torch.int64),
        query=numbers("query", torch.int64),
        mark=numbers("mark", torch.int64),
        allowed=None if answers is None else answers[:, 1:],
    )


def unite(graphs: GraphInputs) -> Union:
    """Number the nodes of all graphs through and leave out what is padding.

    Hidden features are left out rather than multiplied by 0, so that nothing that stands there can matter, not even a NaN.
    """
    number = (graphs.exists.flatten().cumsum(0) - 1).view(graphs.exists.shape)
    first, count = graphs.edge_index.shape[:2]
    ends = number.gather(1, graphs.edge_index.reshape(first, -1)).view(first, count, -1)
    return Union(
        shown=graphs.shown[graphs.exists],
        x=None if graphs.x is None else graphs.x[graphs.shown],
        node_id=None if graphs.node_id is None else graphs.node_id[graphs.shown],
        edge_index=ends.transpose(0, 1)[:, graphs.edge_exists],
        target=number.gather(1, graphs.target),
        mark=None if graphs.mark is None else graphs.mark[graphs.exists],
    )
