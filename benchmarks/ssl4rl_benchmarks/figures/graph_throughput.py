"""How fast neighbourhoods are sampled: beside NetworkX, beside LinkNeighborLoader of PyTorch Geometric, by size of the graph.

python -m ssl4rl_benchmarks.figures.graph_throughput --source NAME    pairs a second, on Cora by default
python -m ssl4rl_benchmarks.figures.graph_throughput --sizes --out P  by number of edges, 10^4 to 10^7, with a picture in P

All sample [5, 3] neighbours of the ends of train edges and of as many negative pairs. Ours gives whole questions of
EdgePrediction: "inline" with the features of all nodes, "by id" with their numbers in the table of features.

NetworkX stands for what one writes by hand: it walks the neighbours of a pair and collects nodes and edges, without features,
without numbering them, and leaving the edge that is asked about among them.

The loader gathers features. It needs pyg-lib or torch-sparse; else it is left out. An environment gives every pair a
neighbourhood of its own, in which its edge is not. The loader makes one subgraph a batch: "of its own" has it make one for
each edge and its negative pair, which is the work that ours does; "joint" has it make one for the whole batch, where a node
is sampled once whatever number of pairs it is near to, and the edges that are asked about are among those that are shown.

One thread of ours is compared: set SSL4RL_THREADS=1.
"""

from __future__ import annotations

import argparse
import json
import random
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import networkx as nx
import numpy as np

from ssl4rl_envs import Stream
from ssl4rl_envs.graphs.edge_prediction import EdgePrediction
from ssl4rl_envs.sources.graph_builtin import load_graph
from ssl4rl_envs.sources.graph_models import stochastic_block_model
from ssl4rl_envs.sources.graphs import GraphSource

FANOUTS = (5, 3)
EDGES = (10**4, 10**5, 10**6, 10**7)
DEGREE = 10
LOADER = "LinkNeighborLoader"


def rate(step: Callable[[], int], seconds: float, rounds: int = 5) -> float:
    """Return pairs a second, the median of rounds; `step` does some and says how many."""
    step()
    found = []
    for _ in range(rounds):
        done, start = 0, time.perf_counter()
        while time.perf_counter() - start < seconds / rounds:
            done += step()
        found.append(done / (time.perf_counter() - start))
    return statistics.median(found)


def ours(source: GraphSource, batch: int, features: str = "id") -> Callable[[], int]:
    """Return a step that samples whole instances of EdgePrediction, each another."""
    task = EdgePrediction(source, FANOUTS, features)
    made = 0

    def step() -> int:
        nonlocal made
        made += batch
        task.sample(Stream("train", np.zeros(batch, np.uint64), np.arange(made - batch, made)))
        return batch

    return step


def by_hand(source: GraphSource, batch: int) -> Callable[[], int]:
    """Return a step that walks the neighbours of pairs in a graph of NetworkX, half of them joined."""
    graph: Any = nx.Graph()
    graph.add_nodes_from(range(source.nodes))
    graph.add_edges_from(source.edges_of("train").tolist())
    pairs, rng = list(graph.edges), random.Random(0)  # noqa: S311 - no secret

    def step() -> int:
        for number in range(batch):
            pair = rng.choice(pairs) if number % 2 else (rng.randrange(source.nodes), rng.randrange(source.nodes))
            walk(graph, pair, rng)
        return batch

    return step


def walk(graph: Any, pair: tuple[int, int], rng: random.Random) -> tuple[set[int], set[tuple[int, int]]]:
    """Return the nodes and edges of a sampled neighbourhood of a pair."""
    nodes, edges, layer = set(pair), set(), list(pair)
    for fanout in FANOUTS:
        found = []
        for node in layer:
            near = list(graph.neighbors(node))
            chosen = rng.sample(near, fanout) if len(near) > fanout else near
            edges.update([(min(node, other), max(node, other)) for other in chosen])
            found += chosen
        nodes.update(found)
        layer = found
    return nodes, edges


