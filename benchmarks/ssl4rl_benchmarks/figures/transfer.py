"""Does it help? Node classification on Cora by logistic regression over representations that never saw a label.

    python -m ssl4rl_benchmarks.figures.transfer
    python -m ssl4rl_benchmarks.figures.transfer --env SSL4RL/MaskedFeatures-v0 --env-args '{}' --model sage

A graph network is trained by PPO on a self-supervised task, frozen, and run over the whole graph of train edges; logistic
regression with 20 labels a class, the rest of the nodes to be classified, 10 random splits. Beside it, from the same splits:
the words themselves, the network as it was at first, the same network trained on the same task by cross-entropy (the
supervised ceiling of the pretext task: the price of a reward in place of the answer), and Deep Graph Infomax of PyTorch
Geometric (Veličković et al. 2019, arXiv 1809.10341). Intervals are 95 %, by Student's t over the means of seeds and splits.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.stats import t
from sklearn.linear_model import LogisticRegressionCV
from sklearn.preprocessing import normalize
from torch import Tensor, nn
from torch_geometric.nn import DeepGraphInfomax, GCNConv

from ssl4rl_agents.policies.gnn import GNNPolicy
from ssl4rl_agents.ppo.config import Algorithm, TrainConfig
from ssl4rl_agents.ppo.trainer import Trainer
from ssl4rl_envs import hash_seed
from ssl4rl_envs.sources.graph_builtin import load_graph
from ssl4rl_envs.sources.graphs import GraphSource

LABELS = 20
"""Labelled nodes of each class."""

SPLITS = 10
FIRST_SEED = 10
"""Networks are numbered from here: settings were chosen with smaller seeds, and on random splits of another name."""

STRENGTHS = [1.0, 10.0, 100.0]
"""Of which regularisation of the probe is chosen, by cross-validation within the labelled nodes, alike for all."""

INFOMAX_WIDTH, INFOMAX_EPOCHS, INFOMAX_RATE = 512, 150, 1e-3

Table = NDArray[np.float32]


def settings(flags: argparse.Namespace, seed: int) -> TrainConfig:
    """Return the settings of the run of one seed."""
    return TrainConfig.from_json(
        {
            "env": flags.env,
            "env_args": {"source": flags.source, **json.loads(flags.env_args)},
            "seed": seed,
            "iterations": flags.iterations,
            "eval_every": flags.iterations,
            "save_every": flags.iterations,
            "device": flags.device,
            "policy": {"model": flags.model, "gnn_hidden": flags.hidden, "gnn_layers": flags.layers},
            "rollout": {"prompts": flags.prompts, "group_size": 4},
            "objective": {"advantage": flags.advantage},
        }
    )


def represent(policy: GNNPolicy, source: GraphSource) -> Table:
    """Return the representations (N, H) of all nodes, over the whole graph of train edges."""
    nodes = np.arange(source.nodes)
    ends = np.repeat(nodes, source.degrees)
    shown: dict[str, NDArray[Any]] = {
        "node_mask": np.ones((1, source.nodes), np.int8),
        "edge_index": np.stack([source.indices, ends])[None],
        "edge_mask": np.ones((1, len(ends)), np.int8),
        "target": nodes[None],
    }
    shown |= {"node_id": nodes[None]} if policy.sizes.by_id else {"x": source.features[None]}
    with torch.no_grad():
        return np.asarray(policy.embed(policy.encode(shown))[0].cpu().numpy())


def trained(
    flags: argparse.Namespace, seed: int, algorithm: Algorithm, source: GraphSource
) -> tuple[Table, Table, dict[str, float]]:
    """Return what the network of one seed makes of all nodes before and after training, and how well it does its task."""
    config = dataclasses.replace(settings(flags, seed), algorithm=algorithm)
    with tempfile.TemporaryDirectory() as folder:
        trainer = Trainer(config, Path(folder) / "run", quiet=True)
        assert isinstance(trainer.policy, GNNPolicy)
        before = represent(trainer.policy, source)
        start = time.perf_counter()
        trainer.run()
        seconds = time.perf_counter() - start
        result = trainer.measure("test", flags.test_episodes)
    return before, represent(trainer.policy, source), {"held_out": result.success, "seconds": seconds}


def infomax(source: GraphSource, seed: int) -> Table:
    """Return Deep Graph Infomax's representations of all nodes, over the same edges."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(hash_seed(seed, "infomax"))
        encoder = _Convolution(source.features.shape[1], INFOMAX_WIDTH)
        model = DeepGraphInfomax(
            INFOMAX_WIDTH,
            encoder=encoder,
            summary=lambda found, *_: found.mean(dim=0).sigmoid(),
            corruption=lambda x, edges: (x[torch.randperm(len(x))], edges),
        )
        x = torch.tensor(normalize(source.features, "l1"))
        edges = torch.tensor(np.stack([source.indices, np.repeat(np.arange(source.nodes), source.degrees)]))
        optimizer = torch.optim.Adam(model.parameters(), lr=INFOMAX_RATE)
        for _ in range(INFOMAX_EPOCHS):
            optimizer.zero_grad()
            torch.autograd.backward(model.loss(*model(x, edges)))
            optimizer.step()
        with torch.no_grad():
            return np.asarray(model(x, edges)[0].numpy())


