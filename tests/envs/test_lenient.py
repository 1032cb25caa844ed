"""The lenient grammar reads what is one answer in other words, as a person would; what is not, it leaves alone."""

from __future__ import annotations

from typing import Any

import gymnasium as gym
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ssl4rl_envs import SSLEnv, SSLVectorEnv, Stream, Task, lenient, make_task
from ssl4rl_envs.answers import AnswerFormat, wrap
from ssl4rl_envs.interface import Interface
from tests.envs.replies import REPLIES

TASKS: dict[str, tuple[str, dict[str, Any]]] = {
    name: (name, {"source": "digits", "image_size": 36} if name == "Rotation" else {}) for name, _ in REPLIES
} | {"NodeAttribute degree": ("NodeAttribute", {"attribute": "degree"})}
LINES = [(task, style, *line) for (task, style), lines in REPLIES.items() for line in lines]


@pytest.fixture(scope="module")
def tasks() -> dict[str, Task]:
    return {name: make_task(f"SSL4RL/{short}-v0", **arguments) for name, (short, arguments) in TASKS.items()}


def said(task: Task, answer: Any) -> str | None:
    return None if answer is None else task.format(answer)


# What models write


def test_the_table_is_large_and_each_reply_stands_in_it_once():
    assert len(LINES) >= 150
    assert len({line[:3] for line in LINES}) == len(LINES)
    assert sum(line[4] is not None for line in LINES) > 100
    assert sum(line[4] is None for line in LINES) > 100


@pytest.mark.parametrize("key", list(REPLIES), ids=" ".join)
def test_replies_of_models_are_read_as_a_person_reads_them(key, tasks):
    name, style = key
    task, wrong = tasks[name], []
    for reply, strict, forgiving in REPLIES[key]:
        read = [said(task, task.parse(reply, style, grammar)) for grammar in ("strict", "lenient")]
        if read != [strict, forgiving]:
            wrong.append((reply, read, [strict, forgiving]))
    assert not wrong, "\n".join(map(str, wrong))


# What holds of every task


def answers_in_words(task: Task, count: int = 12) -> tuple[Any, list[str]]:
    batch = task.sample(Stream("train", np.zeros(count, int), np.arange(count)))
    return batch, [words or "" for words in task.format_all(task.oracle(batch), batch)]


DRESSES = (
    "**{}**",
    "`{}`",
    "{}.",
    "# {}",
    "```\n{}\n```",
    "\\boxed{{{}}}",
    "\\boxed{{\\text{{{}}}}}.",
    '"{}"',
    "Answer: {}",
    "The answer is **{}**.",
)


def test_an_answer_in_any_dress_scores_as_it_does_bare(text_id, style, build):
    task = build(text_id)
    batch, words = answers_in_words(task)
    bare = task.score_texts([wrap(word, style) for word in words], batch, style)
    for dress in DRESSES:
        replies = [f"It is so.</think> I see. <answer>{dress.format(word)}</answer> Yes." for word in words]
        score = task.score_texts(replies, batch, style, "lenient")
        assert np.array_equal(score.reward, bare.reward), dress
        assert np.array_equal(score.success, bare.success), dress
        assert not task.score_texts(replies, batch, style).reward.any(), dress


def test_replies_that_are_no_strings_are_type_errors_in_both(text_kind, style, grammar, build):
    task = build(text_kind)
    batch, _ = answers_in_words(task, 1)
    for reply in (None, 0, b"<answer>0</answer>", ["a"]):
        with pytest.raises(TypeError, match="must be a str"):
            task.parse_all([reply], batch, style, grammar)


def test_options_have_letters_only_where_the_question_lists_them_in_their_order(text_id, build):
    task = build(text_id)
    for part in task.parts or (task,):
        if part.answer_format is None or not part.answer_format.listed:
            continue
        batch, _ = answers_in_words(part, 1)
        listed, labels = part.caption(batch)[0].rpartition(":")[2], part.answer_format.labels
        places = [listed.find(label) for label in labels]
        through = f"{labels[0]} to {labels[-1]}" in listed
        assert through or (min(places) >= 0 and places == sorted(places)), listed


def test_a_unicode_neighbour_of_a_label_is_no_label(text_id, style, build):
    """Whatever folds or normalises to a character of a label is another character, in both grammars."""
    task = build(text_id)
    batch, words = answers_in_words(task, 2)
    for old, new in (*LOOKALIKES, *((str(digit), chr(0xFF10 + digit)) for digit in range(10))):
        for case in (str.lower, str.upper, str):
            replies = [wrap(case(word).replace(old, new, 1), style) for word in words]
            changed = np.array([old in case(word) for word in words])
            for grammar in ("strict", "lenient"):
                assert not (task.parse_all(replies, batch, style, grammar)[1] & changed).any(), (old, new)


