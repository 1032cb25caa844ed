"""GraphQA: the answer is that of the graph that is shown, and neither the words nor the graph alone tell it."""

from __future__ import annotations

import networkx as nx
import numpy as np
import pytest
from scipy import stats
from sklearn.ensemble import HistGradientBoostingClassifier

from ssl4rl_envs import Batch, Stream, make_task
from ssl4rl_envs.graphs import graph_questions
from ssl4rl_envs.graphs.graph_qa import GraphQA
from ssl4rl_envs.graphs.graph_questions import COUNTING, FIRST, KINDS, NO, QUESTIONS, SECOND, WORDS, YES
from ssl4rl_envs.sources.graphs import GraphSource


def sample(task: GraphQA, count: int, seed: int = 0, split: str = "train") -> Batch:
    return task.sample(Stream.span(split, seed, 0, count))


def graph_of(batch: Batch, row: int) -> nx.Graph:
    graph = nx.Graph()
    graph.add_nodes_from(range(int(batch.observation["node_mask"][row].sum())))
    graph.add_edges_from(batch.observation["edge_index"][row][:, batch.observation["edge_mask"][row] == 1].T.tolist())
    return graph


def truth(graph: nx.Graph, question: int, a: int, b: int) -> str:
    """The answer by networkx, in words."""
    kind = QUESTIONS[question].kind
    if kind == "count":
        return str(graph.degree[a])
    if kind == "degree":
        return "first" if graph.degree[a] > graph.degree[b] else "second"
    most = 2 if "at most 2" in QUESTIONS[question].wordings[0] else 3
    holds = {
        "edge": lambda: graph.has_edge(a, b),
        "common": lambda: bool(list(nx.common_neighbors(graph, a, b))),
        "path": lambda: nx.has_path(graph, a, b) and nx.shortest_path_length(graph, a, b) <= most,
        "triangle": lambda: nx.triangles(graph, a) > 0,
    }
    return "yes" if holds[kind]() else "no"


@pytest.mark.parametrize("source", ["cora", "karate", "les_miserables"])
@pytest.mark.parametrize("split", ["train", "test"])
def test_answers_are_those_of_networkx(source, split):
    task = make_task("GraphQA", source=source)
    batch = sample(task, 250, split=split)
    words, reasons = task.truths(batch), task.rationale(batch)
    for row, (query, (a, b)) in enumerate(zip(batch.observation["query"], batch.observation["target"], strict=True)):
        graph, question = graph_of(batch, row), QUESTIONS[query[0]]
        assert (a == b) == question.of_one
        assert words[row] == truth(graph, query[0], a, b)
        if question.kind == "degree":
            assert graph.degree[a] != graph.degree[b], "neither is asked about where both are right"
        assert reasons[row].endswith(f", so the answer is {words[row]}.")
        assert "{" not in reasons[row]
    assert set(batch.memory["kind"]) == set(range(len(KINDS)))
    assert set(batch.observation["query"][:, 0]) == set(range(len(QUESTIONS)))


def test_the_words_offer_what_the_mask_allows_in_the_order_of_the_query(build):
    task = build("SSL4RL/GraphQA-v0")
    batch = sample(task, 300)
    labels, mask = task.answer_format.labels, task.info(batch)["action_mask"]
    for row, question in enumerate(task.question(batch)):
        one, other = question.removesuffix(".").rpartition(": ")[2].split(" or ")
        assert {one, other} == {labels[place] for place in np.flatnonzero(mask[row])}
        assert [one, other] == [labels[place - len(QUESTIONS)] for place in batch.observation["query"][row, 1:]]
        assert labels[batch.target[row]] in (one, other)
        kind = KINDS[batch.memory["kind"][row]]
        assert {"yes", "no"} == {one, other} or kind in ("degree", "count")
    assert (mask.sum(axis=1) == 2).all()


def test_marks_are_on_the_nodes_that_are_asked_about(build):
    shown = sample(build("SSL4RL/GraphQA-v0"), 200).observation
    row, (a, b) = np.arange(200), shown["target"].T
    assert np.array_equal(shown["mark"][row, a], np.where(a == b, 1, 2))
    assert np.array_equal(shown["mark"][row, b], np.where(a == b, 1, 3))
    assert np.array_equal((shown["mark"] > 0).sum(axis=1), np.where(a == b, 1, 2))


@pytest.mark.parametrize("bias", [0.5, 0.85])
def test_the_words_without_the_graph_earn_chance(bias):
    """Trees that see the question, its options, wording, order and numbers of nodes; not how often each is right."""
    task = make_task("GraphQA", source="les_miserables", bias=bias)

    def seen(batch: Batch) -> np.ndarray:
        said = [batch.observation[name] for name in ("query", "target")]
        return np.concatenate([*said, batch.memory["wording"][:, None], batch.memory["kind"][:, None]], axis=1)

    lessons, asked = sample(task, 3_000), sample(task, 3_000, seed=1, split="test")
    model = HistGradientBoostingClassifier(max_iter=50, random_state=0).fit(seen(lessons), lessons.target)
    earned = (model.predict(seen(asked)) == asked.target).mean()
    assert earned == pytest.approx(bias, abs=4.5 * np.sqrt(bias * (1 - bias) / 3_000) + 0.005)
    assert task.chance == bias


@pytest.mark.parametrize("kind", KINDS)
def test_numbers_of_nodes_are_alike_for_both_answers(kind):
    batch = sample(make_task("GraphQA", source="karate", kinds=kind), 3_000)
    number, first = batch.observation["target"][:, 0], batch.target == batch.memory["favoured"]
    assert stats.ks_2samp(number[first], number[~first]).pvalue > 1e-4
    assert abs(first.mean() - 0.5) < 4.5 * 0.5 / np.sqrt(3_000)


