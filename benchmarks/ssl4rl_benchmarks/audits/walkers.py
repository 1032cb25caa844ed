"""Attackers of graph tasks of several decisions: they learn at every turn which candidate is right, and play whole episodes.

Lessons are the states that random walks come to, so that they know what it looks like after a mistake too. What an attacker
sees of a candidate is what the attackers of one decision see (`structure`, `graph_features`), and where it stands in that
among the other candidates.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from sklearn.ensemble import HistGradientBoostingClassifier

from ssl4rl_benchmarks.audits import structure
from ssl4rl_benchmarks.audits.features import Table
from ssl4rl_benchmarks.audits.graph_features import describe_graphs
from ssl4rl_envs import Batch, Stream, hash_seed
from ssl4rl_envs.graphs.base import GraphTask

LESSONS = 6_000
"""States that are learned from, at most."""

Rewards = NDArray[np.float64]


def measure(task: GraphTask, solvers: list[str], train: Batch, test: Batch) -> dict[str, Rewards]:
    """Let every solver learn from what random walks see and play the test instances; return what each earns, (n,) by name.

    Batches may be compact, and are best so: features of every node at every turn take gigabytes.
    """
    known, right, open_ = wandered(task, solvers, train)
    models = {name: learn(known[name], right, open_) for name in solvers}
    return {name: play(task, test, chooser(task, name, models[name])) for name in solvers}


def wandered(
    task: GraphTask, solvers: list[str], batch: Batch
) -> tuple[dict[str, Table], NDArray[np.int64], NDArray[np.bool_]]:
    """Walk at random from n first states; return of what is seen there, for at most `LESSONS` states.

    These are the tables (m, C, F) by solver, the right candidates (m,), and which there are, (m, C).
    """
    tables: list[dict[str, Table]] = []
    right, open_, now = [], [], batch
    for turn in range(task.horizon):
        few = now.rows(slice(0, LESSONS // task.horizon))
        tables.append(seen(task, solvers, few))
        right.append(few.target)
        open_.append(offered(task, few))
        there = offered(task, now)
        stream = Stream.span("train", hash_seed("walkers", turn), 0, len(now))
        step = task.advance(now, np.where(there, stream.words(there.shape[1:]) >> np.uint64(1), 0).argmax(axis=1))
        now = step.state.rows(~step.terminated)
        if not len(now):
            break
    joined = {name: np.concatenate([of_turn[name] for of_turn in tables]) for name in solvers}
    return joined, np.concatenate(right), np.concatenate(open_)


def offered(task: GraphTask, batch: Batch) -> NDArray[np.bool_]:
    """Return which candidates there are, (n, C)."""
    return np.asarray(task.info(batch)["action_mask"] == 1)


def seen(task: GraphTask, solvers: list[str], batch: Batch) -> dict[str, Table]:
    """Return what each solver sees of the candidates of n states, (n, C, F) by name."""
    tables = structure.structure(task, batch) if set(solvers) & set(structure.groups_of(task)) else {}
    for name in solvers:
        if name not in tables:
            flat = describe_graphs(name, task, batch)
            tables[name] = structure.among_others(_by_candidate(flat, batch.observation["target"].shape[1]))
    return tables


def learn(table: Table, right: NDArray[np.int64], open_: NDArray[np.bool_]) -> HistGradientBoostingClassifier:
    """Learn which of the candidates that there are is the right one."""
    model = HistGradientBoostingClassifier(max_iter=60, max_leaf_nodes=8, min_samples_leaf=20, random_state=0)
    return model.fit(table[open_], (np.arange(table.shape[1]) == right[:, None])[open_])


def chooser(task: GraphTask, name: str, model: HistGradientBoostingClassifier) -> Callable[[Batch], NDArray[np.int64]]:
    """Return who goes to the candidate that a model thinks likeliest."""

    def choose(state: Batch) -> NDArray[np.int64]:
        table, open_ = seen(task, [name], state)[name], offered(task, state)
        likely = np.full(open_.shape, -1.0)
        likely[open_] = model.predict_proba(table[open_])[:, 1]
        return np.asarray(likely.argmax(axis=1), np.int64)

    return choose


def play(task: GraphTask, batch: Batch, choose: Callable[[Batch], NDArray[np.int64]]) -> Rewards:
    """Play one episode from each row; return what was earned, (n,)."""
    earned, rows, state = np.zeros(len(batch)), np.arange(len(batch)), batch
    for _ in range(task.horizon):
        step = task.advance(state, choose(state))
        earned[rows] += step.score.reward
        rows, state = rows[~step.terminated], step.state.rows(~step.terminated)
        if not len(rows):
            break
    return earned


def _by_candidate(flat: Table, targets: int) -> Table:
    """Return what is said of each candidate, (n, C, F), of figures (n, targets or more) or (n, F C)."""
    count = targets - 1
    if flat.shape[1] % count == 0:
        return flat.reshape(len(flat), -1, count).transpose(0, 2, 1)
    return flat[:, 1:targets, None]