LOOKALIKES = [
    *(("s", "\u017f"), ("K", "\u212a"), ("k", "\u212a"), ("st", "\ufb06"), ("i", "\u0131"), ("I", "\u0130"), ("a", "\u0430")),
    *(("o", "\u03bf"), ("ff", "\ufb00"), ("e", "\u0435"), ("A", "\uff21"), ("1", "\u00b9"), ("2", "\u00b2"), ("3", "\u00b3")),
    *(
        ("1", "\u2460"),
        ("2", "\u0662"),
        ("4", "\u0664"),
        ("1", "\u0967"),
        ("B", "\U0001d401"),
        (" ", "\u2060"),
        ("-", "\u2011"),
    ),
]

LABELS = AnswerFormat(("0", "90", "180", "270"), units=("degrees", "\N{DEGREE SIGN}"), synonyms={"upright": "0"}, listed=True)


@given(st.text(max_size=40), st.sampled_from(["0", "90", "180", "270"]))
@settings(max_examples=300, deadline=None)
def test_lenient_reads_one_label_at_most(noise, label):
    """Two different labels in one block are never an answer, whatever stands between them."""
    for body in (f"{label}{noise}{'90' if label != '90' else '180'}", f"{label} {noise} or {noise} {label}"):
        read = lenient.body_of(body, LABELS)
        assert read is None or body == read


@given(st.text("<>/answerthink90180ABor \n*`\\boxed{}.-", max_size=60))
@settings(max_examples=500, deadline=None)
def test_any_text_is_read_or_refused_without_an_error(text):
    assert set(lenient.rewrite(text, LABELS)) <= set(LABELS.labels)


