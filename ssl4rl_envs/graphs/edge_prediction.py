"""Edge prediction: are these two nodes joined?"""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
from gymnasium import spaces
from numpy.typing import NDArray

from ssl4rl_envs.answers import YES_OR_NO, AnswerFormat
from ssl4rl_envs.graphs.base import GraphTask, code_of
from ssl4rl_envs.graphs.matching import EdgeEnds, SharingPairs, degree_key
from ssl4rl_envs.graphs.neighbourhoods import sample_neighbourhoods
from ssl4rl_envs.kernels import graph_drafts
from ssl4rl_envs.sources.graph_builtin import GraphSourceLike
from ssl4rl_envs.sources.graphs import PAIR_SPLITS, Nodes
from ssl4rl_envs.stream import SPLITS, Stream
from ssl4rl_envs.task import Batch, Level, Score, exact_score

NEGATIVES = ("uniform", "degree", "two_hop")
EQUAL = {"uniform": (), "degree": ("degree",), "two_hop": ("degree", "common neighbours")}
"""What tells nothing of joined and other pairs, because it is the same for both."""

TRIES = 16
"""Pairs that are drawn at a time until one is not joined and belongs to the split."""


class EdgePrediction(GraphTask):
    """Are these two nodes joined?

    ## Description
    Two nodes and the neighbourhoods of both are shown. In half of the questions they are joined by an edge of the split,
    which is left out of what is shown; in the other half they are not joined in any split. Only train edges are ever shown,
    and a pair of nodes, joined or not, is asked about in one split alone.

    Every question is drafted with both, a pair that is joined and one that is not, and the answer picks one of them. With
    negatives="degree" both pairs have equally many edges at their ends in what is shown, and with negatives="two_hop" equally
    many common neighbours besides; an edge beside which no such pair is found is not asked about. As the edge between two
    joined nodes is not shown, neither is one edge of each of two that are not.

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
    - `source`: the graph; "cora", "karate", "les_miserables", "sbm", "barabasi_albert", "file:PATH", with words "wordnet",
      "airlines", "umls", "kinships", "nations", or in Python a graph of networkx or PyTorch Geometric.
    - `fanouts`: most neighbours that are shown at each distance.
    - `features`: "inline" puts features into the observation, "id" the numbers of nodes.
    - `negatives`: how pairs that are not joined are drawn: "uniform" from all nodes, so that isolated ones and those with few
      edges are less often joined; "degree" as ends of edges, with as many edges as those of the joined pair; "two_hop" with
      as many neighbours in common too, and then all pairs, joined or not, have at least one: it takes a graph with triangles.

    ## Registered Configurations
    - `SSL4RL/EdgePrediction-v0`
    """

    asks = "whether two nodes are joined"
    role = "pair"

    levels = tuple(Level(name, {"negatives": name}) for name in NEGATIVES)

    legitimate: ClassVar = {
        "degree": "It sees how many edges the two nodes have, and nodes with many edges are joined more often: 0.65 over "
        "Cora, with negatives='uniform' alone. This is a fact about graphs, and the other levels take it away.",
        "counts": "It sees how many nodes and edges are shown. Neighbourhoods of joined nodes overlap, so fewer nodes are "
        "shown: 0.67, 0.67, 0.56 over Cora by level. That the neighbourhoods overlap is evidence of an edge.",
        "common neighbours": "It sees how many neighbours the two nodes share, and joined nodes share more: 0.67 over Cora; "
        "equally many with negatives='two_hop'. This is a classical way of predicting edges.",
        "longer ways": "It sees how many longer ways lead from one node to the other, and neighbours of joined nodes are "
        "joined more often: 0.79, 0.77, 0.59 over Cora by level. This is a classical way of predicting edges.",
        "structure": "It sees all that can be counted together: 0.80, 0.78, 0.59 over Cora by level. A network that reads "
        "features has to beat it.",
        "feature overlap": "It sees how similar the features of the two nodes are, and nodes with similar features are "
        "joined more often. This is the signal that the task is about, and a baseline to beat.",
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
        self.answer_format = AnswerFormat(("no", "yes"), synonyms=YES_OR_NO)
        self.chance = 0.5
        if negatives == "two_hop":
            self._sharing = [SharingPairs(self.source, split, self.fanouts[0]) for split in SPLITS]
        if negatives == "degree":
            self._by_degree = EdgeEnds(self.source, self.fanouts[0])
        self.check_source()

    def lay_out(self, stream: Stream) -> Batch:
        """Draw one pair a row; observation and target as the class's text says."""
        target = stream.integers(0, 2)
        joined, apart, partners = self.draw(stream.branch("pairs"), self._draft)
        answer = target[:, None] == 1
        pair = np.where(answer, joined, apart)
        hidden = np.stack([pair, np.where(answer, pair[:, ::-1], partners)], axis=2)  # an edge of each end
        pair = np.where(stream.integers(0, 2)[:, None] == 1, pair, pair[:, ::-1])
        hood = sample_neighbourhoods(self.source, pair, self.fanouts, stream.branch("neighbourhoods"), hidden)
        return Batch(self.observe(hood), target, pair.min(axis=1) * self.source.nodes + pair.max(axis=1))

    def reason_for(self, shortcut: str) -> str | None:
        """Return why a shortcut may tell joined pairs, None for what is equal with these negatives."""
        return None if shortcut in EQUAL[self.negatives] else super().reason_for(shortcut)

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

    def _draft(self, stream: Stream) -> tuple[list[NDArray[Any]], NDArray[np.bool_]]:
        """Draw a pair that is joined and one that is not, (n, 2) each, of which the answer picks one; which rows found both.

        A third (n, 2) is what the ends of the second are not shown to be joined to, -1 where that is nothing.
        """
        if self.negatives == "two_hop":
            return list(self._sharing[code_of(stream.split)].draw(stream)), np.ones(len(stream), bool)
        edges = self.source.edges_of(stream.split)
        edge = edges[stream.integers(0, len(edges))].astype(np.int64)
        one, end, partner, away = self._ends(edge, stream)
        first, found = graph_drafts.first_apart(self.source.rows, *PAIR_SPLITS, code_of(stream.split), one, end)
        row = np.arange(len(stream))
        one, end, partner, away = (drawn[row, first] for drawn in (one, end, partner, away))
        return [edge, np.stack([one, end], axis=1), np.stack([partner, away], axis=1)], found

    def _ends(self, edge: Nodes, stream: Stream) -> tuple[Nodes, Nodes, Nodes, Nodes]:
        """Draw two nodes that may not be joined, and what each is not shown to be joined to, (n, TRIES) each."""
        source, size = self.source, (TRIES,)
        if self.negatives == "uniform":
            none = np.broadcast_to(np.int64(-1), (len(stream), TRIES))
            return stream.integers(0, source.nodes, size), stream.integers(0, source.nodes, size), none, none
        keys = degree_key(source.degrees[edge] - (code_of(stream.split) == 0), self.fanouts[0])
        (partner, one), (away, end) = (self._by_degree.draw(keys[:, side], TRIES, stream) for side in (0, 1))
        return one, end, partner, away
