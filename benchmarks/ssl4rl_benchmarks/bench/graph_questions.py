"""Questions about graphs that a model was not trained on: links and distances, by its own answers or by a probe.

By its own answers: a model says how likely each answer is, and its greedy reply is not looked at, which may not even be one.
By a probe: logistic regression learns answers from what the frozen model makes of questions of the train split, and is asked
those of the test split. Then the head of a graph network does not matter, nor whether a reader ever answered in such words.
Either way no label of a node is seen, no edge that is asked about is shown, and all models are asked the same questions.

What a graph network makes of a question are its representations of the two nodes, each to length 1: their products and their
absolute differences, number by number. What a reader of words makes of it is its hidden state at the end of the prompt.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from typing import Any

import numpy as np
import torch
from gymnasium import spaces
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegressionCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler, normalize

from ssl4rl_agents.choosing.asking import drawn
from ssl4rl_agents.choosing.options import option_logprobs
from ssl4rl_agents.policies.gnn import GNNPolicy, sizes_of
from ssl4rl_agents.policies.hybrid import HybridPolicy
from ssl4rl_agents.policies.policy import Policy
from ssl4rl_agents.policies.vlm import VLMPolicy
from ssl4rl_agents.rules.graph_rules import adjacency
from ssl4rl_benchmarks.bench.measured import Measured, of_answers, of_ranking
from ssl4rl_benchmarks.bench.names import DISTANCE, LINKS
from ssl4rl_benchmarks.bench.readers import hidden_states
from ssl4rl_envs import Stream, Task, hash_seed, make_task
from ssl4rl_envs.graphs.base import GraphTask
from ssl4rl_envs.interface import Interface
from ssl4rl_envs.sources.graphs import GraphSource
from ssl4rl_envs.task import Batch

ENVIRONMENTS = {LINKS: "SSL4RL/EdgePrediction-v0", DISTANCE: "SSL4RL/GraphDistance-v0"}
"""What is asked, by the name of a measurement. Links are measured by the area under the ROC curve of yes against no,
distances by the share of right answers."""

CHUNK = 128
"""Questions at a time."""

STRENGTHS = [0.001, 0.01, 0.1, 1.0]
"""Of which regularisation of the probe is chosen, by cross-validation within its lessons, alike for all."""

Features = NDArray[np.float64]
Look = Callable[[Batch], Features]
"""What is made of n questions, (n, features)."""


def task_of(kind: str, source: GraphSource, fanouts: tuple[int, ...] | None) -> GraphTask:
    """Return what asks a kind of question about a graph.

    Args:
        kind: of `ENVIRONMENTS`.
        source: the graph.
        fanouts: most neighbours that links are asked with at each distance; distances need their own to be asked at all.
    """
    args: dict[str, Any] = {"fanouts": tuple(fanouts)} if kind == LINKS and fanouts else {}
    task = make_task(ENVIRONMENTS[kind], source=source, **args)
    assert isinstance(task, GraphTask)
    return task


def by_answers(policy: Policy, kind: str, task: GraphTask, questions: int, style: str, grammar: str) -> Measured:
    """Measure a model by how likely it takes each answer to be.

    Args:
        policy: a graph network that was made for these answers, or a reader of words.
        kind, task: see `task_of`.
        questions: of the test split.
        style, grammar: how a reader is asked.

    Raises:
        ValueError: the network answers other questions.
    """
    if isinstance(policy, GNNPolicy):
        require_answers(policy, task)
    interface = Interface(task, policy.interface, style, grammar)
    kept, policy.constraint = policy.constraint, None  # whatever may be said in the model's own task
    try:
        logprobs, targets, items = [], [], []
        for first in range(0, questions, CHUNK):
            asked = drawn(interface, _test(first, min(CHUNK, questions - first)))
            logprobs.append(option_logprobs(policy, _shown(policy, interface, asked.batch), asked.options).double().numpy())
            targets.append(asked.truth)
            items.append(asked.items)
    finally:
        policy.constraint = kept
    found, truth, units = (np.concatenate(part) for part in (logprobs, targets, items))
    if kind == LINKS:
        return of_ranking(found[:, 1] - found[:, 0], truth == 1, units)
    return of_answers(found.argmax(axis=1) == truth, units)


def by_probe(look: Look, kind: str, task: GraphTask, questions: int, lessons: int) -> Measured:
    """Measure what a logistic probe finds in what is made of questions.

    Args:
        look: what is made of them: `look_of` a model, or `look_at_features`.
        kind, task: see `task_of`.
        questions: of the test split, that the probe is asked.
        lessons: of each answer, of the train split, that it learns from.
    """
    known, answers = _lessons(task, lessons, look)
    asked = [task.sample(_test(first, min(CHUNK, questions - first))) for first in range(0, questions, CHUNK)]
    rows = np.concatenate([look(batch) for batch in asked])
    truth, units = (np.concatenate([getattr(batch, name) for batch in asked]) for name in ("target", "items"))
    probe = make_pipeline(
        StandardScaler(),
        LogisticRegressionCV(
            Cs=STRENGTHS, cv=3, max_iter=2_000, l1_ratios=(0.0,), use_legacy_attributes=False, scoring="neg_log_loss"
        ),
    )
    probe.fit(known, answers)
    if kind == LINKS:
        return of_ranking(probe.decision_function(rows), truth == 1, units)
    return of_answers(probe.predict(rows) == truth, units)


def by_common_neighbours(task: GraphTask, questions: int) -> Measured:
    """Measure links by how many neighbours the two nodes share in what is shown, without any network."""
    scores, truth, units = [], [], []
    for first in range(0, questions, CHUNK):
        batch = task.sample(_test(first, min(CHUNK, questions - first)))
        near, row = adjacency(batch.observation), np.arange(len(batch))
        one, other = batch.observation["target"].T
        scores.append((near[row, one] * near[row, other]).sum(axis=1))
        truth.append(batch.target)
        units.append(batch.items)
    return of_ranking(np.concatenate(scores), np.concatenate(truth) == 1, np.concatenate(units))


def look_of(policy: Policy, task: GraphTask, style: str, grammar: str) -> Look:
    """Return what a frozen model makes of questions.

    Raises:
        ValueError: nobody knows how to look into it.
    """
    interface = Interface(task, policy.interface, style, grammar)
    if isinstance(policy, GNNPolicy):
        network = policy
        return lambda batch: of_pairs(_embedded(network, _shown(network, interface, batch)))
    if isinstance(policy, VLMPolicy):
        reader = policy
        return lambda batch: hidden_states(reader, _shown(reader, interface, batch)).astype(np.float64)
    raise ValueError(
        f"{type(policy).__name__} is neither a graph network nor a reader of words, whose states could be probed"
    )


def look_at_features(task: GraphTask) -> Look:
    """Return what the features of the two nodes themselves tell, by the same protocol."""

    def look(batch: Batch) -> Features:
        x = task.complete(batch).observation["x"]
        return of_pairs(x[np.arange(len(x))[:, None], batch.observation["target"]])

    return look


def of_pairs(nodes: NDArray[np.floating]) -> Features:
    """Return products and absolute differences (n, 2 H) of pairs of nodes (n, 2, H), whose length is made 1 before."""
    width = nodes.shape[2]
    one, other = normalize(nodes.reshape(-1, width).astype(np.float64)).reshape(-1, 2, width).transpose(1, 0, 2)
    return np.concatenate([one * other, np.abs(one - other)], axis=1)


def _shown(policy: Policy, interface: Interface, batch: Batch) -> dict[str, Any]:
    """Return what a model is shown of questions; a graph network features, and no numbers of another graph's nodes."""
    return interface.observe(batch) if isinstance(policy, GNNPolicy) else policy.observe(interface, batch)


