"""Graph walk: find the way to a node, of which more is seen with every step."""

from __future__ import annotations

from functools import cached_property
from typing import Any, ClassVar

import numpy as np
from gymnasium import spaces
from numpy.typing import NDArray

from ssl4rl_envs.answers import AnswerFormat
from ssl4rl_envs.graphs import drawing
from ssl4rl_envs.graphs.base import GraphTask
from ssl4rl_envs.graphs.drawing import Mark
from ssl4rl_envs.graphs.neighbourhoods import sample_neighbourhoods
from ssl4rl_envs.graphs.unfolding import NONE, find, neighbour_table, thin, unfold, wandering
from ssl4rl_envs.kernels.graph_edges import distances
from ssl4rl_envs.sources.graph_builtin import GraphSourceLike
from ssl4rl_envs.sources.graphs import Nodes
from ssl4rl_envs.stream import SPLITS, Stream
from ssl4rl_envs.task import Batch, Level, Score, Step

OTHER, VISITED, HERE, GOAL = range(4)
"""What `mark` says of a node."""

ROOM = 2
"""Neighbours that a node may have beside the most that are drawn for one: those from which it was met."""

WORLDS = 1024
"""Worlds over which chance is taken."""


class GraphWalk(GraphTask):
    """Walk along edges to a given node; what is round a node is seen when one comes to it.

    ## Description
    An agent stands on a node of a graph and wants to get to another, whose features it knows. It sees its neighbours and
    goes to one of them, and sees that one's neighbours then. So it must tell from what nodes are like which of them lies
    nearer to the goal, as people do who find their way from one article of an encyclopedia to another by links (West &
    Leskovec 2012): in graphs where joined nodes are alike, that is a representation in which distances are those of the
    graph. It is asked of no edge whether it exists, so nothing has to be hidden.

    The part of the graph that is walked in is drawn round the goal as a neighbourhood by `fanouts`; a node that was met on
    many ways keeps max(fanouts) + 2 edges, drawn at random. The start is a node of it, `distance` edges away, from which
    one can go wrong: it has a neighbour that is no nearer. Goals are nodes of the split. The edges of train are walked in
    every split, as in all graph tasks, so an agent that has learned a graph by heart walks well in it.

    ## Observation Space
    `Dict` of padded arrays, see `GraphTask`: `x` (or `node_id`), `x_mask`, `node_mask`, `edge_index`, `edge_mask`, of the
    nodes that were found so far and the edges of those where the walk has been; and

    - `target` int64 (1 + actions,): the goal, then where each action leads; where there is no such neighbour, where one is;
    - `mark` int64 (M,): 1 for nodes where the walk has been, 2 where it is, 3 for the goal, 0 for others;
    - `steps_left` int64 (1,).

    Nodes are numbered as they are found, those of one step in random order, so numbers stay. The text interface tells all
    this in words.

    ## Action Space
    `Discrete(max(fanouts) + 2)`: A, B, C, ... the neighbours of where one is, dealt anew in random order at every step, so
    that letters tell nothing. In text these letters. `info["action_mask"]` is 1 where there is such a neighbour; who names
    none stays, which takes a step too.

    ## Rewards
    Progress is the share of the distance that is behind one: 0 at first, 1 at the goal. A step is paid what it adds to the
    best progress so far, so the rewards of an episode sum to that, nothing is discounted, and moving to and fro earns
    nothing. Success is coming to the goal.

    Chance is what somebody earns who never looks. Letters are dealt anew, so A always leads to any neighbour, each as
    likely, and a later letter does the same or stays, which leaves fewer steps: nobody who does not look does better than a
    random walk. What that earns is computed exactly, by carrying on the distribution of where it is and how near it came,
    over 1,024 questions of train.

    ## Termination
    At the goal, or after `max_steps`, which are a part of the question: how many are left is shown.

    ## Arguments
    - `source`: the graph; "cora", "karate", "les_miserables", "sbm", "barabasi_albert", "file:PATH", with words "wordnet",
      "airlines", "umls", "kinships", "nations", or in Python a graph of networkx or PyTorch Geometric.
    - `fanouts`: most neighbours that are drawn at each distance from the goal; more distances than `distance`.
    - `features`: "inline" puts features into the observation, "id" the numbers of nodes.
    - `distance`: edges between start and goal, at least 2.
    - `max_steps`: most steps, at least `distance`.
    - `around`: whether the neighbours of the goal are shown from the start.

    ## Registered Configurations
    - `SSL4RL/GraphWalk-v0`
    """

    asks = "to walk to a given node along edges that are seen step by step"
    role = "choice"

    levels = (
        Level("around", {"distance": 2, "max_steps": 4, "fanouts": (4, 3, 2), "around": True}),
        Level("2", {"distance": 2, "max_steps": 4, "fanouts": (4, 3, 2)}),
        Level("3", {"distance": 3, "max_steps": 6, "fanouts": (3, 3, 2, 2)}),
        Level("4", {"distance": 4, "max_steps": 8, "fanouts": (3, 2, 2, 2, 1)}),
    )

    legitimate: ClassVar = {
        "degree": "It sees how many edges each neighbour is shown with. Those where the walk has been are shown with all of "
        "theirs, so it does not go back, which `mark` says as well; and where the neighbours of the goal are shown, one of "
        "them has an edge more, the last one of a way. To find ways is what the task asks.",
        "counts": "It sees how many edges the neighbours of each neighbour are shown with, and makes of that what `degree` "
        "does: it does not go back, and comes to who is next to the goal where that is shown.",
        "common neighbours": "It sees whether a neighbour is joined with what the goal is joined with, where that is shown: "
        "the last steps of a way. To find ways is what the task asks.",
        "longer ways": "It sees ways from the goal to each neighbour, where such are shown. To find ways is what the "
        "task asks.",
        "structure": "It sees all that can be counted together: it does not go back, and sees the ways that are shown.",
        "numbering": "Nodes are numbered as they are found, so low numbers are nodes where the walk has been. It does not go "
        "back, which `mark` says as well.",
        "feature overlap": "It sees how similar the features of the goal and of each neighbour are, and nodes that are near "
        "have similar features. This is the signal that the task is about, and a baseline to beat.",
    }

    def __init__(
        self,
        source: GraphSourceLike = "cora",
        fanouts: tuple[int, ...] = (3, 3, 2, 2),
        features: str = "inline",
        distance: int = 3,
        max_steps: int = 6,
        around: bool = False,
    ) -> None:
        if distance < 2:
            raise ValueError(f"distance must be at least 2, so that there is a way to be found, got {distance}")
        if max_steps < distance:
            raise ValueError(f"max_steps must be at least the distance, {distance}, got {max_steps}")
        if len(fanouts) <= distance:
            raise ValueError(
                f"fanouts must reach farther than the distance, so that one can go wrong at the start: {distance + 1} "
                f"numbers or more for distance={distance}, got {fanouts}"
            )
        super().__init__(source, fanouts, features, 1)
        self.distance, self.horizon, self.around = distance, max_steps, around
        self.slots = max(self.fanouts) + ROOM
        nodes = self.observation_space["node_mask"].shape
        assert nodes is not None
        self.observation_space["target"] = spaces.Box(0, nodes[0] - 1, (1 + self.slots,), np.int64)
        self.observation_space["mark"] = spaces.Box(0, GOAL, nodes, np.int64)
        self.observation_space["steps_left"] = spaces.Box(0, max_steps, (1,), np.int64)
        self.action_space = spaces.Discrete(self.slots)
        self.answer_format = AnswerFormat(
            tuple(chr(ord("A") + number) for number in range(self.slots)), fillers=("node", "neighbour", "neighbor", "go to")
        )
        self.check_source()

    @cached_property
    def chance(self) -> float:
        """What a random walk earns, exactly, over `WORLDS` worlds: see the class's text."""
        worlds = self.compact(Stream.span(SPLITS[0], 0, 0, WORLDS)).memory
        earned = wandering(worlds["table"], worlds["distance"], worlds["place"], self.horizon)
        return round(float(earned.mean()), 6)

    def lay_out(self, stream: Stream) -> Batch:
        """Draw one world a row, with a goal and a start; the target is the letter of a neighbour that is nearer."""
        start, distance, *world = self.draw(stream.branch("worlds"), self._draft)
        nodes, edge_index, edge_mask, local, table = world
        deal = np.argsort(stream.words((self.horizon + 1, self.slots)), axis=2, kind="stable")
        return self.begin(nodes, edge_index, edge_mask, table, distance, deal, start, local[:, 0])

    def begin(
        self,
        nodes: Nodes,
        edge_index: Nodes,
        edge_mask: NDArray[np.bool_],
        table: Nodes,
        distance: Nodes,
        deal: Nodes,
        start: Nodes,
        goal: Nodes,
    ) -> Batch:
        """Return n walks at their beginning.

        Args:
            nodes: (n, M) nodes of the source in random order; worlds are told in places among these.
            edge_index, edge_mask: (n, 2, E) and (n, E) the edges of worlds in both directions, in random order.
            table: (n, M, slots), see `neighbour_table`.
            distance: (n, M) edges between each node and the goal.
            deal: (n, horizon + 1, slots) the order in which neighbours are offered at each step.
            start, goal: (n,).
        """
        rows, zero = np.arange(len(nodes)), np.zeros(len(nodes), np.int64)
        found = find(np.full(nodes.shape, NONE, np.int64), table, start, zero)
        if self.around:
            found = find(found, table, goal, zero)
        found[rows, goal] = 0
        memory = {
            "nodes": nodes,
            "edge_index": edge_index,
            "edge_mask": edge_mask,
            "table": table,
            "distance": distance,
            "deal": deal,
            "goal": goal,
            "place": start,
            "found": found,
            "visited": np.arange(nodes.shape[1]) == start[:, None],
            "steps": zero,
            "best": np.zeros(len(nodes), np.float32),
        }
        return self._state(memory, nodes[rows, goal])

    def score(self, answers: NDArray[Any], batch: Batch) -> Score:
        """Score steps by what they add to the best progress so far; success is having come to the goal."""
        return self.advance(batch, answers).score

    def advance(self, state: Batch, actions: NDArray[Any]) -> Step:
        """Go to a neighbour in each row; who names none stays."""
        held, rows = state.memory, np.arange(len(state))
        valid = self.valid(actions)
        to = self._offered(held)[rows, np.where(valid, actions, 0)]
        place = np.where(valid & (to != NONE), to, held["place"])
        steps = held["steps"] + 1
        away = held["distance"][rows, place]
        progress = ((self.distance - np.minimum(away, self.distance)) / self.distance).astype(np.float32)
        best = np.maximum(held["best"], progress)
        visited = held["visited"].copy()
        visited[rows, place] = True
        found = find(held["found"], held["table"], place, steps)
        memory = {**held, "place": place, "steps": steps, "visited": visited, "found": found, "best": best}
        after = self._state(memory, state.items)
        if "x" in state.observation:
            after = self.complete(after)
        arrived = np.asarray(away == 0)
        return Step(after, Score((best - held["best"]).astype(np.float32), arrived), arrived | (steps >= self.horizon))

    def info(self, batch: Batch) -> dict[str, NDArray[Any]]:
        """Return `action_mask`, (n, actions) int8: where there is a neighbour."""
        return {"action_mask": (self._offered(batch.memory) != NONE).astype(np.int8)}

    def caption(self, batch: Batch) -> list[str]:
        """Ask in words."""
        many = self.info(batch)["action_mask"].sum(axis=1).tolist()
        known = "where you have been and of the goal" if self.around else "where you have been"
        asked = []
        rows = (batch.observation["target"].tolist(), batch.observation["mark"], batch.memory["steps"].tolist(), many)
        for (goal, *offered), marks, steps, count in zip(*rows, strict=True):
            left = self.horizon - int(steps)
            if not (marks == HERE).any():
                asked.append(f"Edges are shown of nodes {known}. You are at the goal, node {goal}.")
                continue
            here = f"at node {int((marks == HERE).argmax())}"
            been = ", ".join(map(str, np.flatnonzero(marks == VISITED).tolist()))
            letters = ", ".join(f"{chr(ord('A') + i)}: node {node}" for i, node in enumerate(offered[:count]))
            asked.append(
                f"Edges are shown of nodes {known}. You want to get to node {goal}. You are {here}"
                f"{f', have been at {been}' if been else ''} and may take {left} more step{'s'[: left != 1]}. From here you "
                f"can go to {letters}. Which one?"
            )
        return asked

    def truths(self, batch: Batch) -> list[str | None]:
        """Write the letters of neighbours that are nearer, or that one is at the goal."""
        there = batch.memory["place"] == batch.memory["goal"]
        return ["at the goal" if done else truth for done, truth in zip(there, super().truths(batch), strict=True)]

    def example(self) -> int:
        """Return the answer of the instructions' example."""
        return 1

    def marks(self, batch: Batch, row: int) -> tuple[dict[int, Mark], Nodes]:
        """Mark the goal, where the walk is and has been, and, until it is there, the letters of where it may go."""
        said, found = batch.observation["mark"][row], batch.memory["found"][row]
        rings = {VISITED: drawing.BEEN, HERE: drawing.HERE, GOAL: drawing.ASKED}
        marks = {node: Mark(rings[int(said[node])], str(node)) for node in np.flatnonzero(said).tolist()}
        count = int(self.info(batch)["action_mask"][row].sum()) if (said == HERE).any() else 0
        for letter, node in enumerate(batch.observation["target"][row, 1 : 1 + count].tolist()):
            marks[node] = Mark(rings.get(int(said[node]), drawing.CHOICE), self.format(letter))
        return marks, np.sort(found[found != NONE])

    def rationale(self, batch: Batch) -> list[str]:
        """Say how far it is, and over which neighbour the shortest way leads."""
        held, rows = batch.memory, np.arange(len(batch))
        away = held["distance"][rows, held["place"]].tolist()
        letters, nodes = batch.target.tolist(), batch.observation["target"]
        return [
            f"The goal is {count} edge{'s'[: count > 1]} away. Node {nodes[row, 1 + letters[row]]} "
            f"({self.format(letters[row])}) {'is the goal' if count == 1 else 'lies on a shortest way'}."
            if count
            else "This is the goal."
            for row, count in enumerate(away)
        ]

    def _offered(self, memory: dict[str, NDArray[Any]]) -> Nodes:
        """Return the neighbours of where walks stand in the order of their letters (n, slots), `NONE` behind the last one."""
        rows = np.arange(len(memory["place"]))
        around = memory["table"][rows, memory["place"]]
        dealt = np.take_along_axis(around, memory["deal"][rows, memory["steps"]], axis=1)
        return np.take_along_axis(dealt, np.argsort(dealt == NONE, axis=1, kind="stable"), axis=1)

    def _state(self, memory: dict[str, NDArray[Any]], items: Nodes) -> Batch:
        """Return what is seen of worlds, and which letter is right."""
        rows = np.arange(len(items))
        goal, place, visited = memory["goal"], memory["place"], memory["visited"]
        known = visited.copy()
        if self.around:
            known[rows, goal] = True
        hood, shown_as = unfold(memory["nodes"], memory["edge_index"], memory["edge_mask"], memory["found"], known)
        offered = self._offered(memory)
        far = memory["distance"][rows[:, None], np.maximum(offered, 0)]
        nearer = (offered != NONE) & (far < memory["distance"][rows, place][:, None])
        asked = np.concatenate([goal[:, None], np.where(offered == NONE, place[:, None], offered)], axis=1)
        mark = np.zeros(visited.shape, np.int64)
        mark[np.nonzero(visited)[0], shown_as[visited]] = VISITED
        mark[rows, shown_as[rows, place]] = HERE
        mark[rows, shown_as[rows, goal]] = GOAL
        shown = self.observe(hood, shown_as[rows[:, None], asked])
        shown |= {"mark": mark, "steps_left": self.horizon - memory["steps"][:, None]}
        return self.noted(Batch(shown, nearer.argmax(axis=1), items, memory))

    def _draft(self, stream: Stream) -> tuple[list[NDArray[Any]], NDArray[np.bool_]]:
        """Draw starts (n,) in numbers of worlds, distances (n, M) from the goals and the worlds round these.

        A start is as far away as it should be and has a neighbour that is no nearer.
        """
        known = self.source.nodes_of(stream.split)
        goal = known[stream.integers(0, len(known))].astype(np.int64)
        hood = sample_neighbourhoods(self.source, goal[:, None], self.fanouts, stream)
        room = hood.nodes.shape[1], self.slots
        edge_mask = thin(hood.edge_index, hood.edge_mask, *room)
        distance = distances(hood.nodes, hood.edge_index, edge_mask, hood.targets[:, 0], room[0])
        table = neighbour_table(hood.edge_index, edge_mask, *room)
        away = np.where(table == NONE, -1, distance[np.arange(len(goal))[:, None, None], table])
        fitting = (distance == self.distance) & (away.max(axis=2) >= self.distance)
        keys = np.where(fitting, stream.words(distance.shape[1:]) >> np.uint64(1), 0)
        world = [hood.nodes, hood.edge_index, edge_mask, hood.targets, table]
        return [keys.argmax(axis=1), distance, *world], fitting.any(axis=1)
