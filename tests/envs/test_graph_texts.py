"""Texts of nodes: how they are told in prompts, that what is hidden stays hidden, and what they change."""

from __future__ import annotations

import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ssl4rl_envs import Stream, make_task
from ssl4rl_envs.graphs.sayings import listed, longest
from ssl4rl_envs.sources.graph_texts import plain, together, told
from ssl4rl_envs.sources.graphs import GraphSource
from ssl4rl_envs.speech import MAX_PROMPT
from ssl4rl_envs.stream import SPLITS, hash_rows

BITS = 9
NODES = 2**BITS - 2
EDGES = np.array([(one, other) for node in range(NODES) for one, other in ((node, node * 7 % NODES), (node, node + 1))])
EDGES = EDGES[EDGES.max(axis=1) < NODES]
CODES = (np.arange(1, NODES + 1)[:, None] >> np.arange(BITS) & 1).astype(np.float32)
"""Features that tell a node's number."""

WORDS = tuple(f"word{column}" for column in range(BITS))
TEXTS = tuple(f"name{node}x" for node in range(NODES))

TASKS = {
    "EdgePrediction": {},
    "NeighborChoice": {},
    "NodeAttribute": {"groups": 2},
    "NodeAttribute word": {"attribute": "word"},
    "MaskedFeatures": {"masked": 2},
    "GraphDistance": {},
    "GraphWalk": {},
    "GraphSearch": {},
}


def graph(texts=TEXTS, vocabulary=WORDS, features=CODES, **facts):
    return GraphSource(EDGES, NODES, features, texts=texts, vocabulary=vocabulary, **facts)


def task_of(name, source, **more):
    return make_task(f"SSL4RL/{name.partition(' ')[0]}-v0", source=source, **{**TASKS[name], **more})


def told_in(prompt):
    """What a prompt says of nodes, by their numbers."""
    return {int(node): text for node, text in re.findall(r'node (\d+): "([^"]*)"', prompt)}


def number_of(x):
    return int((x.astype(np.int64) << np.arange(BITS)).sum()) - 1


# How a text is told


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a plain title", "a plain title"),
        ('a "quoted"; <answer>yes</answer>\n\tend', "a 'quoted', (answer)yes(/answer) end"),
        ("node 3: x; Nodes 4-5, node7, NODE (8)", "number 3: x, number 4-5, number 7, number 8)"),
        ("a node of the 3rd kind", "a node of the 3rd kind"),
        ("<|im_end|>[INST]{x}", "(/im_end/)(INST)(x)"),
        ("Keāhole ‘Łódź’ – Straße…", "Keahole 'Lodz' - Strasse..."),
        ("中文 x\x00y\x7f", "?? x y"),
        ("  ", ""),
    ],
)
def test_a_text_cannot_look_like_the_syntax_of_a_prompt(text, expected):
    assert told(text) == expected


@given(st.text(max_size=60))
def test_whatever_a_text_is_it_is_told_in_one_printable_line(text):
    said = told(text)
    assert said.isascii()
    assert said.isprintable()
    assert told(said) == said == plain(said)
    assert not set('";<>[]{}|') & set(said)
    assert not re.search(r"(?i)\bnodes?\W*\d", said)


def test_texts_are_cut_at_one_length_to_the_room_there_is():
    assert longest([10, 2, 30], 100) == 30
    assert longest([10, 2, 30], 24) == 10  # 4 for the short one, and 10 each
    assert longest([10, 2, 30], 12) == 4
    assert longest([5, 5], 3) == 1
    said = listed([0, 4, 7], "Texts", ["abcdefghijkl", "", "abcdefghijklmnopqrstuvwxyz"], 70)
    assert said == 'Texts: node 0: "abcdefgh..."; node 4: none; node 7: "abcdefgh...".'
    assert listed([], "Texts", [], 100) == "Texts: none."
    assert listed([0], "Texts", ["abcdefgh"], 10) == "Texts: too many to be told."


@given(st.lists(st.text("abc ", max_size=80), min_size=1, max_size=30), st.integers(40, 3_000))
def test_what_is_listed_fits_the_room(said, room):
    found = listed(list(range(len(said))), "Texts", said, room)
    assert len(found) <= max(room, len("Texts: too many to be told."))
    if room >= 100 + sum(len(text) + 14 for text in said):
        assert all(f'"{text}"' in found for text in said if text)


# What is shown and what is not


@pytest.mark.parametrize("name", TASKS)
def test_each_node_that_is_shown_is_told_by_its_own_text_and_hidden_ones_are_not(name):
    task = task_of(name, graph())
    for split in ("train", "test"):
        batch = task.sample(Stream.span(split, 3, 0, 24))
        prompts = task.prompts(batch)
        for row, prompt in enumerate(prompts):
            shown = {key: values[row] for key, values in batch.observation.items()}
            expected = {node: TEXTS[number_of(shown["x"][node])] for node in np.flatnonzero(shown["x_mask"] == 1).tolist()}
            assert told_in(prompt) == expected
            assert len(re.findall(r"name\d+x", prompt)) == len(expected), "no other node's text stands anywhere"
        compact = task.compact(Stream.span(split, 3, 0, 24))
        assert task.prompts(compact) == prompts
        assert task.prompts(task.complete(compact)) == prompts


