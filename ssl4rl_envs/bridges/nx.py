"""Graph questions as networkx takes them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from ssl4rl_envs.bridges.padding import GraphQuestion, graph_questions

if TYPE_CHECKING:
    import networkx as nx


def to_networkx(observation: Mapping[str, Any]) -> Any:
    """Return what a graph task shows as an undirected graph of networkx, without padding.

    Nodes are 0, 1, ...; each has `x` float32 (F,), or `node_id` with `features="id"`, and `x_mask`, whether these are shown
    (where they are hidden `x` is 0). What is asked stands in ``graph.graph``: `target`, a list of nodes in order, `query`
    where there is one, and whatever else is shown.

    Args:
        observation: of the array interface, of one environment or of a vector environment.

    Returns:
        A graph; of a vector environment a list of them, one an environment.

    Raises:
        ValueError: the observation is of another task or interface.
    """
    questions, many = graph_questions(observation)
    return [_graph(question) for question in questions] if many else _graph(questions[0])


def _graph(question: GraphQuestion) -> nx.Graph:
    import networkx as nx

    graph = nx.Graph(**{name: values.tolist() for name, values in question.asked.items()})
    count = len(question.nodes["x_mask"])
    each = {name: values if values.ndim > 1 else values.tolist() for name, values in question.nodes.items()}
    graph.add_nodes_from((node, {name: values[node] for name, values in each.items()}) for node in range(count))
    graph.add_edges_from(question.edge_index.T.tolist())
    return graph
