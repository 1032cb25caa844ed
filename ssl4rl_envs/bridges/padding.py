"""Graph questions without their padding, one by one, for bridges to libraries of graphs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ssl4rl_envs.bridges.questions import require_observation

OF_NODES = ("x", "node_id", "x_mask")
MASKS = ("node_mask", "edge_mask")


class GraphQuestion(NamedTuple):
    """One question about a graph of N nodes and E directed edges, each edge in both directions.

    Attributes:
        nodes: arrays (N, ...) by name: `x` float32 (N, F) or `node_id` int64 (N,), and `x_mask` bool (N,), whether what the
            node has is shown.
        edge_index: int64 (2, E), numbers of nodes from 0 to N - 1.
        asked: whatever else is shown, by name: `target` int64 (K,), the nodes that are asked about, in their order; `query`
            int64 (slots,) where there is one; with several attempts what was answered before.
    """

    nodes: dict[str, NDArray[Any]]
    edge_index: NDArray[np.int64]
    asked: dict[str, NDArray[Any]]


def graph_questions(observation: Mapping[str, Any]) -> tuple[list[GraphQuestion], bool]:
    """Return the questions of an observation, and whether there is a batch of them.

    Args:
        observation: of a graph task's array interface, of one environment or of a vector environment.

    Raises:
        TypeError: the observation is no dict.
        ValueError: it is of another task or interface.
    """
    require_observation(observation)
    if "edge_index" not in observation or "node_mask" not in observation:
        shown = ", ".join(sorted(observation)) or "nothing"
        raise ValueError(f"graphs are made of the arrays that graph tasks show; this observation has {shown}")
    arrays = {name: np.asarray(values) for name, values in observation.items()}
    many = arrays["edge_index"].ndim == 3
    if not many:
        return [_without_padding(arrays)], False
    return [
        _without_padding({name: values[row] for name, values in arrays.items()}) for row in range(len(arrays["edge_index"]))
    ], True


def _without_padding(arrays: dict[str, NDArray[Any]]) -> GraphQuestion:
    there, edges = arrays["node_mask"] == 1, arrays["edge_mask"] == 1
    number = np.cumsum(there) - 1  # of the nodes that there are
    nodes = {name: arrays[name][there] for name in OF_NODES if name in arrays}
    nodes["x_mask"] = nodes["x_mask"] == 1
    asked = {name: values for name, values in arrays.items() if name not in (*OF_NODES, *MASKS, "edge_index")}
    asked["target"] = number[asked["target"]]
    return GraphQuestion(nodes, number[arrays["edge_index"][:, edges]], asked)