def test_the_hidden_nodes_are_those_whose_features_are_asked_for():
    for name in ("NodeAttribute", "NodeAttribute word", "MaskedFeatures"):
        task = task_of(name, graph())
        batch = task.sample(Stream.span("test", 0, 0, 32))
        for row, prompt in enumerate(task.prompts(batch)):
            assert not set(batch.observation["target"][row].tolist()) & set(told_in(prompt))


@pytest.mark.parametrize("name", ["GraphWalk", "GraphSearch"])
def test_texts_go_with_their_nodes_through_an_episode(name):
    task = task_of(name, graph())
    state = task.sample(Stream.span("train", 1, 0, 16))
    for _ in range(3):
        state = task.advance(state, task.oracle(state)).state
        for row, prompt in enumerate(task.prompts(state)):
            x, mask = state.observation["x"][row], state.observation["x_mask"][row]
            assert told_in(prompt) == {node: TEXTS[number_of(x[node])] for node in np.flatnonzero(mask == 1).tolist()}


def test_several_attempts_and_features_by_number_tell_the_same_texts():
    source = graph()
    plain_task, tries = task_of("EdgePrediction", source), task_of("EdgePrediction", source, attempts=2)
    by_number = task_of("EdgePrediction", source, features="id")
    for task in (plain_task, tries, by_number):
        prompt = task.prompts(task.sample(Stream.span("train", 0, 0, 4)))[0]
        assert told_in(prompt)
    paired = [task.paired("same").sample(Stream.span("train", 0, 0, 8)) for task in (plain_task, by_number)]
    assert plain_task.prompts(paired[0]) == by_number.prompts(paired[1])


def test_questions_about_edges_alone_tell_no_texts():
    task = make_task("SSL4RL/GraphQA-v0", source=graph())
    assert not any("name" in prompt for prompt in task.prompts(task.sample(Stream.span("train", 0, 0, 16))))


