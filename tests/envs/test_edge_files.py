"""Files of edges: what people have is read as they mean it, and what is left out is told."""

from __future__ import annotations

import gzip
import warnings
from io import BytesIO
from pathlib import Path

import networkx as nx
import numpy as np
import pytest
import scipy.io
import scipy.sparse
from hypothesis import given, settings
from hypothesis import strategies as st

from ssl4rl_envs.sources.edge_nodes import number_nodes
from ssl4rl_envs.sources.edge_table import edges_of
from ssl4rl_envs.sources.edge_text import BLANKS, decode, read_table, separator_of
from ssl4rl_envs.sources.graph_builtin import load_graph
from ssl4rl_envs.sources.graph_files import read_graph

PAIRS = [(one, other) for one, other in nx.barabasi_albert_graph(60, 3, seed=1).edges()]
NODES = 60
IDS = np.sort(np.random.default_rng(0).choice(10_000, NODES, replace=False)).tolist()
NAMED = [f"node {number}, x" for number in range(NODES)]


def lines(text: str) -> str:
    """Return PAIRS with a line each; `{i}`, `{a}` and `{b}` are the row and the nodes."""
    return "\n".join(text.format(i=i, a=a, b=b, A=IDS[a], B=IDS[b], N=NAMED[a], M=NAMED[b]) for i, (a, b) in enumerate(PAIRS))


def read(folder: Path, text: str | bytes, name: str = "edges.csv"):
    file = folder / name
    file.write_bytes(text if isinstance(text, bytes) else text.encode())
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        graph = read_graph(file)
    return graph, " | ".join(str(warning.message) for warning in told)


def pairs_of(graph) -> set[frozenset]:
    return {frozenset((graph.names[one], graph.names[other])) for one, other in graph.edges}


GIVEN = {frozenset(pair) for pair in PAIRS}
WITH_GAPS = {frozenset((IDS[one], IDS[other])) for one, other in PAIRS}
WITH_NAMES = {frozenset((NAMED[one], NAMED[other])) for one, other in PAIRS}

READ = {
    "header": ("source,target,weight\n" + lines("{a},{b},1.0"), GIVEN),
    "header of any words": ("left\tright\n" + lines("{a}\t{b}"), GIVEN),
    "header that tells the columns": ("weight,id,target,source\n" + lines("0.5,{i},{b},{a}"), GIVEN),
    "header of a table of Gephi": ("Source;Target;Type;Id;Label\n" + lines("{a};{b};Undirected;{i};"), GIVEN),
    "header over names": ('"from","to"\n' + lines('"{N}","{M}"'), WITH_NAMES),
    "header told by a weight": ("a person\tanother\tweight\n" + lines("{N}\t{M}\t0.5"), WITH_NAMES),
    "index of pandas": (",source,target\n" + lines("{i},{a},{b}"), GIVEN),
    "index of pandas over numbered columns": (",0,1\n" + lines("{i},{a},{b}"), GIVEN),
    "index and weights": (",source,target,weight\n" + lines("{i},{a},{b},2"), GIVEN),
    "index of R": ('"from" "to"\n' + lines('"{i}" {a} {b}'), GIVEN),
    "index without header": (lines("{i},{a},{b}"), GIVEN),
    "semicolons": (lines("{a}; {b}"), GIVEN),
    "semicolons and decimal commas": (lines("{a};{b};0,5"), GIVEN),
    "commas before semicolons": (lines("{a},{b},x;y"), GIVEN),
    "blanks and decimal commas": (lines("{a} {b} 0,5"), GIVEN),
    "byte-order mark, CR LF": ("\ufeffsource,target\r\n" + lines("{a},{b}").replace("\n", "\r\n"), GIVEN),
    "gaps": ("# FromNodeId\tToNodeId\n" + lines("{A}\t{B}"), WITH_GAPS),
    "gaps, as floats": (lines("{A}.0,{B}"), WITH_GAPS),
    "comments of three kinds": ("# a\n% b\n// c\n\n" + lines("{a} {b}"), GIVEN),
    "names with blanks and commas": (lines("{N}\t{M}"), WITH_NAMES),
    "numbers with tabs behind": (lines("{a} {b}\t1\t1082008561"), GIVEN),
    "separators at the ends": ("source,target\n" + lines("{a},{b},") + "\n,,\n", GIVEN),
    "attributes of networkx": ("\n".join(nx.generate_edgelist(nx.Graph(PAIRS), delimiter=",")), GIVEN),
}


