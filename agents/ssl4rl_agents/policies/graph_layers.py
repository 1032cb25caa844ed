"""The parts of a graph network: message passing from features to representations, and heads that answer from them."""

from __future__ import annotations

from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch_geometric.nn import GATConv, GCNConv, GINConv, SAGEConv

from ssl4rl_agents.policies.graph_batches import GraphInputs, unite

ATTENTION_HEADS = 4

FIRST_SCALE = 0.01
"""Of the last weights before the logits."""


def message_passing(kind: str, width: int) -> Any:
    """Return a layer of PyG from `width` numbers a node to as many.

    Args:
        kind: "gcn" (Kipf and Welling 2017, arXiv 1609.02907), "sage" (Hamilton et al. 2017, arXiv 1706.02216), "gat"
            (Veličković et al. 2018, arXiv 1710.10903) or "gin" (Xu et al. 2019, arXiv 1810.00826).
        width: of a node's representation.

    Raises:
        ValueError: "gat" cannot share the width among its heads.
    """
    if kind == "gat":
        if width % ATTENTION_HEADS:
            raise ValueError(f"gat has {ATTENTION_HEADS} heads; gnn_hidden must be a multiple of that, got {width}")
        return GATConv(width, width // ATTENTION_HEADS, heads=ATTENTION_HEADS)
    if kind == "gin":
        return GINConv(nn.Sequential(nn.Linear(width, width), nn.ReLU(), nn.Linear(width, width)))
    return {"gcn": GCNConv, "sage": SAGEConv}[kind](width, width)


class GraphEncoder(nn.Module):
    """Features of nodes to representations: a projection, then residual layers of message passing.

    Args:
        kind: of the layers, see `message_passing`.
        features: F, numbers a node comes with.
        hidden: H, numbers of a representation.
        layers: how many.
        marks: how many things a node may be to the question; 0 if none are told.
    """

    def __init__(self, kind: str, features: int, hidden: int, layers: int, marks: int = 0) -> None:
        super().__init__()
        self.projection = nn.Linear(features, hidden)
        self.unknown = nn.Parameter(torch.randn(hidden))
        """Stands in for the features of a node that are hidden."""
        self.layers = nn.ModuleList(message_passing(kind, hidden) for _ in range(layers))
        self.norms = nn.ModuleList(nn.LayerNorm(hidden) for _ in range(layers))
        self.marks = nn.Embedding(marks, hidden) if marks else None

    def forward(self, graphs: GraphInputs, table: Tensor | None = None, *, whole: bool = True) -> Tensor:
        """Return the representations (n, K, H) of the nodes that are asked about.

        Args:
            graphs: n of them.
            table: (N, F) features, which graphs with `node_id` refer to.
            whole: whether the table may be projected as a whole, where that is less work. What is projected row by row has
                the bits of the same features inline.
        """
        union = unite(graphs)
        nodes = self.unknown.expand(len(union.shown), -1).clone()
        nodes[union.shown] = F.relu(self._project(union.x, union.node_id, table, whole))
        if self.marks is not None:
            nodes = nodes + self.marks(union.mark)
        for layer, norm in zip(self.layers, self.norms, strict=True):
            nodes = norm(nodes + F.relu(layer(nodes, union.edge_index)))
        return nodes[union.target]

    def _project(self, x: Tensor | None, node_id: Tensor | None, table: Tensor | None, whole: bool) -> Tensor:
        if x is not None:
            return cast(Tensor, self.projection(x))
        assert node_id is not None
        assert table is not None
        if whole and len(table) < len(node_id):  # each row once, rather than as often as it is shown
            return cast(Tensor, self.projection(table))[node_id]
        return cast(Tensor, self.projection(table[node_id]))


class GraphHead(nn.Module):
    """Representations of the nodes that are asked about to what an answer is chosen from.

    Args:
        role: "pair": one answer about two nodes, the same whichever comes first. "choice": which of the other nodes belongs
            to the first. "node": an answer about each node. "question": one answer to a query about two nodes in their order.
        hidden: H, numbers of a representation.
        choices: C, answers to choose from.
        queries: how many things may be asked of a node; 0 if always the same.
    """

    def __init__(self, role: str, hidden: int, choices: int, queries: int = 0) -> None:
        super().__init__()
        self.role = role
        self.width = 4 * hidden if role == "question" else hidden if role == "node" and not queries else 3 * hidden
        """Numbers of a representation of what is asked."""
        self.queries = nn.Embedding(queries, hidden) if queries else None
        outputs = 1 if role == "choice" else choices
        last = nn.Linear(hidden, outputs)
        with torch.no_grad():  # all answers are nearly as likely at first (Andrychowicz et al. 2020, arXiv 2006.05990)
            last.weight *= FIRST_SCALE
            last.bias.zero_()
        self.scores = nn.Sequential(nn.Linear(self.width, hidden), nn.ReLU(), last)

    def forward(self, nodes: Tensor, query: Tensor | None) -> tuple[Tensor, Tensor]:
        """Return logits (n, S, C) of S answers, and a representation (n, S, `width`) of what each is about.

        Args:
            nodes: (n, K, H).
            query: (n, K) what is asked of each node, or (n, slots) what is asked of all, or None.
        """
        if self.role == "pair":
            about = _pair(nodes[:, :1], nodes[:, 1:2])
            return self.scores(about), about
        if self.role == "choice":
            candidates = _pair(nodes[:, :1], nodes[:, 1:])
            return self.scores(candidates).transpose(1, 2), candidates.mean(1, keepdim=True)
        if self.role == "question":
            assert self.queries is not None
            one, other, asked = nodes[:, :1], nodes[:, 1:2], self.queries(query).sum(1, keepdim=True)
            about = torch.cat([one * other, one - other, one + other, asked], dim=-1)
            return self.scores(about), about
        if self.queries is not None:
            asked = self.queries(query)
            nodes = torch.cat([nodes * asked, nodes, asked], dim=-1)
        return self.scores(nodes), nodes


def _pair(one: Tensor, other: Tensor) -> Tensor:
    """Return what is to be seen of pairs of nodes (..., 3 H), whichever of the two comes first."""
    return torch.cat([one * other, (one - other).abs(), one + other], dim=-1)
