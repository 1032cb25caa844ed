"""The agent `rule`: the hand-written rule of whatever task it is asked."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray
from typing_extensions import override

from ssl4rl_agents.agent import Agent
from ssl4rl_agents.rules import film_rules, graph_rules, picture_rules, scene_rules
from ssl4rl_envs import SSLVectorEnv, Task
from ssl4rl_envs.covered import UNCOVERED
from ssl4rl_envs.graphs.edge_prediction import EdgePrediction
from ssl4rl_envs.graphs.graph_distance import GraphDistance
from ssl4rl_envs.graphs.graph_qa import GraphQA
from ssl4rl_envs.graphs.graph_search import GraphSearch
from ssl4rl_envs.graphs.graph_walk import GraphWalk
from ssl4rl_envs.graphs.masked_features import MaskedFeatures
from ssl4rl_envs.graphs.neighbor_choice import NeighborChoice
from ssl4rl_envs.graphs.node_attribute import NodeAttribute
from ssl4rl_envs.images.colorization import Colorization
from ssl4rl_envs.images.comparison import Comparison
from ssl4rl_envs.images.contrastive import Contrastive
from ssl4rl_envs.images.depth_order import DepthOrder
from ssl4rl_envs.images.flip_prediction import FlipPrediction
from ssl4rl_envs.images.frame_ordering import FrameOrdering
from ssl4rl_envs.images.masked_reconstruction import MaskedReconstruction
from ssl4rl_envs.images.next_frame import NextFrame
from ssl4rl_envs.images.odd_patch import OddPatch
from ssl4rl_envs.images.patch_ordering import PatchOrdering
from ssl4rl_envs.images.patch_position import PatchPosition
from ssl4rl_envs.images.patch_swap import PatchSwap
from ssl4rl_envs.images.relative_position import RelativePosition
from ssl4rl_envs.images.reveal import Reveal
from ssl4rl_envs.images.rotate_upright import RotateUpright
from ssl4rl_envs.images.rotation import Rotation
from ssl4rl_envs.images.scene_qa import SceneQA

Rule = Callable[[Task, dict[str, NDArray[Any]]], NDArray[np.int64]]


def look_first(task: Task, shown: dict[str, NDArray[Any]]) -> NDArray[np.int64]:
    """Reveal: look at every second patch while there are looks, then follow the rule of the task inside."""
    assert isinstance(task, Reveal)
    rule, covered = rule_of(task.task), shown[UNCOVERED] == 0
    answers = rule(task.task, {name: values for name, values in shown.items() if name != UNCOVERED})
    actions = task.actions.answering(answers.astype(task.task.action_space.dtype))
    second = np.arange(1, task.patches, 2)
    rows = np.flatnonzero(covered[:, second].any(axis=1) & ((~covered).sum(axis=1) < task.horizon - 1))
    actions[rows] = task.actions.looking(second[covered[rows][:, second].argmax(axis=1)])
    return np.asarray(actions, np.int64)


RULES: dict[type[Task], Rule] = {
    Rotation: picture_rules.upright_side,
    PatchOrdering: picture_rules.by_edges,
    PatchPosition: picture_rules.by_duplicates,
    MaskedReconstruction: picture_rules.by_edges,
    Contrastive: picture_rules.same_colours,
    FlipPrediction: picture_rules.mirror,
    Colorization: picture_rules.natural_colours,
    OddPatch: picture_rules.by_edges,
    Comparison: picture_rules.measured,
    FrameOrdering: film_rules.in_time,
    NextFrame: film_rules.goes_on,
    DepthOrder: film_rules.goes_through,
    RelativePosition: film_rules.seen_from,
    SceneQA: scene_rules.likelier,
    PatchSwap: picture_rules.next_swap,
    RotateUpright: picture_rules.next_turn,
    Reveal: look_first,
    EdgePrediction: graph_rules.joined,
    NeighborChoice: graph_rules.nearest,
    GraphDistance: graph_rules.hops,
    GraphQA: graph_rules.read_off,
    GraphWalk: graph_rules.towards,
    GraphSearch: graph_rules.still_possible,
    MaskedFeatures: graph_rules.words_of_neighbours,
    NodeAttribute: graph_rules.hidden_property,
}


def rule_of(task: Task) -> Rule:
    """Return the rule of a task.

    Raises:
        ValueError: nobody wrote one.
    """
    rule = next((rule for kind, rule in RULES.items() if isinstance(task, kind)), None)
    if rule is None:
        why = f"there are rules for {', '.join(sorted(kind.__name__ for kind in RULES))}"
    elif not task.has_text:
        why = "its answers are numbers, and rules give answers that have words"
    elif isinstance(task, RelativePosition) and task.names == "words":
        why = "it goes by marks, and there are none where things are told by words"
    elif isinstance(task, NodeAttribute) and task.attribute == "cluster" and not task.source.binary:
        why = f"it goes by words, and the features of graph {task.source.name!r} are none"
    else:
        return rule
    raise ValueError(f"there is no rule for {type(task).__name__} with these arguments: {why}")


class RuleAgent(Agent):
    """Answers by the rule of the task.

    Raises:
        ValueError: the task has none.
    """

    interface = "array"

    def __init__(self, envs: SSLVectorEnv) -> None:
        self._task = envs.unwrapped.task
        self._rule = rule_of(self._task)

    @override
    def act(self, observations: dict[str, Any], *, deterministic: bool = False) -> NDArray[Any]:
        """Return an answer to each observation."""
        return self._rule(self._task, observations).astype(self._task.action_space.dtype)
