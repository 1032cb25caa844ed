"""Neighbor choice: which of these nodes is the neighbour of that one?"""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
from gymnasium import spaces
from numpy.typing import NDArray

from ssl4rl_envs.answers import AnswerFormat
from ssl4rl_envs.graphs.base import GraphTask, code_of
from ssl4rl_envs.graphs.matching import EdgeEnds, degree_key
from ssl4rl_envs.graphs.neighbourhoods import sample_neighbourhoods
from ssl4rl_envs.kernels import graph_drafts
from ssl4rl_envs.sources.graph_builtin import GraphSourceLike
from ssl4rl_envs.stream import Stream
from ssl4rl_envs.task import Batch, Level, Score, exact_score

TRIES = 8
"""Nodes drawn for each distractor."""


class NeighborChoice(GraphTask):
    """Which of these nodes is the neighbour of that one?

    ## Description
    A node and several candidates are shown with the neighbourhoods of all. One candidate is joined to the node
    by an edge of the split, which is left out of what is shown. The others are not joined to it in any split. They are drawn
    as ends of edges too, which are not shown either, and all candidates have equally many edges in what is shown, so that
    counting edges does not help. An edge beside which there are too few such nodes is not asked about.

    ## Observation Space
    `Dict` of padded arrays, see `GraphTask`: `x` (or `node_id`), `x_mask`, `node_mask`, `edge_index`, `edge_mask`, and
    `target`, the node and then the candidates. The text interface tells the neighbourhood in words.

    ## Action Space
    `Discrete(candidates)`: A, B, C, ... in the order of `target`. In text these letters.

    ## Rewards
    1 for the right answer, 0 otherwise. Chance is 1 / candidates.

    ## Termination
    After one answer.

    ## Arguments
    - `source`: the graph; "cora", "karate", "les_miserables", "sbm", "barabasi_albert", "file:PATH", with words "wordnet",
      "airlines", "umls", "kinships", "nations", or in Python a graph of networkx or PyTorch Geometric.
    - `fanouts`: most neighbours that are shown at each distance.
    - `features`: "inline" puts features into the observation, "id" the numbers of nodes.
    - `candidates`: how many, 2 to 26.

    ## Registered Configurations
    - `SSL4RL/NeighborChoice-v0`
    """

    asks = "which of several nodes is a neighbour"
    role = "choice"

    levels = (Level("2", {"candidates": 2}), Level("4", {"candidates": 4}), Level("8", {"candidates": 8}))

    legitimate: ClassVar = {
        "counts": "It sees how many nodes and edges are shown round each candidate. Neighbours that a candidate shares with "
        "the node have an edge more: 0.34 of 0.25 over Cora. Shared neighbours are evidence of an edge.",
        "common neighbours": "It sees how many neighbours each candidate shares with the node, and nodes that share "
        "neighbours are joined more often: 0.50 of 0.25 over Cora. This is a classical way of predicting edges.",
        "longer ways": "It sees how many longer ways lead from the node to each candidate, and neighbours of joined nodes "
        "are joined more often: 0.67 of 0.25 over Cora. This is a classical way of predicting edges.",
        "structure": "It sees all that can be counted together: 0.69 of 0.25 over Cora. A network that reads features has to "
        "beat it.",
        "feature overlap": "It sees how similar the features of the node and of each candidate are, and nodes with similar "
        "features are joined more often. This is the signal that the task is about, and a baseline to beat.",
    }

    def __init__(
        self,
        source: GraphSourceLike = "cora",
        fanouts: tuple[int, ...] = (5, 3),
        features: str = "inline",
        candidates: int = 4,
    ) -> None:
        if not 2 <= candidates <= 26:
            raise ValueError(f"candidates must be 2 to 26, got {candidates}")
        super().__init__(source, fanouts, features, 1 + candidates)
        self.candidates = candidates
        self.action_space = spaces.Discrete(candidates)
        self.answer_format = AnswerFormat(
            tuple(chr(ord("A") + number) for number in range(candidates)), fillers=("node", "candidate")
        )
        self.chance = 1 / candidates
        self._by_degree = EdgeEnds(self.source, self.fanouts[0])
        self.check_source()

    def lay_out(self, stream: Stream) -> Batch:
        """Draw one node and its candidates a row; observation and target as the class's text says."""
        target = stream.integers(0, self.candidates)
        edge, others, partners = self.draw(stream.branch("candidates"), self._draft)
        node, true = edge[:, :1], edge[:, 1:]
        place = np.arange(self.candidates)
        wrong = np.minimum(place - (place > target[:, None]), self.candidates - 2)
        candidates = np.where(place == target[:, None], true, np.take_along_axis(others, wrong, axis=1))
        hidden = np.concatenate([edge[:, None], np.stack([others, partners], axis=2)], axis=1)  # an edge of each candidate
        asked = np.concatenate([node, candidates], axis=1)
        hood = sample_neighbourhoods(self.source, asked, self.fanouts, stream.branch("neighbourhoods"), hidden)
        return Batch(self.observe(hood), target, edge.min(axis=1) * self.source.nodes + edge.max(axis=1))

    def score(self, answers: NDArray[Any], batch: Batch) -> Score:
        """Score 1 for the right answer, 0 otherwise."""
        return exact_score(answers, batch.target)

    def caption(self, batch: Batch) -> list[str]:
        """Ask in words."""
        asked = []
        for node, *candidates in batch.observation["target"].tolist():
            letters = ", ".join(f"{chr(ord('A') + i)}: node {candidate}" for i, candidate in enumerate(candidates))
            asked.append(
                f"Some edges of the graph are not shown. One of these nodes is joined to node {node}: {letters}. Which one?"
            )
        return asked

    def example(self) -> int:
        """Return the answer of the instructions' example."""
        return 1

    def _draft(self, stream: Stream) -> tuple[list[NDArray[Any]], NDArray[np.bool_]]:
        """Draw a node and its true neighbour (n, 2), distractors and their hidden partners; and which rows found enough.

        Candidates are not joined to each other: an edge between two would be shown as soon as one of them draws it, and so
        add to the edges of the other.
        """
        source, count = self.source, self.candidates - 1
        edges = source.edges_of(stream.split)
        edge = edges[stream.integers(0, len(edges))].astype(np.int64)
        edge = np.where(stream.integers(0, 2)[:, None] == 1, edge, edge[:, ::-1])
        key = degree_key(source.degrees[edge[:, 1]] - (code_of(stream.split) == 0), self.fanouts[0])
        partners, drawn = self._by_degree.draw(key, TRIES * count, stream)
        chosen, enough = graph_drafts.distractors(source.rows, edge, drawn, count)
        others, partners = (np.take_along_axis(found, chosen, axis=1) for found in (drawn, partners))
        return [edge, others, partners], enough
