"""Kernels of graphs: the same bits as the NumPy reference, and the right values where they can be told by hand."""

from __future__ import annotations

import importlib
from types import ModuleType

import networkx as nx
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ssl4rl_envs import Stream, kernels, make_task
from ssl4rl_envs.kernels import graph_edges, neighbourhoods, node_features
from ssl4rl_envs.sources.graphs import EDGE_SHARES, _bounds

SIZES = st.tuples(st.integers(2, 40), st.integers(0, 120), st.integers(0, 2**32))
TASKS = (
    ("EdgePrediction", {"negatives": "degree"}),
    ("EdgePrediction", {"negatives": "two_hop", "features": "id"}),
    ("NeighborChoice", {"candidates": 8}),
    ("GraphDistance", {}),
    ("NodeAttribute", {"attribute": "word"}),
    ("MaskedFeatures", {}),
)


def pairs_of(nodes: int, edges: int, seed: int) -> np.ndarray:
    """Random pairs of nodes, each once, the smaller first, sorted, (m, 2); at least one."""
    rng = np.random.default_rng(seed)
    one, other = rng.integers(0, nodes, (2, edges + 1))
    pairs = np.sort(np.stack([one, np.where(one == other, (one + 1) % nodes, other)], axis=1), axis=1)
    return np.unique(pairs, axis=0).astype(np.int32)


def both(area: str) -> list[ModuleType]:
    pytest.importorskip("numba")
    return [importlib.import_module(f"{package}.{area}") for package in kernels.PACKAGES.values()]


def same(area: str, name: str, outs: tuple[np.ndarray, ...], *arguments: object) -> tuple[np.ndarray, ...]:
    """Call both implementations on arrays that are written, and hold these equal."""
    found = []
    for module in both(area):
        written = tuple(out.copy() for out in outs)
        getattr(module, name)(*written, *arguments)
        found.append(written)
    for one, other in zip(*found, strict=True):
        assert np.array_equal(one, other)
    return found[0]


@settings(max_examples=60, deadline=None)
@given(count=st.integers(0, 300), values=st.sampled_from((3, 50, 2**62)), seed=st.integers(0, 2**32))
def test_words_are_sorted_with_their_marks_and_equal_ones_stay_in_order(count, values, seed):
    pytest.importorskip("numba")
    from ssl4rl_envs.kernels.compiled.sorting import sort

    drawn = np.random.default_rng(seed).integers(0, values, count + 2).astype(np.uint64) << np.uint64(2)  # beyond int64 too
    words, marks = drawn.copy(), np.arange(count + 2)
    sort(words, marks, count, np.zeros(count + 2, np.uint64), np.full(count + 2, 7))
    order = np.argsort(drawn[:count], kind="stable")
    assert np.array_equal(marks, [*order, count, count + 1])
    assert np.array_equal(words, drawn[marks])


@settings(max_examples=60, deadline=None)
@given(
    size=SIZES, asked=st.integers(1, 4), fanouts=st.lists(st.integers(1, 6), min_size=1, max_size=3), hides=st.integers(0, 3)
)
def test_neighbourhoods_are_those_of_the_reference(size, asked, fanouts, hides):
    pairs, rng = pairs_of(*size), np.random.default_rng(size[2])
    rows = graph_edges.compress(pairs, size[0])
    count, asked = 5, min(asked, size[0])
    targets = np.stack([rng.permutation(size[0])[:asked] for _ in range(count)])
    hidden = pairs[rng.integers(0, len(pairs), (count, hides))].astype(np.int64)
    hidden[rng.random((count, hides)) < 0.2] = -1
    nodes, edges = neighbourhoods.size_of(asked, tuple(fanouts))
    outs = (
        np.zeros((count, nodes), np.int64),
        np.zeros((count, 2, edges), np.int64),
        np.zeros((count, edges), bool),
        np.zeros((count, asked), np.int64),
    )
    keys = rng.integers(0, 2**64, count, np.uint64)
    found, edge_index, mask, local = same(
        "neighbourhoods", "sample", outs, *rows, targets, np.array(fanouts), hidden, keys, np.uint64(size[2] % 7)
    )
    assert np.array_equal(np.take_along_axis(found, local, axis=1), targets)
    for row in range(count):
        ends = np.sort(found[row][edge_index[row][:, mask[row]].T], axis=1)
        shown = {tuple(pair) for pair in ends.tolist()}
        assert shown <= {tuple(pair) for pair in pairs.tolist()} - {tuple(sorted(pair)) for pair in hidden[row].tolist()}


