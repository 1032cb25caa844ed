"""What an agent can do that it was not trained for: other tasks, labels of pictures, topics of nodes, links, distances.

A measurement is named by one word, see `names`.
"""

from __future__ import annotations

from contextlib import nullcontext
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler, normalize

from ssl4rl_agents.agent import Agent
from ssl4rl_agents.evaluation import evaluate
from ssl4rl_agents.policies.gnn import GNNPolicy
from ssl4rl_agents.policies.hybrid import HybridPolicy
from ssl4rl_agents.policies.policy import Policy
from ssl4rl_agents.policies.vlm import VLMPolicy
from ssl4rl_benchmarks.bench import graph_questions, nodes, readers, towers
from ssl4rl_benchmarks.bench.grid import Run, thawed
from ssl4rl_benchmarks.bench.measured import Measured, of_answers, of_draws
from ssl4rl_benchmarks.bench.names import CELLS, LINKS, NODES, OF_QUESTIONS, PROBE, TASK, Name, name_of
from ssl4rl_envs import Stream, Task, hash_seed, make_task
from ssl4rl_envs.graphs.base import GraphTask
from ssl4rl_envs.graphs.node_attribute import NodeAttribute
from ssl4rl_envs.registration import env_id_of
from ssl4rl_envs.sources import load_images
from ssl4rl_envs.sources.graph_builtin import load_graph
from ssl4rl_envs.sources.graphs import GraphSource
from ssl4rl_envs.sources.scene_bank import SceneBank
from ssl4rl_envs.sources.scenes import Scenes

DRAWS = 10
"""Draws of labelled examples that a probe's accuracy is averaged over."""

PICTURES = 1_000
"""Scenes that a probe has labels for, or is asked about."""

SIDE = 48

Values = dict[str, float | str]
"""By name: a value, or what went wrong."""


def measure(run: Run, agent: Agent, prompt_style: str = "direct", grammar: str = "strict") -> Values:
    """Measure an agent on everything that its run names, as it is now; what cannot be measured is said in its place.

    Args:
        run: says what, and over which pictures.
        agent: who.
        prompt_style, grammar: how it is asked and its replies are read in other tasks: as in its own.
    """
    found = measure_in_parts(run, agent, prompt_style, grammar)
    return {name: each if isinstance(each, str) else each.value for name, each in found.items()}


def measure_in_parts(
    run: Run, agent: Agent, prompt_style: str = "direct", grammar: str = "strict"
) -> dict[str, Measured | str]:
    """Measure as `measure` does, and return what each question or draw of labels adds."""
    return {name: _tried(name, run, agent, prompt_style, grammar) for name in run.env.beyond}


def compare(
    run: Run, agent: Agent, before: Values | None, prompt_style: str = "direct", grammar: str = "strict"
) -> list[dict[str, Any]]:
    """Return rows of what was measured; see `measure`.

    Each holds `what`, and either `error`, or `before` (None where the agent did not say when it began), `after`, and
    `beside`, values to compare with.
    """
    rows: list[dict[str, Any]] = []
    for name, after in measure(run, agent, prompt_style, grammar).items():
        first = None if before is None else before.get(name)
        wrong = next((value for value in (after, first) if isinstance(value, str)), None)
        if wrong is not None:
            rows.append({"what": name, "error": wrong})
        else:
            rows.append({"what": name, "before": first, "after": after, "beside": references(name, run)})
    return rows


def references(name: str, run: Run, *, infomax: bool = True) -> dict[str, float]:
    """Return what is reached without the network, by the same protocol.

    Args:
        name: of the measurement.
        run: as of `measure`.
        infomax: whether Deep Graph Infomax is trained for topics of nodes, which takes minutes.
    """
    named = name_of(name)
    what, count = named.what, named.count
    if named.kind in CELLS:
        return {"pixels": towers.of_pixels(what, count)}
    if named.kind == PROBE:
        pictures, classes = labelled(what, run)
        return {"pixels": probe(pictures.reshape(len(pictures), -1) / 255, classes, count)}
    if named.kind == NODES:
        source = load_graph(what)
        found = {"raw features": _nodes(source.features, source, count).value}
        return found | (
            {"Deep Graph Infomax": _nodes(nodes.infomax(source, run.seed), source, count).value} if infomax else {}
        )
    if named.kind not in OF_QUESTIONS:
        return {}
    task, questions = graph_questions.task_of(named.kind, load_graph(what), fanouts_of(run)), run.test_episodes
    found = {}
    if count:
        look = graph_questions.look_at_features(task)
        found["raw features"] = graph_questions.by_probe(look, named.kind, task, questions, count).value
    if named.kind == LINKS:
        found["common neighbours"] = graph_questions.by_common_neighbours(task, questions).value
    return found


