"""Graph questions as PyTorch Geometric takes them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from ssl4rl_envs.bridges.padding import GraphQuestion, graph_questions

if TYPE_CHECKING:
    from torch_geometric.data import Batch

    from ssl4rl_envs.bridges.graph_data import QuestionData


def to_pyg(observation: Mapping[str, Any]) -> Batch:
    """Return what a graph task shows as a batch of PyTorch Geometric, without padding.

    Of n questions about N nodes and E directed edges altogether (each edge in both directions) it has `x` float32 (N, F), or
    `node_id` int64 (N,) with `features="id"`; `x_mask` bool (N,), whether a node's features are shown (where they are hidden
    `x` is 0); `edge_index` int64 (2, E); `target` int64 (n, K), which nodes of the batch are asked about, in order; `query`
    int64 (n, slots) where there is one; `batch` and `ptr` as PyG has them. Whatever else is shown has n rows.
    ``batch.to_data_list()`` gives the questions one by one.

    Args:
        observation: of the array interface, of one environment (n is 1) or of a vector environment.

    Raises:
        ImportError: torch_geometric is not installed.
        ValueError: the observation is of another task or interface.
    """
    from torch_geometric.data import Batch

    questions, _ = graph_questions(observation)
    batch: Batch = Batch.from_data_list([_data(question) for question in questions])
    return batch


def _data(question: GraphQuestion) -> QuestionData:
    import torch

    from ssl4rl_envs.bridges.graph_data import QuestionData

    fields = {**question.nodes, "edge_index": question.edge_index}
    fields |= {name: values[None] for name, values in question.asked.items()}
    tensors = {name: torch.from_numpy(np.ascontiguousarray(values)) for name, values in fields.items()}
    return QuestionData(num_nodes=len(question.nodes["x_mask"]), **tensors)
