"""Node attribute: what is hidden of this node?"""

from __future__ import annotations

from functools import cached_property
from typing import Any, ClassVar

import numpy as np
from gymnasium import spaces
from numpy.typing import NDArray

from ssl4rl_envs.answers import YES_OR_NO, AnswerFormat
from ssl4rl_envs.graphs.base import GraphTask, code_of
from ssl4rl_envs.graphs.neighbourhoods import sample_neighbourhoods
from ssl4rl_envs.graphs.words import require_words, swapped_words
from ssl4rl_envs.numerals import at_least
from ssl4rl_envs.sources.graph_builtin import GraphSourceLike
from ssl4rl_envs.sources.graphs import Nodes
from ssl4rl_envs.stream import SPLITS, Stream
from ssl4rl_envs.task import Batch, Level, Score, exact_score

ATTRIBUTES = ("cluster", "word", "degree", "vector")

OTHER_WORDS: dict[str, dict[str, str]] = {
    "cluster": {},
    "word": YES_OR_NO,
    "degree": {
        **{"0-1": "0 to 1", "2-3": "2 to 3", "4-7": "4 to 7"},
        **dict.fromkeys({*at_least(8), "8 and more"} - {"8 or more"}, "8 or more"),
    },
}
"""What else the answers are called, for the lenient grammar."""

NEAR = 0.1
"""A vector is right where its numbers are off by no more on average, of a range of 2."""

TYPICAL = 5
"""Words that text tells of each group."""


