"""Graphs in Python: of networkx, PyTorch Geometric and scipy, with what their nodes carry."""

from __future__ import annotations

import os
import subprocess
import sys
import warnings

import gymnasium as gym
import networkx as nx
import numpy as np
import pandas
import pytest
import scipy.sparse
import torch
from gymnasium.utils.env_checker import check_env
from torch_geometric.data import Batch, Data, HeteroData

from ssl4rl_envs.sources.graph_builtin import load_graph
from ssl4rl_envs.sources.graph_networkx import from_networkx, in_order
from ssl4rl_envs.sources.graphs import NODE_SHARES, GraphSource
from ssl4rl_envs.stream import SPLITS, Stream
from ssl4rl_envs.task import Task

NODES = 300
PAIRS = np.array(nx.barabasi_albert_graph(NODES, 3, seed=1).edges())
BOTH = torch.tensor(np.concatenate([PAIRS, PAIRS[:, ::-1]]).T.copy())
X = torch.tensor(np.random.default_rng(0).normal(size=(NODES, 5)).clip(0).astype(np.float32))
MANY_KINDS = torch.eye(45)[torch.arange(NODES) % 45]
ONE_HOT = torch.eye(5)[torch.arange(NODES) % 5]


def drawn(name: str, source) -> Task:
    from ssl4rl_envs import make_task

    task = make_task(f"SSL4RL/{name}-v0", source=source)
    for split in SPLITS:
        batch = task.sample(Stream(split, np.zeros(8, np.uint64), np.arange(8)))
        shown = {key: values[0] for key, values in batch.observation.items()}
        assert task.observation_space.contains(shown)
    return task


# networkx


def graph_with(**attributes):
    graph = nx.barabasi_albert_graph(NODES, 3, seed=1)
    for key, value in attributes.items():
        for node in graph:
            if (one := value(node)) is not ...:
                graph.nodes[node][key] = one
    return graph


def test_attributes_of_nodes_are_features():
    source = load_graph(
        graph_with(
            colour=lambda node: ("red", "blue")[node % 2],
            age=lambda node: node / 2,
            vector=lambda node: np.array([[node, 1], [2, 3]], np.float32),
            old=lambda node: node > 7,
            tensor=lambda node: torch.tensor([node], dtype=torch.bfloat16),
            words=lambda node: [node % 3, 4],
        )
    )
    row = [3.5, 1, 0, 0, 7, 7, 1, 2, 3, 1, 4]  # age, blue, red, old, tensor, vector, words: in the order of their names
    assert source.features[7].tolist() == row
    assert source.left_out == {}
    assert drawn("EdgePrediction", source).observation_space["x"].shape[-1] == len(row)


def test_labels_and_names_are_no_features():
    with pytest.warns(UserWarning, match=r"1 attributes of nodes \(id\)"):
        source = load_graph(graph_with(y=lambda node: node % 4, x=lambda node: [node, 1], id=lambda node: node))
    assert source.features[5].tolist() == [5, 1]
    assert source.labels[:6].tolist() == [0, 1, 2, 3, 0, 1]
    assert source.left_out == {"attributes of nodes": 1}
    assert load_graph(graph_with(label=lambda node: "ab"[node % 2])).labels[:3].tolist() == [0, 1, 0]


def test_what_describes_nothing_is_left_out_and_told():
    graph = nx.DiGraph(graph_with(title=lambda node: f"n{node}", viz=lambda node: {"size": node}))
    nx.set_edge_attributes(graph, 2.0, "weight")
    graph.add_edge(4, 4)
    with pytest.warns(
        UserWarning, match=r"2 attributes of nodes \(title, viz\); 1782 values beside edges .* 1 loops"
    ) as told:
        source = load_graph(graph)
    assert len(told) == 1
    assert source.left_out == {
        "attributes of nodes": 2,
        "values beside edges": 1782,
        "directions": 1783,
        "loops": 1,
        "repeated edges": 891,
    }
    assert not source.described


