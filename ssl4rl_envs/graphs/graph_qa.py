"""GraphQA: questions in words about a small graph."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
from gymnasium import spaces
from numpy.typing import NDArray

from ssl4rl_envs.answers import YES_OR_NO, AnswerFormat
from ssl4rl_envs.arguments import one_of
from ssl4rl_envs.drafts import unchanging
from ssl4rl_envs.graphs import graph_questions
from ssl4rl_envs.graphs.base import GraphTask
from ssl4rl_envs.graphs.graph_questions import KIND_OF, KINDS, QUESTIONS, WORDS
from ssl4rl_envs.graphs.neighbourhoods import Neighbourhood, sample_neighbourhoods
from ssl4rl_envs.kinds import HABIT, checked_bias, some_of
from ssl4rl_envs.sources.graph_builtin import GraphSourceLike
from ssl4rl_envs.stream import SPLITS, Stream
from ssl4rl_envs.task import Batch, Level, Score, exact_score

MOST_NUMBERS = 12
"""The largest number that is offered, where nodes have so many edges."""

SHARE, LOOKED_AT = 0.08, 256
"""A kind of question is asked of a graph if of so many neighbourhoods of each split such a share has both answers."""

ASKED, FIRST, SECOND = 1, 2, 3
"""What `mark` says of a node: a question is about it, or it is the first or the second of two."""


class GraphQA(GraphTask):
    """What does a small graph show?

    ## Description
    Questions in words about a neighbourhood, each with two answers to choose from: are two nodes joined, do they share a
    neighbour, is there a path of at most 2 or 3 edges between them, which of them has more neighbours, is a node part of a
    triangle, how many neighbours it has. First the words are drawn, then a neighbourhood in which either answer is right of
    some nodes, then which of the two is to be right, and then nodes of which it is. So neither the words by themselves nor
    the graph by itself tell anything. All that counts is what is shown.
    With `bias` above 0.5 one of the two answers to each question is the one of habit, always the same however the question is
    put, and it is right in that share of the questions: this is to learn bad habits from, or to unlearn them.
    After Fatemi, Halcrow & Perozzi, "Talk like a graph: encoding graphs for large language models", 2024, and Wang et al.,
    "Can language models solve graph problems in natural language?", 2023; for the balance Goyal et al., "Making the V in VQA
    matter", 2017.

    ## Observation Space
    `Dict` of padded arrays, see `GraphTask`: `x` (or `node_id`), `x_mask`, `node_mask`, `edge_index`, `edge_mask`, and
    `target`, the two nodes, or twice the one; `mark`, int8 (M,): 1 for a node that is asked about alone, 2 for the first of
    two, 3 for the second, else 0; and `query`, int64 (3,): the number of the question, and the two answers in the order in
    which they are offered, numbered behind the questions. The text interface tells edges and question in words.

    ## Action Space
    `Discrete`: no, yes, first, second, 1, 2, 3, ...; `info["action_mask"]` is 1 for the two that a question offers. In text
    these words.

    ## Rewards
    1 for the right answer, 0 otherwise. Chance is 1/2, or `bias` where that is more.

    ## Termination
    After one answer.

    ## Arguments
    - `source`: the graph; "cora", "karate", "les_miserables", "sbm", "barabasi_albert", "file:PATH", with words "wordnet",
      "airlines", "umls", "kinships", "nations", or in Python a graph of networkx or PyTorch Geometric.
    - `fanouts`: most neighbours that are shown at each distance.
    - `features`: "inline" puts features into the observation, "id" the numbers of nodes.
    - `kinds`: "all" that the graph can show, or some of "edge", "common", "path", "degree", "triangle" and "count", joined by
      "+". All are equally likely.
    - `wording`: "several" ways to put a question, or the "plain" one.
    - `bias`: how often the answer of habit is right, 0.5 to 0.95.

    ## Registered Configurations
    - `SSL4RL/GraphQA-v0`
    """

    asks = "what a small graph shows"
    role = "question"
    tells = False  # nothing is asked of features

    levels = (*(Level(name, {"kinds": name}) for name in KINDS), Level("all", {"kinds": "all"}))

    legitimate: ClassVar = dict.fromkeys(
        ("degree", "counts", "common neighbours", "longer ways", "structure"),
        "It counts what is shown of the nodes that are asked about: edges, shared neighbours and ways between them. To find "
        "that in the graph is what the task asks.",
    ) | {
        "feature overlap": "It sees how similar the features of the nodes are, and nodes that are near have similar "
        "features. This is what a graph network may use as well.",
    }

    def __init__(
        self,
        source: GraphSourceLike = "cora",
        fanouts: tuple[int, ...] = (3, 2, 2),
        features: str = "inline",
        kinds: str = "all",
        wording: str = "several",
        bias: float = 0.5,
    ) -> None:
        self.bias = self.chance = checked_bias(bias)
        self.wording = one_of("wording", wording, ("several", "plain"))
        self.numbers = min(max(fanouts, default=1) + 1, MOST_NUMBERS)
        answers = len(WORDS) + self.numbers
        super().__init__(source, fanouts, features, 1, queries=(3, len(QUESTIONS) + answers))
        nodes = self.observation_space["node_mask"].shape
        assert nodes is not None
        self.observation_space["target"] = spaces.Box(0, nodes[0] - 1, (2,), np.int64)
        self.observation_space["mark"] = spaces.Box(0, SECOND, nodes, np.int8)
        asked = some_of("kinds", kinds, KINDS)
        self.kinds = tuple(name for name in asked if self._shown(name))
        if not self.kinds or (self.kinds != asked and kinds != "all"):
            lacking = ", ".join(name for name in asked if name not in self.kinds)
            raise ValueError(
                f"graph {self.source.name!r} seldom shows both answers to questions of the kind {lacking}, with fanouts "
                f"{self.fanouts}; leave that out, or show more"
            )
        self.action_space = spaces.Discrete(answers)
        numbers = tuple(str(number + 1) for number in range(self.numbers))
        self.answer_format = AnswerFormat((*WORDS, *numbers), synonyms=YES_OR_NO)
        self.check_source()

    def lay_out(self, stream: Stream) -> Batch:
        """Draw one neighbourhood, a question and its nodes a row; observation and target as the class's text says."""
        habitual = stream.uniform() < self.bias
        parts = self.draw(stream.branch("neighbourhoods"), self._draft)
        question, wording, options, habit, centre, one, other = parts[:7]
        hood = Neighbourhood(*parts[7:])
        side = np.where(habitual, habit, 1 - habit)
        pair = graph_questions.pick(np.where((side == 0)[:, None, None], one, other), stream)
        row = np.arange(len(side))
        target, favoured = options[row, side], options[row, habit]
        order = np.where(stream.integers(0, 2)[:, None] == 1, options, options[:, ::-1])
        query = np.concatenate([question[:, None], len(QUESTIONS) + order], axis=1)
        mark = np.zeros(hood.nodes.shape, np.int8)
        mark[row, pair[:, 1]], mark[row, pair[:, 0]] = SECOND, np.where(pair[:, 0] == pair[:, 1], ASKED, FIRST)
        shown = {**self.observe(hood, pair, None, query), "mark": mark}
        memory = {"kind": KIND_OF[question], "wording": wording, HABIT: favoured}
        return Batch(shown, target, centre, memory)

    def score(self, answers: NDArray[Any], batch: Batch) -> Score:
        """Score 1 for the right answer, 0 otherwise."""
        return exact_score(answers, batch.target)

    @property
    def most_offered(self) -> int:
        """Two: every question names both of its answers."""
        return 2

    def info(self, batch: Batch) -> dict[str, NDArray[Any]]:
        """Return `action_mask`, (n, actions) int8, and `kind` (n,), the number of what is asked in `KINDS`."""
        mask = np.zeros((len(batch), len(WORDS) + self.numbers), np.int8)
        np.put_along_axis(mask, batch.observation["query"][:, 1:] - len(QUESTIONS), 1, axis=1)
        return {"action_mask": mask, "kind": batch.memory["kind"].copy()}

    def caption(self, batch: Batch) -> list[str]:
        """Ask in words."""
        said = []
        labels = self._written_as().labels
        several = zip(
            batch.observation["query"].tolist(),
            batch.observation["target"].tolist(),
            batch.memory["wording"].tolist(),
            strict=True,
        )
        for (number, *options), (a, b), wording in several:
            one, other = (labels[option - len(QUESTIONS)] for option in options)
            put = QUESTIONS[number].wordings[wording].format(a=a, b=b)
            said.append(f"{put} Answer with one of these: {one} or {other}.")
        return said

    def example(self) -> int:
        """Return the answer of the instructions' example."""
        return graph_questions.YES

    def rationale(self, batch: Batch) -> list[str]:
        """Say of n questions what of the graph makes the answer right, (n,)."""
        reasons = []
        for row, answer in enumerate(self.truths(batch)):
            shown = {name: values[row] for name, values in batch.observation.items()}
            reasons.append(f"{_reason(shown, int(batch.target[row]))}, so the answer is {answer}.")
        return reasons

    def _draft(self, stream: Stream) -> tuple[list[NDArray[Any]], NDArray[np.bool_]]:
        """Draw questions, what they offer, centres, and of which pairs of nodes which answer is right; and which have both.

        Behind these stand the parts of the neighbourhoods.
        """
        return self._draft_of(stream, self.kinds)

    def _draft_of(self, stream: Stream, kinds: tuple[str, ...]) -> tuple[list[NDArray[Any]], NDArray[np.bool_]]:
        question, wording = graph_questions.ask(unchanging(stream, self.stream_key, "words"), kinds)
        wording = wording if self.wording == "several" else np.zeros_like(wording)
        known = self.source.nodes_of(stream.split)
        centre = known[stream.integers(0, len(known))].astype(np.int64)
        hood = sample_neighbourhoods(self.source, centre[:, None], self.fanouts, stream)
        near = graph_questions.adjacency(hood)
        degree = near.sum(axis=2).astype(np.int64)
        options, habit, two = graph_questions.offer(question, degree, self.numbers, stream)
        one, other = graph_questions.settled(question, options, near, hood.nodes >= 0)
        parts = [question, wording, options, habit, centre, one, other]
        parts += [hood.nodes, hood.edge_index, hood.edge_mask, hood.targets]
        return parts, two & one.any(axis=(1, 2)) & other.any(axis=(1, 2))

    def _shown(self, kind: str) -> bool:
        """Return whether enough neighbourhoods of each split have both answers to a kind of question."""
        return all(self._draft_of(Stream.span(split, 0, 0, LOOKED_AT), (kind,))[1].mean() >= SHARE for split in SPLITS)


def _reason(shown: dict[str, NDArray[Any]], answer: int) -> str:
    """Say what of a graph makes an answer right."""
    near = np.zeros((len(shown["node_mask"]),) * 2, np.int64)
    near[tuple(shown["edge_index"][:, shown["edge_mask"] == 1])] = 1
    (a, b), question = shown["target"].tolist(), QUESTIONS[int(shown["query"][0])]
    one = not question.answers or answer == question.answers[0]
    m, n = int(near[a].sum()), int(near[b].sum())
    away = 1 if near[a, b] else 2 if near[a] @ near[b] else 3
    few = away if question.kind == "path" else m
    said = {"a": a, "b": b, "c": int((near[a] * near[b]).argmax()), "d": away, "m": m, "n": n, "s": "" if few == 1 else "s"}
    return question.reasons[0 if one else 1].format(**said)
