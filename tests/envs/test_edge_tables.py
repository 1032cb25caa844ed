"""Tables of edges as spreadsheets, collections and joined files have them: read right, or asked about by an argument."""

from __future__ import annotations

import gzip
import random
import re
import warnings
from pathlib import Path

import networkx as nx
import pytest

from ssl4rl_envs.sources.edge_nodes import number_nodes
from ssl4rl_envs.sources.graph_files import read_graph
from ssl4rl_envs.sources.graphs import GraphSource

PAIRS = [(one, other) for one, other in nx.barabasi_albert_graph(60, 3, seed=1).edges()]
NODES, EDGES = 60, len(PAIRS)
GIVEN = {frozenset(map(str, pair)) for pair in PAIRS}
NAMED = {frozenset((f"n{one}", f"n{other}")) for one, other in PAIRS}
FROM_ONE = {frozenset((str(one + 1), str(other + 1))) for one, other in PAIRS}
SHUFFLED = random.Random(0).sample(range(1000), EDGES)
TREE = [(node, random.Random(node).randrange(node)) for node in range(1, NODES)]


def lines(form: str, pairs=PAIRS) -> str:
    return "\n".join(
        form.format(i=i, s=SHUFFLED[i % EDGES], w=i % 7, x=i / 8, a=a, b=b, A=a + 1, B=b + 1)
        for i, (a, b) in enumerate(pairs)
    )


def read(folder: Path, text: str | bytes, name: str = "edges.csv", **arguments) -> tuple[GraphSource, str]:
    file = folder / name
    file.write_bytes(text if isinstance(text, bytes) else text.encode())
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        graph = read_graph(file, **arguments)
    return graph, " | ".join(str(warning.message) for warning in told)


def pairs_of(graph: GraphSource) -> set[frozenset]:
    return {frozenset((str(graph.names[one]), str(graph.names[other]))) for one, other in graph.edges}


HEAD, TAIL = PAIRS[:80], PAIRS[80:]
ROWS = {  # text, pairs, what is told
    "a last row of sums": ("source,target\n" + lines("{a},{b}") + f"\nTotal,{EDGES}", GIVEN, "1 last lines that sum up"),
    "a sum without header": (lines("{a} {b}") + f"\nTotal {EDGES}", GIVEN, "(line 172)"),
    "a sum of weights": ("source,target,weight\n" + lines("{a},{b},{w}") + "\nSum,,900", GIVEN, "1 last lines that sum up"),
    "sums below names": (
        "source,target\n" + lines("n{a},n{b}") + f"\nGrand total:,{EDGES}",
        NAMED,
        "1 last lines that sum up",
    ),
    "two rows of sums": ("s,t,w\n" + lines("{a},{b},1") + "\nTotal,9,9\nMean,1,1", GIVEN, "2 last lines that sum up"),
    "joined files": (
        "source,target\n" + lines("{a},{b}", HEAD) + "\nsource,target\n" + lines("{a},{b}", TAIL),
        GIVEN,
        "1 headers amid",
    ),
    "joined files, other capitals": (
        "from;to\n" + lines("n{a};n{b}", HEAD) + "\nFrom;To\n" + lines("n{a};n{b}", TAIL),
        NAMED,
        "1 headers amid",
    ),
    "joined files of any words": (
        "left right\n" + lines("{a} {b}", HEAD) + "\nleft right\n" + lines("{a} {b}", TAIL),
        GIVEN,
        "1 headers amid",
    ),
    "joined files, the first without": (
        lines("{a},{b}", HEAD) + "\nsource,target\n" + lines("{a},{b}", TAIL),
        GIVEN,
        "1 headers amid",
    ),
    "units": ("source,target,weight\n(id),(id),(kg)\n" + lines("{a},{b},{x}"), GIVEN, "1 line of units"),
    "units alone": ("source,target,weight\n,,kg\n" + lines("{a},{b},{x}"), GIVEN, "1 line of units"),
    "units below any words over names": (
        "source,target,w\nname,name,kg\n" + lines("n{a},n{b},{x}"),
        NAMED,
        "1 line of units",
    ),
    "sizes": (f"{NODES} {EDGES}\n" + lines("{a} {b}"), GIVEN, "1 first line that tells how many edges follow"),
    "sizes of a matrix": (f"{NODES} {NODES} {EDGES}\n" + lines("{A} {B}"), FROM_ONE, "1 first line that tells how many"),
    "few words amid numbers": (
        lines("{a},{b}") + "\nAlice,1",
        GIVEN | {frozenset(("Alice", "1"))},
        "1 of 344 ends of edges are words",
    ),
    "a name for what is missing": (
        "source,target\n" + lines("n{a},n{b}") + "\nNaN,n3",
        NAMED | {frozenset(("NaN", "n3"))},
        "'NaN' is a node",
    ),
    "comments amid edges": (
        lines("{a} {b}", HEAD) + "\n# x\n% y\n// z\n" + lines("{a} {b}", TAIL),
        GIVEN,
        "3 lines of comments",
    ),
}