def test_attributes_can_be_chosen():
    graph = graph_with(age=float, title=lambda node: f"n{node}", income=lambda node: 1.0 if node else ...)
    with pytest.warns(UserWarning, match=r"2 attributes of nodes \(income, title\)"):
        assert from_networkx(graph, attributes=["age"]).features.shape == (NODES, 1)
    with pytest.warns(UserWarning, match=r"3 attributes of nodes"):
        assert not from_networkx(graph, attributes=[]).described
    with pytest.raises(ValueError, match=r"no attribute 'wage'; they have age, income, title"):
        from_networkx(graph, attributes=["wage"])


@pytest.mark.parametrize(
    ("odd", "other", "message"),
    [
        (..., 1.0, "node 7 has no 'a', as 1 of 300 nodes"),
        (None, 1.0, "node 7 has no 'a'"),
        (..., "red", "node 7 has no 'a'"),
        (float("nan"), 1.0, "'a' of node 7 is not finite: nan"),
        ([1, 2, 3], [1, 2], r"'a' of node 7 is numbers of shape \(3,\), and of other nodes \(2,\): \[1, 2, 3\]"),
        (np.ones((2, 3)), np.ones((3, 2)), r"is numbers of shape \(2, 3\), and of other nodes \(3, 2\)"),
        ([], 1.0, r"is numbers of shape \(0,\), and of other nodes \(1,\): \[\]"),
        (1 + 2j, 1.0, r"is no table of real numbers: \(1\+2j\)"),
        (torch.tensor([1j]), 1.0, "is no table of real numbers: tensor"),
        (torch.ones(1, device="meta"), 1.0, "is no table of real numbers: tensor"),
        ([[1], [2, 3]], [1], r"is no table of real numbers: \[\[1\], \[2, 3\]\]"),
        ([1, None], [1, 2], r"is no table of real numbers: \[1, None\]"),
        (1e300, 1.0, r"is beyond float32: 1e\+300"),
        (10**400, 1.0, "is no table of real numbers: 10000.*0000;"),
        (pandas.NA, 1.0, "node 7 has no 'a', as 1 of 300 nodes"),
        (float("nan"), "red", "'a' of node 7 is nan, and of others a word"),
        ({"x": 1}, 1.0, "is no numbers: {'x': 1}"),
        ("old", 1.0, "'a' of node 7 is no numbers: 'old'"),
        (5, "red", "'a' of node 7 is 5, and of others a word"),
    ],
)
def test_attributes_that_are_no_table_name_the_node(odd, other, message):
    words = "red"
    graph = graph_with(a=lambda node: odd if node == 7 else "blue" if other is words and node % 2 else other)
    with pytest.raises(ValueError, match=message) as refused:
        load_graph(graph)
    assert "graph 'networkx'" in str(refused.value)
    assert "attributes=[...]" in str(refused.value)


def test_nodes_keep_their_names():
    assert load_graph(nx.grid_2d_graph(9, 9)).names[10] == (1, 1)
    assert load_graph(nx.relabel_nodes(graph_with(), lambda node: 10 * node)).names[:3].tolist() == [0, 10, 20]
    assert load_graph("karate").names[:3].tolist() == [0, 1, 2]


# PyTorch Geometric

FORMS = {
    "coo": lambda tensor: tensor.to_sparse_coo(),
    "csr": lambda tensor: tensor.to_sparse_csr(),
    "csc": lambda tensor: tensor.to_sparse_csc(),
}


class SparseTensor:
    """What torch-sparse's class offers of what is asked of it; it is not installed."""

    def __init__(self, dense: torch.Tensor, valued: bool = True) -> None:
        self.dense, self.valued = dense, valued

    def coo(self):
        row, column = self.dense.nonzero().T
        return row, column, self.dense[row, column] if self.valued else None

    def to_dense(self):
        return self.dense

    def size(self, dimension: int) -> int:
        return self.dense.shape[dimension]


FORMS["SparseTensor"] = SparseTensor


