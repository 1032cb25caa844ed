"""Graphs from files: text, NPZ, MatrixMarket, and the formats that networkx reads."""

from __future__ import annotations

import bz2
import gzip
import lzma
import re
from collections.abc import Callable, Sequence
from io import BytesIO
from pathlib import Path
from typing import Any

import networkx as nx
import numpy as np
import scipy.io
import scipy.sparse

from ssl4rl_envs.sources.edge_formats import format_of, read_dimacs
from ssl4rl_envs.sources.edge_table import Edges, edges_of
from ssl4rl_envs.sources.edge_text import decode, read_table
from ssl4rl_envs.sources.graph_networkx import from_networkx
from ssl4rl_envs.sources.graph_sparse import from_sparse
from ssl4rl_envs.sources.graphs import GraphSource
from ssl4rl_envs.sources.left_out import LeftOut
from ssl4rl_envs.sources.notices import warn

PACKED: dict[str, Callable[[bytes], bytes]] = {".gz": gzip.decompress, ".bz2": bz2.decompress, ".xz": lzma.decompress}
MAGIC = {b"\x1f\x8b": ".gz", b"BZh": ".bz2", b"\xfd7zXZ\0": ".xz"}
"""How packed files begin, whatever they are called."""

TEXT = (".txt", ".csv", ".tsv", ".tab", ".edges", ".edgelist", ".el", ".dat")


def read_graph(
    path: str | Path, columns: Sequence[int | str] | None = None, header: bool | None = None, bipartite: bool | None = None
) -> GraphSource:
    """Read a graph from a file.

    Args:
        path: a file whose name ends in one of these, perhaps with .gz, .bz2 or .xz behind:

            - .txt, .csv, .tsv, .tab, .edges, .edgelist, .el, .dat: an edge a line, see `layout_of`. Cells are separated by a
              tab, ";", "," or white space, one of them in the whole file. Names stay in `names`. What begins like a file of
              the kinds below is read as one.
            - .mtx: MatrixMarket, square; nodes are its rows, those without an entry too.
            - .npz: arrays `edges` (E, 2) or `edge_index` (2, E), and optionally `x` (N, F) and `y` (N,); or what
              `scipy.sparse.save_npz` wrote. Without `x` and `y` the numbers in edges are names, which may have gaps.
            - .graphml, .gml, .gexf, .net (Pajek), .adjlist, .g6, .s6: as networkx reads them, see `from_networkx`.
            - .col, .gr, .dimacs: a line `p edge 5 4`, and edges `e 1 2` or `a 1 2 7`.

        columns: of a table of text, the two that hold the ends of edges, by title or by number from 0; by default they are
            found out, or asked for where that is not sure.
        header: whether the first line of such a table is one; by default it is found out.
        bipartite: whether its columns hold nodes of two kinds, so that 7 in one is not 7 in the other, see `edges_of`.

    Warns:
        UserWarning: something was left out; it says how many of what, and so does the source's `left_out`.

    Raises:
        ValueError: the file is not of that kind, or may be read in two ways; the message names it, and the line.
        FileNotFoundError: there is no such file.
        IsADirectoryError: it is a folder.
    """
    file = Path(path).expanduser()
    if file.is_dir():
        raise IsADirectoryError(f"{file} is a folder, and a graph is read from one file")
    if not file.is_file():
        raise FileNotFoundError(f"there is no file {file}")
    packed = file.suffix.lower() in PACKED
    ending = (file.with_suffix("") if packed else file).suffix.lower()
    if ending not in (*TEXT, *READERS):
        raise ValueError(f"{file}: a graph is read from files that end in {', '.join((*TEXT, *READERS))}")
    data = _unpacked(file.read_bytes(), file)
    if ending in TEXT:
        text = decode(data, str(file))
        ending = format_of(text, str(file)) or ending
        data = text.encode()
    if ending in TEXT:
        return _read_edges(edges_of(read_table(text, str(file)), columns, header, bipartite), file)
    if (columns, header, bipartite) != (None, None, None):
        raise ValueError(f"{file} is no table of edges but {ending}; columns, header and bipartite are of tables")
    return READERS[ending](data, file)


def _unpacked(data: bytes, file: Path) -> bytes:
    if data.startswith(b"PK\x03\x04") and file.suffix.lower() != ".npz":
        raise ValueError(f"{file} is a ZIP archive, as workbooks of Excel are too; unpack it, or save the sheet as CSV")
    kind = next((ending for magic, ending in MAGIC.items() if data.startswith(magic)), file.suffix.lower())
    try:
        return PACKED[kind](data) if kind in PACKED else data
    except (OSError, EOFError, lzma.LZMAError) as error:
        raise ValueError(f"{file} cannot be unpacked: {error}") from error


def _read_edges(found: Edges, file: Path) -> GraphSource:
    for doubt in found.doubts:
        warn(f"{file}: {doubt}")
    counts = found.left_out.counts
    graph = GraphSource(found.edges, nodes=len(found.names), name=file.name, names=found.names, left_out=counts)
    return found.left_out.tell(graph)


