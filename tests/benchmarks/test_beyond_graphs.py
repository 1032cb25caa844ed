"""What else a model knows of graphs: names, areas by hand, probes, other graphs, readers of words."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from sklearn.metrics import roc_auc_score

from ssl4rl_agents.policies.build import build_policy
from ssl4rl_agents.policies.gnn import GNNPolicy, feature_table, sizes_of
from ssl4rl_agents.policy_settings import PolicyConfig
from ssl4rl_agents.runs.policy_agent import PolicyAgent
from ssl4rl_benchmarks.bench import graph_questions, nodes, probes, readers
from ssl4rl_benchmarks.bench.grid import Entry, Environment, Run
from ssl4rl_benchmarks.bench.measured import difference, of_answers, of_draws, of_ranking
from ssl4rl_benchmarks.bench.names import Name, name_of
from ssl4rl_envs import make_task
from ssl4rl_envs.sources.graph_builtin import load_graph
from ssl4rl_envs.stream import SPLITS

GRAPH, FANOUTS = "sbm:300", (3,)


def network(env="SSL4RL/EdgePrediction-v0", source=GRAPH, **args) -> GNNPolicy:
    task = make_task(env, source=source, **args)
    torch.manual_seed(0)
    return GNNPolicy(sizes_of(task, "gcn", 16, 2), feature_table(task) if "features" in args else None).eval()


def run_of(*beyond, env="SSL4RL/EdgePrediction-v0", source=GRAPH, questions=64, **args) -> Run:
    shown = {"source": source, "fanouts": list(FANOUTS), **args}
    return Run("mine", Environment(env, shown, beyond=beyond), Entry("gcn-ppo"), 0, 0, questions)


def measured(run, policy):
    return probes.measure(run, PolicyAgent(policy))


# Parts


def test_an_area_by_hand():
    """Of four pairs of a positive and a negative one, three are in their order: 3 > 2, 3 > 0, 1 > 0, but not 1 > 2."""
    found = of_ranking([3, 1, 2, 0], [True, True, False, False], [7, 8, 9, 9])
    assert found.value == 0.75
    assert found.parts.tolist() == [1.25, 0.25, 0.25, 1.25]
    delong = 0.0625 / 2 + 0.0625 / 2  # variances of the places of positive and of negative ones, over how many there are
    assert ((found.parts - 0.75) ** 2).sum() / 4**2 == delong
    assert of_ranking([1, 1, 1], [True, False, False], [0, 1, 2]).value == 0.5
    assert found.to_json() == {"value": 0.75, "parts": [1.25, 0.25, 0.25, 1.25], "units": [7, 8, 9, 9]}


def test_areas_are_those_of_scikit_learn():
    rng = np.random.default_rng(0)
    for count in (5, 60, 301):
        scores, truth = rng.integers(0, 9, count), rng.random(count) < 0.3
        truth[:2] = True, False
        assert of_ranking(scores, truth, np.arange(count)).value == pytest.approx(roc_auc_score(truth, scores))


def test_what_cannot_be_ranked_is_refused():
    with pytest.raises(ValueError, match="needs both kinds"):
        of_ranking([1, 2], [True, True], [0, 1])
    with pytest.raises(ValueError, match="must be finite, got nan"):
        of_ranking([1, np.nan], [True, False], [0, 1])


def test_differences_are_paired():
    before, after = of_answers([0, 0, 1, 1], [1, 1, 2, 2]).to_json(), of_answers([1, 1, 1, 1], [1, 1, 2, 2]).to_json()
    assert difference(after, before).mean == 0.5
    with pytest.raises(ValueError, match="different questions"):
        difference(after, of_draws([0.5, 0.5]).to_json())


# Names


def test_names_by_hand():
    assert name_of("task:FlipPrediction") == Name("task", "FlipPrediction")
    assert name_of("task:EdgePrediction over sbm:1000") == Name("task", "EdgePrediction", source="sbm:1000")
    assert name_of("nodes:sbm:1000@20") == Name("nodes", "sbm:1000", 20)
    assert name_of("links:cora") == Name("links", "cora")
    assert name_of("links:file:/a@b/c.csv") == Name("links", "file:/a@b/c.csv")
    assert name_of("distance:file:/a@b/c.csv@5") == Name("distance", "file:/a@b/c.csv", 5)
    for written in ("nodes:cora", "links:cora@0", "whole:digits@few"):
        with pytest.raises(ValueError, match="takes a count"):
            name_of(written)
    for written in ("smell:roses@2", "links", "links:"):
        with pytest.raises(ValueError, match="no measurement"):
            name_of(written)
    with pytest.raises(ValueError, match="FlipPrediction"):
        name_of("task:FlipPredicton")


# Questions


def test_pairs_by_hand():
    found = graph_questions.of_pairs(np.array([[[3.0, 4.0], [0.0, 2.0]]]))
    assert found[0] == pytest.approx([0.0, 0.8, 0.6, 0.2])  # of (0.6, 0.8) and (0, 1)


def test_answers_are_ranked_by_what_the_head_says():
    policy, task = network(fanouts=FANOUTS), graph_questions.task_of("links", load_graph(GRAPH), FANOUTS)
    found = graph_questions.by_answers(policy, "links", task, 150, "direct", "strict")
    batch = task.sample(graph_questions._test(0, 150))
    with torch.no_grad():
        logits = policy._judge(policy.encode(task.complete(batch).observation))[0][:, 0].numpy()
    assert found.value == pytest.approx(roc_auc_score(batch.target, logits[:, 1] - logits[:, 0]))
    assert found.units.tolist() == batch.items.tolist()


def test_common_neighbours_are_counted():
    task = graph_questions.task_of("links", load_graph("karate"), (4,))
    batch = task.sample(graph_questions._test(0, 40))
    shared = []
    for row in range(40):
        near: dict[int, set[int]] = {}
        pairs = batch.observation["edge_index"][row].T[batch.observation["edge_mask"][row] == 1]
        for one, other in pairs.tolist():
            near.setdefault(one, set()).add(other)
        one, other = batch.observation["target"][row].tolist()
        shared.append(len(near.get(one, set()) & near.get(other, set())))
    found = graph_questions.by_common_neighbours(task, 40)
    assert found.value == pytest.approx(roc_auc_score(batch.target, shared))


@pytest.mark.parametrize("kind", graph_questions.ENVIRONMENTS)
def test_a_probe_learns_from_train_questions_alone_and_finds_what_is_there(kind):
    task, seen = graph_questions.task_of(kind, load_graph(GRAPH), FANOUTS), []

    def told(batch):
        seen.append(batch)
        return np.eye(4)[batch.target]

    answers = task.action_space.n
    assert graph_questions.by_probe(told, kind, task, 100, 6).value == 1
    lessons, count = [], 0
    while count < 6 * answers:
        lessons.append(seen.pop(0))
        count += len(lessons[-1])
    assert np.concatenate([batch.target for batch in lessons]).tolist().count(0) == count / answers == 6
    for split, batches in (("train", lessons), ("test", seen)):
        items = np.concatenate([batch.items for batch in batches])
        if kind == "links":
            of_items = task.source.pair_split(items // task.source.nodes, items % task.source.nodes)
        else:
            of_items = task.source.node_split[items]
        assert set(of_items.tolist()) == {SPLITS.index(split)}
    rng = np.random.default_rng(0)
    noise = graph_questions.by_probe(lambda batch: rng.standard_normal((len(batch), 4)), kind, task, 400, 40).value
    assert abs(noise - 1 / answers) < 0.12


# Networks


def test_everything_is_measured_of_a_network_or_said_why_not():
    names = (
        "links:sbm:300",
        "links:sbm:300@20",
        "distance:sbm:300@10",
        "task:EdgePrediction over sbm:200",
        "links:sbm:200@20",
        "distance:sbm:300",
        "links:karate@5",
        "nodes:karate@5",
        "task:NodeAttribute over sbm:200",
    )
    run = run_of(*names)
    found = measured(run, network(fanouts=FANOUTS))
    assert all(0 <= found[name] <= 1 for name in names if name.startswith(("links:sbm", "distance:sbm:300@")))
    assert -1 <= found["task:EdgePrediction over sbm:200"] <= 1
    assert "head of the network was made for other answers than those to GraphDistance" in found["distance:sbm:300"]
    assert "network was trained on 64 others" in found["links:karate@5"]
    assert "role pair rather than node" in found["task:NodeAttribute over sbm:200"]
    for entry in probes.compare(
        replace(run, env=replace(run.env, beyond=names[:3])), PolicyAgent(network(fanouts=FANOUTS)), None
    ):
        assert all(0 <= value <= 1 for value in entry["beside"].values())


def test_groups_of_another_graph_are_other_groups():
    run = run_of("task:NodeAttribute over sbm:400", env="SSL4RL/NodeAttribute-v0", groups=4)
    said = measured(run, network(run.env.id, groups=4, fanouts=FANOUTS))["task:NodeAttribute over sbm:400"]
    assert "numbered anew in every graph" in said


def test_the_task_of_training_has_its_arguments_over_another_graph():
    run = run_of(negatives="degree", features="id")
    task = probes.asked("EdgePrediction", run, "sbm:200")
    assert (task.negatives, task.fanouts, task.inline, task.source.nodes) == ("degree", FANOUTS, True, 200)
    assert probes.asked("NeighborChoice", run, "sbm:200").fanouts == (5, 3)


def test_a_network_that_knows_nodes_by_number_reads_the_features_of_another_graph():
    by_number, inline = network(features="id"), network()
    assert np.allclose(*(nodes.represent(policy, load_graph("sbm:200")) for policy in (by_number, inline)), atol=1e-5)
    name = "task:EdgePrediction over sbm:200"
    found = [measured(run_of(name), policy)[name] for policy in (by_number, inline)]
    assert found[0] == found[1]


def test_graphs_without_features_have_as_many_buckets_as_the_network_reads():
    club, grown = load_graph("karate"), load_graph("barabasi_albert:400")
    run = run_of("links:barabasi_albert:400@20", source="karate")
    policy = network(source="karate")
    assert club.features.shape[1] != grown.features.shape[1]
    assert 0 <= measured(run, policy)["links:barabasi_albert:400@20"] <= 1
    width = club.features.shape[1]
    few = graph_questions.fitting(policy, grown, lambda: False)
    assert few.features.shape == (400, width)
    assert few.features.argmax(axis=1).tolist() == np.minimum(grown.features.argmax(axis=1), width - 1).tolist()
    many = club.with_buckets(width + 3)
    assert np.array_equal(many.features[:, :width], club.features)
    assert not many.features[:, width:].any()
    assert np.array_equal(many.edges, club.edges)
    with pytest.raises(ValueError, match="features of their own"):
        load_graph(GRAPH).with_buckets(4)
    with pytest.raises(ValueError, match="at least 1"):
        club.with_buckets(0)
    assert "network was trained on" in measured(run_of("links:sbm:300@5", source="karate"), policy)["links:sbm:300@5"]


# Readers of words


@pytest.fixture(scope="module")
def reader():
    task = make_task("SSL4RL/EdgePrediction-v0", source=GRAPH, fanouts=FANOUTS)
    return build_policy(PolicyConfig(model="nano", nano_hidden=32), task, 0, torch.device("cpu"))


def test_states_of_a_prompt_do_not_depend_on_the_others(reader):
    prompts = readers.node_prompts(load_graph(GRAPH), np.arange(3), FANOUTS)
    together = readers.hidden_states(reader, {"prompt": (*prompts, prompts[0] * 2)})
    alone = readers.hidden_states(reader, {"prompt": prompts[:1]})
    assert together.shape == (4, 32)
    assert np.allclose(together[0], alone[0], atol=1e-4)
    assert not np.allclose(together[0], together[1], atol=1e-2)


def test_prompts_of_nodes_tell_what_they_have():
    source = load_graph(GRAPH)
    (told,) = readers.node_prompts(source, np.array([5]), FANOUTS)
    asked = int(told.rsplit("node ", 1)[1].split()[0])
    words = " ".join(map(str, np.flatnonzero(source.features[5])[:10]))
    assert f"node {asked}: {words}" in told
    assert told.endswith(f"What is node {asked} about?")


def test_of_large_graphs_some_nodes_are_read(monkeypatch):
    monkeypatch.setattr(readers, "NODES", 50)
    chosen = readers.chosen_nodes(load_graph(GRAPH))
    assert len(set(chosen.tolist())) == 50
    assert chosen.tolist() == readers.chosen_nodes(load_graph(GRAPH)).tolist()


def test_a_reader_is_asked_about_any_graph(reader, monkeypatch):
    monkeypatch.setattr(readers, "NODES", 60)
    names = ("links:karate", "links:sbm:200@5", "nodes:sbm:200@3", "distance:karate", "task:EdgePrediction over karate")
    found = measured(run_of(*names, questions=16), reader)
    assert all(isinstance(value, float) for value in found.values()), found
    assert 0 <= found["links:karate"] <= 1
    task = graph_questions.task_of("links", load_graph("karate"), FANOUTS)
    constraint = reader.constraint
    again = graph_questions.by_answers(reader, "links", task, 16, "direct", "strict").value
    assert again == pytest.approx(found["links:karate"])
    assert reader.constraint is constraint


def test_a_reader_of_graph_tokens_reads_graphs_with_as_many_features():
    task = make_task("SSL4RL/EdgePrediction-v0", source=GRAPH, fanouts=FANOUTS)
    config = PolicyConfig(model="nano", nano_hidden=32, graph_tokens="gcn", gnn_hidden=16)
    policy = build_policy(config, task, 0, torch.device("cpu"))
    names = ("links:sbm:200", "links:sbm:200@5", "links:karate", "nodes:sbm:300@3", "task:EdgePrediction over sbm:200")
    table = policy.graphs.table
    found = measured(run_of(*names, questions=16), policy)
    assert all(isinstance(found[name], float) for name in (names[0], names[1], names[4])), found
    assert "network was trained on 64 others" in found["links:karate"]
    assert "no environment asks for topics" in found["nodes:sbm:300@3"]
    assert policy.graphs.table is table
    policy.graphs.table = None  # then it reads features as they are shown
    assert measured(run_of(names[0], questions=16), policy)[names[0]] == pytest.approx(found[names[0]])


def test_who_has_no_states_is_told():
    class Other:
        interface = "array"

    task = graph_questions.task_of("links", load_graph(GRAPH), FANOUTS)
    with pytest.raises(ValueError, match="neither a graph network nor a reader"):
        graph_questions.look_of(Other(), task, "direct", "strict")
    assert "no `policy`" in probes.measure(run_of("links:sbm:300"), object())["links:sbm:300"]