WORDS = """
import json, networkx as nx
from ssl4rl_envs.sources.graph_networkx import from_networkx
whole = nx.relabel_nodes(nx.connected_watts_strogatz_graph(200, 6, 0.2, seed=1), lambda number: f"paper {number}")
graph = from_networkx(whole.subgraph(list(whole)[:80]))
print(graph.fingerprint)
"""


def test_a_part_of_a_graph_is_the_same_in_every_process():
    """networkx lists the nodes of a small part as a set does, and sets of words are ordered by a secret of the process."""
    told = set()
    for secret in ("1", "2"):
        where = {**os.environ, "PYTHONHASHSEED": secret}
        told.add(subprocess.run([sys.executable, "-c", WORDS], env=where, capture_output=True, check=True, text=True).stdout)
    assert len(told) == 1


def test_nodes_are_numbered_by_their_names():
    mixed = [(1, "b"), "b", 10, (1, "a"), 2, b"x", "a", (1,), 2.5]
    expected = [2, 2.5, 10, "a", "b", b"x", (1,), (1, "a"), (1, "b")]
    assert in_order(mixed) == in_order(reversed(mixed)) == expected
    odd = [3, frozenset({1}), 1]
    assert in_order(odd) == odd
    graph = nx.relabel_nodes(nx.complete_graph(20), lambda number: f"{19 - number:02}")
    nx.set_node_attributes(graph, {name: float(name) for name in graph}, "size")
    source = from_networkx(graph)
    assert source.names.tolist() == sorted(graph)
    assert source.features[:, 0].tolist() == list(range(20))


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.filterwarnings("ignore:Sparse")
def test_sparse_features_and_adjacency_are_what_dense_ones_are(form):
    adjacency = torch.zeros(NODES, NODES)
    adjacency[BOTH[0], BOTH[1]] = 1
    theirs = Data(x=X, edge_index=BOTH)
    right = load_graph(theirs)
    for data in (
        Data(x=FORMS[form](X), edge_index=BOTH),
        Data(x=X, adj_t=FORMS[form](adjacency)),
        Data(x=FORMS[form](X.bfloat16()), adj_t=FORMS[form](adjacency)),
    ):
        found = load_graph(data)
        assert np.array_equal(found.edges, right.edges)
        assert np.allclose(found.features, right.features, atol=0.02)
    with pytest.warns(UserWarning, match="1782 values beside edges"):
        assert np.array_equal(load_graph(Data(x=X, adj_t=FORMS[form](2 * adjacency))).edges, right.edges)


def test_a_sparse_adjacency_tells_how_many_nodes_there_are():
    adjacency = torch.zeros(NODES + 5, NODES + 5)
    adjacency[BOTH[0], BOTH[1]] = 1
    assert load_graph(Data(adj_t=SparseTensor(adjacency, valued=False))).nodes == NODES + 5
    with pytest.raises(ValueError, match=r"`adj_t` must be a square matrix, got shape \(5, 305\)"):
        load_graph(Data(adj_t=SparseTensor(adjacency[:5])))


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float64, torch.int64, torch.uint8, torch.bool])
def test_features_of_any_real_dtype_are_taken_over(dtype):
    source = load_graph(Data(x=X.to(dtype).requires_grad_(dtype.is_floating_point), edge_index=BOTH))
    assert np.array_equal(source.features, X.to(dtype).float().numpy())