@pytest.mark.parametrize("case", ROWS)
def test_rows_that_are_no_edges_are_left_out_and_told(tmp_path, case):
    text, right, message = ROWS[case]
    graph, told = read(tmp_path, text)
    assert pairs_of(graph) == right
    assert message in told


@pytest.mark.parametrize(
    "text",
    [
        "a,b\n" + lines("n{a},n{b}") + "\nA,B\nA,n3",  # nodes that are called as a header is
        lines("{a},{b}") + "\na,b\na,3",
        lines("n{a},n{b}") + "\nTotal,n7",
        lines("n{a},n{b}") + "\nTotal,n7\nTotal,5",
        "source,target\n" + lines("{a},{b}", [(2, 1), *PAIRS, (2, 1)]) + "\nu,v\nu,1",
        "\n".join(f"{node + 1} {node}" for node in range(200, -1, -1)),  # a path, from its end: the first row is no sizes
    ],
)
def test_rows_that_are_edges_stay(tmp_path, text):
    graph, _ = read(tmp_path, text)
    rows = text.split("\n")
    named = rows[0] in ("a,b", "source,target")
    assert pairs_of(graph) == {frozenset(row.replace(",", " ").split()) for row in rows[named:]}


COLUMNS = {
    "sampled rows of pandas": ",source,target\n" + lines("{s},{a},{b}"),
    "sampled rows of pandas without names": ",0,1\n" + lines("{s},{a},{b}"),
    "saved twice": "Unnamed: 0,left,right\n" + lines("{s},{a},{b}"),
    "an index by name": "idx,p,q\n" + lines("{s},{a},{b}"),
    "an index over numbers": "index,0,1\n" + lines("{s},{a},{b}"),
    "time first": "time,a,b\n" + lines("{w},{a},{b}"),
    "time before any words": "timestamp,one,other\n" + lines("{w},{a},{b}"),
    "weights first": "weight,source,target\n" + lines("{w},{a},{b}"),
    "weights before letters": "weight,u,v\n" + lines("{x},{a},{b}"),
    "edges of a database": "id,from,to,label\n" + lines("{i},{a},{b},z{w}"),
    "names in a comment": "# people\n# time source target\n" + lines("{w} {a} {b}"),
    "a header and an index by tabs": "\tsource\ttarget\n" + lines("{s}\t{a}\t{b}"),
    "a table as pandas prints it": "   left  right\n" + lines("{s}   {a}   {b}"),
    "entries of a matrix": "row,col,value\n" + lines("{a},{b},{w}"),
    "time last": "u,v,timestamp\n" + lines("{a},{b},{s}"),
    "time last, nameless": lines("{a},{b},{s}"),
    "weights last, nameless": lines("{a} {b} {w}"),
    "an index, nameless": lines("{i},{a},{b},{w}"),
    "triples": "subject\trelation\tobject\n" + lines("{a}\tr{w}\t{b}"),
    "separator for Excel": "sep=;\nsource;target\n" + lines("{a};{b}"),
    "separator for Excel, quoted": '\ufeff"sep=|"\r\n' + lines("{a}|{b}"),
    "joined by Windows, with marks amid": "\ufeff" + lines("{a},{b}", HEAD) + "\r\n\ufeff" + lines("{a},{b}", TAIL) + "\x1a",
    "blanks around quotes": lines('"{a}" , "{b}"'),
    "savetxt": "\n".join(f"{a:.18e} {b:.18e}" for a, b in PAIRS),
    "as floats": "source,target\n" + lines("{a}.0,{b}"),
}


