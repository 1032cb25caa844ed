"""An attacker of graph tasks that learns: boosted trees over what can be counted in a neighbourhood.

It sees degrees, counts, common neighbours and which word is asked about, and never what nodes are like. Trees find what a
rule of thumb misses: that a degree in the middle of the others is the true one, say. What it earns beyond chance must be
documented.

    python -m ssl4rl_benchmarks.audits.structure SSL4RL/EdgePrediction-v0 --source cora sbm --split test
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from typing import Any

import numpy as np
from gymnasium import spaces
from numpy.typing import NDArray
from sklearn.ensemble import HistGradientBoostingClassifier

from ssl4rl_agents.evaluation import clustered_interval
from ssl4rl_agents.rules.graph_rules import adjacency
from ssl4rl_benchmarks.audits.features import Table
from ssl4rl_envs import Batch, Stream, hash_seed, make_task, task_class
from ssl4rl_envs.graphs.base import GraphTask
from ssl4rl_envs.task import Task

DEGREE, COUNTS, COMMON, WAYS, WORD, ALL = "degree", "counts", "common neighbours", "longer ways", "word", "structure"
QUESTIONS = 3_000
CELLS = 20_000_000
"""Cells of adjacency matrices that are held at a time."""

Rewards = NDArray[np.float64]


def groups_of(task: Task) -> tuple[str, ...]:
    """Return what the attacker can be given of a task, by name; "structure" is everything together.

    "degree" is how many edges the targets are shown with; "counts" how many nodes and edges there are, how many nodes have
    features and how much is said of them, and the edges of the targets' neighbours; "common neighbours" and "longer ways"
    those of the first target with each other one; "word" which one is asked about, and how many nodes of the graph have it.
    Where a task asks several questions, each group comes with which one, and "word" is that alone.
    """
    if not isinstance(task, GraphTask) or not isinstance(task.action_space, (spaces.Discrete, spaces.MultiDiscrete)):
        return ()
    word = (WORD,) if "query" in task.observation_space.spaces else ()
    return (DEGREE, COUNTS, *(() if task.role == "node" else (COMMON, WAYS)), *word, ALL)


def structure(task: GraphTask, batch: Batch) -> dict[str, Table]:
    """Return what is counted of n questions, tables (n, R, F) by name of the group.

    R is what an answer is about: 1 for a pair of nodes, the candidates of a choice, the nodes that are asked about.
    """
    parts = [_counted(task, piece) for piece in _pieces(batch)]
    tables = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
    if task.role == "choice":
        tables = {name: among_others(table) for name, table in tables.items()}
    return {**tables, ALL: np.concatenate(list(tables.values()), axis=2)}


def among_others(table: Table) -> Table:
    """Add to figures of candidates (n, C, F) where each stands among the others: (n, C, 4 F).

    That is by how much it is off their mean, its rank (of equal ones the mean of theirs), and how far that is from the
    middle.
    """
    mine, others = table[:, :, None], table[:, None]
    rank = (mine > others).sum(axis=2) + ((mine == others).sum(axis=2) - 1) / 2
    middle = np.abs(rank - (table.shape[1] - 1) / 2)
    return np.concatenate([table, table - table.mean(axis=1, keepdims=True), rank, middle], axis=2)


def attack(task: GraphTask, known: Table, lessons: Batch, asked: Table, questions: Batch) -> Rewards:
    """Learn from lessons, answer questions; return what each answer earns, (m,).

    Args:
        task: what is asked.
        known, asked: tables (n, R, F) and (m, R, F) of `structure`.
        lessons, questions: the batches that they are of.
    """
    choice = task.role == "choice"
    target = lessons.target.reshape(len(lessons), -1)
    labels = (np.arange(known.shape[1]) == target).ravel() if choice else target.ravel()
    width = known.shape[2]
    model = HistGradientBoostingClassifier(max_iter=60, max_leaf_nodes=8, min_samples_leaf=20, random_state=0)
    model.fit(known.reshape(-1, width), labels)
    if choice:
        likely = model.predict_proba(asked.reshape(-1, width))[:, 1].reshape(len(questions), -1)
        best = likely >= likely.max(axis=1, keepdims=True) - 1e-12
        # Of equal ones any may be chosen: what that earns on average.
        return np.asarray((best * (np.arange(best.shape[1]) == questions.target[:, None])).sum(axis=1) / best.sum(axis=1))
    found = model.predict(asked.reshape(-1, width)).reshape(len(questions), -1)
    return np.asarray((found == questions.target.reshape(len(questions), -1)).mean(axis=1))


def measure_structure(
    task: GraphTask, split: str = "test", count: int = QUESTIONS, seed: int = 0
) -> dict[str, tuple[float, float, float]]:
    """Return what each group earns: the mean, and its 95 % interval that resamples pairs or nodes.

    Lessons and questions are of different seeds, lessons always of the train split.
    """
    lessons, questions = (
        task.sample(Stream(of, np.full(count, hash_seed(seed, "structure", role)), np.arange(count)))
        for of, role in (("train", "lessons"), (split, "questions"))
    )
    known, asked = structure(task, lessons), structure(task, questions)
    found = {}
    for name in groups_of(task):
        rewards = attack(task, known[name], lessons, asked[name], questions)
        found[name] = (float(rewards.mean()), *clustered_interval(rewards, questions.items))
    return found


def _pieces(batch: Batch) -> Iterator[dict[str, NDArray[Any]]]:
    size = max(1, CELLS // batch.observation["node_mask"].shape[1] ** 2)
    for start in range(0, len(batch), size):
        yield {name: values[start : start + size] for name, values in batch.observation.items()}


def _counted(task: GraphTask, shown: dict[str, NDArray[Any]]) -> dict[str, Table]:
    joined = adjacency(shown)
    row, targets = np.arange(len(joined))[:, None], shown["target"]
    degrees = joined.sum(axis=2)
    around = joined @ degrees[:, :, None]
    of_targets, beyond = degrees[row, targets], around[row, targets, 0]
    whole = [shown["node_mask"].sum(axis=1), degrees.sum(axis=1), shown["x_mask"].sum(axis=1)]
    if task.inline:
        whole.append(_said(task, shown))
    of_all = np.stack(whole, axis=1)[:, None].astype(np.float64)
    if task.role == "question":
        tables = {DEGREE: of_targets[:, None], COUNTS: np.concatenate([of_all, beyond[:, None]], axis=2)}
    elif task.role == "pair":
        sort = np.sort(of_targets, axis=1), np.sort(beyond, axis=1)
        tables = {DEGREE: np.concatenate([*sort[:1], np.diff(sort[0], axis=1)], axis=1)[:, None]}
        tables[COUNTS] = np.concatenate([of_all, sort[1][:, None]], axis=2)
    elif task.role == "choice":
        tables = {DEGREE: of_targets[:, 1:, None], COUNTS: beyond[:, 1:, None]}
    else:
        tables = {DEGREE: of_targets[:, :, None]}
        rest = [beyond[:, :, None], np.broadcast_to(of_all, (*targets.shape, of_all.shape[2]))]
        tables[COUNTS] = np.concatenate(rest, axis=2)
    if task.role != "node":
        tables[COMMON], tables[WAYS] = _shared(joined, degrees, targets)
    if task.role == "question":
        asked = shown["query"][:, None]
        tables = {name: np.concatenate([asked, table], axis=2) for name, table in tables.items()} | {WORD: asked}
    elif "query" in shown:
        often = (task.source.features != 0).sum(axis=0)
        tables[WORD] = np.stack([shown["query"], often[shown["query"]]], axis=2)
    return {name: np.asarray(table, np.float64) for name, table in tables.items()}


def _said(task: GraphTask, shown: dict[str, NDArray[Any]]) -> NDArray[np.int64]:
    """Return how many features that are not 0 are shown, of all nodes together, (n,)."""
    if "x" in shown:
        return np.asarray((shown["x"] != 0).sum(axis=(1, 2)), np.int64)
    of_node = (task.source.features != 0).sum(axis=1)[np.maximum(shown["node_id"], 0)]
    return np.asarray(np.where(shown["x_mask"] == 1, of_node, 0).sum(axis=1), np.int64)


def _shared(joined: NDArray[np.float32], degrees: NDArray[np.float32], targets: NDArray[np.int64]) -> tuple[Table, Table]:
    """Return what joins the first target to each of the others, (n, K - 1, 3) and (n, K - 1, 2).

    Common neighbours: all, weighted by Adamic and Adar (2003), and as a share of all neighbours; ways of three edges and of
    four.
    """
    row = np.arange(len(joined))[:, None]
    one, others = joined[row, targets[:, :1]], joined[row, targets[:, 1:]]
    both = one * others
    common = both.sum(axis=2)
    weighted = (both / np.log(np.maximum(degrees, 2))[:, None]).sum(axis=2)
    share = common / np.maximum(np.maximum(one, others).sum(axis=2), 1)
    two_away = one @ joined
    ways = (two_away * others).sum(axis=2), (two_away * (others @ joined)).sum(axis=2)
    return np.stack([common, weighted, share], axis=2), np.stack(ways, axis=2)


def table(
    env: str, sources: list[str], splits: list[str], fanouts: tuple[int, ...] | None, count: int
) -> Iterator[dict[str, Any]]:
    """Measure every level of an environment over sources; a graph that a level refuses is told with the reason."""
    levels = task_class(env).levels
    for level, source, split in ((level, source, split) for level in levels for source in sources for split in splits):
        arguments: dict[str, Any] = {"source": source, "level": level.name}
        if fanouts and "fanouts" not in level.arguments:
            arguments["fanouts"] = fanouts
        line = {"env": env, **arguments, "split": split}
        try:
            task = make_task(env, **arguments)
        except ValueError as error:
            yield {**line, "refused": str(error)}
            continue
        assert isinstance(task, GraphTask)
        yield {**line, "chance": task.chance, **measure_structure(task, split, count)}


def main() -> None:
    """Print what boosted trees earn, a line of JSON for each level, source and split."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("env", nargs="+", help="ids of environments")
    parser.add_argument("--source", nargs="+", default=["cora"])
    parser.add_argument("--split", nargs="+", default=["train", "test"])
    parser.add_argument("--fanouts", type=int, nargs="+", help="neighbours at each distance, where the level does not say")
    parser.add_argument("--count", type=int, default=QUESTIONS)
    options = parser.parse_args()
    fanouts = tuple(options.fanouts) if options.fanouts else None
    for env in options.env:
        for line in table(env, options.source, options.split, fanouts, options.count):
            print(json.dumps(line), flush=True)


if __name__ == "__main__":
    main()