def asked(what: str, run: Run, source: Any = None) -> Task:
    """Return the task of a name, over the pictures of a run; as a part of the run's mixture if it is one of those.

    Args:
        what: the name.
        run: of whose environment it has the source.
        source: another one; then the run's own task has its other arguments from there, but for numbers of nodes, which are
            those of one graph.
    """
    args = thawed(run.env.args)
    if source is not None:
        own = env_id_of(what) == run.env.id
        kept = {key: value for key, value in args.items() if (own and key != "features") or key == "image_size"}
        return make_task(what, **{**kept, "source": source})
    parts = [type(part).__name__ for part in make_task(run.env.id, **args).parts]
    if what in parts:
        return make_task(run.env.id, **{**args, "weights": tuple(float(name == what) for name in parts)})
    shared = {key: run.env.args[key] for key in ("source", "image_size") if key in run.env.args}
    return make_task(what, **shared)


def fanouts_of(run: Run) -> tuple[int, ...] | None:
    """Return how many neighbours were shown in training at each distance, where the run says so."""
    found = run.env.args.get("fanouts")
    return None if found is None else tuple(found)


def _tried(name: str, run: Run, agent: Agent, prompt_style: str, grammar: str) -> Measured | str:
    try:
        found = _measured(name_of(name), run, agent, prompt_style, grammar)
        return found if np.isfinite(found.parts).all() else "the score is no number, or cannot be normalised"
    except (ValueError, TypeError, KeyError, AttributeError, OSError) as error:  # a run is not lost for it
        return f"{type(error).__name__}: {error}"


def _measured(name: Name, run: Run, agent: Agent, prompt_style: str, grammar: str) -> Measured:
    if name.kind == TASK:
        return _of_task(name, run, agent, prompt_style, grammar)
    policy: Policy | None = getattr(agent, "policy", None)
    if policy is None:
        raise ValueError(f"{type(agent).__name__} has no `policy` whose features could be probed")
    if name.kind in CELLS:
        return of_draws(towers.measured(policy, name.what, CELLS[name.kind], name.count))
    if name.kind == PROBE:
        pictures, classes = labelled(name.what, run)
        return of_draws(accuracies(picture_features(policy, pictures), classes, name.count))
    source = _graph(name.what, policy, run)
    if name.kind == NODES:
        return _of_nodes(policy, source, name.count, fanouts_of(run))
    task, questions = graph_questions.task_of(name.kind, source, fanouts_of(run)), run.test_episodes
    with graph_questions.looking_up(policy, source):
        if not name.count:
            return graph_questions.by_answers(policy, name.kind, task, questions, prompt_style, grammar)
        look = graph_questions.look_of(policy, task, prompt_style, grammar)
        return graph_questions.by_probe(look, name.kind, task, questions, name.count)


def _of_task(name: Name, run: Run, agent: Agent, prompt_style: str, grammar: str) -> Measured:
    """Measure by the normalised score in an environment."""
    policy: Any = getattr(agent, "policy", None)
    reads = isinstance(policy, (GNNPolicy, HybridPolicy))  # features, and so not any graph
    task = asked(name.what, run, _graph(name.source, policy, run) if name.source and reads else name.source or None)
    if isinstance(policy, GNNPolicy):
        graph_questions.require_answers(policy, task)
        if name.source and isinstance(task, NodeAttribute) and task.attribute in ("cluster", "vector"):
            raise ValueError(
                "groups of similar features are numbered anew in every graph, and a graph network is not told which is which"
            )
    how: dict[str, Any] = {"prompt_style": prompt_style, "grammar": grammar}
    with graph_questions.looking_up(policy, task.source) if isinstance(task, GraphTask) else nullcontext():
        result = evaluate(agent, task, env=name.what, split="test", episodes=run.test_episodes, **how)
    if result.played is None:  # from who does not keep single episodes
        return of_draws([result.normalised])
    return of_answers((result.played.reward - result.chance) / (result.oracle - result.chance), result.played.items)