@pytest.mark.parametrize("case", READ)
def test_files_are_read_as_they_are_meant(tmp_path, case):
    text, right = READ[case]
    graph, _ = read(tmp_path, text)
    assert pairs_of(graph) == right
    assert (graph.nodes, len(graph)) == (NODES, len(PAIRS))


@given(
    separator=st.sampled_from(["\t", ",", ";", " ", ", ", " ; ", "   "]),
    header=st.sampled_from(["", "source target", "FromNodeId ToNodeId", "one other", "index"]),
    weight=st.booleans(),
    newline=st.sampled_from(["\n", "\r\n", "\r"]),
    encoding=st.sampled_from(["utf-8", "utf-8-sig", "utf-16"]),
    ids=st.lists(st.integers(-(2**63) + 1, 2**63 - 1), min_size=3, max_size=30, unique=True),
)
@settings(max_examples=80, deadline=None)
def test_every_way_to_write_edges_is_read_alike(separator, header, weight, newline, encoding, ids):
    ring = list(zip(ids, [*ids[1:], ids[0]], strict=True))
    rows = [[str(one), str(other), *(["0.5"] if weight else [])] for one, other in ring]
    title = [*header.split(), *(["w"] if weight else [])] if header else []
    if header == "index" and separator.strip():
        rows, title = [[str(i), *row] for i, row in enumerate(rows)], ["", "a", "b", *(["w"] if weight else [])]
    elif header == "index":
        title = []
    text = newline.join(separator.join(row) for row in [*([title] if title else []), *rows])
    found = edges_of(read_table(decode(text.encode(encoding), "f"), "f"))
    assert [tuple(pair) for pair in found.names[found.edges].tolist()] == ring
    assert found.left_out.counts.get("header", 0) == bool(title)
    assert found.left_out.counts.get("values beside edges", 0) == weight * len(ring)


# What is left out


def test_what_is_left_out_is_counted_and_told(tmp_path):
    odd = {3: "0", 4: "-1", 5: "nan", 6: ""}
    rows = [f"{a},{b},{odd.get(i, '1.5')}" for i, (a, b) in enumerate(PAIRS)]
    text = "# people\nsource,target,weight\n" + "\n".join(
        [*rows, "7,7,1", "# late", "1,0,1,more", f"{PAIRS[9][1]},{PAIRS[9][0]},1"]
    )
    graph, told = read(tmp_path, text)
    assert graph.left_out == {
        "lines of comments": 2,
        "header": 1,
        "lines of another length, of which the two nodes are kept": 1,
        "values beside edges": len(PAIRS) - 1 + 3,
        "loops": 1,
        "repeated edges": 1 + ((0, 1) in PAIRS),
    }
    assert (graph.loops, pairs_of(graph)) == (1, GIVEN | {frozenset((0, 1))})
    late = len(PAIRS) + 4
    assert f"1 of them amid edges (first: line {late})" in told
    assert f"(lines {late + 1})" in told
    assert "an edge counts once, whatever its weight, and 1 of 0, 1 negative, 2 missing or no number do too" in told


def test_nothing_left_out_is_no_warning(tmp_path):
    assert read(tmp_path, "# SNAP\n" + lines("{A}\t{B}"))[1] == ""
    assert read(tmp_path, "source,target\n" + lines("{a},{b}"))[1] == ""


def test_warnings_point_at_who_asked(tmp_path):
    (tmp_path / "e.txt").write_text(lines("{a} {b} 2"))
    with pytest.warns(UserWarning, match="values beside edges") as told:
        load_graph(f"file:{tmp_path / 'e.txt'}")
    assert told[0].filename == __file__


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("person A\tperson B\n" + lines("{N}\t{M}"), "line 1 counts as an edge, and 'person A' and 'person B' stand nowhere"),
        (f"{NODES} {len(PAIRS)}\n" + lines("{A} {B}"), "line 1 counts as an edge, and 171 lines follow it"),
        (lines("{a} {b}") + "\n-1 5", "1 nodes have numbers below 0, e.g. -1"),
    ],
)
def test_what_may_be_meant_otherwise_is_told(tmp_path, text, told):
    graph, warning = read(tmp_path, text)
    assert told in warning
    assert len(graph) == len(PAIRS) + 1


# What is refused

