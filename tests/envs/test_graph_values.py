"""What nodes and matrices hold, of every kind that numbers come in: it means what it says, or is an error or told."""

from __future__ import annotations

from decimal import Decimal
from fractions import Fraction

import networkx as nx
import numpy as np
import pandas
import pytest
import scipy.sparse
import torch
from torch_geometric.data import Data

from ssl4rl_envs.sources.graph_builtin import load_graph
from ssl4rl_envs.sources.graphs import GraphSource

NODES = 300
PAIRS = np.array(nx.barabasi_albert_graph(NODES, 3, seed=1).edges())
BOTH = torch.tensor(np.concatenate([PAIRS, PAIRS[:, ::-1]]).T.copy())
X = torch.tensor(np.random.default_rng(0).normal(size=(NODES, 5)).clip(0).astype(np.float32))


def graph_with(**attributes):
    graph = nx.empty_graph(NODES)
    graph.add_edges_from(PAIRS.tolist())
    for key, value in attributes.items():
        nx.set_node_attributes(graph, {node: value(node) for node in graph}, key)
    return graph


def test_a_first_node_is_no_other_than_the_rest():
    for odd, message in {"old": "'a' of node 0 is no numbers: 'old'", None: "node 0 has no 'a'"}.items():
        with pytest.raises(ValueError, match=message):
            load_graph(graph_with(a=lambda node, odd=odd: node or odd))


@pytest.mark.filterwarnings("ignore:Sparse")
def test_numbers_of_every_kind_are_features():
    def row(node: int) -> list[float]:
        return [0.0, node % 7, 0.5]

    for kind in (
        lambda node: tuple(row(node)),
        lambda node: np.array(row(node), object),
        lambda node: [Decimal(value) for value in row(node)],
        lambda node: [Fraction(value) for value in row(node)],
        lambda node: torch.tensor(row(node)).bfloat16().to_sparse(),
        lambda node: torch.tensor([row(node)]).to_sparse_csr(),
        lambda node: torch.tensor(row(node), requires_grad=True),
        lambda node: scipy.sparse.csr_array([row(node)]),
        lambda node: pandas.Series(row(node)),
    ):
        source = load_graph(graph_with(a=kind))
        assert source.features[:9].tolist() == [row(node) for node in range(9)]
        assert source.left_out == {}
    for ones in (
        (False, True),
        (np.bool_(0), np.bool_(1)),
        (np.float32(0), 1),
        (torch.tensor(0), torch.tensor([1])),
        ([0], 1),
    ):
        assert load_graph(graph_with(a=lambda node, ones=ones: ones[node % 2])).features[:3].tolist() == [[0], [1], [0]]


def test_what_is_nothing_is_left_out_and_told():
    with pytest.warns(UserWarning, match=r"3 attributes of nodes \(a, b, y\)"):
        source = load_graph(graph_with(a=lambda node: [], b=lambda node: None, y=lambda node: 10**30))
    assert (source.described, source.labels) == (False, None)
    assert load_graph(graph_with(y=lambda node: torch.tensor([node % 3]))).labels[:4].tolist() == [0, 1, 2, 0]
    with pytest.warns(UserWarning, match=r"\(y\)"):
        assert load_graph(graph_with(y=lambda node: [[1], [2, 3]])).labels is None


def test_arrays_of_any_kind_make_a_source():
    for features in (X.bfloat16(), X.to_sparse(), scipy.sparse.csr_array(X.numpy()), X.tolist()):
        found = GraphSource(torch.tensor(PAIRS), features=features, labels=torch.arange(NODES))
        assert np.allclose(found.features, X.numpy(), atol=0.02)
    with pytest.raises(ValueError, match="graph 'graph': features are a list that is no array of numbers"):
        GraphSource(PAIRS, features=[[1], [1, 2]])


@pytest.mark.filterwarnings("ignore:Sparse")
def test_entries_of_0_are_no_edges_in_any_matrix():
    values = torch.arange(1782) % 891 % 3  # 0 for a third of the pairs, in both directions
    matrix = torch.sparse_coo_tensor(BOTH, values.float(), (NODES, NODES))
    right = {"entries of 0": 594, "values beside edges": 594, "repeated edges": 594}
    for form in (matrix, matrix.to_sparse_csr(), scipy.sparse.coo_array((values.numpy(), BOTH.numpy()), (NODES, NODES))):
        for source in (Data(adj_t=form), Data(x=X, edge_index=form)):
            with pytest.warns(UserWarning, match="594 entries of 0"):
                graph = load_graph(source)
            assert (graph.left_out, len(graph)) == (right, 594)
    dense = torch.zeros(NODES, NODES)
    dense[BOTH[0], BOTH[1]] = 1
    with pytest.warns(UserWarning, match="entries of 0"):  # those that fill blocks
        assert np.array_equal(load_graph(Data(adj_t=dense.to_sparse_bsr((2, 2)))).edges, GraphSource(PAIRS).edges)
