"""Graphs: how they are read, merged, split and looked up."""

from __future__ import annotations

import re

import networkx as nx
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from torch_geometric.data import Data

from ssl4rl_envs.sources.clusters import cluster
from ssl4rl_envs.sources.graph_builtin import CORA_TOPICS, GRAPHS, cora, load_graph
from ssl4rl_envs.sources.graph_files import read_graph
from ssl4rl_envs.sources.graph_models import barabasi_albert, stochastic_block_model
from ssl4rl_envs.sources.graphs import EDGE_SHARES, GraphSource, degree_buckets
from ssl4rl_envs.stream import SPLITS

RING = np.stack([np.arange(200), (np.arange(200) + 1) % 200], axis=1)


def test_cora_is_what_is_known_of_it():
    graph = cora()
    assert (graph.nodes, graph.features.shape, len(graph), graph.duplicates) == (2_708, (2_708, 1_433), 5_278, 151)
    assert graph.binary
    assert int(graph.features.sum()) == 49_216
    assert np.bincount(graph.labels).tolist() == [818, 180, 217, 426, 351, 418, 298]
    assert len(CORA_TOPICS) == 7


@pytest.mark.parametrize("name", GRAPHS.whole())
def test_built_in_graphs_hold_together(name):
    try:
        graph = load_graph(name)
    except (FileNotFoundError, ImportError) as error:  # its data comes inside other packages
        pytest.skip(str(error))
    assert load_graph(name) is graph
    assert (graph.edges[:, 0] < graph.edges[:, 1]).all()
    assert len(np.unique(graph.edges, axis=0)) == len(graph.edges)
    parts = [graph.edges_of(split) for split in SPLITS]
    assert sum(map(len, parts)) == len(graph)
    assert len(np.unique(np.concatenate(parts), axis=0)) == len(graph)
    assert graph.degrees.sum() == len(graph.indices) == 2 * len(parts[0])
    for node in (0, graph.nodes - 1):
        shown = sorted(other for pair in parts[0].tolist() if node in pair for other in pair if other != node)
        assert graph.indices[graph.indptr[node] : graph.indptr[node + 1]].tolist() == shown


def test_shares_are_those_that_are_declared():
    graph = stochastic_block_model(20_000)
    shares = np.bincount(graph.pair_split(*graph.edges.T), minlength=3)
    assert np.abs(shares / shares.sum() - EDGE_SHARES).max() < 0.005


def test_directions_duplicates_and_loops():
    graph = GraphSource(np.concatenate([RING, RING[:, ::-1], RING[:5], [[3, 3]]]))
    assert (len(graph), graph.duplicates, graph.loops) == (200, 205, 1)


@given(st.integers(0, 199), st.integers(0, 199))
@settings(max_examples=60, deadline=None)
def test_pairs_are_joined_and_split_whatever_their_order(one, other):
    graph = GraphSource(RING)
    a, b = np.array([one]), np.array([other])
    assert graph.joined(a, b)[0] == graph.joined(b, a)[0] == (abs(one - other) in (1, 199))
    assert graph.pair_split(a, b)[0] == graph.pair_split(b, a)[0]
    place = int(graph.position(a, b)[0])
    neighbours = graph.indices[graph.indptr[one] : graph.indptr[one + 1]]
    assert (place >= 0) == (other in neighbours)
    assert place < 0 or neighbours[place] == other


def test_which_split_a_pair_is_in_does_not_depend_on_the_rest_of_the_graph():
    more = GraphSource(np.concatenate([RING, [[0, 100], [7, 90]]]))
    assert np.array_equal(GraphSource(RING).pair_split(RING[:, 0], RING[:, 1]), more.pair_split(RING[:, 0], RING[:, 1]))


def test_nodes_with_equal_features_are_twins_and_fall_on_one_side():
    features = np.repeat(np.eye(100, dtype=np.float32), 2, axis=0)
    graph = GraphSource(RING, features=features)
    assert (graph.twins[0::2] == graph.twins[1::2]).all()
    assert len(np.unique(graph.twins)) == 100
    assert (graph.node_split[0::2] == graph.node_split[1::2]).all()
    assert set(graph.node_split) == {0, 1, 2}
    assert GraphSource(RING, features=-np.zeros((200, 3))).twins[0] == GraphSource(RING, features=np.zeros((200, 3))).twins[0]


def test_a_graph_without_features_is_described_by_its_train_degrees():
    graph = load_graph("karate")
    assert not graph.described
    assert np.array_equal(graph.features.argmax(1), degree_buckets(graph.degrees))
    assert degree_buckets(np.array([0, 1, 2, 3, 4, 7, 8, 15, 16])).tolist() == [0, 1, 2, 2, 3, 3, 4, 4, 5]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"edges": [[0, 1, 2]]}, "pairs of node numbers"),
        ({"edges": [[0.5, 1.0]]}, "pairs of node numbers"),
        ({"edges": [[-1, 1]]}, "from 0 on"),
        ({"edges": RING, "nodes": 5}, "5 nodes do not hold edges up to node 199"),
        ({"edges": RING, "features": np.zeros(200)}, r"finite numbers \(200, F\)"),
        ({"edges": RING, "features": np.full((200, 2), np.nan)}, "finite"),
        ({"edges": RING, "labels": [1, 2]}, r"labels must be \(200,\)"),
        ({"edges": [[0, 1]]}, "of its 1 edges none falls to the split"),
    ],
)
def test_arrays_that_do_not_fit_are_errors(arguments, message):
    with pytest.raises(ValueError, match=message):
        GraphSource(**arguments)


# Groups


