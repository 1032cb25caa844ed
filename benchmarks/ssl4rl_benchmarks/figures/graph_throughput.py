"""How fast neighbourhoods are sampled: beside PyTorch Geometric's LinkNeighborLoader, and by the size of the graph.

python -m ssl4rl_benchmarks.figures.graph_throughput --source NAME    pairs a second, on Cora by default
python -m ssl4rl_benchmarks.figures.graph_throughput --sizes --out P  by number of edges, 10^4 to 10^7, with a picture in P

Both sample [10, 5] neighbours of the ends of train edges and of as many negative pairs; the loader also gathers features,
which ours leaves in the table (`features="id"`). LinkNeighborLoader needs pyg-lib or torch-sparse; else ours is alone.

An environment gives every pair a neighbourhood of its own, in which its edge is not. With torch-sparse the loader makes one
subgraph a batch: "of its own" has it make one for each edge and its negative pair, which is the work that ours does; "joint"
has it make one for the whole batch, where a node is sampled once whatever number of pairs it is near to, and the edges that
are asked about are among those that are shown.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from ssl4rl_envs import Stream
from ssl4rl_envs.graphs.edge_prediction import EdgePrediction
from ssl4rl_envs.sources.graph_builtin import load_graph
from ssl4rl_envs.sources.graph_models import stochastic_block_model
from ssl4rl_envs.sources.graphs import GraphSource

FANOUTS = (10, 5)
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
    """Measure both on a graph in turns; theirs is left out where it has nothing to sample with."""
    steps: dict[str, Callable[[], int]] = {"ours": ours(source, batch), "ours, inline": ours(source, batch, "inline")}
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
    """Measure ours on block models of rising size."""
    rows = []
    for edges in EDGES:
        start = time.perf_counter()
        source = stochastic_block_model(2 * edges // DEGREE, blocks=4, degree=DEGREE, features=8, words=2)
        built = time.perf_counter() - start
        rows.append({"edges": len(source), "pairs_per_second": rate(ours(source, batch), seconds), "seconds_to_build": built})
    return rows


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