def test_features_of_one_number_are_a_column_and_of_none_are_none():
    assert load_graph(Data(x=X[:, 0], edge_index=BOTH)).features.shape == (NODES, 1)
    assert not load_graph(Data(x=X[:, :0], edge_index=BOTH)).described


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ({"x": X.to(torch.complex64), "edge_index": BOTH}, "got complex64"),
        ({"x": X[:, :, None], "edge_index": BOTH}, r"finite numbers \(300, F\), got float32 \(300, 5, 1\)"),
        ({"x": X.index_fill(0, torch.tensor([7]), torch.nan), "edge_index": BOTH}, "feature 0 of node 7 is nan"),
        ({"x": X.double() * 1e300, "edge_index": BOTH}, "finite numbers .* of float32"),
        ({"x": X, "edge_index": BOTH[:, :0]}, "holds no edge"),
        ({"x": X}, "neither `edge_index` nor `adj_t`"),
        ({"x": X, "edge_index": BOTH.T}, r"`edge_index` must be whole numbers \(2, E\), got int64 \(1782, 2\)"),
        ({"x": X, "edge_index": BOTH.float()}, "got float32"),
        ({"x": X, "edge_index": BOTH - 1}, "from 0 on.* from -1 to 298"),
        ({"x": X[:200], "edge_index": BOTH}, "200 nodes do not hold edges up to node 299"),
        ({"x": X, "edge_index": BOTH, "num_nodes": 305}, r"finite numbers \(305, F\)"),
        ({"x": X, "edge_index": BOTH[:1]}, r"`edge_index` must be whole numbers \(2, E\), got int64 \(1, 1782\)"),
        ({"x": torch.tensor(3.0), "edge_index": BOTH}, "`x` must be an array, got Tensor"),
        ({"x": {"a": 1}, "edge_index": BOTH}, "`x` must be an array, got dict"),
        ({"x": [[1], [2, 3]], "edge_index": BOTH}, "`x` is a list that is no array of numbers"),
        ({"x": X.to("meta"), "edge_index": BOTH}, "`x` is a Tensor that is no array of numbers: .*meta"),
        ({"edge_index": BOTH, "num_nodes": 300.5}, "`num_nodes` must be a whole number, got 300.5"),
        ({"x": X, "adj_t": torch.ones(5).to_sparse()}, r"`adj_t` must be a square matrix, got shape \(5,\)"),
        ({"x": X, "adj_t": torch.ones(5, 5)}, "`adj_t` must be a sparse matrix, got Tensor"),
    ],
)
def test_data_that_make_no_graph_are_refused_in_a_sentence(data, message):
    with pytest.raises(ValueError, match=message):
        load_graph(Data(**data))


def test_nodes_of_several_kinds_are_refused():
    data = HeteroData()
    data["paper"].x = data["author"].x = X
    data["author", "writes", "paper"].edge_index = BOTH
    with pytest.raises(ValueError, match=r"HeteroData has paper, author; data\.to_homogeneous\(\) makes them one"):
        load_graph(data)


def test_several_graphs_in_one_batch_are_refused():
    with pytest.raises(ValueError, match="DataBatch holds 2; choose one of them"):
        load_graph(Batch.from_data_list([Data(x=X, edge_index=BOTH)] * 2))


def test_what_data_hold_beside_edges_is_told():
    with pytest.warns(UserWarning, match="1782 values beside edges"):
        load_graph(Data(x=X, edge_index=BOTH, edge_attr=torch.ones(1782, 2)))
    with pytest.warns(UserWarning, match="`y` that is not a class for each node"):
        assert load_graph(Data(x=X, edge_index=BOTH, y=X)).labels is None
    with pytest.warns(UserWarning, match="more than half of its 29901 nodes stand in no edge"):
        load_graph(Data(edge_index=BOTH * 100, num_nodes=29901))
    assert load_graph(Data(x=X, edge_index=BOTH, y=torch.arange(NODES)[:, None])).labels[5] == 5


# Features that tell kinds of nodes


@pytest.mark.parametrize("features", [ONE_HOT, ONE_HOT[:, :2], MANY_KINDS, torch.zeros(NODES, 3), torch.ones(NODES, 1)])
def test_features_that_tell_a_few_kinds_do_not_split_the_nodes(features):
    source = load_graph(Data(x=features, edge_index=BOTH))
    assert source.kinds
    shares = [len(source.nodes_of(split)) / NODES for split in SPLITS]
    assert shares == pytest.approx(NODE_SHARES, abs=0.08)
    for name in ("EdgePrediction", "NeighborChoice", "GraphDistance"):
        drawn(name, source)
    for name in ("NodeAttribute", "MaskedFeatures"):
        with pytest.raises(ValueError, match=r"graph 'pyg' has no more than \d+ different rows"):
            drawn(name, source)