@settings(max_examples=60, deadline=None)
@given(size=SIZES, count=st.integers(0, 30))
def test_edges_are_looked_up_as_by_the_reference_and_by_sets(size, count):
    pairs, rng = pairs_of(*size), np.random.default_rng(size[2])
    nodes = size[0]
    shown, held = pairs[: -(-len(pairs) // 2)], pairs[-(-len(pairs) // 2) :].astype(np.int64)
    rows = same("graph_edges", "compress", (np.zeros(nodes + 1, np.int32), np.zeros(2 * len(shown), np.int32)), shown)
    near = [sorted(nx.Graph(shown.tolist()).neighbors(node)) if (shown == node).any() else [] for node in range(nodes)]
    assert np.split(rows[1], rows[0][1:-1])[0].tolist() == near[0]
    assert rows[1].tolist() == [node for row in near for node in row]
    one, other = rng.integers(0, nodes, (2, count))
    places = same("graph_edges", "locate", (np.zeros(count, np.int64),), *rows, one, other)[0]
    assert places.tolist() == [near[a].index(b) if b in near[a] else -1 for a, b in zip(one, other, strict=True)]
    keys = held[:, 0] * nodes + held[:, 1]
    found = same("graph_edges", "joined", (np.zeros(count, bool),), *rows, keys, one, other)[0]
    known = {tuple(pair) for pair in pairs.tolist()}
    assert found.tolist() == [(min(a, b), max(a, b)) in known for a, b in zip(one.tolist(), other.tolist(), strict=True)]
    key = np.uint64(size[2])
    split = same("graph_edges", "splits", (np.zeros(count, np.int8),), key, _bounds(EDGE_SHARES), one, other)[0]
    assert np.array_equal(split, graph_edges.splits(int(key), _bounds(EDGE_SHARES), other, one))


@settings(max_examples=60, deadline=None)
@given(size=SIZES, count=st.integers(0, 6), tries=st.integers(3, 12), chosen=st.integers(1, 3))
def test_what_is_chosen_is_apart(size, count, tries, chosen):
    """Each choice by hand from what it must be; the same in both."""
    pairs, rng = pairs_of(*size), np.random.default_rng(size[2])
    shown, held = np.split(pairs, [-(-len(pairs) // 2)])
    edges = graph_edges.Edges(*graph_edges.compress(shown, size[0]), held[:, 0].astype(np.int64) * size[0] + held[:, 1])
    known = {frozenset(pair) for pair in pairs.tolist()}
    one, other = rng.integers(0, size[0], (2, count, tries))
    key, bounds, split = np.uint64(size[2]), _bounds(EDGE_SHARES), int(rng.integers(0, 2))
    outs = np.zeros(count, np.int64), np.zeros(count, bool)
    first, found = same("graph_drafts", "first_apart", outs, *edges, key, bounds, split, one, other)
    of = graph_edges.splits(int(key), bounds, one, other)
    good = [
        [a != b and {a, b} not in known for a, b in zip(*row, strict=True)]
        for row in zip(one.tolist(), other.tolist(), strict=True)
    ]
    good = np.array(good, bool).reshape(count, tries) & (of == split)
    assert np.array_equal(found, good.any(axis=1))
    assert np.array_equal(first, good.argmax(axis=1))
    ends, outs = pairs[rng.integers(0, len(pairs), count)].astype(np.int64), (np.zeros((count, chosen), np.int64), outs[1])
    places, enough = same("graph_drafts", "distractors", outs, *edges, ends, one)
    for row, pair in enumerate(ends.tolist()):
        apart = [
            node for node in dict.fromkeys(one[row].tolist()) if all({node, end} not in known and node != end for end in pair)
        ]
        nodes = one[row][places[row]].tolist()
        assert len(set(places[row].tolist())) == chosen
        fits = len(apart) >= chosen and not any({a, b} in known for a in nodes for b in nodes)
        assert enough[row] == fits
        assert nodes == apart[:chosen] or not fits


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 2**32), count=st.integers(0, 6), slots=st.integers(1, 3), common=st.integers(0, 3))
def test_swapped_words_are_had_by_one_and_lacked_by_the_other(seed, count, slots, common):
    rng = np.random.default_rng(seed)
    table = rng.random((8, 12)) < 0.15
    table[:, :common] = True
    table[0] = False
    _, columns = np.nonzero(table)
    words = np.concatenate([[0], np.cumsum(table.sum(axis=1))]), columns.astype(np.int32)
    one, other = rng.integers(0, 8, (2, count, slots))
    outs = np.zeros(one.shape, np.int64), np.zeros(one.shape, np.int64), np.zeros(one.shape, bool)
    keys = rng.integers(0, 2**64, count, np.uint64)
    own, theirs, found = same("graph_drafts", "swapped_words", outs, *words, one, other, keys, np.uint64(3), 4)
    assert (table[one, own] & ~table[other, own] & table[other, theirs] & ~table[one, theirs])[found].all()


@settings(max_examples=40, deadline=None)
@given(size=SIZES, most=st.integers(1, 5))
def test_distances_are_those_of_networkx(size, most):
    pairs = pairs_of(*size).astype(np.int64)
    nodes, start = np.arange(size[0] + 2)[None], np.array([size[2] % size[0]])
    nodes = np.where(nodes < size[0], nodes, -1)
    edge_index = np.concatenate([pairs, pairs[:, ::-1], [[0, start[0]]]]).T[None]  # the last is none
    mask = np.arange(edge_index.shape[2])[None] < 2 * len(pairs)
    found = same("graph_edges", "distances", (np.zeros(nodes.shape, np.int64),), nodes, edge_index, mask, start, most)[0]
    graph = nx.Graph(pairs.tolist())
    graph.add_nodes_from(range(size[0]))
    far = nx.single_source_shortest_path_length(graph, int(start[0]))
    assert found[0].tolist() == [min(far.get(node, most), most) for node in range(size[0])] + [-1, -1]


@settings(max_examples=60, deadline=None)
@given(
    count=st.integers(0, 5),
    shape=st.tuples(st.integers(1, 6), st.integers(1, 70)),
    seed=st.integers(0, 2**32),
    past=st.booleans(),
    offset=st.integers(0, 15),
)
def test_features_are_the_rows_of_the_table_wherever_they_lie(count, shape, seed, past, offset):
    """Also where lines of the caches are cut by the ends of the array."""
    rng = np.random.default_rng(seed)
    table = np.where(rng.random((9, shape[1])) < 0.2, rng.normal(size=(9, shape[1])), 0).astype(np.float32)
    nodes = np.maximum(rng.integers(-4, 9, (count, shape[0])), -1)
    right = np.where(nodes[..., None] >= 0, table[np.maximum(nodes, 0)], np.float32(0))
    rows, columns = np.nonzero(table)
    indptr = np.concatenate([[0], np.cumsum(np.bincount(rows, minlength=9))])
    entries = (indptr, columns.astype(np.int32), table[rows, columns])
    table.flags.writeable = False
    memory = np.full(offset + right.size, 7, np.float32)
    for module in both("node_features"):
        out = memory[offset:].reshape(right.shape)
        out[:] = 7
        module.expand(out, nodes, *entries, past)
        assert np.array_equal(out, right)
        assert (memory[:offset] == 7).all()
        out[:] = 7
        module.gather(out, nodes, table)
        assert np.array_equal(out, right)
    local = rng.integers(0, shape[0], (count, 2))
    kinds = rng.integers(0, 3, 9).astype(np.int32)
    alike = same("node_features", "alike", (np.zeros(nodes.shape, bool),), nodes, local, kinds)[0]
    asked = kinds[np.maximum(np.take_along_axis(nodes, local, axis=1), 0)]
    assert np.array_equal(alike, (nodes >= 0) & (kinds[np.maximum(nodes, 0)][:, :, None] == asked[:, None]).any(axis=2))


def test_many_features_are_streamed_and_are_the_same(monkeypatch):
    task = make_task("SSL4RL/EdgePrediction-v0")
    stream = Stream.span("train", 0, 0, 20)
    near = task.sample(stream).observation["x"]
    monkeypatch.setattr(node_features, "PAST_CACHES", 1)
    assert np.array_equal(task.sample(stream).observation["x"], near)


@pytest.mark.parametrize(("name", "arguments"), TASKS)
def test_graph_tasks_ask_the_same_with_either(name, arguments, monkeypatch):
    pytest.importorskip("numba")
    seen = []
    for forced in kernels.PACKAGES:
        monkeypatch.setenv(kernels.VARIABLE, forced)
        monkeypatch.setenv("SSL4RL_THREADS", "2")
        seen.append(make_task(f"SSL4RL/{name}-v0", **arguments).sample(Stream.span("test", 3, 0, 150)))
    assert np.array_equal(seen[0].target, seen[1].target)
    for key, values in seen[0].observation.items():
        assert values.dtype == seen[1].observation[key].dtype
        assert np.array_equal(values, seen[1].observation[key]), key
