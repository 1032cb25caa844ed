"""Masked features: do these nodes, whose features are hidden, have those words?"""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
from gymnasium import spaces
from numpy.typing import NDArray

from ssl4rl_envs.answers import YES_OR_NO, AnswerFormat
from ssl4rl_envs.graphs.base import GraphTask, code_of
from ssl4rl_envs.graphs.neighbourhoods import Neighbourhood, sample_neighbourhoods
from ssl4rl_envs.graphs.words import require_words, swapped_words
from ssl4rl_envs.sources.graph_builtin import GraphSourceLike
from ssl4rl_envs.sources.graphs import Nodes
from ssl4rl_envs.stream import Stream
from ssl4rl_envs.task import Batch, Level, Score


class MaskedFeatures(GraphTask):
    """Do these nodes, whose features are hidden, have those words?

    ## Description
    Several nodes of one neighbourhood are masked: their features are hidden, and so are those of nodes whose
    features equal theirs. Of each is asked whether it has a certain word. Two such neighbourhoods are drafted, with a word of
    each masked node that its counterpart in the other lacks; a coin says which of them is shown, the answers which words are
    asked about. So each word and each neighbourhood is met with either answer equally often. All masked nodes belong to the
    split.

    ## Observation Space
    `Dict` of padded arrays, see `GraphTask`: `x`, `x_mask`, `node_mask`, `edge_index`, `edge_mask`, `target`, the masked
    nodes, and `query`, the word that is asked of each. The text interface tells the neighbourhood in words.

    ## Action Space
    `MultiDiscrete` of `masked` answers, no or yes each, in the order of `target`. In text "no, yes, yes".

    ## Rewards
    The share of right answers; it succeeds where all are right. Chance is 1/2.

    ## Termination
    After one answer, which is a sequence of decisions.

    ## Arguments
    - `source`: the graph, with binary features; "cora", "sbm", "file:PATH", "wordnet", "airlines", or in Python a graph of
      PyTorch Geometric.
    - `fanouts`: most neighbours that are shown at each distance.
    - `masked`: how many nodes.

    ## Registered Configurations
    - `SSL4RL/MaskedFeatures-v0`
    """

    asks = "which words several masked nodes have"
    role = "node"

    levels = (Level("2", {"masked": 2}), Level("3", {"masked": 3}))

    legitimate: ClassVar = {
        "feature overlap": "It sees the words of the node's neighbours, and neighbours of a node have the same words. This "
        "is the signal that the task is about, and a baseline to beat.",
    }

    def __init__(self, source: GraphSourceLike = "cora", fanouts: tuple[int, ...] = (5, 3), masked: int = 3) -> None:
        if masked < 1:
            raise ValueError(f"masked must be at least 1, got {masked}")
        super().__init__(source, fanouts, "inline", 1)
        require_words(self.source, "MaskedFeatures")
        super().__init__(self.source, fanouts, "inline", 1, derived=True, queries=(masked, self.source.features.shape[1]))
        nodes = self.observation_space["node_mask"].shape
        assert nodes is not None
        if masked > nodes[0]:
            raise ValueError(f"fanouts {fanouts} show at most {nodes[0]} nodes, of which {masked} cannot be masked")
        self.observation_space["target"] = spaces.Box(0, nodes[0] - 1, (masked,), np.int64)
        self.masked = masked
        self._worth = (np.arange(masked + 1) / masked).astype(np.float32)
        self.action_space = spaces.MultiDiscrete([2] * masked)
        self.answer_format = AnswerFormat(("no", "yes"), slots=masked, synonyms=YES_OR_NO)
        self.chance = 0.5
        self.check_source()

    def read(self, body: str) -> NDArray[Any] | None:
        """Read what stands between the tags of a reply, (masked,), also where a single word is asked for."""
        answer = super().read(body)
        return None if answer is None else np.atleast_1d(answer)

    def lay_out(self, stream: Stream) -> Batch:
        """Draw one neighbourhood and its masked nodes a row; observation and target as the class's text says."""
        answers, which = stream.integers(0, 2, (self.masked,)), stream.integers(0, 2)
        parts = self.draw(stream.branch("neighbourhoods"), self._draft)
        row = np.arange(len(which))
        centre, target, own, *shown = (part[row, which] for part in parts)
        query = np.where(answers == 1, own, parts[2][row, 1 - which])
        hood = Neighbourhood(*shown)
        return Batch(self.observe(hood, target, self.twins_of(hood, target), query), answers, centre)

    def score(self, answers: NDArray[Any], batch: Batch) -> Score:
        """Score the share of right answers."""
        right = np.add.reduce(answers == batch.target, axis=1) * self.valid(answers)
        return Score(self._worth[right], right == self.masked)

    def caption(self, batch: Batch) -> list[str]:
        """Ask in words."""
        asked = []
        for row, nodes in enumerate(batch.observation["target"].tolist()):
            words = map(self.word, batch.observation["query"][row].tolist())
            each = ", ".join(f"node {node} the word {word}" for node, word in zip(nodes, words, strict=True))
            asked.append(f"The words of some nodes are hidden. Say no or yes to each, in this order: has {each}?")
        return asked

    def example(self) -> NDArray[np.int64]:
        """Return the answer of the instructions' example."""
        return np.arange(self.masked) % 2

    def _draft(self, stream: Stream) -> tuple[list[NDArray[Any]], NDArray[np.bool_]]:
        """Draw two of everything, (n, 2, ...), either of which may be asked about; and which rows have enough.

        Centres, masked nodes (local), words of theirs that those of the other lack, and neighbourhoods.
        """
        (one, first, some), (other, second, more) = (self._masked(stream.branch(name)) for name in ("one", "other"))
        *own, good = swapped_words(self.source, first, second, stream)
        one[2:2], other[2:2] = ([words] for words in own)
        return [np.stack(pair, axis=1) for pair in zip(one, other, strict=True)], good.all(axis=1) & some & more

    def _masked(self, stream: Stream) -> tuple[list[NDArray[Any]], Nodes, NDArray[np.bool_]]:
        """Draw centres, masked nodes (local) and neighbourhoods; the masked nodes; and which rows have enough of them."""
        source = self.source
        known = source.nodes_of(stream.split)
        centre = known[stream.integers(0, len(known))].astype(np.int64)
        hood = sample_neighbourhoods(source, centre[:, None], self.fanouts, stream)
        within = (hood.nodes >= 0) & (source.node_split[np.maximum(hood.nodes, 0)] == code_of(stream.split))
        keys = np.where(within, stream.words(within.shape[1:]) >> np.uint64(1), np.uint64(2**64 - 1))
        keys[np.arange(len(centre)), hood.targets[:, 0]] = 0  # the centre is one of them
        target = np.argsort(keys, axis=1, kind="stable")[:, : self.masked].astype(np.int64)
        target = np.take_along_axis(target, np.argsort(stream.words((self.masked,)), axis=1, kind="stable"), axis=1)
        nodes = np.maximum(np.take_along_axis(hood.nodes, target, axis=1), 0)
        parts = [centre, target, hood.nodes, hood.edge_index, hood.edge_mask, hood.targets]
        return parts, nodes, within.sum(axis=1) >= self.masked