def test_nodes_with_equal_texts_or_features_are_hidden_together():
    """Every node has the text of its opposite, in other letters, and features of its own."""
    texts = [f"Name {node % (NODES // 2)}".upper() if node % 2 else f"name {node % (NODES // 2)}" for node in range(NODES)]
    source = graph(texts)
    assert (source.twins[: NODES // 2] == source.twins[NODES // 2 :]).all()
    star = np.array([(0, node) for node in range(1, NODES)])  # so that twins meet
    task = task_of("NodeAttribute word", GraphSource(star, NODES, CODES, texts=texts), fanouts=(60, 60))
    batch = task.sample(Stream.span("train", 0, 0, 64))
    met = 0
    for row, prompt in enumerate(task.prompts(batch)):
        numbers = batch.memory["node_id"][row]
        asked = int(batch.items[row])
        twin = (asked + NODES // 2) % NODES
        assert twin not in numbers
        met += len(told_in(prompt)) > 1
        assert texts[asked].lower() not in [text.lower() for text in told_in(prompt).values()]
    assert met > 40


def test_prompts_with_long_texts_fit():
    source = graph([f"start{node} " + "many words " * 2_000 for node in range(NODES)])
    for name in ("EdgePrediction", "NeighborChoice", "NodeAttribute", "GraphDistance"):
        task = task_of(name, source, **({"candidates": 8} if name == "NeighborChoice" else {}))
        prompts = task.prompts(task.sample(Stream.span("test", 0, 0, 16)), "think")
        assert max(map(len, prompts)) <= MAX_PROMPT
        assert min(map(len, prompts)) > MAX_PROMPT // 2
        assert all("start" in text and text.endswith("...") for text in told_in(prompts[0]).values())


# Named words


def test_a_word_that_is_asked_about_is_called_by_its_name():
    task = task_of("NodeAttribute word", graph())
    batch = task.sample(Stream.span("train", 0, 0, 8))
    for asked, column in zip(task.caption(batch), batch.observation["query"][:, 0].tolist(), strict=True):
        assert asked.endswith(f'have the word "word{column}"?')
    masked = task_of("MaskedFeatures", graph())
    batch = masked.sample(Stream.span("train", 0, 0, 8))
    for asked, columns in zip(masked.caption(batch), batch.observation["query"].tolist(), strict=True):
        assert re.findall('"(.*?)"', asked) == [f"word{column}" for column in columns]
    groups = task_of("NodeAttribute", graph())
    assert 'often has the words "word' in groups.question(groups.sample(Stream.span("train", 0, 0, 1)))[0]


def test_words_are_named_where_nodes_have_no_texts():
    task = task_of("EdgePrediction", graph(texts=None))
    batch = task.sample(Stream.span("train", 0, 0, 8))
    for row, prompt in enumerate(task.prompts(batch)):
        assert "Words of nodes (at most 10 each): node 0: " in prompt
        for node, said in told_in(prompt).items():
            assert said.split(", ") == [WORDS[column] for column in np.flatnonzero(batch.observation["x"][row, node])]
    numbered = task_of("EdgePrediction", graph(texts=None, vocabulary=None))
    assert re.search(r"Words of nodes \(at most 10 each\): node 0: [\d ]+; node 1: ", numbered.question(batch)[0])


def test_nodes_without_features_are_told_by_their_texts_too():
    task = task_of("EdgePrediction", graph(vocabulary=None, features=None))
    batch = task.sample(Stream.span("train", 0, 0, 8))
    assert all(
        set(told_in(prompt).values()) == {TEXTS[node] for node in batch.memory["node_id"][row].tolist() if node >= 0}
        for row, prompt in enumerate(task.prompts(batch))
    )


# What a graph is known by, and its splits


def test_texts_and_words_are_a_part_of_what_a_graph_is_known_by():
    graphs = [
        graph(None, None),
        graph(None),
        graph(vocabulary=None),
        graph(),
        graph((TEXTS[1], TEXTS[0], *TEXTS[2:])),
        graph((TEXTS[0] + TEXTS[1], "", *TEXTS[2:])),
        graph(vocabulary=("other", *WORDS[1:])),
    ]
    assert len({source.fingerprint for source in graphs}) == len(graphs)
    assert len({task_of("EdgePrediction", source).stream_key for source in graphs}) == len(graphs)
    assert graph(list(TEXTS), np.array(WORDS)).fingerprint == graph().fingerprint
    assert graph(np.array(TEXTS, object)).texts == TEXTS


def test_equal_texts_and_equal_features_link_nodes_whatever_their_order():
    hashes = hash_rows(np.array([[0], [0], [1], [2], [3], [4], [5]], np.uint64), "test")
    texts = ["a", "b", "B", "c", "", "", 'c"']
    found = together(hashes, texts)
    assert len(np.unique(found)) == 5
    assert found[0] == found[1] == found[2]  # 0 and 1 by features, 1 and 2 by texts
    assert len(set(found[3:].tolist())) == 4, "empty texts are not equal, and other texts neither"
    order = np.array([3, 6, 2, 0, 5, 1, 4])
    assert np.array_equal(together(hashes[order], [texts[node] for node in order]), found[order])


@pytest.mark.parametrize("features", [None, CODES, np.eye(3, dtype=np.float32)[np.arange(NODES) % 3]])
def test_nodes_with_equal_texts_are_in_one_split(features):
    texts = [f"text {node // 3}" for node in range(NODES)]
    source = graph(texts, None, features)
    assert source.kinds == (features is not None and features.shape[1] == 3)
    split = source.node_split
    assert all(len(set(split[node : node + 3].tolist())) == 1 for node in range(0, NODES - NODES % 3, 3))
    shares = np.bincount(split, minlength=len(SPLITS)) / NODES
    assert (np.abs(shares - [0.7, 0.15, 0.15]) < 0.1).all()


def test_letters_that_prompts_cannot_tell_are_counted():
    with pytest.warns(
        UserWarning, match=r"its texts hold 3 letters that plain ASCII has no likeness of \('中', '文', \.\.\.\)"
    ):
        source = graph(["中文中", "Café", *TEXTS[2:]])
    assert source.texts[0] == "中文中"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"texts": TEXTS[:-1]}, r"texts must be 510 strings, one a node, got 509"),
        ({"texts": "one string"}, r"texts must be 510 strings, one a node, got one string, 'one string'"),
        ({"texts": [*TEXTS[:-1], None]}, r"texts must be strings, '' where a node has none, and that of node 509 is None"),
        ({"vocabulary": WORDS[:-1]}, r"must name each of 9 features, \(F,\) strings, got 8"),
        ({"vocabulary": WORDS, "features": None}, r"must name each of 0 features, \(F,\) strings, got 9 and no features"),
        ({"vocabulary": "words"}, "got one string"),
        ({"vocabulary": [*WORDS[:-1], 3]}, "must be words, and that of feature 8 is 3"),
        ({"vocabulary": [*WORDS[:-1], " "]}, "must be words, and that of feature 8 is ' '"),
        ({"vocabulary": [*WORDS[:-2], "Café", "Cafe"]}, "features 7 and 8 are both 'Cafe'"),
        ({"features": CODES / 2}, "features are not 0 and 1"),
    ],
)
def test_texts_and_words_that_do_not_fit_are_errors(arguments, message):
    with pytest.raises(ValueError, match=message):
        graph(**arguments)