@pytest.mark.parametrize("case", COLUMNS)
def test_columns_of_nodes_are_found(tmp_path, case):
    graph, _ = read(tmp_path, COLUMNS[case])
    assert pairs_of(graph) == GIVEN
    assert graph.left_out.get("loops", 0) == graph.left_out.get("repeated edges", 0) == 0


ITEMS = [(user, (7 * user + user // 5) % 20, user % 12) for user in range(NODES)]
ASKED = {
    "shuffled rows": (lines("{s},{a},{b}"), (0, 1), (1, 2)),
    "an unknown index": ("foo,bar,baz\n" + lines("{s},{a},{b}"), (0, 1), (1, 2)),
    "time first": (lines("{w},{a},{b}"), (0, 1), (1, 2)),
    "dates first": (lines("2020-01-0{w},{a},{b}"), (0, 1), (1, 2)),
    "weights first": (lines("{x},{a},{b}"), (0, 1), (1, 2)),
    "relations amid": (lines("{a}\tlikes\t{b}"), (0, 1), (0, 2)),
    "users with one item and stars each": ("\n".join(f"{u},{m},{s}" for u, m, s in ITEMS), (0, 1), (1, 2)),
    "users with one item and age each": ("\n".join(f"{u},{m},{s + 50}" for u, m, s in ITEMS), (0, 1), (1, 2)),
    "a numbered tree": (lines("{i} {a} {b}", TREE), (0, 1), (1, 2)),
    "nearest neighbours": (
        "\n".join(f"{i} {(i * 7 + 1) % NODES} {(i * 11 + 5) % NODES}" for i in range(NODES)),
        (0, 1),
        (1, 2),
    ),
    "DIMACS without its first line": (lines("e {A} {B}"), (0, 1), (1, 2)),
}


@pytest.mark.parametrize("case", ASKED)
def test_what_may_be_read_in_two_ways_is_asked_and_decided_by_columns(tmp_path, case):
    text, one, other = ASKED[case]
    with pytest.raises(ValueError, match=r"edges\.csv: nodes may be in columns") as asked:
        read(tmp_path, text)
    separator = next((mark for mark in ",\t" if mark in text), " ")
    rows = [row.split(separator) for row in text.split("\n")]
    for columns in (one, other):
        assert f"columns={columns}" in str(asked.value)
    right = {frozenset((row[other[0]], row[other[1]])) for row in rows if row[0] != "foo" and row[other[0]] != row[other[1]]}
    assert pairs_of(read(tmp_path, text, columns=other)[0]) == right


def test_columns_are_named_by_title_or_number(tmp_path):
    text = "p,q,since,who,whom\n" + lines("x,y,{s},{a},{b}")
    assert pairs_of(read(tmp_path, text, columns=("who", "whom"))[0]) == GIVEN
    graph, told = read(tmp_path, text, columns=(4, 3))
    assert (pairs_of(graph), graph.left_out["header"]) == (GIVEN, 1)
    assert "(p, q, since; an edge counts once" in told
    assert pairs_of(read(tmp_path, "p who whom\n" + lines("{s} x {a} {b}"), columns=("who", "whom"))[0]) == GIVEN
    for columns, message in {
        ("who", "me"): r"no columns 'me'; its first line names \['p', 'q', 'since', 'who', 'whom'\]",
        (0, 5): "columns 0 to 4, got 5",
        (1, 1): "the two that hold the ends of edges",
        (1, 2, 3): "the two that hold",
        (-1, 0): "got -1",
    }.items():
        with pytest.raises(ValueError, match=message):
            read(tmp_path, text, columns=columns)


def test_one_column_beside_an_index_is_no_edge(tmp_path):
    for title, numbers in {"": range(NODES), "index": SHUFFLED}.items():
        text = f"{title},friend\n" + "\n".join(f"{number},{i % 9}" for i, number in enumerate(numbers))
        with pytest.raises(ValueError, match=r"column 0 may count the rows.*columns=\(0, 1\)\) takes both for nodes"):
            read(tmp_path, text)
        assert len(read(tmp_path, text, columns=(0, 1))[0]) > NODES - 10
    assert len(read(tmp_path, ",friend\n" + lines("n{a},n{b}"))[0]) == EDGES


def test_whether_the_first_line_is_a_header_can_be_told(tmp_path):
    text = "person A\tperson B\n" + lines("n {a}\tn {b}")
    assert "pass header=True" in read(tmp_path, text)[1]
    graph, told = read(tmp_path, text, header=True)
    assert (len(graph), graph.left_out, told) == (EDGES, {"header": 1}, "")
    assert len(read(tmp_path, "source,target\n" + lines("n{a},n{b}"), header=False)[0]) == EDGES + 1


def test_nodes_of_two_kinds_that_share_numbers_are_asked_about(tmp_path):
    text = "user,item,rating\n" + "\n".join(f"{u},{m},{s}" for u, m, s in ITEMS)
    with pytest.raises(ValueError, match=r"20 names stand in both columns 'user' and 'item', .*two kinds.*bipartite=True"):
        read(tmp_path, text)
    apart, _ = read(tmp_path, text, bipartite=True)
    assert (apart.nodes, len(apart)) == (NODES + 20, NODES)
    assert pairs_of(apart) == {frozenset((f"user {u}", f"item {m}")) for u, m, _ in ITEMS}
    assert read(tmp_path, text, bipartite=False)[0].nodes == NODES
    assert "20 names stand in both" in read(tmp_path, text.replace("item", "thing"))[1]
    assert "ends of edges" not in read(tmp_path, text.replace("\n", "\nu"))[1]
    assert len(read(tmp_path, re.sub(",(\\d+),", r",i\1,", text))[0]) == NODES


# Numbers


def test_numbers_are_the_same_node_only_where_they_are_written_so():
    assert number_nodes(["1.0", "1", "2.", "3"])[0].tolist() == [1, 2, 3]
    assert number_nodes(["007", "7", "7.0", "8"])[0].tolist() == ["007", "7", "8"]
    assert number_nodes(["1.20e+01", "3.00e+00"])[0].tolist() == [3, 12]
    for odd in ("1e3", "1.5e+03", "1.25e+00", "1.2345e+15", "0.5"):
        for other in (odd, "1"):
            with pytest.raises(ValueError, match=f"'{odd[0]}.*is no node.*columns="):
                number_nodes([odd, other])


# Other formats


DIMACS = f"c a graph\np edge {NODES + 2} {EDGES}\n" + lines("e {A} {B}")


def test_dimacs_is_read(tmp_path):
    for name in ("g.col", "g.txt", "g.gr"):
        graph, told = read(tmp_path, DIMACS, name)
        assert (pairs_of(graph), graph.nodes, told) == (FROM_ONE, NODES + 2, "")
    arcs = f"p sp {NODES} {2 * EDGES}\nn 1 5\n" + lines("a {A} {B} 7\na {B} {A} 7")
    graph, told = read(tmp_path, arcs, "g.gr")
    assert (pairs_of(graph), graph.duplicates) == (FROM_ONE, EDGES)
    assert f"1 lines about nodes; {2 * EDGES} values beside edges" in told
    assert f"line p tells {EDGES} edges, and {EDGES + 1} follow" in read(tmp_path, DIMACS + "\ne 1 2", "g.col")[1]
    for wrong, line in (("e 1 63", 174), ("e 0 1", 174), ("e 1", 174), ("z 1 2", 174), ("p edge 5 5", 174)):
        with pytest.raises(ValueError, match=rf"g\.col, line {line}: '{wrong}' is no edge between two of the 62 nodes"):
            read(tmp_path, f"{DIMACS}\n{wrong}", "g.col")


MATRIX = f"MatrixMarket matrix coordinate pattern general\n{NODES} {NODES} {EDGES}\n" + lines("{A} {B}")


@pytest.mark.parametrize(
    "data",
    [
        ("\ufeff%%" + MATRIX).encode(),
        ("%%" + MATRIX).encode("utf-16"),
        ("\n %%" + MATRIX.replace("MatrixMarket", "matrixmarket")).encode(),
        ("%%" + MATRIX).replace("\n", "\r\n").encode(),
        gzip.compress(("%%" + MATRIX).encode()),
    ],
)
@pytest.mark.parametrize("name", ["m.mtx", "m.txt"])
def test_matrix_market_is_read_however_it_is_saved(tmp_path, data, name):
    graph, told = read(tmp_path, data, name)
    assert (pairs_of(graph), told) == (FROM_ONE, "")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("%%" + MATRIX + "\n1 2", f"it tells {EDGES} entries and holds {EDGES + 1}"),
        ("%%MatrixMarket matrix array real symmetric\n3 3\n" + "1\n" * 9, "it tells 6 entries and holds 9"),
    ],
)
def test_the_entries_of_a_matrix_are_counted_before_it_is_read(tmp_path, text, message):
    with pytest.raises(ValueError, match=rf"m\.mtx is no MatrixMarket file: {message}"):
        read(tmp_path, text, "m.mtx")


@pytest.mark.parametrize("write", [nx.generate_gml, nx.generate_graphml, nx.generate_gexf, nx.generate_pajek])
def test_formats_are_told_by_how_they_begin(tmp_path, write):
    graph, _ = read(tmp_path, "\n".join(write(nx.Graph(PAIRS))), "g.txt")
    assert pairs_of(graph) == GIVEN
    with pytest.raises(ValueError, match=r"is no table of edges but .*columns, header and bipartite are of tables"):
        read(tmp_path, "\n".join(write(nx.Graph(PAIRS))), "g.txt", columns=(0, 1))


def metis(graph: nx.Graph, form: str = "") -> str:
    rows = (" ".join(str(other + 1) for other in graph[node]) for node in range(len(graph)))
    return "\n".join([f"{len(graph)} {graph.number_of_edges()}{form}", *rows])


REFUSED = {
    "METIS": (metis(nx.Graph(PAIRS)), "line 1: '60 171' tells as many nodes and edges as METIS"),
    "METIS of equal degrees": (metis(nx.random_regular_graph(3, 40, seed=1)), "METIS"),
    "METIS of a ring": (metis(nx.cycle_graph(40)), "METIS .*begin this line with #"),
    "METIS with a gap": (metis(nx.disjoint_union(nx.empty_graph(1), nx.Graph(PAIRS))), "METIS"),
    "JSON": ("{\n" + lines('"{a}": {b},') + "}", "it is JSON"),
    "JSON of pairs": (str([list(pair) for pair in PAIRS]), "JSON or a list of Python.*GraphSource"),
    "a list of Python": ("[" + lines("({a}, {b}),") + "]", "JSON or a list of Python"),
    "DOT": ("graph {\n" + lines("{a} -- {b};") + "}", "Graphviz"),
    "a page": ("<!DOCTYPE html>\n<html><body>Not found</body></html>", "XML or HTML"),
    "a workbook": (b"PK\x03\x04\x14\x00", "ZIP archive, as workbooks of Excel"),
    "an adjacency matrix": (
        "\n".join(" ".join(map(str, row)) for row in nx.to_numpy_array(nx.Graph(PAIRS)).tolist()),
        "square table of 60 lines",
    ),
    "edge_index": (
        "\n".join(" ".join(str(pair[end]) for pair in PAIRS) for end in (0, 1)),
        "two lines of 171 numbers, as edge_index",
    ),
    "one column": (lines("{a}"), "line 1: an edge is two node names, got '0'"),
    "another separator than is told": ("sep=;\n" + lines("{a},{b}"), "line 2: '0,1' is not two node names apart by ';'"),
    "a separator that is not there": (
        "sep= ;\n" + lines("{a};{b}"),
        r"has one column, and an edge is two node names, got \['0;",
    ),
    "comments alone": ("source,target\n" + lines("#{a},#{b}"), f"only a header and {EDGES} lines of comments"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_is_no_table_is_refused_in_a_sentence(tmp_path, case):
    text, message = REFUSED[case]
    with pytest.raises(ValueError, match=message) as refused:
        read(tmp_path, text)
    assert "edges.csv" in str(refused.value)


def test_a_folder_is_no_file(tmp_path):
    with pytest.raises(IsADirectoryError, match="is a folder, and a graph is read from one file"):
        read_graph(tmp_path)