def test_the_answer_of_habit_follows_from_the_words_and_is_right_in_its_share():
    task = make_task("GraphQA", source="karate", bias=0.8)
    batch = sample(task, 2_000)
    habit: dict[tuple[int, ...], set[int]] = {}
    for (number, *options), favoured in zip(batch.observation["query"].tolist(), batch.memory["favoured"], strict=True):
        habit.setdefault((number, *sorted(options)), set()).add(int(favoured))
    assert all(len(each) == 1 for each in habit.values()), "however it is put, and in whatever order it offers them"
    right = batch.target == batch.memory["favoured"]
    for kind in range(len(KINDS)):
        assert right[batch.memory["kind"] == kind].mean() == pytest.approx(0.8, abs=0.1)
    assert "favoured" not in {*batch.observation, *task.info(batch)}


def test_with_a_bias_the_questions_are_the_same_but_for_the_nodes():
    """What is drawn first does not depend on the answer."""
    one, other = (make_task("GraphQA", source="karate", bias=bias, pairing="p") for bias in (0.5, 0.95))
    first, second = sample(one, 200), sample(other, 200)
    for name in ("query", "edge_index", "edge_mask", "node_mask", "x"):
        assert np.array_equal(first.observation[name], second.observation[name]), name
    assert (first.target != second.target).any()


def test_relations_by_hand():
    """A triangle 0-1-2 with a tail 2-3-4, and a hole at 5."""
    near = np.zeros((1, 6, 6), np.float32)
    for a, b in ((0, 1), (0, 2), (1, 2), (2, 3), (3, 4)):
        near[0, a, b] = near[0, b, a] = 1
    exists = np.array([[True] * 5 + [False]])

    def settled(question: int, options: tuple[int, int]) -> tuple[set, set]:
        both = graph_questions.settled(np.array([question]), np.array([options]), near, exists)
        return tuple({(int(a), int(b)) for a, b in np.argwhere(each[0])} for each in both)

    by_kind = {kind: [n for n, question in enumerate(QUESTIONS) if question.kind == kind] for kind in KINDS}
    joined = {(0, 1), (0, 2), (1, 2), (2, 3), (3, 4)}
    assert {pair for pair in settled(by_kind["edge"][0], (YES, NO))[0] if pair[0] < pair[1]} == joined
    assert (0, 3) in settled(by_kind["edge"][0], (YES, NO))[1]
    common, none = settled(by_kind["common"][0], (YES, NO))
    assert {pair for pair in common if pair[0] < pair[1]} == {(0, 1), (0, 2), (1, 2), (0, 3), (1, 3), (2, 4)}
    assert (0, 4) in none
    far = [settled(number, (YES, NO))[1] for number in by_kind["path"]]
    assert {pair for pair in far[0] if pair[0] < pair[1]} == {(0, 4), (1, 4)}
    assert not far[1]
    first, second = settled(by_kind["degree"][0], (FIRST, SECOND))
    assert (2, 4) in first
    assert (4, 2) in second
    assert not {(0, 1), (0, 3)} & (first | second), "equally many"
    assert settled(by_kind["triangle"][0], (YES, NO)) == ({(0, 0), (1, 1), (2, 2)}, {(3, 3), (4, 4)})
    assert settled(COUNTING, (len(WORDS), len(WORDS) + 2)) == ({(4, 4)}, {(2, 2)})


def test_kinds_that_a_graph_does_not_show_are_left_out_of_all_and_refused_by_name():
    path = GraphSource(np.stack([np.arange(299), np.arange(1, 300)], axis=1), name="a long path")
    task = GraphQA(path)
    assert "triangle" not in task.kinds
    assert {"edge", "path"} <= set(task.kinds)
    assert set(sample(task, 200).memory["kind"]) == {KINDS.index(kind) for kind in task.kinds}
    with pytest.raises(ValueError, match=r"graph 'a long path' seldom shows both answers to questions of the kind triangle"):
        GraphQA(path, kinds="edge+triangle")


def test_kinds_are_asked_equally_often_however_rare_their_answers_are():
    batch = sample(make_task("GraphQA", source="cora", kinds="edge+triangle"), 1_000)
    assert abs((batch.memory["kind"] == KINDS.index("edge")).mean() - 0.5) < 0.07


def test_a_plain_wording_is_the_first_of_several():
    plain = make_task("GraphQA", source="karate", wording="plain")
    assert not sample(plain, 100).memory["wording"].any()
    assert set(sample(make_task("GraphQA", source="karate"), 100).memory["wording"]) == {0, 1, 2}
    assert len({words.format(a=1, b=2) for question in QUESTIONS for words in question.wordings}) == 3 * len(QUESTIONS)


@pytest.mark.parametrize(
    ("arguments", "match"),
    [
        ({"kinds": "egde"}, "kinds must be all, or of edge, common, .* got 'egde'; did you mean 'edge'"),
        ({"kinds": "edge+edge"}, r"each kind once, got 'edge\+edge'"),
        ({"bias": 0.4}, "bias must lie in 0.5 to 0.95, got 0.4"),
        ({"wording": "long"}, "wording must be one of several, plain, got 'long'"),
    ],
)
def test_what_cannot_be_asked_is_an_error_that_says_what_can(arguments, match):
    with pytest.raises(ValueError, match=match):
        make_task("GraphQA", source="karate", **arguments)
