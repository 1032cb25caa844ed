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
from scipy.stats import t

from ssl4rl_agents.policies.gnn import GNNPolicy
from ssl4rl_agents.ppo.trainer import Trainer
from ssl4rl_agents.settings import Algorithm, TrainConfig
from ssl4rl_benchmarks.bench import nodes
from ssl4rl_benchmarks.bench.nodes import Table
from ssl4rl_envs.sources.graph_builtin import load_graph
from ssl4rl_envs.sources.graphs import GraphSource

FIRST_SEED = 10
"""Networks are numbered from here: settings were chosen with smaller seeds, and on random splits of another name."""


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


def trained(
    flags: argparse.Namespace, seed: int, algorithm: Algorithm, source: GraphSource
) -> tuple[Table, Table, dict[str, float]]:
    """Return what the network of one seed makes of all nodes before and after training, and how well it does its task."""
    config = dataclasses.replace(settings(flags, seed), algorithm=algorithm)
    with tempfile.TemporaryDirectory() as folder:
        trainer = Trainer(config, Path(folder) / "run", quiet=True)
        assert isinstance(trainer.policy, GNNPolicy)
        before = nodes.represent(trainer.policy, source)
        start = time.perf_counter()
        trainer.run()
        seconds = time.perf_counter() - start
        result = trainer.measure("test", flags.test_episodes)
    return before, nodes.represent(trainer.policy, source), {"held_out": result.success, "seconds": seconds}


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
        found.setdefault(name, []).append([nodes.probe(representations, labels, split) for split in range(nodes.SPLITS)])

    note("raw features", source.features)
    runs: dict[str, Algorithm] = {"PPO": "ppo", "cross-entropy (supervised ceiling of the task)": "sft"}
    for seed in range(FIRST_SEED, FIRST_SEED + flags.seeds):
        for name, algorithm in runs.items():
            before, after, of_task = trained(flags, seed, algorithm, source)
            if algorithm == "ppo":
                note("untrained network", before)
            note(name, after)
            of_tasks.setdefault(name, []).append(of_task)
        note("Deep Graph Infomax", nodes.infomax(source, seed))
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