def theirs(source: GraphSource, batch: int) -> Callable[[], int]:
    """Return a step of LinkNeighborLoader over the train edges, with one negative pair for each.

    Raises:
        ImportError: it has nothing to sample with.
    """
    import torch
    from torch_geometric.data import Data
    from torch_geometric.loader import LinkNeighborLoader

    edges = torch.tensor(source.edges_of("train").T)
    data = Data(x=torch.tensor(source.features), edge_index=torch.cat([edges, edges.flip(0)], dim=1))
    loader = LinkNeighborLoader(
        data, list(FANOUTS), edge_label_index=edges, neg_sampling="binary", batch_size=batch // 2, shuffle=True
    )
    batches = iter(loader)

    def step() -> int:
        nonlocal batches
        part = next(batches, None)
        if part is None:
            batches = iter(loader)
            part = next(batches)
        return int(part.edge_label_index.shape[1])

    step()
    return step


def beside(source: GraphSource, batch: int, seconds: float) -> dict[str, float]:
    """Measure all on a graph in turns; the loader is left out where it has nothing to sample with."""
    steps: dict[str, Callable[[], int]] = {
        "ours, by id": ours(source, batch),
        "ours, inline": ours(source, batch, "inline"),
        "NetworkX, no features": by_hand(source, batch),
    }
    try:
        steps[f"{LOADER}, of its own"] = theirs(source, 2)
        steps[f"{LOADER}, joint"] = theirs(source, batch)
    except ImportError as error:
        print(f"{LOADER} is left out: {error}", file=sys.stderr)
    found: dict[str, list[float]] = {name: [] for name in steps}
    for _ in range(3):
        for name, step in steps.items():
            found[name].append(rate(step, seconds, 1))
    return {name: statistics.median(values) for name, values in found.items()}


def by_size(batch: int, seconds: float) -> list[dict[str, float]]:
    """Measure ours on block models of rising size, and what a source holds beside features and labels."""
    rows = []
    for edges in EDGES:
        start = time.perf_counter()
        source = stochastic_block_model(2 * edges // DEGREE, blocks=4, degree=DEGREE, features=8, words=2)
        built = time.perf_counter() - start
        speed = rate(ours(source, batch), seconds)
        held = bytes_of(vars(source)) - source.features.nbytes - (0 if source.labels is None else source.labels.nbytes)
        rows.append(
            {
                "edges": len(source),
                "pairs_per_second": speed,
                "seconds_to_build": built,
                "bytes_an_edge": held / len(source),
            }
        )
    return rows


def bytes_of(held: Any) -> int:
    """Return the bytes of all arrays in a value."""
    if isinstance(held, np.ndarray):
        return held.nbytes
    parts = held.values() if isinstance(held, dict) else held if isinstance(held, (list, tuple)) else ()
    return sum(map(bytes_of, parts))


def draw(rows: list[dict[str, float]], file: Path) -> None:
    """Draw pairs a second over the number of edges."""
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot as plt

    figure, axes = plt.subplots(figsize=(5.2, 3.4))
    axes.plot([row["edges"] for row in rows], [row["pairs_per_second"] for row in rows], "o-", color="#205cbe")
    axes.set(
        xscale="log",
        xlabel="edges of the graph",
        ylabel="pairs a second",
        ylim=(0, 1.15 * max(row["pairs_per_second"] for row in rows)),
    )
    axes.grid(alpha=0.3)
    axes.spines[["top", "right"]].set_visible(False)
    figure.tight_layout()
    file.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(file, dpi=130)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description="Pairs of nodes a second.")
    parser.add_argument("--sizes", action="store_true", help="by the size of the graph")
    parser.add_argument("--source", default="cora", help="the graph")
    parser.add_argument("--batch", type=int, default=1024, help="pairs at a time")
    parser.add_argument("--seconds", type=float, default=3.0, help="for each figure")
    parser.add_argument("--out", type=Path, help="with --sizes: the picture to write")
    flags = parser.parse_args()
    found: Any
    if flags.sizes:
        found = by_size(flags.batch, flags.seconds)
    else:
        found = beside(load_graph(flags.source), flags.batch, flags.seconds)
    print(json.dumps(found, indent=2))
    if flags.sizes and flags.out:
        draw(found, flags.out)


if __name__ == "__main__":
    main()
