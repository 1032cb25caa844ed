"""Graph distance: how many edges lie between these two nodes?"""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
from gymnasium import spaces
from numpy.typing import NDArray

from ssl4rl_envs.answers import AnswerFormat
from ssl4rl_envs.graphs.base import GraphTask
from ssl4rl_envs.graphs.neighbourhoods import Neighbourhood, sample_neighbourhoods
from ssl4rl_envs.kernels.graph_edges import distances
from ssl4rl_envs.numerals import at_least
from ssl4rl_envs.sources.graph_builtin import GraphSourceLike
from ssl4rl_envs.stream import Stream
from ssl4rl_envs.task import Batch, Level, Score, exact_score

HOPS = ("1", "2", "3", "more")


class GraphDistance(GraphTask):
    """How many edges lie between these two nodes?

    ## Description
    A neighbourhood and two of its nodes are shown. The answer is the number of edges on the shortest way between them in what
    is shown, found anew for every question; ways that are not shown do not count. Neighbourhoods are asked about only if all
    answers would be possible from the first node, so that which ones there are tells nothing.

    ## Observation Space
    `Dict` of padded arrays, see `GraphTask`: `x` (or `node_id`), `x_mask`, `node_mask`, `edge_index`, `edge_mask`, and
    `target`, the two nodes. The text interface tells the neighbourhood in words.

    ## Action Space
    `Discrete(4)`: 1, 2, 3, more. In text these words; "hops" may follow.

    ## Rewards
    1 for the right answer, 0 otherwise. Chance is 1/4.

    ## Termination
    After one answer.

    ## Arguments
    - `source`: the graph; "cora", "karate", "les_miserables", "sbm", "barabasi_albert", "file:PATH", with words "wordnet",
      "airlines", "umls", "kinships", "nations", or in Python a graph of networkx or PyTorch Geometric.
    - `fanouts`: most neighbours that are shown at each distance; at least four distances.
    - `features`: "inline" puts features into the observation, "id" the numbers of nodes.

    ## Registered Configurations
    - `SSL4RL/GraphDistance-v0`
    """

    asks = "how many edges lie between two nodes"
    role = "pair"

    levels = (Level("small", {"fanouts": (3, 2, 2, 2)}), Level("large", {"fanouts": (4, 3, 3, 2)}))

    legitimate: ClassVar = {
        "degree": "It sees how many edges the nodes have, and nodes at the rim of what is shown have one edge there: 0.49 "
        "over Cora. The rim is far from the centre, and that is a distance.",
        "counts": "It sees how many edges the neighbours of the nodes have, and those of nodes at the rim have few: 0.59 "
        "over Cora. This is a sign of distance as well.",
        "common neighbours": "It sees how many neighbours the nodes share, and nodes two hops apart share one: 0.50 over "
        "Cora. This is one of the answers itself.",
        "longer ways": "It sees how many ways of each length lead from one node to the other. The answer is how long the "
        "shortest way is: 0.97 over Cora. To count ways is what the task asks.",
        "structure": "It sees all that can be counted together: 1.00 over Cora. To count ways is what the task asks.",
        "feature overlap": "It sees how similar the features of the nodes are, and nodes that are near have similar "
        "features. This is what a graph network may use as well.",
    }

    def __init__(
        self, source: GraphSourceLike = "cora", fanouts: tuple[int, ...] = (3, 2, 2, 2), features: str = "inline"
    ) -> None:
        if len(fanouts) < len(HOPS):
            raise ValueError(f"fanouts must reach {len(HOPS)} hops, so that some nodes are farther than 3, got {fanouts}")
        super().__init__(source, fanouts, features, 1)
        nodes = self.observation_space["node_mask"].shape
        assert nodes is not None
        self.observation_space["target"] = spaces.Box(0, nodes[0] - 1, (2,), np.int64)
        self.action_space = spaces.Discrete(len(HOPS))
        self.answer_format = AnswerFormat(
            HOPS,
            units=("hops", "hop"),
            synonyms=dict.fromkeys(at_least(len(HOPS)), "more"),
            fillers=(
                "edge",
                "edges",
                "step",
                "steps",
                "distance",
                "length",
                "shortest",
                "way",
                "path",
                "has",
                "there",
                "are",
            ),
            listed=True,
        )
        self.chance = 1 / len(HOPS)
        self.check_source()

    def lay_out(self, stream: Stream) -> Batch:
        """Draw one neighbourhood and two of its nodes a row; observation and target as the class's text says."""
        target = stream.integers(0, len(HOPS))
        parts = self.draw(stream.branch("neighbourhoods"), self._draft)
        centre, distance, hood = parts[0], parts[1], Neighbourhood(*parts[2:])
        keys = np.where(distance == target[:, None] + 1, stream.words(distance.shape[1:]) >> np.uint64(1), 0)
        pair = np.concatenate([hood.targets, keys.argmax(axis=1)[:, None]], axis=1)
        pair = np.where(stream.integers(0, 2)[:, None] == 1, pair, pair[:, ::-1])
        return Batch(self.observe(hood, pair), target, centre)

    def score(self, answers: NDArray[Any], batch: Batch) -> Score:
        """Score 1 for the right answer, 0 otherwise."""
        return exact_score(answers, batch.target)

    def caption(self, batch: Batch) -> list[str]:
        """Ask in words."""
        return [
            f"How many edges are there on the shortest way from node {one} to node {other}: 1, 2, 3 or more?"
            for one, other in batch.observation["target"].tolist()
        ]

    def example(self) -> int:
        """Return the answer of the instructions' example."""
        return 1

    def _draft(self, stream: Stream) -> tuple[list[NDArray[Any]], NDArray[np.bool_]]:
        """Draw centres (n,), distances from them (n, M) and their neighbourhoods; and which rows have every distance."""
        known = self.source.nodes_of(stream.split)
        centre = known[stream.integers(0, len(known))].astype(np.int64)
        hood = sample_neighbourhoods(self.source, centre[:, None], self.fanouts, stream)
        distance = distances(hood.nodes, hood.edge_index, hood.edge_mask, hood.targets[:, 0], len(HOPS))
        good = np.all([(distance == number + 1).any(axis=1) for number in range(len(HOPS))], axis=0)
        return [centre, distance, hood.nodes, hood.edge_index, hood.edge_mask, hood.targets], good
