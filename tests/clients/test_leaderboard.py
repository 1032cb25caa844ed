"""The leaderboard: boards of what is comparable, places no finer than intervals, and everything that is missing told."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from ssl4rl_agents.replies import Quiz, ReplyFile, ReplyRow
from ssl4rl_agents.replies.measurement import Side, compare
from ssl4rl_benchmarks.cli import main
from ssl4rl_benchmarks.reports import leaderboard
from ssl4rl_envs.answers import wrap

DIGITS = {"source": "digits", "image_size": 36}


def replies(quiz: Quiz, rate: float, **who: Any) -> list[ReplyRow]:
    """Replies of which about `rate` are right."""
    found = []
    for batch, shown in quiz.batches(lambda _: True):
        for each, truth in zip(shown, quiz.task.truths(batch), strict=True):
            body = str(truth) if (each.index * 37 % 100) / 100 < rate else {"0": "90"}.get(str(truth), "0")
            row = quiz.row(each.index, each.digest, **{"kind": "model", "settings": {}, **who}, reply=wrap(body, "direct"))
            found.append(row)
    return found


@pytest.fixture(scope="module")
def quiz() -> Quiz:
    return Quiz("SSL4RL/Rotation-v0", DIGITS, questions=100)


@pytest.fixture(scope="module")
def rows(quiz: Quiz) -> list[ReplyRow]:
    return [
        *replies(quiz, 0.9, model="good"),
        *replies(quiz, 0.85, model="<b>similar</b>"),
        *replies(quiz, 0.3, model="rule", kind="agent"),
        *replies(quiz, 0.25, model="random", kind="agent"),
        *replies(Quiz(quiz.env_id, DIGITS, questions=30), 0.6, model="ann", kind="person"),
        *replies(Quiz(quiz.env_id, DIGITS, questions=20), 0.7, model="bob", kind="person"),
    ]


def side(*right: float) -> Side:
    """What somebody is worth who was asked one question of each item."""
    return Side(0, (0, 1), 0, 0, 1, {}, dict(enumerate(right)))


def test_who_was_asked_the_same_is_compared_item_by_item() -> None:
    """Five items of which one alone is right may be luck, p = 2 / 2 ** 5; six are not, p = 2 / 2 ** 6."""
    assert compare(side(*[1] * 5), side(*[0] * 5)) == 0
    assert compare(side(*[1] * 6), side(*[0] * 6)) == 1
    assert compare(side(*[0] * 6), side(*[1] * 6)) == -1
    assert compare(side(1, 0, 0.5), side(1, 0, 0.5)) == 0
    with pytest.raises(ValueError, match="same questions"):
        compare(side(1), side(1, 1))


def test_a_small_lead_on_the_same_questions_is_a_place_though_intervals_overlap(quiz: Quiz) -> None:
    more, less = replies(quiz, 0.9, model="more"), replies(quiz, 0.82, model="less")  # right wherever the other is
    (board,) = leaderboard.make([*more, *less]).boards
    first, second = (entry.result for entry in board.entries)
    assert leaderboard.reach(first, "strict")[0] < leaderboard.reach(second, "strict")[1]
    assert [entry.places for entry in board.entries] == [(1, 1), (2, 2)]
    (apart,) = leaderboard.make([*more, *less[:-1]]).boards  # other questions
    assert [entry.places for entry in apart.entries] == [(1, 2), (1, 2)]


def test_a_board_places_models_people_and_rules_and_frames_them(rows: list[ReplyRow]) -> None:
    made = leaderboard.make(rows)
    (board,) = made.boards
    entries = {entry.name: entry for entry in board.entries}
    assert entries["good"].places == entries["<b>similar</b>"].places == (1, 3)
    assert (entries["bob"].places, entries["ann"].places, entries["rule"].places) == ((1, 4), (3, 4), (5, 5))
    assert entries["random"].places is None
    assert entries["random"].kind == "reference"
    assert entries["all 2 people"].places is None
    assert entries["all 2 people"].result.replies == 50
    assert entries["good"].letter == entries["random"].letter == "A"
    assert (entries["ann"].letter, entries["bob"].letter) == ("B", "C")
    assert board.letters == {"A": 100, "B": 30, "C": 20}
    rates = [entry.result.strict.success for entry in board.entries if entry.result.strict]
    assert rates == sorted(rates, reverse=True)


def test_what_never_came_widens_a_place(rows: list[ReplyRow]) -> None:
    good = [row for row in rows if row.model == "good"]
    lost = [
        replace(row, model="lost", reply=None, error="gone") if row.index % 2 else replace(row, model="lost") for row in good
    ]
    rule = [row for row in rows if row.model == "rule"]
    (board,) = leaderboard.make([*good, *lost, *rule]).boards
    found = {entry.name: entry for entry in board.entries}
    low, high = leaderboard.reach(found["lost"].result, "strict")
    assert found["lost"].result.strict is not None
    assert low == pytest.approx(found["lost"].result.strict.interval[0] / 2)
    assert high == pytest.approx(found["lost"].result.strict.interval[1] / 2 + 0.5)
    assert found["lost"].places == (1, 2)  # the half that came is as good as the best
    assert found["lost"].letter == found["good"].letter
    (strict,) = leaderboard.make([*good, *lost, *rule], errors_as="wrong").boards
    assert {entry.name: entry.places for entry in strict.entries} == {"good": (1, 1), "lost": (2, 2), "rule": (3, 3)}


def test_arguments_and_splits_are_boards_of_their_own(rows: list[ReplyRow], quiz: Quiz) -> None:
    two_angles = Quiz(quiz.env_id, {**DIGITS, "angles": 2}, questions=10)
    train = Quiz(quiz.env_id, DIGITS, questions=10, split="train")
    same = Quiz(quiz.env_id, {**DIGITS, "angles": 4}, questions=10)  # the default, said aloud
    more = [*replies(two_angles, 1, model="good"), *replies(train, 1, model="good"), *replies(same, 1, model="again")]
    made = leaderboard.make([*rows, *more])
    assert [(board.arguments, board.split) for board in made.boards] == [
        ("angles 2, image_size 36, source digits", "test"),
        ("image_size 36, source digits", "test"),
        ("image_size 36, source digits", "train"),
    ]
    assert "again" in {entry.name for entry in made.boards[1].entries}


def test_a_run_of_other_questions_is_told_and_left_out(rows: list[ReplyRow]) -> None:
    changed = [replace(row, question="0" * 24) if row.model == "good" else row for row in rows]
    made = leaderboard.make(changed)
    assert "good" not in {entry.name for entry in made.boards[0].entries}
    (line,) = made.refused
    assert "no longer those that were asked" in line
    assert line in leaderboard.page(made, "").replace("&#39;", "'")


def test_the_page_holds_all_of_it_and_asks_the_network_for_nothing(
    rows: list[ReplyRow], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with ReplyFile(tmp_path / "replies" / "all.jsonl") as file:
        for row in rows:
            file.append(row)
        file.append(replace(rows[0], model="gone", reply=None, error="status 500"))
    out = tmp_path / "new" / "page.html"
    assert main(["leaderboard", str(tmp_path / "replies"), "--out", str(out)]) == 0
    assert capsys.readouterr().out == f"1 board with 8 rows in {out}\n"
    page = out.read_text()
    assert not re.search(r"""(?:src|href)=["'](?!data:|#)|https?://|url\(|@import""", page)
    assert 'name="viewport"' in page
    assert "&lt;b&gt;similar&lt;/b&gt;" in page
    assert "<b>similar" not in page
    for words in (
        "good",
        "ann",
        "all 2 people",
        "rule or policy",
        "chance",
        "1 to 4",
        "strict grammar",
        "gone: 1 reply did not come",
    ):
        assert words in page
    assert main(["leaderboard", str(tmp_path / "replies"), "--out", str(out), "--json", "--by", "lenient"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["by"], len(found["boards"][0]["entries"])) == ("lenient", 8)


def test_without_replies_it_says_what_it_wants(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["leaderboard"]) == 2
    assert "name folders of replies" in capsys.readouterr().err
    assert main(["leaderboard", str(tmp_path)]) == 2
    assert "has no files of replies" in capsys.readouterr().err