@torch.no_grad()
def _embedded(policy: GNNPolicy, shown: dict[str, Any]) -> NDArray[np.float32]:
    return np.asarray(policy.embed(policy.encode(shown)).cpu().numpy(), np.float32)


def _test(first: int, count: int) -> Stream:
    return Stream.span("test", hash_seed(0, "transfer"), first, count)


def _lessons(task: GraphTask, count: int, look: Look) -> tuple[Features, NDArray[np.int64]]:
    """Return what is made of the first `count` questions of the train split with each answer, and these."""
    assert isinstance(task.action_space, spaces.Discrete)
    answers = int(task.action_space.n)
    left, rows, targets, first = np.full(answers, count), [], [], 0
    while left.any():
        batch = task.sample(Stream.span("train", hash_seed(0, "lessons"), first, CHUNK))
        first += CHUNK
        earlier = np.array([(batch.target[:row] == answer).sum() for row, answer in enumerate(batch.target.tolist())])
        wanted = earlier < left[batch.target]
        if wanted.any():
            rows.append(look(batch.rows(wanted)))
            targets.append(batch.target[wanted])
            left -= np.bincount(batch.target[wanted], minlength=answers)
    return np.concatenate(rows), np.concatenate(targets)


def require_answers(policy: GNNPolicy, task: Task) -> None:
    """Check that the head of a graph network gives the answers to a task.

    Raises:
        ValueError: it does not; the message says what differs.
    """
    ours, theirs = asdict(policy.sizes), asdict(sizes_of(task, policy.sizes.kind, policy.sizes.hidden, policy.sizes.layers))
    differing = [
        f"{name} {ours[name]} rather than {theirs[name]}" for name in ours if name != "by_id" and ours[name] != theirs[name]
    ]
    if differing:
        raise ValueError(
            f"the head of the network was made for other answers than those to {type(task).__name__}: it has "
            f"{', '.join(differing)}; a probe (@COUNT) needs none"
        )


def fitting(policy: Policy, source: GraphSource, described: Callable[[], bool]) -> GraphSource:
    """Return a graph as a model can read it that was trained on another.

    Words can be read of any graph, and features that are as many as the network reads. Where neither graph has features of
    its own, nodes are described by buckets of degrees, which mean the same in every graph: then it is given as many as the
    network reads.

    Args:
        policy: that is to read it.
        source: the graph.
        described: says whether the graph that it was trained on has features of its own.

    Raises:
        ValueError: the network reads other features, or is told more of a node than these.
    """
    if not isinstance(policy, (GNNPolicy, HybridPolicy)):
        return source
    sizes = policy.sizes if isinstance(policy, GNNPolicy) else policy.graphs.sizes
    if sizes.marks:
        raise ValueError("the network is told what each node is to its question (`mark`), which nothing else asks with")
    width = source.features.shape[1]
    if width == sizes.features and source.described == described():
        return source
    if not source.described and not described():
        return source.with_buckets(sizes.features)
    kind = "features" if source.described else "buckets of degrees, having no features of its own"
    raise ValueError(
        f"graph {source.name!r} has {width} {kind}, and the network was trained on {sizes.features} others; across "
        "graphs go those whose features are as many and mean the same, and readers of words"
    )


@contextmanager
def looking_up(policy: Policy, source: GraphSource) -> Iterator[None]:
    """Let graph tokens that are made of nodes by their numbers be made of the nodes of this graph for a while."""
    if not isinstance(policy, HybridPolicy) or policy.graphs.table is None:
        yield
        return
    kept = policy.graphs.table
    policy.graphs.table = torch.tensor(source.features, device=kept.device)
    try:
        yield
    finally:
        policy.graphs.table = kept
