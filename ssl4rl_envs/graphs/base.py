"""GraphTask: what all graph tasks share: a source, neighbourhoods, how they are shown as arrays, words and pictures."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable
from dataclasses import replace
from typing import Any, ClassVar

import numpy as np
from gymnasium import spaces
from numpy.typing import NDArray

from ssl4rl_envs.drafts import until_askable
from ssl4rl_envs.graphs import drawing
from ssl4rl_envs.graphs.neighbourhoods import Neighbourhood, size_of
from ssl4rl_envs.graphs.sayings import listed
from ssl4rl_envs.kernels import node_features
from ssl4rl_envs.memory import recycled
from ssl4rl_envs.sources.graph_builtin import GRAPHS, GraphSourceLike, load_graph
from ssl4rl_envs.sources.graph_texts import told
from ssl4rl_envs.sources.graphs import GraphSource, Nodes
from ssl4rl_envs.speech import MAX_PROMPT
from ssl4rl_envs.stream import SPLITS, Stream
from ssl4rl_envs.task import Batch, Completer, Task

FEATURES = ("inline", "id")
CHECKED = 64
"""Instances of each split that are drawn when a task is built."""

TOLD = 10
"""Most words of a node that are told in text."""

INSTRUCTIONS = 2_000
"""Characters of a prompt that are kept for the question and for how to reply."""

NUMBERS = "node_id"
"""Of memory: the numbers of nodes, (n, M), where prompts tell nodes by their texts."""


class GraphTask(Task):
    """A task over one graph.

    The observation is a `Dict` of arrays padded to what the fanouts have room for, M nodes and E directed edges:

    - `x` float32 (M, F): features, or with `features="id"` in its place `node_id` int64 (M,): numbers of nodes in the
      source's table (`task.source.features`), -1 where there is none;
    - `x_mask` int8 (M,): 1 where a node's features are shown, 0 where they are hidden or there is no node;
    - `node_mask` int8 (M,), `edge_mask` int8 (E,): 1 where there is a node, an edge;
    - `edge_index` int64 (2, E): local numbers of the ends of edges, each edge in both directions;
    - `target` int64 (K,): local numbers of the nodes that are asked about, in order.

    Args:
        source: see `load_graph`.
        fanouts: most neighbours that are shown at each distance.
        features: "inline" or "id".
        targets: K.
        derived: whether the answer follows from the features of nodes, which then may not be looked up by number.
        queries: (slots, numbers): what is asked of each slot is told in `query`, int64 (slots,), each below `numbers`; or
            None.

    Raises:
        ValueError: an argument is not one of its values, or the source has not what the task needs.
    """

    images = ()
    sources = GRAPHS
    tells: ClassVar[bool] = True
    """Whether prompts say what nodes are like, by features or texts."""

    role: ClassVar[str]
    """How targets make an answer: "pair" (of target 0 and 1), "choice" (which of the others belongs to target 0), "node" (one
    answer a target), "question" (of target 0 and 1 in their order, to a `query`)."""

    def __init__(
        self,
        source: GraphSourceLike,
        fanouts: tuple[int, ...],
        features: str,
        targets: int,
        *,
        derived: bool = False,
        queries: tuple[int, int] | None = None,
    ) -> None:
        self.source: GraphSource = load_graph(source)
        self.fanouts = tuple(int(fanout) for fanout in fanouts)
        if not self.fanouts or min(self.fanouts) < 1:
            raise ValueError(f"fanouts must be at least 1 each, e.g. (5, 3), got {fanouts}")
        if features not in FEATURES:
            raise ValueError(f"features must be one of {', '.join(FEATURES)}, got {features!r}")
        if features == "id" and derived:
            raise ValueError(
                f"{type(self).__name__} asks for what follows from features, which an agent could look up by the node's "
                "number; use features='inline'"
            )
        if derived and self.source.kinds:
            raise ValueError(
                f"{type(self).__name__} asks for what follows from features, and graph {self.source.name!r} has no more than "
                f"{int(self.source.twins.max()) + 1} different rows of them: what is hidden would be seen by what is not "
                "there; use features that differ between nodes, or ask for edges, distances or degrees"
            )
        self.inline = features == "inline"
        nodes, edges = size_of(targets, self.fanouts)
        table = self.source.features
        shown: dict[str, spaces.Space[Any]] = {
            "edge_index": spaces.Box(0, nodes - 1, (2, edges), np.int64),
            "edge_mask": spaces.Box(0, 1, (edges,), np.int8),
            "node_mask": spaces.Box(0, 1, (nodes,), np.int8),
            "target": spaces.Box(0, nodes - 1, (targets,), np.int64),
            "x_mask": spaces.Box(0, 1, (nodes,), np.int8),
        }
        if self.inline:
            low, high = min(0.0, float(table.min())), max(0.0, float(table.max()))
            high = high if high > low else 1.0  # a table of zeros
            shown["x"] = spaces.Box(low, high, (nodes, table.shape[1]), np.float32)
        else:
            shown["node_id"] = spaces.Box(-1, self.source.nodes - 1, (nodes,), np.int64)
        if queries is not None:
            shown["query"] = spaces.Box(0, queries[1] - 1, (queries[0],), np.int64)
        self.observation_space = spaces.Dict(shown)
        room = MAX_PROMPT - INSTRUCTIONS - 10 * edges // 2
        self._told = max(0, min(TOLD, (room // nodes - 14) // 6))

    def reason_for(self, shortcut: str) -> str | None:
        """Return why a shortcut may tell; words that texts share may wherever nodes are told by their texts."""
        if shortcut == "text overlap" and self.source.texts is not None:
            return (
                "It sees which words the texts of two nodes share, and whether one says what the other is called: a gloss "
                "often names what a thing is a kind of. This is what texts are told for, and a baseline to beat."
            )
        return super().reason_for(shortcut)

    def make(self, stream: Stream) -> Batch:
        """Make the instances of a stream that is the task's own, one a row."""
        return self.complete(self.noted(self.lay_out(stream)))

    @abstractmethod
    def lay_out(self, stream: Stream) -> Batch:
        """Make the instances as `make`, with the observations that `observe` returns."""

    def compact(self, stream: Stream) -> Batch:
        """Make the instances as `sample`, `node_id` in the place of `x`; -1 where features are hidden or there is no node."""
        return self.noted(self.lay_out(stream.keyed(self.stream_key)))

    def noted(self, batch: Batch) -> Batch:
        """Return a batch that remembers the numbers of its nodes where they have texts, which `x` does not tell."""
        if self.source.texts is None or not self.inline:
            return batch
        return replace(batch, memory={**batch.memory, NUMBERS: batch.observation["node_id"]})

    def completer(self) -> Completer:
        """Return what lays out `x`, which stands in the place of `node_id` where the task shows features inline."""
        if not self.inline:
            return super().completer()
        source = self.source
        width = source.features.shape[1]
        write = node_features.expander(source.entries) if source.sparse else node_features.gatherer(source.features)

        def lay_out(batch: Batch) -> dict[str, NDArray[Any]]:
            held = batch.observation
            if "x" in held:
                return {}
            nodes = held["node_id"]
            x = recycled((*nodes.shape, width), np.float32)
            write(x, nodes)
            return {"x": x}

        return lay_out

    def check_source(self) -> None:
        """Draw a few instances of every split; the last line of a task's constructor.

        Raises:
            ValueError: a split has nothing to ask about.
        """
        for split in SPLITS:
            try:
                self.compact(Stream.span(split, 0, 0, CHECKED))
            except RuntimeError as error:
                raise ValueError(f"{error} of the {split!r} split") from error

    def draw(self, stream: Stream, draft: Callable[[Stream], tuple[list[NDArray[Any]], NDArray[np.bool_]]]) -> list[Any]:
        """Draw drafts, arrays (n, ...) each, that can be asked about; raises as `until_askable`."""
        return until_askable(stream, draft, f"{type(self).__name__} over graph {self.source.name!r}")

    def observe(
        self,
        hood: Neighbourhood,
        target: Nodes | None = None,
        hide: NDArray[np.bool_] | None = None,
        query: Nodes | None = None,
    ) -> dict[str, NDArray[Any]]:
        """Return what is shown of neighbourhoods, `node_id` in the place of `x`; then it is -1 where features are hidden.

        Args:
            hood: of n instances.
            target: (n, K) local numbers; by default those of the neighbourhoods.
            hide: (n, M) whose features are not shown, or None.
            query: (n, slots), or None.
        """
        exists = hood.nodes >= 0
        seen = exists if hide is None else exists & ~hide
        named = hood.nodes if hide is None or not self.inline else np.where(seen, hood.nodes, -1)
        shown: dict[str, NDArray[Any]] = {
            "edge_index": hood.edge_index,
            "edge_mask": hood.edge_mask.view(np.int8),
            "node_mask": exists.view(np.int8),
            "target": hood.targets if target is None else target,
            "x_mask": (seen.copy() if seen is exists else seen).view(np.int8),
            "node_id": named,
        }
        return shown if query is None else {**shown, "query": query}

    def twins_of(self, hood: Neighbourhood, target: Nodes) -> NDArray[np.bool_]:
        """Return which nodes of neighbourhoods are among the targets, or have the same features as one of them, (n, M)."""
        return node_features.alike(hood.nodes, target, self.source.twins)

    @abstractmethod
    def caption(self, batch: Batch) -> list[str]:
        """Ask in words, one string an instance, of what is shown in arrays, in words or in a picture."""

    def question(self, batch: Batch) -> list[str]:
        """Put the neighbourhood and the question in words."""
        return [f"{self.describe(batch, row, len(asked))} {asked}" for row, asked in enumerate(self.caption(batch))]

    def describe(self, batch: Batch, row: int, asked: int = 0) -> str:
        """Put a neighbourhood in words: its nodes, its edges, and what nodes are like whose features are shown.

        That is their texts, or words or numbers where they have none. Texts are cut to what the prompt has room for beside
        the `asked` characters of the question.
        """
        shown = {name: values[row] for name, values in batch.observation.items()}
        count = int(np.count_nonzero(shown["node_mask"]))
        pairs = shown["edge_index"].T[shown["edge_mask"] == 1].tolist()
        edges = ", ".join([f"{a}-{b}" for a, b in pairs if a < b])
        text = f"A part of a graph has the nodes 0 to {count - 1}. Edges: {edges or 'none'}."
        nodes = np.flatnonzero(shown["x_mask"]).tolist()
        if not self.tells:
            return text
        if self.source.texts is not None or self.source.vocabulary is not None:
            room = MAX_PROMPT - max(INSTRUCTIONS, asked + INSTRUCTIONS // 2) - len(text)
            return f"{text} {listed(nodes, *self._sayings(batch, row, shown, nodes), room)}"
        if not self.source.described or not self._told:
            return text
        kind = "Words" if self.source.binary else "Features"
        told = "; ".join([f"node {node}: {self._tell(shown, node)}" for node in nodes])
        return f"{text} {kind} of nodes (at most {self._told} each): {told}."

    def word(self, column: int) -> str:
        """Return what prompts call a word: itself in quotation marks, or its number where it has no name."""
        vocabulary = self.source.vocabulary
        return str(column) if vocabulary is None else f'"{told(vocabulary[column])}"'

    def _sayings(self, batch: Batch, row: int, shown: dict[str, NDArray[Any]], nodes: list[int]) -> tuple[str, list[str]]:
        """Return what is told of some nodes of an instance: what it is called, and what each says of itself."""
        texts, vocabulary = self.source.texts, self.source.vocabulary
        if texts is not None:
            numbers = shown["node_id"] if "node_id" in shown else batch.memory[NUMBERS][row]
            return "Texts of nodes", [told(texts[number]) for number in numbers[nodes].tolist()]
        assert vocabulary is not None
        words = [[told(vocabulary[column]) for column in self._words(shown, node)[:TOLD].tolist()] for node in nodes]
        return f"Words of nodes (at most {TOLD} each)", [", ".join(of_node) for of_node in words]

    def _tell(self, shown: dict[str, NDArray[Any]], node: int) -> str:
        """Put the first words or features of a node in numbers."""
        if not self.source.binary:
            return " ".join([f"{value:.2g}" for value in self._x(shown, node)[: self._told].tolist()])
        return " ".join(map(str, self._words(shown, node)[: self._told].tolist())) or "none"

    def _words(self, shown: dict[str, NDArray[Any]], node: int) -> NDArray[np.integer]:
        """Return the numbers of the words of a node whose features are shown."""
        if "x" in shown:
            return np.flatnonzero(shown["x"][node])
        indptr, columns, _ = self.source.entries
        return columns[indptr[shown["node_id"][node]] : indptr[shown["node_id"][node] + 1]]

    def _x(self, shown: dict[str, NDArray[Any]], nodes: Any = slice(None)) -> NDArray[np.float32]:
        """Return the features of some nodes of an instance; arbitrary ones where they are hidden."""
        found: NDArray[np.float32] = (
            shown["x"][nodes] if "x" in shown else self.source.features[np.maximum(shown["node_id"][nodes], 0)]
        )
        return found

    def pictures(self, batch: Batch, row: int) -> dict[str, NDArray[np.uint8]]:
        """Return a drawing of the neighbourhood, for people."""
        shown = {name: values[row] for name, values in batch.observation.items()}
        marks, stages = self.marks(batch, row)
        return {"neighbourhood": drawing.draw(shown, self._x(shown), self.role, marks, stages)}

    def marks(self, batch: Batch, row: int) -> tuple[dict[int, drawing.Mark] | None, NDArray[np.int64] | None]:
        """Return how nodes stand out in the drawing and when each was found; by default None, see `drawing.draw`."""
        del batch, row
        return None, None


def code_of(split: str) -> int:
    """Return the number of a split."""
    return SPLITS.index(split)