def _read_dimacs(data: bytes, file: Path) -> GraphSource:
    found = read_dimacs(decode(data, str(file)), str(file))
    if found.told != len(found.edges):
        warn(f"{file}: line p tells {found.told} edges, and {len(found.edges)} follow")
    left_out = LeftOut()
    left_out.add("lines of comments", found.comments, quiet=True)
    left_out.add("lines about nodes", found.others)
    left_out.add("values beside edges", found.weights, " (an edge counts once, whatever its weight)")
    names = np.arange(1, found.nodes + 1)
    graph = GraphSource(found.edges, nodes=found.nodes, name=file.name, names=names, left_out=left_out.counts)
    return left_out.tell(graph, both_ways=True)


def _read_matrix(data: bytes, file: Path) -> GraphSource:
    text = decode(data, str(file)).lstrip()  # scipy takes neither a byte-order mark nor another spelling of the first word
    data = re.sub("^%%matrixmarket", "%%MatrixMarket", text, flags=re.IGNORECASE).encode()
    try:
        rows, columns, entries, form, _, symmetry = scipy.io.mminfo(BytesIO(data))
        if form == "array":
            below = {"general": rows * columns, "skew-symmetric": rows * (rows - 1) // 2}
            entries = below.get(symmetry, rows * (rows + 1) // 2)
        held = sum(1 for line in text.splitlines() if line.strip() and not line.startswith("%")) - 1
        if held != entries:  # of which the reader does not take care itself
            raise ValueError(f"it tells {entries} entries and holds {held}")
        matrix = scipy.sparse.coo_array(scipy.io.mmread(BytesIO(data)))
    except (ValueError, OverflowError, TypeError) as error:
        raise ValueError(f"{file} is no MatrixMarket file: {error}") from error
    if symmetry != "general":  # the reader writes both halves out
        matrix = scipy.sparse.tril(matrix)
    rows = np.arange(1, matrix.shape[0] + 1)
    return from_sparse(matrix, name=file.name, names=rows)


def _read_npz(data: bytes, file: Path) -> GraphSource:
    try:
        with np.load(BytesIO(data), allow_pickle=False) as arrays:
            matrix = scipy.sparse.load_npz(BytesIO(data)) if {"format", "shape"} <= set(arrays) else None
            held = {name: arrays[name] for name in ("edges", "edge_index", "x", "y") if name in arrays}
            holds = ", ".join(arrays)
    except Exception as error:  # damaged archives raise errors of many kinds
        raise ValueError(f"{file} is no NPZ file of plain arrays: {error}") from error
    if matrix is not None:
        return from_sparse(matrix, name=file.name)
    if not held.keys() & {"edges", "edge_index"}:
        raise ValueError(f"{file} must hold `edges` (E, 2) or `edge_index` (2, E), and holds {holds}")
    edges = held["edges"] if "edges" in held else held["edge_index"].T
    if edges.ndim != 2 or edges.shape[1] != 2 or edges.dtype.kind not in "iu":
        raise ValueError(
            f"{file}: `edges` must be whole numbers (E, 2), `edge_index` (2, E), got {edges.dtype}, {edges.shape}"
        )
    features, labels, names = held.get("x"), held.get("y"), None
    if features is None and labels is None:
        names, numbers = np.unique(edges, return_inverse=True)
        edges = numbers.reshape(-1, 2)
    elif features is not None and features.ndim == 1:
        features = features[:, None]
    nodes = next((len(rows) for rows in (names, features, labels) if rows is not None), None)
    graph = GraphSource(edges, nodes, features, labels, name=file.name, names=names)
    return LeftOut().tell(graph, both_ways=True)


def _read_gml(data: bytes) -> Any:
    try:
        return nx.read_gml(BytesIO(data))
    except nx.NetworkXError as error:
        if "label" not in str(error):
            raise
        return nx.read_gml(BytesIO(data), label="id")  # nodes without labels, or with labels that repeat


def _read_pajek(data: bytes) -> Any:
    graph = nx.read_pajek(BytesIO(data))
    for _, drawn in graph.nodes(data=True):  # how it is drawn describes no node
        for key in ("id", "x", "y", "shape"):
            drawn.pop(key, None)
    return graph


def _read_adjacency(data: bytes) -> Any:
    try:
        return nx.read_adjlist(BytesIO(data), nodetype=int)
    except (TypeError, ValueError):
        return nx.read_adjlist(BytesIO(data))


def _by_networkx(read: Callable[[bytes], Any]) -> Callable[[bytes, Path], GraphSource]:
    def reader(data: bytes, file: Path) -> GraphSource:
        try:
            graph = read(data)
        except Exception as error:  # its readers raise errors of many kinds
            raise ValueError(f"{file} cannot be read by networkx: {type(error).__name__}: {error}") from error
        if isinstance(graph, list):
            raise ValueError(f"{file} holds {len(graph)} graphs, and a source is one")
        return from_networkx(graph, file.name)

    return reader


READERS: dict[str, Callable[[bytes, Path], GraphSource]] = {
    ".mtx": _read_matrix,
    **dict.fromkeys((".col", ".gr", ".dimacs"), _read_dimacs),
    ".npz": _read_npz,
    ".graphml": _by_networkx(lambda data: nx.read_graphml(BytesIO(data))),
    ".gml": _by_networkx(_read_gml),
    ".gexf": _by_networkx(lambda data: nx.read_gexf(BytesIO(data))),
    ".net": _by_networkx(_read_pajek),
    ".adjlist": _by_networkx(_read_adjacency),
    ".g6": _by_networkx(lambda data: nx.read_graph6(BytesIO(data))),
    ".s6": _by_networkx(lambda data: nx.read_sparse6(BytesIO(data))),
}
