"""Neighbourhoods as Gymnasium's own graphs, for agents that take those."""

from __future__ import annotations

from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium import spaces
from gymnasium.spaces import GraphInstance
from gymnasium.utils import RecordConstructorArgs
from numpy.typing import NDArray

KEPT = ("target", "query", "mark")


class GraphObservation(gym.ObservationWrapper[Any, Any, Any], RecordConstructorArgs):
    """Shows a graph task's arrays as a `gymnasium.spaces.Graph`, without padding.

    The observation becomes a `Dict` with `graph`: nodes (count, F + 1), which are features and behind them whether they are
    shown (or, with `features="id"`, the node's number and 1), edges all of kind 0, and `edge_links` (edges, 2) in both
    directions; and with `target`, and `query` and `mark` where there are such, as they were.

    Args:
        env: an environment of a graph task with the array interface.

    Raises:
        ValueError: the environment shows no graph.
    """

    def __init__(self, env: gym.Env[Any, Any]) -> None:
        RecordConstructorArgs.__init__(self)
        gym.ObservationWrapper.__init__(self, env)
        shown = env.observation_space
        if not isinstance(shown, spaces.Dict) or "edge_index" not in shown.spaces:
            raise ValueError(f"{env} shows no graph; GraphObservation is for the arrays of graph tasks")
        name = "x" if "x" in shown.spaces else "node_id"
        of_nodes = shown[name]
        assert isinstance(of_nodes, spaces.Box)
        width = 1 if of_nodes.shape[1:] == () else of_nodes.shape[1]
        low, high = min(0.0, float(of_nodes.low.min())), max(1.0, float(of_nodes.high.max()))
        nodes = spaces.Box(low, high, (width + 1,), np.float32 if name == "x" else np.int64)
        self._name = name
        self.observation_space = spaces.Dict(
            {
                "graph": spaces.Graph(nodes, spaces.Discrete(1)),
                **{key: shown[key] for key in KEPT if key in shown.spaces},
            }
        )

    def observation(self, observation: dict[str, NDArray[Any]]) -> dict[str, Any]:
        """Take the padding off."""
        count = int(observation["node_mask"].sum())
        values = observation[self._name][:count].reshape(count, -1)
        nodes = np.concatenate([values, observation["x_mask"][:count, None].astype(values.dtype)], axis=1)
        links = observation["edge_index"][:, observation["edge_mask"] == 1].T
        graph = GraphInstance(nodes=nodes, edges=np.zeros(len(links), np.int64), edge_links=links)
        return {"graph": graph, **{key: observation[key] for key in KEPT if key in observation}}