class NodeAttribute(GraphTask):
    """What is hidden of this node?

    ## Description
    A node and its neighbourhood are shown, without the node's features and without those of nodes whose
    features equal its own. Asked is a property that needs no labels: which group of similar features it belongs to, whether
    it has a certain word, how many train edges it has, or where it stands among all nodes in its likeness to each group.
    Answers are equally likely: first the answer is drawn, then a node of the split that has it. For words two nodes are
    drafted and a word of each that the other lacks, and coins say which node and which word are asked about, so that neither
    tells by itself.

    ## Observation Space
    `Dict` of padded arrays, see `GraphTask`: `x` (or `node_id`), `x_mask`, `node_mask`, `edge_index`, `edge_mask`, and
    `target`, the node; with `attribute="word"` also `query`, the word. The text interface tells the neighbourhood in words.

    ## Action Space
    `Discrete`: the number of the group; no, yes; or the number of the range of degrees (0-1, 2-3, 4-7, 8 or more, as far as
    there are such). In text these words. With `attribute="vector"` `Box(-1, 1, (groups,))`, which has no text.

    ## Rewards
    1 for the right answer, 0 otherwise. For a vector 1 less half the mean absolute error, which is 1 where it is exact; it
    succeeds where the mean error is at most 0.1. Chance is 1 / answers; for a vector what the medians earn, about 0.75.

    ## Termination
    After one answer.

    ## Arguments
    - `source`: the graph; "cora", "karate", "les_miserables", "sbm", "barabasi_albert", "file:PATH", with words "wordnet",
      "airlines", "umls", "kinships", "nations", or in Python a graph of networkx or PyTorch Geometric.
    - `fanouts`: most neighbours that are shown at each distance.
    - `features`: "inline" puts features into the observation, "id" the numbers of nodes; "id" is refused where the answer
      follows from features.
    - `attribute`: "cluster", "word" (binary features), "degree", "vector".
    - `groups`: of similar features, for "cluster" and "vector".

    ## Registered Configurations
    - `SSL4RL/NodeAttribute-v0`
    """

    asks = "a hidden property of a node"
    role = "node"

    levels = (Level("word", {"attribute": "word"}), Level("4", {"groups": 4}), Level("8", {"groups": 8}))

    legitimate: ClassVar = {
        "degree": "It sees how many edges the node has. What is asked may be the degree itself, and groups of nodes differ "
        "in it: 0.37 of 0.25 over barabasi_albert. Such a difference is what the task asks about.",
        "counts": "It sees how many nodes and edges are shown, and groups differ in how much is around their nodes: 0.16 of "
        "0.125 over Cora with 8 groups. The neighbourhood is meant to tell the group.",
        "structure": "It sees all that can be counted together: 0.15 of 0.125 over Cora with 8 groups. The neighbourhood is "
        "meant to tell the group.",
        "feature overlap": "It sees the features of the node's neighbours, and neighbours of a node have similar features. "
        "This is the signal that the task is about, and a baseline to beat.",
    }

    def __init__(
        self,
        source: GraphSourceLike = "cora",
        fanouts: tuple[int, ...] = (5, 3),
        features: str = "inline",
        attribute: str = "cluster",
        groups: int = 5,
    ) -> None:
        if attribute not in ATTRIBUTES:
            raise ValueError(f"attribute must be one of {', '.join(ATTRIBUTES)}, got {attribute!r}")
        if not 2 <= groups <= 26:
            raise ValueError(f"groups must be 2 to 26, got {groups}")
        super().__init__(source, fanouts, features, 1)
        self.attribute, self.groups = attribute, groups
        derived = attribute != "degree" or not self.source.described
        queries = None
        if attribute == "word":
            require_words(self.source, "attribute 'word'")
            queries = (1, self.source.features.shape[1])
        super().__init__(self.source, fanouts, features, 1, derived=derived, queries=queries)
        self._values = self._of_nodes()
        self._by_answer = self._sorted()
        if attribute == "vector":
            self.action_space: spaces.Discrete | spaces.Box = spaces.Box(-1, 1, (groups,), np.float32)
            self.answer_format = None
            self.chance = max(self._blind(split) for split in SPLITS)
        else:
            labels = self._labels()
            self.action_space = spaces.Discrete(len(labels))
            synonyms = {word: label for word, label in OTHER_WORDS[attribute].items() if label in labels}
            fillers = {"cluster": ("group", "cluster"), "degree": ("edge", "edges")}.get(attribute, ())
            self.answer_format = AnswerFormat(labels, synonyms=synonyms, fillers=fillers, listed=attribute == "degree")
            self.chance = 1 / len(labels)
        self.check_source()

    def lay_out(self, stream: Stream) -> Batch:
        """Draw one node a row; observation and target as the class's text says."""
        query = None
        if self.attribute == "word":
            answer = stream.integers(0, 2)
            which = stream.integers(0, 2)
            nodes, words = self.draw(stream.branch("words"), self._draft_words)
            row = np.arange(len(which))
            node, query = nodes[row, which], words[row, np.where(answer == 1, which, 1 - which)][:, None]
            target: NDArray[Any] = answer
        elif self.attribute == "vector":
            nodes = self.source.nodes_of(stream.split)
            node = nodes[stream.integers(0, len(nodes))].astype(np.int64)
            target = self._values[node]
        else:
            nodes, starts = self._by_answer[code_of(stream.split)]
            target = stream.integers(0, len(starts) - 1)
            node = nodes[starts[target] + stream.below(starts[target + 1] - starts[target])].astype(np.int64)
        hood = sample_neighbourhoods(self.source, node[:, None], self.fanouts, stream.branch("neighbourhoods"))
        hide = self.twins_of(hood, hood.targets)
        return Batch(self.observe(hood, hide=hide, query=query), target, node)

    def reason_for(self, shortcut: str) -> str | None:
        """Return why a shortcut may tell; of words nothing but features may."""
        return super().reason_for(shortcut) if self.attribute != "word" or shortcut == "feature overlap" else None

    def score(self, answers: NDArray[Any], batch: Batch) -> Score:
        """Score as the class's text says."""
        if self.attribute != "vector":
            return exact_score(answers, batch.target)
        error = np.abs(answers.astype(np.float64) - batch.target).mean(axis=1)
        valid = self.valid(answers)
        return Score(np.where(valid, 1 - error / 2, 0).astype(np.float32), valid & (error <= NEAR))

    def caption(self, batch: Batch) -> list[str]:
        """Ask in words."""
        asked = []
        for row, (node,) in enumerate(batch.observation["target"].tolist()):
            if self.attribute == "word":
                word = self.word(int(batch.observation["query"][row, 0]))
                what = f"Does node {node}, whose words are hidden, have the word {word}?"
            elif self.attribute == "degree":
                what = f"Not all edges are shown. How many has node {node}: {', '.join(self._labels())}?"
            elif self.attribute == "vector":
                what = f"How like each of {self.groups} groups is node {node}, whose features are hidden?"
            else:
                what = f"Nodes are put into groups by their features. {self._typical} Which group does node {node} belong to?"
            asked.append(what)
        return asked

    def example(self) -> Any:
        """Return the answer of the instructions' example."""
        return np.zeros(self.groups, np.float32) if self.attribute == "vector" else 1

    def _draft_words(self, stream: Stream) -> tuple[list[NDArray[Any]], NDArray[np.bool_]]:
        """Draw two nodes, and of each a word that the other lacks, (n, 2) each; and which rows have such."""
        known = self.source.nodes_of(stream.split)
        nodes = known[stream.integers(0, len(known), (2,))].astype(np.int64)
        one, other, good = swapped_words(self.source, nodes[:, :1], nodes[:, 1:], stream)
        return [nodes, np.concatenate([one, other], axis=1)], good[:, 0]

    def _of_nodes(self) -> NDArray[Any]:
        """Return what is asked for, of every node: (N,) answers, or (N, groups) places in [-1, 1]."""
        if self.attribute == "word":
            return np.zeros(0, np.int64)
        if self.attribute == "degree":
            return self.range_of(self.source.degrees)
        groups = self.source.clusters(self.groups)
        if self.attribute == "cluster":
            return groups
        rows = self.source.whole_features.astype(np.float64)
        sums = np.stack([rows[groups == group].sum(axis=0) for group in range(self.groups)])
        norms = np.sqrt((rows**2).sum(axis=1, keepdims=True)) * np.sqrt((sums**2).sum(axis=1))
        likeness = rows @ sums.T / np.maximum(norms, 1e-12)
        below, above = (
            np.stack([np.searchsorted(np.sort(column), column, side=side) for column in likeness.T], axis=1)
            for side in ("left", "right")
        )
        return np.asarray((below + above) / len(rows) - 1, np.float32)  # the middle of its rank among equals

    def _sorted(self) -> list[tuple[NDArray[np.int32], Nodes]]:
        """Return for each split its nodes by answer, and where those of each answer start; every answer has some.

        Raises:
            ValueError: an answer has none.
        """
        if self.attribute not in ("cluster", "degree"):
            return []
        found = []
        for split in SPLITS:
            nodes = self.source.nodes_of(split)
            nodes = nodes[np.argsort(self._values[nodes], kind="stable")]
            counts = np.bincount(self._values[nodes], minlength=len(self._labels()))
            if not counts.all():
                raise ValueError(
                    f"graph {self.source.name!r}: no node of the {split!r} split is in {self.attribute} "
                    f"{int(counts.argmin())}; use a larger graph or fewer groups"
                )
            found.append((nodes, np.concatenate([[0], np.cumsum(counts)])))
        return found

    def _labels(self) -> tuple[str, ...]:
        if self.attribute == "word":
            return ("no", "yes")
        if self.attribute == "cluster":
            return tuple(chr(ord("A") + group) for group in range(self.groups))
        return ("0 to 1", "2 to 3", "4 to 7", "8 or more")[: int(self._values.max()) + 1]

    def _blind(self, split: str) -> float:
        values = self._values[self.source.nodes_of(split)].astype(np.float64)
        return float(1 - np.abs(values - np.median(values, axis=0)).mean() / 2)

    def range_of(self, degrees: NDArray[Any]) -> NDArray[np.int64]:
        """Return the number of the range that each degree is in."""
        return np.asarray(np.digitize(degrees, (2, 4, 8)), np.int64)

    def typical_words(self) -> NDArray[np.int64]:
        """Return the commonest words of each group, (groups, `TYPICAL`), which text tells; none where there are no words."""
        if not self.source.binary:
            return np.zeros((self.groups, 0), np.int64)
        groups = self.source.clusters(self.groups)
        counts = np.stack([self.source.features[groups == group].sum(axis=0) for group in range(self.groups)])
        return np.argsort(-counts, axis=1, kind="stable")[:, :TYPICAL]

    @cached_property
    def _typical(self) -> str:
        """The commonest words of each group, in text."""
        told = zip(self._labels(), self.typical_words().tolist(), strict=True)
        called = [(label, [self.word(word) for word in words]) for label, words in told if words]
        return " ".join(f"Group {label} often has the words {' '.join(words)}." for label, words in called)