def _graph(what: str, policy: Policy, run: Run) -> GraphSource:
    """Return a graph as a network can read it that was trained in a run; see `graph_questions.fitting`."""
    source = load_graph(what)
    if what == run.env.args.get("source"):
        return source

    def described() -> bool:
        task = make_task(run.env.id, **thawed(run.env.args))
        return isinstance(task, GraphTask) and task.source.described

    return graph_questions.fitting(policy, source, described)


def labelled(what: str, run: Run) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """Return pictures (n, side, side, 3) and their classes (n,): of digits, or held-out scenes."""
    if what == "digits":
        source = load_images("digits")
        items = np.arange(len(load_digits().target))
        return source.pixels(source.whole(items), SIDE), np.asarray(load_digits().target, np.int64)
    source = load_images(run.env.args["source"])
    if not isinstance(source, (SceneBank, Scenes)):
        raise ValueError(f"probe:{what} needs the labels of scenes, and {source.name} has none")
    if isinstance(source, SceneBank):
        items = source.items("test")
    else:
        items = source.draw(Stream("test", np.full(PICTURES, hash_seed(0, "probe"), np.uint64), np.arange(PICTURES)))
    classes = source.labels(items)[what]
    return source.pixels(source.whole(items), SIDE), np.asarray(classes, np.int64)


def picture_features(policy: Policy, pictures: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Return what a network makes of pictures, (n, features): its tower's and connector's tokens, averaged."""
    return np.asarray(towers.averaged(towers.tokens_of(policy, pictures), 1).numpy(), np.float32)


def probe(features: NDArray[Any], classes: NDArray[np.int64], labels: int) -> float:
    """Return the mean of `accuracies`."""
    return float(np.mean(accuracies(features, classes, labels)))


def accuracies(features: NDArray[Any], classes: NDArray[np.int64], labels: int) -> list[float]:
    """Return the accuracy of logistic regression with `labels` examples a class on all other examples, of each draw."""
    found = []
    for draw in range(DRAWS):
        order = np.random.default_rng(hash_seed(draw, "labelled")).permutation(len(classes))
        known = np.concatenate([order[classes[order] == each][:labels] for each in np.unique(classes)])
        asked = np.setdiff1d(order, known)
        model = make_pipeline(StandardScaler(), LogisticRegression(max_iter=1_000))
        model.fit(features[known], classes[known])
        found.append(float((model.predict(features[asked]) == classes[asked]).mean()))
    return found


def _of_nodes(policy: Policy, source: GraphSource, labels: int, fanouts: tuple[int, ...] | None) -> Measured:
    """Measure how well topics can be read off what a model makes of nodes."""
    if isinstance(policy, GNNPolicy):
        return _nodes(nodes.represent(policy, source), source, labels)
    if isinstance(policy, HybridPolicy):
        raise ValueError("graph tokens stand for what an environment asks about, and no environment asks for topics of nodes")
    if isinstance(policy, VLMPolicy):
        read = readers.read_nodes(policy, source, fanouts or readers.FANOUTS)
        return _nodes(read, source, labels, readers.chosen_nodes(source))
    raise ValueError(
        f"{type(policy).__name__} is neither a graph network nor a reader of words, whose states could be probed"
    )


def _nodes(
    representations: NDArray[np.float32], source: GraphSource, labels: int, chosen: NDArray[np.int64] | None = None
) -> Measured:
    """Probe representations of nodes, of all or of those that were chosen, for their topics."""
    if source.labels is None:
        raise ValueError(f"graph {source.name!r} has no labels to probe for")
    classes = source.labels if chosen is None else source.labels[chosen]
    if labels != nodes.LABELS:
        return of_draws(accuracies(normalize(representations), classes, labels))
    return of_draws([nodes.probe(representations, classes, split) for split in range(nodes.SPLITS)])
