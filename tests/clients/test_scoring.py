"""Stored replies scored from their keys: as the environment pays them, with intervals and pass@k that are checked by hand."""

from __future__ import annotations

import itertools
import json
from dataclasses import replace
from math import comb

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import ssl4rl_envs
from ssl4rl_agents.replies import Prices, Quiz, ReplyRow, measure_replies
from ssl4rl_agents.replies.measurement import pass_at_k, success_interval
from ssl4rl_agents.replies.scoring import ChangedQuestionError, mark, text_to_read

DIGITS = {"source": "digits", "image_size": 36}
SAID = ("<answer>{}</answer>", "I think it is <answer>{}</answer>.", "{}", "<answer>90</answer><answer>180</answer>", "")


@pytest.fixture(scope="module")
def rows() -> list[ReplyRow]:
    """Right and wrong answers in and out of form to 40 questions."""
    quiz = Quiz("SSL4RL/Rotation-v0", DIGITS, questions=40)
    found = []
    for batch, shown in quiz.batches(lambda _: True):
        for each, truth in zip(shown, quiz.task.truths(batch), strict=True):
            body = truth if each.index % 3 else "180"
            reply = SAID[each.index % len(SAID)].format(body)
            found.append(quiz.row(each.index, each.digest, model="m", kind="model", settings={}, reply=reply))
    return found


@pytest.mark.parametrize("grammar", ["strict", "lenient"])
def test_replies_are_worth_what_the_environment_pays(rows: list[ReplyRow], grammar: str) -> None:
    marks = mark(rows)
    paid = ssl4rl_envs.score(
        rows[0].env_id,
        [row.reply or "" for row in rows],
        split="test",
        index=[row.index for row in rows],
        grammar=grammar,
        **json.loads(rows[0].args),
    )
    assert marks.reward[grammar].tolist() == [each["reward"] for each in paid]
    assert marks.success[grammar].tolist() == [each["success"] for each in paid]
    assert marks.valid[grammar].tolist() == [each["valid"] for each in paid]
    assert 0 < marks.success["strict"].sum() < marks.success["lenient"].sum() < 40


def test_order_and_company_of_rows_change_nothing(rows: list[ReplyRow]) -> None:
    mixed = [rows[index] for index in np.random.default_rng(0).permutation(len(rows))]
    others = [replace(row, model="other", reply="<answer>0</answer>") for row in rows]
    (alone,), together = measure_replies(rows), measure_replies([*others, *mixed])
    assert [result for result in together if result.model == "m"] == [alone]


def test_a_question_that_is_another_one_today_is_refused(rows: list[ReplyRow]) -> None:
    wrong = [*rows[:-1], replace(rows[-1], question="0" * 24)]
    with pytest.raises(ChangedQuestionError, match=r"m in SSL4RL/Rotation-v0: 1 of 40 questions are no longer.*index 39"):
        measure_replies(wrong)
    unknown = [replace(row, question=None) for row in rows]
    assert measure_replies(unknown)[0].unchecked == 40


def test_what_never_came_is_missing_or_wrong_as_one_says(rows: list[ReplyRow]) -> None:
    lost = [replace(row, reply=None, error="gone") if row.index < 10 else row for row in rows]
    missing, wrong = (measure_replies(lost, errors_as=how)[0] for how in ("missing", "wrong"))
    (rest,) = measure_replies(rows[10:])
    assert (missing.strict, missing.replies, missing.errors, missing.asked) == (rest.strict, 30, 10, 40)
    assert missing.strict is not None
    assert wrong.strict is not None
    assert wrong.strict.success == pytest.approx(missing.strict.success * 30 / 40)
    (nothing,) = measure_replies([replace(row, reply=None, error="gone") for row in rows])
    assert (nothing.strict, nothing.lenient, nothing.replies, nothing.errors) == (None, None, 0, 40)
    with pytest.raises(ValueError, match="errors_as must be one of missing, wrong"):
        measure_replies(rows, errors_as="skip")


def test_a_reply_that_was_cut_off_says_so_to_the_reader(rows: list[ReplyRow]) -> None:
    row = replace(rows[0], reply="<answer>90</answer>")
    assert text_to_read(row) == "<answer>90</answer>"
    assert text_to_read(replace(row, finish_reason="length")) == "<answer>90</answer> [truncated]"
    cut = [replace(each, finish_reason="length") for each in rows]
    assert measure_replies(cut)[0].truncated == 40
    assert not mark(cut).valid["strict"].any()


@pytest.mark.parametrize("replies", [1, 2, 5, 6])
def test_pass_at_k_is_the_share_of_draws_with_a_right_reply(replies: int) -> None:
    for right in range(replies + 1):
        replied = [True] * right + [False] * (replies - right)
        for k in range(1, replies + 1):
            draws = list(itertools.combinations(replied, k))
            assert pass_at_k(replies, right, k) == pytest.approx(sum(map(any, draws)) / len(draws))
            assert pass_at_k(replies, right, k) == pytest.approx(1 - comb(replies - right, k) / comb(replies, k))
    with pytest.raises(ValueError, match="k must be from 1"):
        pass_at_k(replies, 0, replies + 1)


def test_samples_of_which_some_are_missing_bound_k(rows: list[ReplyRow]) -> None:
    several = [replace(row, sample=sample) for row in rows for sample in range(4)]
    assert set(measure_replies(several)[0].strict.pass_at) == {1, 2, 4}  # type: ignore[union-attr]
    lost = [replace(row, reply=None, error="gone") if (row.index, row.sample) == (0, 3) else row for row in several]
    assert set(measure_replies(lost)[0].strict.pass_at) == {1, 2}  # type: ignore[union-attr]


@given(st.integers(2, 200), st.booleans())
def test_where_all_are_right_or_none_the_interval_is_the_exact_one(items: int, right: bool) -> None:
    low, high = success_interval(np.full(items, right), np.arange(items))
    edge = low if right else 1 - high
    assert edge**items == pytest.approx(0.025)
    assert (high if right else low) == right


def test_intervals_go_by_items_and_one_item_says_nothing() -> None:
    success = np.array([True, False] * 50)
    wide, narrow = (success_interval(success, items) for items in (np.arange(100) // 20, np.arange(100)))
    assert narrow[0] < 0.5 < narrow[1]
    assert wide == (0.5, 0.5)  # every item is half right
    by_item = success_interval(np.repeat(success[:10], 10), np.arange(100) // 10)
    assert by_item[1] - by_item[0] > narrow[1] - narrow[0]
    assert success_interval(success, np.zeros(100, int)) == (0, 1)


def test_prices_are_of_a_million_tokens() -> None:
    assert Prices(3, 15).of(1_000_000, 200_000) == 6
    with pytest.raises(ValueError, match="prices must be from 0"):
        Prices(-1, 0)


def test_tasks_of_several_decisions_have_no_quiz() -> None:
    with pytest.raises(ValueError, match="takes up to 12 decisions"):
        Quiz("SSL4RL/PatchSwap-v0", {"source": "digits"})