def test_long_replies_are_read_or_refused_without_backtracking():
    for noise in (
        "<think>",
        "</think>",
        "<answer>",
        "\\boxed{",
        "**",
        "`",
        "(",
        " ",
        "#",
        "e.g. ",
        "not ",
        "the ",
        "a-",
        "$",
    ):
        many = noise * (16_000 // len(noise))
        lenient.rewrite(many + "<answer>90</answer>", LABELS)
        lenient.rewrite("<answer>90</answer>" + many, LABELS)
        lenient.rewrite(f"<answer>{many.replace('<', '').replace('>', '')}90</answer>", LABELS)


# Environments


def reply_for(env: SSLEnv) -> str:
    return f"Well. <answer>**{env.task.truths(env.batch)[0]}**.</answer>"


def test_environments_read_by_their_grammar_and_say_the_truth_in_words():
    for grammar, paid in (("strict", 0.0), ("lenient", 1.0)):
        env = gym.make("SSL4RL/OddPatch-v0", source="digits", interface="text", grammar=grammar)
        env.reset(seed=0)
        truth = env.unwrapped.task.truths(env.unwrapped.batch)[0]
        _, reward, *_, info = env.step(reply_for(env.unwrapped))
        assert (reward, info["valid"], info["truth"]) == (paid, bool(paid), truth)
        assert info["parsed"] == (truth if paid else "")
        assert int(info["truth"]) == info["target"] + 1


def test_the_truth_is_told_when_the_episode_has_ended_and_not_before():
    env = gym.make("SSL4RL/OddPatch-v0", source="digits", interface="text", attempts=2)
    env.reset(seed=0)
    assert env.step("no idea")[-1]["truth"] == ""
    assert env.step("no idea")[-1]["truth"] != ""
    array = gym.make("SSL4RL/OddPatch-v0", source="digits")
    array.reset(seed=0)
    assert "truth" not in array.step(0)[-1]
    assert "truth" not in array.reset()[1]


def test_vector_environments_do_as_single_ones_do():
    make = {"source": "digits", "interface": "text", "grammar": "lenient", "attempts": 2}
    envs = gym.make_vec("SSL4RL/OddPatch-v0", num_envs=4, **make)
    envs.reset(seed=0)
    truths = envs.unwrapped.task.truths(envs.unwrapped.batch)
    replies = [f"Well. <answer>**{truth}**</answer>" if i % 2 else "?" for i, truth in enumerate(truths)]
    _, reward, _, _, infos = envs.step(tuple(replies))
    assert reward.tolist() == [0, 1, 0, 1]
    final = infos["final_info"]
    assert final["truth"].tolist() == [None, truths[1], None, truths[3]]
    assert final["_truth"].tolist() == [False, True, False, True] == final["_target"].tolist()
    assert infos["truth"].tolist() == [""] * 4


@pytest.mark.parametrize("mode", ["NEXT_STEP", "DISABLED"])
def test_the_truth_stands_beside_the_target_in_every_autoreset_mode(mode):
    envs = gym.make_vec("SSL4RL/OddPatch-v0", num_envs=2, source="digits", interface="text", autoreset_mode=mode)
    envs.reset(seed=0)
    truths = envs.unwrapped.task.truths(envs.unwrapped.batch)
    infos = envs.step(("?", "?"))[-1]
    assert infos["truth"].tolist() == truths
    assert infos["_truth"].tolist() == infos["_target"].tolist() == [True, True]


def test_unknown_grammars_are_errors_that_name_the_known(build):
    task = build("SSL4RL/OddPatch-v0")
    for call in (
        lambda: task.parse("", grammar="loose"),
        lambda: Interface(task, "text", "direct", "loose"),
        lambda: SSLEnv(task, grammar="loose"),
        lambda: SSLVectorEnv(task, grammar="loose"),
    ):
        with pytest.raises(ValueError, match="strict, lenient"):
            call()


@pytest.mark.parametrize(
    ("synonyms", "match"),
    [({"b": "a"}, "synonym"), ({"c": "d"}, "synonym"), ({"A": "b"}, "synonym"), ({"ß": "a"}, "synonym")],
)
def test_synonyms_that_are_labels_or_of_none_are_refused(synonyms, match):
    with pytest.raises(ValueError, match=match):
        AnswerFormat(("a", "b"), synonyms=synonyms)


def test_labels_outside_ascii_are_refused():
    with pytest.raises(ValueError, match="ASCII"):
        AnswerFormat(("straße", "b"))


BLOCK = "<answer>90</answer>"
DENIED = [
    f"minus {BLOCK}",
    f"-{BLOCK}",
    f"{BLOCK} clockwise",
    f"clockwise {BLOCK}",
    f"{BLOCK} degrees clockwise.",
    f"{BLOCK} is wrong",
    f"{BLOCK} is not right.",
    f"{BLOCK} (wrong)",
    "\\boxed{90} is incorrect",
    f"{BLOCK} I mean 180",
    f"{BLOCK}\nI changed my mind: 180",
    f"I don't think it is {BLOCK}",
    f"anything but {BLOCK}",
    f"Instead of {BLOCK}, 180",
    f"The wrong answer would be {BLOCK}",
    f"{BLOCK} / 180",
    f"{BLOCK}180",
    f"An example of a reply is {BLOCK}",
]
MEANT = [
    f"The picture is not upright, so {BLOCK}",
    f"It isn't upright. {BLOCK}",
    f"- {BLOCK}",
    f"It was turned counter-clockwise: {BLOCK}",
    f"turned anti-clockwise by {BLOCK}",
    f"{BLOCK}\n\nThe sky is on the left.",
]


@pytest.mark.parametrize(("replies", "read"), [(DENIED, False), (MEANT, True)])
def test_the_clause_beside_a_block_may_take_it_back(replies, read):
    task = make_task("SSL4RL/Rotation-v0", source="digits", image_size=36)
    found = {reply: task.parse(f"<think>hm</think> {reply}", "think", grammar="lenient") is not None for reply in replies}
    assert set(found.values()) == {read}, [reply for reply, was in found.items() if was != read]


@pytest.mark.parametrize("body", ["tile 1 of 9", "1 of 9", "tile 3 is 5", "1 has 2"])
def test_words_that_relate_numbers_make_no_list_of_them(body):
    task = make_task("SSL4RL/PatchSwap-v0", source="digits", image_size=36)
    assert task.parse(f"<answer>{body}</answer>", "direct", grammar="lenient") is None


@pytest.mark.parametrize("body", ["2 -> 1 -> 3 -> 4", "2 => 1 => 3 => 4"])
def test_orders_may_be_written_with_arrows(body):
    task = make_task("SSL4RL/PatchOrdering-v0", source="digits", image_size=36)
    found = task.parse(f"<answer>{body}</answer>", "direct", grammar="lenient")
    assert found is not None
    assert found.tolist() == [1, 0, 2, 3]
    assert task.parse(f"<answer>{body}</answer>", "direct") is None
