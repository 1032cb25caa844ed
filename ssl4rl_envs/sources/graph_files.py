"""Graphs from elsewhere: files of edges, networkx, PyTorch Geometric."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ssl4rl_envs.sources.graphs import GraphSource

ENDINGS = (".npz", ".txt", ".csv", ".tsv", ".edges", ".edgelist")


def read_graph(path: str | Path) -> GraphSource:
    """Read a graph from a file.

    Args:
        path: an NPZ file with `edges` (E, 2) or `edge_index` (2, E), and optionally `x` (N, F) and `y` (N,); or text with two
            node names a line, separated by white space, comma or tab, where lines that begin with # or % are comments and
            further columns are left out. Names that are no numbers are numbered in the order of their first appearance.

    Raises:
        ValueError: the file is not of that kind; the message names it, and the line.
        FileNotFoundError: there is no such file.
    """
    file = Path(path).expanduser()
    if not file.is_file():
        raise FileNotFoundError(f"there is no file {file}")
    if file.suffix == ".npz":
        return _read_npz(file)
    if file.suffix not in ENDINGS:
        raise ValueError(f"{file}: a graph is read from files that end in {', '.join(ENDINGS)}")
    pairs: list[tuple[str, str]] = []
    for number, line in enumerate(file.read_text().splitlines(), 1):
        words = line.replace(",", " ").split()
        if not words or words[0][0] in "#%":
            continue
        if len(words) < 2:
            raise ValueError(f"{file}, line {number}: an edge is two node names, got {line!r}")
        pairs.append((words[0], words[1]))
    if not pairs:
        raise ValueError(f"{file} holds no edge")
    if all(name.isdecimal() for pair in pairs for name in pair):
        return GraphSource(np.array(pairs, np.int64), name=file.name)
    numbers: dict[str, int] = {}
    edges = [[numbers.setdefault(name, len(numbers)) for name in pair] for pair in pairs]
    return GraphSource(np.array(edges, np.int64), name=file.name)


def _read_npz(file: Path) -> GraphSource:
    with np.load(file, allow_pickle=False) as arrays:
        if "edges" not in arrays and "edge_index" not in arrays:
            raise ValueError(f"{file} must hold `edges` (E, 2) or `edge_index` (2, E), and holds {', '.join(arrays)}")
        edges = arrays["edges"] if "edges" in arrays else arrays["edge_index"].T
        features, labels = (arrays.get(name) for name in ("x", "y"))
    return GraphSource(edges, features=features, labels=labels, name=file.name)


def from_networkx(graph: Any, name: str = "networkx") -> GraphSource:
    """Take over a networkx graph; nodes are numbered in its order, and their attributes are left out."""
    numbers = {node: number for number, node in enumerate(graph.nodes)}
    edges = np.array([(numbers[one], numbers[other]) for one, other in graph.edges()], np.int64).reshape(-1, 2)
    return GraphSource(edges, nodes=len(numbers), name=name)


def from_pyg(data: Any, name: str = "pyg") -> GraphSource:
    """Take over a `Data` of PyTorch Geometric, or a dataset of one: its `edge_index`, `x` and `y`.

    Raises:
        ValueError: the dataset holds several graphs.
    """
    if hasattr(data, "get") and hasattr(data, "indices"):  # a dataset, which looks like its only graph
        if len(data) != 1:
            raise ValueError(
                f"a source is one graph, the dataset {type(data).__name__} holds {len(data)}; choose one of them"
            )
        data = data[0]
    labels = _array(getattr(data, "y", None))
    fits = labels is not None and labels.reshape(-1).shape == (data.num_nodes,) and labels.dtype.kind in "iu"
    return GraphSource(
        np.asarray(_array(data.edge_index)).T,
        nodes=int(data.num_nodes),
        features=_array(getattr(data, "x", None)),
        labels=labels.reshape(-1) if fits and labels is not None else None,
        name=name,
    )


def _array(tensor: Any) -> NDArray[Any] | None:
    return None if tensor is None else np.asarray(tensor.detach().cpu().numpy())
