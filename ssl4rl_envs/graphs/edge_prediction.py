"""Edge prediction: are these two nodes joined?"""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
from gymnasium import spaces
from numpy.typing import NDArray

from ssl4rl_envs.answers import AnswerFormat
from ssl4rl_envs.graphs.base import GraphTask, code_of
from ssl4rl_envs.graphs.neighbourhoods import sample_neighbourhoods
from ssl4rl_envs.sources.graph_builtin import GraphSourceLike
from ssl4rl_envs.sources.graphs import Nodes
from ssl4rl_envs.stream import Stream
from ssl4rl_envs.task import Batch, Level, Score, exact_score

NEGATIVES = ("uniform", "degree", "two_hop")
TRIES = 16
"""Pairs that are drawn at a time until one is not joined and belongs to the split."""


class EdgePrediction(GraphTask):
    """Are these two nodes joined?

    ## Description
    Two nodes and the neighbourhoods of both are shown. In half of the questions they are joined by an edge of the split,
    which is left out of what is shown; in the other half they are not joined in any split. Only train edges are ever shown,
    and a pair of nodes, joined or not, is asked about in one split alone.

    ## Observation Space
    `Dict` of padded arrays, see `GraphTask`: `x` (or `node_id`), `x_mask`, `node_mask`, `edge_index`, `edge_mask`, and
    `target`, the two nodes. The text interface tells the neighbourhood in words.

    ## Action Space
    `Discrete(2)`: no, yes. In text these words.

    ## Rewards
    1 for the right answer, 0 otherwise. Chance is 1/2.

    ## Termination
    After one answer.

    ## Arguments
    - `source`: the graph; "cora", "karate", "les_miserables", "sbm", "barabasi_albert", "file:PATH", or in Python a graph of
      networkx or PyTorch Geometric.
    - `fanouts`: most neighbours that are shown at each distance.
    - `features`: "inline" puts features into the observation, "id" the numbers of nodes.
    - `negatives`: how pairs that are not joined are drawn: "uniform" from all nodes, "degree" with nodes as likely as edges
      end in them, "two_hop" from nodes that have a neighbour in common.

    ## Registered Configurations
    - `SSL4RL/EdgePrediction-v0`
    """

    asks = "whether two nodes are joined"
    role = "pair"

    levels = tuple(Level(name, {"negatives": name}) for name in NEGATIVES)

    legitimate: ClassVar = {
        "degree": "nodes with many edges are joined more often; less so with negatives='degree'",
        "common neighbours": "nodes that share neighbours are joined more often; all do with negatives='two_hop'",
        "feature overlap": "nodes with similar features are joined more often",
    }

    def __init__(
        self,
        source: GraphSourceLike = "cora",
        fanouts: tuple[int, ...] = (5, 3),
        features: str = "inline",
        negatives: str = "uniform",
    ) -> None:
        super().__init__(source, fanouts, features, 2)
        if negatives not in NEGATIVES:
            raise ValueError(f"negatives must be one of {', '.join(NEGATIVES)}, got {negatives!r}")
        self.negatives = negatives
        self.action_space = spaces.Discrete(2)
        self.answer_format = AnswerFormat(("no", "yes"))
        self.chance = 0.5
        self.check_source()

    def make(self, stream: Stream) -> Batch:
        """Draw one pair a row; observation and target as the class's text says."""
        target = stream.integers(0, 2)
        edges = self.source.edges_of(stream.split)
        joined = edges[stream.integers(0, len(edges))]
        (apart,) = self.until_all(stream.branch("negatives"), self._apart)
        pair = np.where(target[:, None] == 1, joined, apart)
        pair = np.where(stream.integers(0, 2)[:, None] == 1, pair, pair[:, ::-1])
        hood = sample_neighbourhoods(self.source, pair, self.fanouts, stream.branch("neighbourhoods"), hidden=pair)
        return Batch(self.observe(hood), target, pair.min(axis=1) * self.source.nodes + pair.max(axis=1))

    def score(self, answers: NDArray[Any], batch: Batch) -> Score:
        """Score 1 for the right answer, 0 otherwise."""
        return exact_score(answers, batch.target)

    def caption(self, batch: Batch) -> list[str]:
        """Ask in words."""
        ends = batch.observation["target"].tolist()
        return [
            f"Some edges of the graph are not shown. Is there one between node {one} and node {other}?" for one, other in ends
        ]

    def example(self) -> int:
        """Return the answer of the instructions' example."""
        return 1

    def _apart(self, stream: Stream) -> tuple[list[NDArray[Any]], NDArray[np.bool_]]:
        """Draw pairs that are not joined in any split and belong to this one, (n, 2), and which rows found one."""
        one, other = self._drawn(stream)
        good = (one != other) & ~self.source.joined(one, other)
        good &= self.source.pair_split(one, other) == code_of(stream.split)
        first = good.argmax(axis=1)[:, None]
        chosen = [np.take_along_axis(ends, first, axis=1)[:, 0] for ends in (one, other)]
        return [np.stack(chosen, axis=1)], good.any(axis=1)

    def _drawn(self, stream: Stream) -> tuple[Nodes, Nodes]:
        """Draw pairs as `negatives` says, (n, TRIES) each."""
        source, size = self.source, (TRIES,)
        if self.negatives == "uniform":
            return stream.integers(0, source.nodes, size), stream.integers(0, source.nodes, size)
        one = source.indices[stream.integers(0, len(source.indices), size)]
        if self.negatives == "degree":
            return one, source.indices[stream.integers(0, len(source.indices), size)]
        middle = source.indices[source.indptr[one] + stream.below(source.degrees[one])]
        return one, source.indices[source.indptr[middle] + stream.below(source.degrees[middle])]