class _Convolution(nn.Module):
    """One graph convolution, as Infomax has it on Cora."""

    def __init__(self, features: int, width: int) -> None:
        super().__init__()
        self.layer, self.bend = GCNConv(features, width), nn.PReLU(width)

    def forward(self, x: Tensor, edges: Tensor) -> Tensor:
        """Return (N, width)."""
        found: Tensor = self.bend(self.layer(x, edges))
        return found


def probe(representations: Table, labels: NDArray[np.int64], split: int) -> float:
    """Return the share of unlabelled nodes that logistic regression over the labelled ones of a random split gets right."""
    rng = np.random.default_rng(hash_seed(split, "labelled nodes"))
    order = rng.permutation(len(labels))
    known = np.concatenate([order[labels[order] == label][:LABELS] for label in np.unique(labels)])
    asked = np.setdiff1d(order, known)
    rows = normalize(representations)
    model = LogisticRegressionCV(
        Cs=STRENGTHS, cv=3, max_iter=2_000, l1_ratios=(0.0,), use_legacy_attributes=False, scoring="accuracy"
    )
    model.fit(rows[known], labels[known])
    return float((model.predict(rows[asked]) == labels[asked]).mean())


def summary(accuracies: list[list[float]]) -> dict[str, float]:
    """Return the mean over seeds and splits and its 95 % interval; splits are the sample, each averaged over seeds."""
    by_split = np.asarray(accuracies).mean(axis=0)
    mean = float(by_split.mean())
    reach = float(t.ppf(0.975, len(by_split) - 1) * by_split.std(ddof=1) / np.sqrt(len(by_split)))
    return {"accuracy": mean, "low": mean - reach, "high": mean + reach}


def measure(flags: argparse.Namespace) -> dict[str, Any]:
    """Measure everything and return it as plain data."""
    source = load_graph(flags.source)
    labels = source.labels
    if labels is None:
        raise ValueError(f"graph {source.name!r} has no labels to probe for")
    found: dict[str, list[list[float]]] = {}
    of_tasks: dict[str, list[dict[str, float]]] = {}

    def note(name: str, representations: Table) -> None:
        found.setdefault(name, []).append([probe(representations, labels, split) for split in range(SPLITS)])

    note("raw features", source.features)
    runs: dict[str, Algorithm] = {"PPO": "ppo", "cross-entropy (supervised ceiling of the task)": "sft"}
    for seed in range(FIRST_SEED, FIRST_SEED + flags.seeds):
        for name, algorithm in runs.items():
            before, after, of_task = trained(flags, seed, algorithm, source)
            if algorithm == "ppo":
                note("untrained network", before)
            note(name, after)
            of_tasks.setdefault(name, []).append(of_task)
        note("Deep Graph Infomax", infomax(source, seed))
    rows = {name: summary(accuracies) for name, accuracies in found.items()}
    tasks = {name: {key: float(np.mean([run[key] for run in each])) for key in each[0]} for name, each in of_tasks.items()}
    return {"env": flags.env, "model": flags.model, "seeds": flags.seeds, "probes": rows, "tasks": tasks}


def table(result: dict[str, Any]) -> str:
    """Return the figures as a Markdown table."""
    lines = ["| representation | accuracy | 95 % interval | held out on the task |", "| --- | --- | --- | --- |"]
    for name, row in result["probes"].items():
        task = result["tasks"].get(name)
        own = "" if task is None else f"{task['held_out']:.3f} in {task['seconds']:.0f} s"
        lines.append(f"| {name} | {row['accuracy']:.3f} | {row['low']:.3f} to {row['high']:.3f} | {own} |")
    return "\n".join(lines)


def parser() -> argparse.ArgumentParser:
    """Return the parser of the command line."""
    found = argparse.ArgumentParser(
        prog="python -m ssl4rl_benchmarks.figures.transfer", description="Node classification on Cora."
    )
    found.add_argument("--env", default="SSL4RL/EdgePrediction-v0", help="the task to train on")
    found.add_argument("--env-args", default='{"features": "id", "fanouts": [10, 5]}', help="its arguments, as JSON")
    found.add_argument("--source", default="cora", help="the graph; needs labels")
    found.add_argument("--model", default="gcn", help="gcn, sage, gat or gin")
    found.add_argument("--hidden", type=int, default=128, help="width of the network")
    found.add_argument("--layers", type=int, default=2, help="of message passing")
    found.add_argument("--advantage", default="gae", help="gae (PPO), grpo, rloo, ...")
    found.add_argument("--iterations", type=int, default=150, help="of training")
    found.add_argument("--prompts", type=int, default=256, help="questions an iteration")
    found.add_argument("--seeds", type=int, default=2, help="networks")
    found.add_argument("--test-episodes", type=int, default=2048, help="held-out questions of the task itself")
    found.add_argument("--device", default="auto", help="auto takes a GPU if there is one")
    found.add_argument("--json", action="store_true", help="print JSON")
    return found


def main() -> None:
    """Measure and print."""
    flags = parser().parse_args()
    result = measure(flags)
    print(json.dumps(result, indent=2) if flags.json else table(result))


if __name__ == "__main__":
    main()
