"""Graph search: find a hidden node by asking others how far away it is."""

from __future__ import annotations

from typing import Any

import numpy as np
from gymnasium import spaces
from numpy.typing import NDArray

from ssl4rl_envs.answers import AnswerFormat
from ssl4rl_envs.graphs import drawing
from ssl4rl_envs.graphs.base import GraphTask
from ssl4rl_envs.graphs.drawing import Mark
from ssl4rl_envs.graphs.neighbourhoods import Neighbourhood, sample_neighbourhoods
from ssl4rl_envs.graphs.resolving import best_question, consistent, solvable
from ssl4rl_envs.kernels.graph_edges import distances
from ssl4rl_envs.sources.graph_builtin import GraphSourceLike
from ssl4rl_envs.stream import Stream
from ssl4rl_envs.task import Batch, Level, Score, Step

OTHER, CANDIDATE, ASKED = 0, 1, 2
"""What `mark` says of a node; of one that was asked, `ASKED` plus the distance that it told."""

UNASKED = -1


class GraphSearch(GraphTask):
    """Find a hidden node: name a candidate, and it is the one, or tells how far away that is.

    ## Description
    A neighbourhood and some of its nodes are shown, the candidates, one of which is hidden: each is as likely. The agent
    names one. If it is the hidden one, the search is over; otherwise it is told how many edges lie between the two in what
    is shown, and names another.

    It is a question about a graph as a whole that can be asked of every graph, with features or without, and answered from
    nothing but the graph: to find the node, one must know how far all candidates are from one another, which is what
    position-aware representations hold (You et al. 2019, arXiv 1906.04817), and ask those whose answers differ most, as in
    a resolving set (Slater 1975). Every step tells something that was not known before and that has to be put together with
    what was told earlier. And how well it can be done is known: only such candidates are asked about that somebody who
    plans finds each of them in time, so the best policy earns 1, though nobody knows the answer at first.

    ## Observation Space
    `Dict` of padded arrays, see `GraphTask`: `x` (or `node_id`), `x_mask`, `node_mask`, `edge_index`, `edge_mask`; and

    - `target` int64 (1 + candidates,): the node that was named last, at first the one in the middle, then the candidates;
    - `told` int64 (candidates,): edges between each and the hidden one, -1 for those that were not named;
    - `mark` int64 (M,): the same for networks, node by node: 0 for nodes that are no candidates, 1 for candidates that were
      not named, 2 and what was told for those that were;
    - `steps_left` int64 (1,).

    The text interface tells all this in words.

    ## Action Space
    `Discrete(candidates)`: A, B, C, ... in the order of `target`. In text these letters. `info["action_mask"]` is 0 for
    those that were named already, who tell nothing new.

    ## Rewards
    1 for naming the hidden node, 0 for others. Chance is exact: who does not look names `max_steps` different ones, and one
    of them is the hidden one in max_steps / candidates of all questions.

    ## Termination
    When it is found, or after `max_steps`: how many are left is shown.

    ## Arguments
    - `source`: the graph; "cora", "karate", "les_miserables", "sbm", "barabasi_albert", "file:PATH", with words "wordnet",
      "airlines", "umls", "kinships", "nations", or in Python a graph of networkx or PyTorch Geometric.
    - `fanouts`: most neighbours that are shown at each distance from the middle.
    - `features`: "inline" puts features into the observation, "id" the numbers of nodes.
    - `candidates`: how many, 3 to 26.
    - `max_steps`: how many may be named, at least 2 and fewer than there are. Whether all can be found is looked at for up
      to three.

    ## Registered Configurations
    - `SSL4RL/GraphSearch-v0`
    """

    asks = "which of several nodes is the hidden one, of which each that is asked tells how far away it is"
    role = "choice"

    levels = (
        Level("4", {"candidates": 4, "max_steps": 2}),
        Level("6", {"candidates": 6, "max_steps": 3}),
        Level("8", {"candidates": 8, "max_steps": 3}),
    )

    def __init__(
        self,
        source: GraphSourceLike = "cora",
        fanouts: tuple[int, ...] = (4, 3),
        features: str = "inline",
        candidates: int = 6,
        max_steps: int = 3,
    ) -> None:
        if not 3 <= candidates <= 26:
            raise ValueError(f"candidates must be 3 to 26, got {candidates}")
        if not 2 <= max_steps < candidates:
            raise ValueError(
                f"max_steps must be at least 2, so that there is something to be told, and fewer than the {candidates} "
                f"candidates, who could be named one by one; got {max_steps}"
            )
        super().__init__(source, fanouts, features, 1)
        self.candidates, self.horizon = candidates, max_steps
        nodes = self.observation_space["node_mask"].shape
        assert nodes is not None
        self.observation_space["target"] = spaces.Box(0, nodes[0] - 1, (1 + candidates,), np.int64)
        self.observation_space["told"] = spaces.Box(UNASKED, nodes[0] - 1, (candidates,), np.int64)
        self.observation_space["mark"] = spaces.Box(0, ASKED + self._farthest, nodes, np.int64)
        self.observation_space["steps_left"] = spaces.Box(0, max_steps, (1,), np.int64)
        self.action_space = spaces.Discrete(candidates)
        self.answer_format = AnswerFormat(
            tuple(chr(ord("A") + number) for number in range(candidates)), fillers=("node", "candidate")
        )
        self.chance = max_steps / candidates
        self.check_source()

    def lay_out(self, stream: Stream) -> Batch:
        """Draw one neighbourhood and its candidates a row; the target is the letter of the hidden one."""
        target = stream.integers(0, self.candidates)
        centre, chosen, apart, *hood = self.draw(stream.branch("neighbourhoods"), self._draft)
        memory = {
            "apart": apart,
            "told": np.full(chosen.shape, UNASKED, np.int64),
            "steps": np.zeros(len(centre), np.int64),
        }
        shown = self.observe(Neighbourhood(*hood), np.concatenate([hood[3], chosen], axis=1))
        return Batch({**shown, **self._said(memory, shown["target"], shown["node_mask"].shape)}, target, centre, memory)

    def score(self, answers: NDArray[Any], batch: Batch) -> Score:
        """Score 1 for naming the hidden node, 0 for all else."""
        found = np.asarray(self.valid(answers) & (answers == batch.target))
        return Score(found.astype(np.float32), found)

    def advance(self, state: Batch, actions: NDArray[Any]) -> Step:
        """Ask a candidate in each row; who names none is told nothing."""
        rows, valid, held = np.arange(len(state)), self.valid(actions), state.memory
        asked = np.where(valid, actions, 0)
        told = held["told"].copy()
        told[rows[valid], asked[valid]] = held["apart"][rows, asked, state.target][valid]
        memory = {**held, "told": told, "steps": held["steps"] + 1}
        target = state.observation["target"].copy()
        target[rows[valid], 0] = target[rows[valid], 1 + asked[valid]]
        observation = {**state.observation, **self._said(memory, target, state.observation["node_mask"].shape)}
        after = Batch(observation, state.target, state.items, memory)
        score = self.score(actions, state)
        return Step(after, score, score.success | (memory["steps"] >= self.horizon))

    def info(self, batch: Batch) -> dict[str, NDArray[Any]]:
        """Return `action_mask`, (n, candidates) int8: who has not been asked."""
        return {"action_mask": (batch.memory["told"] == UNASKED).astype(np.int8)}

    def demonstrate(self, batch: Batch) -> NDArray[Any]:
        """Return the candidate that somebody asks who cannot know, and will know in time, (n,)."""
        held = batch.memory
        left = (self.horizon - held["steps"]).tolist()
        return np.array(
            [best_question(apart, told, steps) for apart, told, steps in zip(held["apart"], held["told"], left, strict=True)],
            np.int64,
        ).reshape(len(batch))

    def marks(self, batch: Batch, row: int) -> tuple[dict[int, Mark], None]:
        """Mark the candidates by their letters, and what those told that were named."""
        nodes, told = batch.observation["target"][row, 1:].tolist(), batch.memory["told"][row].tolist()
        return {
            node: Mark(drawing.CHOICE if far == UNASKED else drawing.TOLD if far else drawing.ASKED, self._sign(letter, far))
            for letter, (node, far) in enumerate(zip(nodes, told, strict=True))
        }, None

    def _sign(self, letter: int, told: int) -> str:
        return self.format(letter) + (f"{told}" if told > 0 else "")

    def rationale(self, batch: Batch) -> list[str]:
        """Say which candidates are as far away as was told, and how well the next one tells them apart."""
        reasons = []
        for apart, told, asked in zip(
            batch.memory["apart"], batch.memory["told"], self.demonstrate(batch).tolist(), strict=True
        ):
            left = consistent(apart, told)
            names = ", ".join(map(self.format, left))
            if len(left) == 1:
                reasons.append(f"After all that was told, {names} alone is possible.")
                continue
            ways = len({int(apart[asked, one]) for one in left})
            reasons.append(f"Possible are {names}. {self.format(asked)} is at {ways} different distances from these.")
        return reasons

    def caption(self, batch: Batch) -> list[str]:
        """Ask in words."""
        asked = []
        rows = zip(batch.observation["target"].tolist(), batch.memory["told"].tolist(), batch.memory["steps"], strict=True)
        for (_, *nodes), told, steps in rows:
            letters = ", ".join(f"{self.format(i)}: node {node}" for i, node in enumerate(nodes))
            said = " ".join(
                f"{self.format(i)} is {far} edge{'s'[: far > 1]} away from it." if far else f"{self.format(i)} is the one."
                for i, far in enumerate(told)
                if far != UNASKED
            )
            left = self.horizon - int(steps)
            rest = f"You may name {left} more. Which one?" if left and 0 not in told else "The search is over."
            asked.append(
                f"One of these nodes is hidden: {letters}. Name it; if it is another, you are told how many edges away the "
                f"hidden one is. {f'{said} ' if said else ''}{rest}"
            )
        return asked

    def example(self) -> int:
        """Return the answer of the instructions' example."""
        return 1

    @property
    def _farthest(self) -> int:
        """The most edges that may lie between two nodes of a neighbourhood."""
        return 2 * len(self.fanouts)

    def _said(self, memory: dict[str, NDArray[Any]], target: NDArray[np.int64], shape: Any) -> dict[str, NDArray[Any]]:
        """Return what is shown of the answers so far."""
        rows, told = np.arange(len(target))[:, None], memory["told"]
        mark = np.full(shape, OTHER, np.int64)
        mark[rows, target[:, 1:]] = np.where(told == UNASKED, CANDIDATE, ASKED + told)
        return {"target": target, "told": told, "mark": mark, "steps_left": self.horizon - memory["steps"][:, None]}

    def _draft(self, stream: Stream) -> tuple[list[NDArray[Any]], NDArray[np.bool_]]:
        """Draw centres (n,), candidates (n, C) in local numbers, distances between these and the neighbourhoods.

        Asked about is where somebody who plans finds every one of the candidates in time.
        """
        known = self.source.nodes_of(stream.split)
        centre = known[stream.integers(0, len(known))].astype(np.int64)
        hood = sample_neighbourhoods(self.source, centre[:, None], self.fanouts, stream)
        exists = hood.nodes >= 0
        keys = np.where(exists, stream.words(exists.shape[1:]) >> np.uint64(1), np.uint64(2**64 - 1))
        chosen = np.argsort(keys, axis=1, kind="stable")[:, : self.candidates]
        good = exists.sum(axis=1) >= self.candidates
        world = hood.nodes, hood.edge_index, hood.edge_mask
        far = [distances(*world, one, self._farthest) for one in chosen.T]
        apart = np.stack([np.take_along_axis(of_one, chosen, axis=1) for of_one in far], axis=1)
        good &= solvable(np.maximum(apart, 0), self.horizon)
        return [centre, chosen, apart, *world, hood.targets], good
