"""What an agent can do that it was not trained for: other tasks, labels of pictures, topics of nodes.

A measurement is named by one word:

- ``task:FlipPrediction``: the normalised score in that environment, without any training in it. Its pictures are those of
  the environment of training. Of a mixture that has the task among its own, it is what the mixture scores when it asks
  nothing else; a mixture may show a blank second picture, which the task on its own does not.
- ``probe:digits@10``: the accuracy of logistic regression on the network's features of pictures, with 10 labels a class;
  ``digits`` (which digit), or of the scenes of training ``sky``, ``ground`` and ``light``. Means over `DRAWS` draws of
  labels.
- ``whole:digits@10``, ``quarters:folder:PATH@10``: the same of pictures that were never trained on, whose labels are those
  of others; features are averaged over the whole picture, or over each quarter. See `towers`.
- ``nodes:cora@20``: the same over the nodes of a graph, by the protocol of `ssl4rl_benchmarks.figures.transfer`.

Features of pictures are what the vision tower and its connector give, standardised; those of ``probe:`` are averaged over all
patches.
"""

from __future__ import annotations

from typing import Any, cast

import numpy as np
from numpy.typing import NDArray
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler, normalize

from ssl4rl_agents.agent import Agent
from ssl4rl_agents.evaluation import evaluate
from ssl4rl_agents.policies.policy import Policy
from ssl4rl_benchmarks.bench import nodes, towers
from ssl4rl_benchmarks.bench.grid import Run, thawed
from ssl4rl_envs import Stream, Task, hash_seed, make_task
from ssl4rl_envs.sources import load_images
from ssl4rl_envs.sources.graph_builtin import load_graph
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


def references(name: str, run: Run) -> dict[str, float]:
    """Return what is reached without the network, by the same protocol."""
    kind, _, rest = name.partition(":")
    what, _, labels = rest.rpartition("@")
    if kind in towers.CELLS:
        return {"pixels": towers.of_pixels(what, int(labels))}
    if kind == "probe":
        pictures, classes = labelled(what, run)
        return {"pixels": probe(pictures.reshape(len(pictures), -1) / 255, classes, int(labels))}
    if kind == "nodes":
        source = load_graph(what)
        raw, infomax = source.features, nodes.infomax(source, run.seed)
        return {"raw features": _nodes(raw, what, int(labels)), "Deep Graph Infomax": _nodes(infomax, what, int(labels))}
    return {}


def asked(what: str, run: Run) -> Task:
    """Return the task of a name, over the pictures of a run; as a part of the run's mixture if it is one of those."""
    args = thawed(run.env.args)
    parts = [type(part).__name__ for part in make_task(run.env.id, **args).parts]
    if what in parts:
        return make_task(run.env.id, **{**args, "weights": tuple(float(name == what) for name in parts)})
    shared = {key: run.env.args[key] for key in ("source", "image_size") if key in run.env.args}
    return make_task(what, **shared)


def _tried(name: str, run: Run, agent: Agent, prompt_style: str, grammar: str) -> float | str:
    try:
        value: float | None = _measured(name, run, agent, prompt_style, grammar)
        return value if value is not None and np.isfinite(value) else "the score is no number, or cannot be normalised"
    except (ValueError, TypeError, KeyError, AttributeError, OSError) as error:  # a run is not lost for it
        return f"{type(error).__name__}: {error}"


def _measured(name: str, run: Run, agent: Agent, prompt_style: str, grammar: str) -> float:
    kind, _, rest = name.partition(":")
    if kind == "task":
        how: dict[str, Any] = {"prompt_style": prompt_style, "grammar": grammar}
        return evaluate(agent, asked(rest, run), env=rest, split="test", episodes=run.test_episodes, **how).normalised
    policy: Policy | None = getattr(agent, "policy", None)
    if policy is None:
        raise ValueError(f"{type(agent).__name__} has no `policy` whose features could be probed")
    what, _, labels = rest.rpartition("@")
    if kind in towers.CELLS:
        return towers.measured(policy, what, towers.CELLS[kind], int(labels))
    if kind == "probe":
        pictures, classes = labelled(what, run)
        return probe(picture_features(policy, pictures), classes, int(labels))
    if kind == "nodes":
        return _nodes(nodes.represent(cast("Any", policy), load_graph(what)), what, int(labels))
    raise ValueError(
        f"no measurement {name!r}; there are task:NAME, nodes:GRAPH@COUNT, and of pictures "
        "probe:LABELS@COUNT, whole:CLASSES@COUNT and quarters:CLASSES@COUNT"
    )


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
    """Return the accuracy of logistic regression with `labels` examples a class on all other examples, the mean of draws."""
    found = []
    for draw in range(DRAWS):
        order = np.random.default_rng(hash_seed(draw, "labelled")).permutation(len(classes))
        known = np.concatenate([order[classes[order] == each][:labels] for each in np.unique(classes)])
        asked = np.setdiff1d(order, known)
        model = make_pipeline(StandardScaler(), LogisticRegression(max_iter=1_000))
        model.fit(features[known], classes[known])
        found.append(float((model.predict(features[asked]) == classes[asked]).mean()))
    return float(np.mean(found))


def _nodes(representations: NDArray[np.float32], graph: str, labels: int) -> float:
    source = load_graph(graph)
    if source.labels is None:
        raise ValueError(f"graph {graph!r} has no labels to probe for")
    if labels != nodes.LABELS:
        return probe(normalize(representations), source.labels, labels)
    return float(np.mean([nodes.probe(representations, source.labels, split) for split in range(nodes.SPLITS)]))