def test_groups_are_found_and_do_not_depend_on_the_order_of_sums():
    rng = np.random.default_rng(0)
    truth = rng.integers(0, 3, 300)
    rows = np.zeros((300, 30), np.int64)
    rows[np.arange(300)[:, None], truth[:, None] * 10 + rng.integers(0, 10, (300, 4))] = 1
    found = cluster(rows, 3)
    assert all(len(np.unique(found[truth == group])) == 1 for group in range(3))
    assert (np.diff(np.bincount(found)) <= 0).all()
    order = rng.permutation(30)
    assert np.array_equal(cluster(rows[:, order], 3), found)
    with pytest.raises(ValueError, match="cannot be put into 400 groups"):
        cluster(rows, 400)
    with pytest.raises(ValueError, match="too large"):
        cluster(rows * 10**9, 3)


# From elsewhere


@pytest.mark.parametrize("ending", ["txt", "csv", "npz"])
def test_files_are_read(tmp_path, ending):
    file = tmp_path / f"ring.{ending}"
    if ending == "npz":
        np.savez(file, edge_index=RING.T, x=np.ones((200, 2)), y=np.arange(200))
    else:
        comma = "," if ending == "csv" else " "
        file.write_text("# a ring\n\n" + "\n".join(f"{a}{comma}{b}" for a, b in RING))
    graph = load_graph(f"file:{file}")
    assert np.array_equal(graph.edges, GraphSource(RING).edges)
    assert graph.described == (ending == "npz")
    assert graph.name == file.name


def test_names_that_are_no_numbers_are_numbered(tmp_path):
    file = tmp_path / "names.edges"
    file.write_text("\n".join(f"n{a}\tn{b}" for a, b in RING))
    assert len(read_graph(file)) == 200


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("a.txt", "0 1\n2\n", r"a.txt, line 2: an edge is two node names, got '2'"),
        ("a.txt", "# nothing\n", "holds no edge"),
        ("a.pkl", "", "files that end in"),
    ],
)
def test_files_that_are_no_graphs_are_named(tmp_path, name, text, message):
    (tmp_path / name).write_text(text)
    with pytest.raises(ValueError, match=message):
        read_graph(tmp_path / name)


def test_missing_files_and_arrays_are_named(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"nothing\.txt"):
        load_graph(f"file:{tmp_path / 'nothing.txt'}")
    np.savez(tmp_path / "odd.npz", x=np.ones(3))
    with pytest.raises(ValueError, match=r"`edges` .* or `edge_index` .*, and holds x"):
        read_graph(tmp_path / "odd.npz")


def test_graphs_of_networkx_and_pyg_are_taken_over():
    import torch

    theirs = nx.cycle_graph(200)
    assert np.array_equal(load_graph(theirs).edges, GraphSource(RING).edges)
    both = torch.tensor(np.concatenate([RING, RING[:, ::-1]]).T)
    graph = load_graph(Data(x=torch.ones(200, 3), edge_index=both, y=torch.arange(200)))
    assert np.array_equal(graph.edges, GraphSource(RING).edges)
    assert graph.features.shape == (200, 3)
    assert graph.labels[5] == 5
    with pytest.raises(TypeError, match="got int"):
        load_graph(3)
    with pytest.raises(ValueError, match="unknown graph 'corra'; did you mean 'cora'"):
        load_graph("corra")


def test_a_dataset_of_several_graphs_is_refused():
    from torch_geometric.datasets import FakeDataset

    with pytest.raises(ValueError, match="a source is one graph, the dataset FakeDataset holds 3"):
        load_graph(FakeDataset(num_graphs=3))
    assert load_graph(FakeDataset(num_graphs=1, avg_num_nodes=200)).nodes > 50


# Drawn ones


@pytest.mark.parametrize("draw", [stochastic_block_model, barabasi_albert])
def test_drawn_graphs_are_the_same_for_the_same_arguments(draw):
    assert np.array_equal(draw(500).edges, draw(500).edges)
    assert not np.array_equal(draw(500).edges, draw(500, seed=1).edges)
    assert draw(500).nodes == 500
    assert load_graph(f"{'sbm' if draw is stochastic_block_model else 'barabasi_albert'}:500").nodes == 500


def test_blocks_are_joined_within_and_share_words():
    graph = stochastic_block_model(2_000, blocks=4, degree=10, mixing=0.2)
    within = graph.labels[graph.edges[:, 0]] == graph.labels[graph.edges[:, 1]]
    assert within.mean() == pytest.approx(0.8 + 0.2 / 4, abs=0.02)
    assert 2 * len(graph) / 2_000 == pytest.approx(10, abs=0.3)
    own = graph.features.reshape(2_000, 4, 16)[np.arange(2_000), graph.labels].sum() / graph.features.sum()
    assert own > 0.5


def test_attachment_is_preferential():
    degrees = np.bincount(barabasi_albert(3_000, 3).edges.ravel())
    assert degrees.mean() == pytest.approx(6, abs=0.3)
    assert degrees.max() > 15 * degrees.mean()
    assert degrees[:30].mean() > 4 * degrees[-1_000:].mean()


@pytest.mark.parametrize("wrong", [{"features": 2}, {"mixing": 1.5}, {"degree": 0}, {"nodes": 3}])
def test_blocks_that_cannot_be_drawn_are_errors(wrong):
    with pytest.raises(ValueError, match="need features >= blocks"):
        stochastic_block_model(**wrong)
    with pytest.raises(ValueError, match="1 <= edges < nodes"):
        barabasi_albert(5, 5)


def test_built_in_names_are_those_that_errors_list():
    with pytest.raises(ValueError, match=f"known are {re.escape(', '.join(GRAPHS))}$"):
        load_graph("nowhere")
    with pytest.raises(ValueError, match=r"sbm:NODES takes a whole number as NODES, e\.g\. sbm:2048, got 'sbm:many'"):
        load_graph("sbm:many")