REFUSED = {
    "a comma amid blanks": (
        lines("{a} {b}") + "\n1, 2",
        rf"edges\.csv, line {len(PAIRS) + 1}: '1, 2' is not two node names apart by blanks",
    ),
    "a blank amid commas": ("1 2\n" + lines("{a},{b}"), r"line 1: '1 2' is not two node names apart by ','"),
    "a tab amid commas": (lines("{a},{b}") + "\n1\t2", "apart by ','"),
    "a semicolon amid commas": (lines("{a},{b}") + "\n1;2", "apart by ','"),
    "a semicolon amid tabs": (lines("{a}\t{b}") + "\n1;2", "apart by a tab"),
    "names apart by blanks amid tabs": (lines("{N}\t{M}") + "\nnode 1 node 2", "apart by a tab"),
    "a header apart otherwise": ("source,target\n" + lines("{a} {b}"), "line 1: 'source,target'"),
    "names that hold the separator": (lines("{N};{M}"), "every line holds ';' and ','"),
    "an empty first column": (lines(",{a},{b}"), r"nodes may be in columns \(0, 1\) or \(1, 2\)"),
    "arrows": (lines("{a} -> {b}"), "line 1: '0 -> 1'"),
    "one name": (lines("{a},{b}") + "\n5", "an edge is two node names, got '5'"),
    "no name": (
        lines("{a},{b},1") + "\n5,,1",
        r"an edge is two node names, here in columns 0 and 1 from 0, got \['5', '', '1'\]",
    ),
    "a missing value": (lines("{a},{b}") + "\n5,NaN", "'NaN' is no node"),
    "fractions": (lines("{a}.5,{b}.25"), r"line 1: '0\.5' is no node"),
    "numbers that are rounded": (lines("{a}.5e+18,{b}.25e+18"), "written in full"),
    "neighbours line by line": ("\n".join(nx.generate_adjlist(nx.Graph(PAIRS))), r"ends in \.adjlist"),
    "an open quote": (lines('"{a}",{b}') + '\n"5,6', "line .*unexpected end of data"),
    "no text": (b"\xff\xfe\xff", "is UTF-8, and this is not"),
    "zero bytes": ("1,2\n".encode("utf-16-le"), "UTF-16 without a byte-order mark"),
    "nothing": ("", "holds no edge"),
    "comments": ("# 1 2\n", "holds no edge, only 1 lines of comments"),
    "a header": ("source,target\n", "holds no edge, only a header"),
    "one node": ("3 3\n", r"'edges\.csv' has 1 nodes"),
    "loops": ("3 3\n4 4\n", "no edge between two nodes, only 2 loops"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_cannot_be_read_is_refused_by_file_and_line(tmp_path, case):
    text, message = REFUSED[case]
    with pytest.raises(ValueError, match=message) as refused:
        read(tmp_path, text)
    assert "edges.csv" in str(refused.value)


def test_what_looks_like_a_number_to_python_is_a_name():
    names, edges = number_nodes(["1_2", "12", "1_2", "\u0661"])
    assert (names.tolist(), edges.tolist()) == (["1_2", "12", "\u0661"], [[0, 1], [0, 2]])
    assert number_nodes(["007", "7"])[0].tolist() == ["007", "7"]
    assert number_nodes([f"{2**64}", f"{2**64 + 1}.0"])[0].tolist() == [f"{2**64}", f"{2**64 + 1}"]
    assert number_nodes(["+5", "-3", "5.0", "-0"])[0].tolist() == [-3, 0, 5]


def test_a_separator_is_in_every_line():
    assert separator_of([(1, "a,b\tc"), (2, "d\te,f")], "f") == "\t"
    assert separator_of([(1, "1,\t2"), (2, "3,\t4")], "f") == ","
    assert separator_of([(1, "1 2"), (2, "3\t4")], "f") == BLANKS
    assert separator_of([(1, '"a,b";c'), (2, "d;e")], "f") == ";"
    with pytest.raises(ValueError, match="every line holds ';' and ','"):
        separator_of([(1, "a;b;c,d"), (2, "a,b,c;d")], "f")


def test_a_first_row_of_nodes_is_no_header(tmp_path):
    nodes = ["source", "target", *NAMED]
    ring = [(nodes[i - 1], nodes[i]) for i in range(1, len(nodes))] + [(nodes[-1], nodes[0])]
    graph, told = read(tmp_path, "\n".join(f"{one}\t{other}" for one, other in ring))
    assert (len(graph), told, graph.left_out) == (len(ring), "", {})
    graph, told = read(tmp_path, "0,1,unknown\n" + lines("{a},{b},7"))
    assert (len(graph), "header" in graph.left_out) == (len(PAIRS) + ((0, 1) not in PAIRS), False)


# Other formats


@pytest.mark.parametrize("symmetry", ["general", "symmetric"])
@pytest.mark.parametrize("ending", ["mtx", "mtx.gz", "txt"])
def test_matrix_market_is_read(tmp_path, symmetry, ending):
    matrix = scipy.sparse.coo_array((np.ones(len(PAIRS)), np.array(PAIRS).T), shape=(NODES + 2, NODES + 2))
    data = BytesIO()
    scipy.io.mmwrite(data, matrix + matrix.T if symmetry == "symmetric" else matrix, field="pattern", symmetry=symmetry)
    graph, told = read(tmp_path, gzip.compress(data.getvalue()) if ending.endswith("gz") else data.getvalue(), f"m.{ending}")
    assert (graph.nodes, pairs_of(graph)) == (NODES + 2, {frozenset((one + 1, other + 1)) for one, other in PAIRS})
    assert (told, graph.duplicates) == ("", 0)


def test_matrices_that_are_no_graph_are_refused_and_weights_told(tmp_path):
    matrix = scipy.sparse.coo_array((np.full(len(PAIRS), 2.0), np.array(PAIRS).T), shape=(NODES, NODES))
    matrix.data[0] = 0
    data = BytesIO()
    scipy.io.mmwrite(data, matrix)
    graph, told = read(tmp_path, data.getvalue(), "m.mtx")
    assert graph.left_out == {"entries of 0": 1, "values beside edges": len(PAIRS) - 1}
    assert "1 entries of 0" in told
    scipy.io.mmwrite(data := BytesIO(), matrix.tocsr()[:5])
    with pytest.raises(ValueError, match=r"'m\.mtx': an adjacency matrix is square, got shape \(5, 60\)"):
        read(tmp_path, data.getvalue(), "m.mtx")
    with pytest.raises(ValueError, match=r"m\.mtx is no MatrixMarket file"):
        read(tmp_path, "1 2\n", "m.mtx")


@pytest.mark.parametrize("ending", ["graphml", "gml", "gexf", "net", "adjlist", "g6", "s6", "txt.gz", "edges.bz2", "CSV"])
def test_other_formats_are_read(tmp_path, ending):
    theirs = nx.empty_graph(NODES)
    theirs.add_edges_from(PAIRS)
    write = {
        "graphml": nx.write_graphml,
        "gml": nx.write_gml,
        "gexf": nx.write_gexf,
        "net": nx.write_pajek,
        "adjlist": nx.write_adjlist,
        "g6": nx.write_graph6,
        "s6": nx.write_sparse6,
    }.get(ending, nx.write_edgelist)
    write(theirs, tmp_path / f"g.{ending}")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        graph = load_graph(tmp_path / f"g.{ending}")
    assert {frozenset(map(int, pair)) for pair in pairs_of(graph)} == GIVEN
    assert not graph.described


@pytest.mark.parametrize("ending", ["graphml", "gml", "gexf", "npz", "txt.gz"])
def test_damaged_files_are_named(tmp_path, ending):
    with pytest.raises(ValueError, match=rf"g\.{ending} "):
        read(tmp_path, "hello", f"g.{ending}")


def test_archives_of_arrays(tmp_path):
    edges = np.array(PAIRS)
    np.savez(tmp_path / "gaps.npz", edges=edges * 100)
    graph = read_graph(tmp_path / "gaps.npz")
    assert (graph.nodes, pairs_of(graph)) == (NODES, {frozenset((100 * one, 100 * other)) for one, other in PAIRS})
    np.savez(tmp_path / "x.npz", edges=edges, x=np.arange(NODES + 1), y=np.arange(NODES + 1))
    assert read_graph(tmp_path / "x.npz").features.shape == (NODES + 1, 1)
    scipy.sparse.save_npz(tmp_path / "s.npz", scipy.sparse.csr_array((np.ones(len(edges)), edges.T), shape=(NODES, NODES)))
    assert pairs_of(read_graph(tmp_path / "s.npz")) == GIVEN
    np.savez(tmp_path / "odd.npz", edge_index=edges)
    with pytest.raises(ValueError, match=r"odd\.npz: .*`edge_index` \(2, E\), got int64"):
        read_graph(tmp_path / "odd.npz")


@pytest.mark.parametrize("form", ["({}, {})", "({} {})", "[{},{}]", "[{}, {}],"])
def test_pairs_in_brackets_are_pairs(tmp_path, form):
    edges = nx.barabasi_albert_graph(300, 3, seed=1).edges()
    file = tmp_path / "pairs.txt"
    file.write_text("\n".join(form.format(*edge) for edge in edges))
    source = load_graph(f"file:{file}")
    assert (source.nodes, len(source.edges)) == (300, 891)
