"""What a graph network knows of nodes: representations of a whole graph, and logistic regression over them.

The protocol: a network is frozen and run over the whole graph of train edges; logistic regression with 20 labels a class, the
rest of the nodes to be classified, random splits. What it is compared with is Deep Graph Infomax of PyTorch Geometric
(Veličković et al. 2019, arXiv 1809.10341).
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegressionCV
from sklearn.preprocessing import normalize
from torch import Tensor, nn
from torch_geometric.nn import DeepGraphInfomax, GCNConv

from ssl4rl_agents.policies.gnn import GNNPolicy
from ssl4rl_envs import hash_seed
from ssl4rl_envs.sources.graphs import GraphSource

LABELS = 20
"""Labelled nodes of each class."""

SPLITS = 10

STRENGTHS = [1.0, 10.0, 100.0]
"""Of which regularisation of the probe is chosen, by cross-validation within the labelled nodes, alike for all."""

INFOMAX_WIDTH, INFOMAX_EPOCHS, INFOMAX_RATE = 512, 150, 1e-3

Table = NDArray[np.float32]


def represent(policy: GNNPolicy, source: GraphSource) -> Table:
    """Return the representations (N, H) of all nodes, over the whole graph of train edges."""
    nodes = np.arange(source.nodes)
    ends = np.repeat(nodes, source.degrees)
    shown: dict[str, NDArray[Any]] = {
        "node_mask": np.ones((1, source.nodes), np.int8),
        "edge_index": np.stack([source.indices, ends])[None],
        "edge_mask": np.ones((1, len(ends)), np.int8),
        "target": nodes[None],
    }
    own = policy.sizes.by_id and policy.table is not None and np.array_equal(policy.table.cpu().numpy(), source.features)
    shown |= {"node_id": nodes[None]} if own else {"x": source.features[None]}
    with torch.no_grad():
        return np.asarray(policy.embed(policy.encode(shown))[0].cpu().numpy())


def infomax(source: GraphSource, seed: int) -> Table:
    """Return Deep Graph Infomax's representations of all nodes, over the same edges."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(hash_seed(seed, "infomax"))
        encoder = _Convolution(source.features.shape[1], INFOMAX_WIDTH)
        model = DeepGraphInfomax(
            INFOMAX_WIDTH,
            encoder=encoder,
            summary=lambda found, *_: found.mean(dim=0).sigmoid(),
            corruption=lambda x, edges: (x[torch.randperm(len(x))], edges),
        )
        x = torch.tensor(normalize(source.features, "l1"))
        edges = torch.tensor(np.stack([source.indices, np.repeat(np.arange(source.nodes), source.degrees)]))
        optimizer = torch.optim.Adam(model.parameters(), lr=INFOMAX_RATE)
        for _ in range(INFOMAX_EPOCHS):
            optimizer.zero_grad()
            torch.autograd.backward(model.loss(*model(x, edges)))
            optimizer.step()
        with torch.no_grad():
            return np.asarray(model(x, edges)[0].numpy())


class _Convolution(nn.Module):
    """One graph convolution, as Infomax has it on Cora."""

    def __init__(self, features: int, width: int) -> None:
        super().__init__()
        self.layer, self.bend = GCNConv(features, width), nn.PReLU(width)

    def forward(self, x: Tensor, edges: Tensor) -> Tensor:
        """Return (N, width)."""
        found: Tensor = self.bend(self.layer(x, edges))
        return found


def probe(representations: Table, labels: NDArray[np.int64], split: int) -> float:
    """Return the share of unlabelled nodes that logistic regression over the labelled ones of a random split gets right."""
    rng = np.random.default_rng(hash_seed(split, "labelled nodes"))
    order = rng.permutation(len(labels))
    known = np.concatenate([order[labels[order] == label][:LABELS] for label in np.unique(labels)])
    asked = np.setdiff1d(order, known)
    rows = normalize(representations)
    model = LogisticRegressionCV(
        Cs=STRENGTHS, cv=3, max_iter=2_000, l1_ratios=(0.0,), use_legacy_attributes=False, scoring="accuracy"
    )
    model.fit(rows[known], labels[known])
    return float((model.predict(rows[asked]) == labels[asked]).mean())
