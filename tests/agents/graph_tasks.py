"""A stand-in for tasks about graphs: nodes of two groups, whose features and edges tell the groups apart."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
from gymnasium import spaces

from ssl4rl_envs import Batch, Stream, Task
from ssl4rl_envs.task import Score

NODES, EDGES, ITEMS, WIDTH = 10, 20, 20, 4


def features() -> np.ndarray:
    """(20, 4): items of group 0, then as many of group 1."""
    table = np.random.default_rng(0).normal(0, 0.3, (ITEMS, WIDTH))
    table[: ITEMS // 2, 0] += 1
    table[ITEMS // 2 :, 1] += 1
    return table.astype(np.float32)


class Groups(Task):
    """Each group is a ring; the nodes that are asked about hide their features, so that only neighbours tell.

    Args:
        role: pair: are two nodes of one group? choice: which of three is of the group of the first? node: of which group is
            each of two nodes, or by another query of which it is not?
        features: "inline" or "id".
        asked_by: with "query", nodes are asked by queries.
    """

    asks = "which nodes belong together"

    def __init__(self, role: str = "pair", features: str = "inline", asked_by: str = "query") -> None:
        self.role, self.inline, self.queried = role, features == "inline", role == "node" and asked_by == "query"
        self.source = SimpleNamespace(features=_TABLE)
        targets = {"pair": 2, "choice": 4, "node": 2}[role]
        bit = spaces.Box(0, 1, (NODES,), np.int8)
        nodes = (
            {"x": spaces.Box(-9, 9, (NODES, WIDTH), np.float32)}
            if self.inline
            else {"node_id": spaces.Box(-1, ITEMS - 1, (NODES,), np.int64)}
        )
        query = {"query": spaces.Box(0, 1, (targets,), np.int64)} if self.queried else {}
        self.observation_space = spaces.Dict(
            {
                **nodes,
                **query,
                "x_mask": bit,
                "node_mask": bit,
                "edge_index": spaces.Box(0, NODES - 1, (2, EDGES), np.int64),
                "edge_mask": spaces.Box(0, 1, (EDGES,), np.int8),
                "target": spaces.Box(0, NODES - 1, (targets,), np.int64),
            }
        )
        self.action_space = {
            "pair": spaces.Discrete(2),
            "choice": spaces.Discrete(3),
            "node": spaces.MultiDiscrete([2, 2]),
        }[role]
        self.images, self.answer_format = (), None
        self.chance = 1 / 3 if role == "choice" else 0.5

    def make(self, stream: Stream) -> Batch:
        flip, longer, answer = stream.integers(0, 2), stream.integers(0, 2), stream.integers(0, 6)
        asked, item = stream.integers(0, 2, (2,)), stream.integers(0, ITEMS // 2, (NODES,))
        order = np.argsort(stream.uniform((NODES,)), axis=1)
        rows = [self._one(*row) for row in zip(flip, NODES - 2 * longer, answer, asked, item, order, strict=True)]
        shown, targets = zip(*rows, strict=True)
        observation = {name: np.stack([one[name] for one in shown]) for name in shown[0]}
        return Batch(observation, np.array(targets, np.int64), item[:, 0])

    def _one(self, flip: int, count: int, answer: int, asked: Any, item: Any, order: Any) -> tuple[dict[str, Any], Any]:
        """A graph of `count` nodes; node i, of group (i + flip) % 2, stands at order[i]."""
        group = (np.arange(NODES) + flip) % 2
        there = np.arange(NODES) < count
        node_id, mask, shown = np.full(NODES, -1), np.zeros(NODES, np.int8), np.zeros(NODES, np.int8)
        node_id[order] = np.where(there, item + group * (ITEMS // 2), -1)
        mask[order] = there
        pairs = np.array([(i, (i + 2) % count) for i in range(count)])
        edges, edge_mask = np.zeros((2, EDGES), np.int64), np.zeros(EDGES, np.int8)
        edges[:, : 2 * len(pairs)] = order[np.concatenate([pairs, pairs[:, ::-1]])].T
        edge_mask[: 2 * len(pairs)] = 1
        if self.role == "pair":
            truth: Any = answer % 2
            chosen = [0, 2 if truth else 1]
        elif self.role == "choice":
            truth, others = answer % 3, [1, 3]
            chosen = [0, *(2 if place == truth else others.pop() for place in range(3))]
        else:
            chosen = [0, 1] if answer % 2 else [1, 0]
            truth = group[chosen] ^ (asked if self.queried else 0)
        shown[order] = there
        shown[order[chosen]] = 0
        node_id = np.where(shown == 1, node_id, -1)
        x = np.where(shown[:, None] == 1, _TABLE[node_id], 0)
        observation = {
            **({"x": x} if self.inline else {"node_id": node_id}),
            **({"query": asked} if self.queried else {}),
            "x_mask": shown,
            "node_mask": mask,
            "edge_index": edges,
            "edge_mask": edge_mask,
            "target": order[chosen],
        }
        return observation, truth

    def score(self, answers: np.ndarray, batch: Batch) -> Score:
        right = (answers == batch.target).reshape(len(batch), -1)
        return Score(right.mean(1).astype(np.float32), right.all(1))

    def question(self, batch: Batch) -> list[str]:
        return ["Which belong together?"] * len(batch)

    def example(self) -> Any:
        return np.zeros(self.action_space.shape, np.int64)


class Guesses(Groups):
    """Asks for a number, which cannot be chosen."""

    def __init__(self) -> None:
        super().__init__()
        self.action_space = spaces.Box(0, 1, (1,), np.float32)


_TABLE = features()