def test_one_large_group_of_equal_nodes_does_not_take_a_split_with_it():
    features = np.eye(NODES, dtype=np.float32)
    features[: 2 * NODES // 3] = 0
    lumped = GraphSource(PAIRS, features=features)
    assert all(2 * len(lumped.nodes_of(split)) >= share * NODES for split, share in zip(SPLITS, NODE_SHARES, strict=True))
    features[: NODES // 3] = 0
    features[NODES // 3 :] = np.eye(NODES)[NODES // 3 :]
    assert not GraphSource(PAIRS, features=features).kinds  # most differ: equal ones stay together


def test_a_split_without_nodes_is_an_error_that_says_so():
    train = GraphSource(PAIRS, features=np.arange(NODES)[:, None]).nodes_of("train")[:12]
    small = GraphSource([(one, other) for one in range(12) for other in range(one)], features=train[:, None])
    with pytest.raises(ValueError, match="of its 12 nodes none falls to the split validation"):
        small.nodes_of("validation")


def test_a_table_of_zeros_has_bounds():
    env = gym.make("SSL4RL/EdgePrediction-v0", source=GraphSource(PAIRS, features=np.zeros((NODES, 3))))
    assert (env.observation_space["x"].low.min(), env.observation_space["x"].high.max()) == (0, 1)
    check_env(env.unwrapped, skip_render_check=True)


# What may change between two questions


def test_a_graph_or_file_that_has_changed_is_read_again(tmp_path):
    from ssl4rl_envs import make_task

    file, graph = tmp_path / "edges.txt", nx.Graph(PAIRS.tolist())
    for nodes in (NODES, NODES + 1):
        graph.add_edge(0, nodes - 1)
        nx.write_edgelist(graph, file, data=False)
        for source in (graph, file, f"file:{file}"):
            assert make_task("SSL4RL/EdgePrediction-v0", source=source).source.nodes == nodes
    source = GraphSource(PAIRS)
    kept = [make_task("SSL4RL/EdgePrediction-v0", source=source) for _ in range(2)]
    assert kept[0] is kept[1]


# scipy and arrays


def test_adjacency_matrices_are_read():
    matrix = scipy.sparse.csr_array((np.ones(len(PAIRS)), PAIRS.T), shape=(NODES, NODES))
    right = GraphSource(PAIRS)
    for form in (matrix, matrix + matrix.T, matrix.tocoo(), matrix.tolil(), scipy.sparse.csr_matrix(matrix)):
        assert np.array_equal(load_graph(form).edges, right.edges)
    for form in ("csc", "dok", "bsr"):
        assert np.array_equal(load_graph(matrix.asformat(form)).edges, right.edges)
    odd = matrix.tocoo()
    odd.data[:3] = np.nan, 0, -1
    with pytest.warns(UserWarning, match=r"1 entries of 0; 2 values .*, and 1 negative, 1 missing or no number do too"):
        assert len(load_graph(odd)) == len(PAIRS) - 1
    with pytest.raises(TypeError, match=r"GraphSource\(pairs\), an adjacency matrix \(N, N\) as scipy\.sparse"):
        load_graph(matrix.toarray())


def test_what_is_given_stays_as_it_was():
    features, names = np.ones((NODES, 2), np.float32), np.arange(NODES)
    source = GraphSource(PAIRS, features=features, names=names)
    features[0] = names[0] = 5
    assert (source.features[0, 0], source.names[0]) == (1, 0)
    with pytest.raises(ValueError, match=r"names must be \(300,\)"):
        GraphSource(PAIRS, names=[1, 2])


@pytest.mark.parametrize("kind", [int, float, str, lambda value: value + 0.5])
def test_a_second_label_is_no_feature(kind):
    graph = nx.barabasi_albert_graph(200, 3, seed=0)
    for node in graph:
        graph.nodes[node].update(label=kind(node % 3), y=kind(node % 4))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        source = load_graph(graph)
    assert not source.described
    assert (source.labels is None) == (kind(0) == 0.5)
