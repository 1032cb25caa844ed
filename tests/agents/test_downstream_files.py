"""Downstream sets in files: what MMBench, SEED-Bench and people's own tables hold, and rows that are no questions."""

from __future__ import annotations

import base64
import csv
import json
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from ssl4rl_agents.choosing.formats import Columns, read_mmbench, read_seed_bench, read_table
from ssl4rl_agents.choosing.questions import BadRowError, Picture, Question, Wording, picture_of, rotations, understood
from ssl4rl_agents.choosing.sets import some_of
from ssl4rl_envs import rows
from ssl4rl_envs.bridges.exports import Plan, export

SIDE = 24


def pixels(number: int) -> np.ndarray:
    return np.random.default_rng(number).integers(0, 256, (SIDE, SIDE, 3), dtype=np.uint8)


def png(number: int) -> bytes:
    held = BytesIO()
    Image.fromarray(pixels(number)).save(held, "PNG")
    return held.getvalue()


def coded(number: int) -> str:
    return base64.b64encode(png(number)).decode()


def table(path: Path, rows: list[dict[str, Any]]) -> Path:
    """Write rows as pandas writes a TSV or CSV."""
    names = list(dict.fromkeys(name for row in rows for name in row))
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, names, delimiter="\t" if path.suffix == ".tsv" else ",", lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
    return path


MMBENCH = [
    {
        "index": 7,
        "question": "What is on the roof?",
        "hint": "Look up.",
        "A": "a cat",
        "B": "a dog",
        "C": "a bird",
        "D": "",
        "answer": "C",
        "category": "object_localization",
        "image": coded(1),
    },
    {
        "index": 8,
        "question": "Which colour?\nOf the roof.",
        "hint": "",
        "A": "red",
        "B": "blue",
        "C": "",
        "D": "",
        "answer": "A",
        "category": "attribute",
        "image": "7",  # as VLMEvalKit saves space: the picture of that row
    },
]


def test_mmbench_is_read_with_all_rotations_of_its_options(tmp_path):
    read = read_mmbench(table(tmp_path / "MMBench.tsv", MMBENCH))
    first, second, third, *others = read.questions
    assert [question.key for question in read.questions] == ["7/0", "7/1", "7/2", "8/0", "8/1"]
    assert {question.group for question in others} == {"8"}
    assert first.prompt == "Look up.\nWhat is on the roof?"
    assert (first.options, first.truth) == (("a cat", "a dog", "a bird"), 2)
    assert (second.options, second.truth) == (("a dog", "a bird", "a cat"), 1)
    assert (third.options, third.truth) == (("a bird", "a cat", "a dog"), 0)
    assert others[0].prompt == "Which colour?\nOf the roof."
    assert others[0].kind == "attribute"
    assert len({question.picture for question in read.questions}) == 1
    assert np.array_equal(others[0].pictures[0].pixels(), pixels(1))


@given(st.integers(2, 6), st.data())
def test_rotations_keep_the_truth_and_show_it_at_every_place(count, data):
    truth, favoured = data.draw(st.integers(0, count - 1)), data.draw(st.integers(0, count - 1))
    question = Question("q", (), "Which?", tuple(f"o{n}" for n in range(count)), truth, favoured=favoured)
    turned = rotations(question)
    assert {each.options[each.truth] for each in turned} == {question.options[truth]}
    assert {each.options[each.favoured] for each in turned} == {question.options[favoured]}
    assert sorted(each.truth for each in turned) == list(range(count))


SEED = {
    "questions": [
        {
            "answer": "B",
            "choice_a": "One",
            "choice_b": "Two",
            "choice_c": "Three",
            "choice_d": "Four",
            "data_id": "1454426_2591111986",
            "data_type": "image",
            "question": "How many towels are in the image?",
            "question_id": "101669",
            "question_type_id": 5,
        },
        {
            "answer": "A",
            "choice_a": "The car is gone.",
            "choice_b": "It is red.",
            "choice_c": "It is blue.",
            "choice_d": "Nothing.",
            "data_id": ["task17/a.png", "task17/b.png"],
            "data_type": "Multiple Images",
            "question": "What are the differences?",
            "question_id": "17_0",
            "question_type_id": 17,
        },
        {"answer": "A", "data_id": "P03/P03_24.MP4", "data_type": "video", "question_id": "v1", "question_type_id": 11},
    ],
    "question_type": {"Instances Counting": 5, "Difference Spotting": 17},
}


def seed_bench(folder: Path) -> Path:
    (folder / "task17").mkdir()
    for name, number in (("1454426_2591111986", 1), ("task17/a.png", 2), ("task17/b.png", 3)):
        (folder / name).write_bytes(png(number))
    (folder / "SEED-Bench.json").write_text(json.dumps(SEED))
    return folder / "SEED-Bench.json"


def test_seed_bench_is_read_and_what_shows_no_picture_is_counted(tmp_path):
    read = read_seed_bench(seed_bench(tmp_path))
    one, two = read.questions
    assert (one.key, one.kind, one.truth, one.options[1]) == ("101669", "Instances Counting", 1, "Two")
    assert np.array_equal(one.pictures[0].pixels(), pixels(1)), "files of CC3M have no suffix"
    assert [np.array_equal(each.pixels(), pixels(n)) for each, n in zip(two.pictures, (2, 3), strict=True)] == [True, True]
    assert read.left_out == {"data_type video": 1}
    (tmp_path / "task17" / "b.png").unlink()
    with pytest.raises(BadRowError, match=r"SEED-Bench\.json, row 2: there is no picture .*b\.png; give the folder"):
        read_seed_bench(tmp_path / "SEED-Bench.json")


@pytest.mark.parametrize("suffix", [".jsonl", ".json", ".parquet", ".csv", ".tsv"])
def test_a_table_of_ones_own_in_every_format(tmp_path, suffix):
    (tmp_path / "cat.png").write_bytes(png(1))
    rows = [
        {"id": "a", "q": "Cat?", "choices": ["yes", "no"], "label": 0, "pic": "cat.png", "sort": "pets"},
        {
            "id": "b",
            "q": "Dog?",
            "choices": ["no", "yes", "maybe"],
            "label": 1,
            "pic": f"data:image/png;base64,{coded(2)}",
            "sort": "pets",
        },
    ]
    file = tmp_path / f"mine{suffix}"
    if suffix == ".parquet":
        parquet, arrow = pytest.importorskip("pyarrow.parquet"), pytest.importorskip("pyarrow")
        held = [{**row, "pic": {"bytes": png(n), "path": None}} for n, row in enumerate(rows, 1)]  # as datasets stores them
        parquet.write_table(arrow.Table.from_pylist(held), file)
    elif suffix in (".tsv", ".csv"):
        table(file, [{**row, "choices": json.dumps(row["choices"])} for row in rows])
    else:
        file.write_text(json.dumps(rows) if suffix == ".json" else "".join(json.dumps(row) + "\n" for row in rows))
    columns = Columns.of(["key=id", "question=q", "options=choices", "answer=label", "picture=pic", "kind=sort"])
    one, two = read_table(file, columns).questions
    assert (one.key, one.prompt, one.options, one.truth, one.kind) == ("a", "Cat?", ("yes", "no"), 0, "pets")
    assert (two.options, two.truth) == (("no", "yes", "maybe"), 1)
    for question, number in ((one, 1), (two, 2)):
        assert np.array_equal(question.pictures[0].pixels(), pixels(number))


def test_answers_are_named_by_letter_words_or_number(tmp_path):
    rows = [
        {"question": "?", "options": ["cat", "dog"], "answer": "dog"},
        {"question": "?", "options": ["cat", "dog"], "answer": "B"},
        {"question": "?", "options": ["cat", "dog"], "answer": "1"},
        {"question": "?", "options": ["0", "1"], "answer": "1"},
        {"question": "?", "options": ["1", "0"], "answer": "1", "favoured": "0"},
    ]
    (tmp_path / "q.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    questions = read_table(tmp_path / "q.jsonl").questions
    assert [question.truth for question in questions] == [1, 1, 1, 1, 0], "words go before numbers"
    assert questions[4].favoured == 1
    assert [question.key for question in questions] == ["1", "2", "3", "4", "5"]
    assert questions[0].pictures == ()


GOOD = {"index": 1, "question": "What?", "A": "x", "B": "y", "answer": "A", "image": coded(1)}


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"answer": "C"}, r"bad\.tsv, row 3: answer must name one of the options \['x', 'y'\], by its letter .*; got 'C'"),
        ({"answer": ""}, r"row 3: answer must name one"),
        ({"question": ""}, r"row 3: question is empty; if it is called otherwise, say so: --columns question=COLUMN"),
        ({"B": ""}, r"row 3: a question has two options or more, all different, .*got \['x'\]"),
        ({"B": "x"}, r"row 3: .* all different"),
        ({"image": "nowhere.png"}, r"row 3: image must be a picture: a file in .*\(another folder: --pictures\), base64, or"),
        ({"image": "2"}, r"row 3: image names the row '2', which holds no picture itself"),
        ({"index": 1}, r"bad\.tsv: 1 questions share their names, '1' first"),
    ],
)
def test_a_row_that_is_no_question_is_named(tmp_path, wrong, said):
    file = table(tmp_path / "bad.tsv", [GOOD, {**GOOD, "index": 2, **wrong}])
    with pytest.raises(BadRowError, match=said):
        read_table(file)


def test_files_that_hold_no_questions_are_named(tmp_path):
    (tmp_path / "short.tsv").write_text("index\tquestion\tA\n1\tWhat?\n")
    with pytest.raises(BadRowError, match=r"short\.tsv, row 2: it has 2 cells, and the first line names 3 columns"):
        read_table(tmp_path / "short.tsv")
    (tmp_path / "broken.jsonl").write_text('{"question": "?"\n')
    with pytest.raises(BadRowError, match=r"broken\.jsonl, row 1: it is no JSON"):
        read_table(tmp_path / "broken.jsonl")
    (tmp_path / "empty.csv").write_text("index,question\n")
    with pytest.raises(BadRowError, match="it holds no row"):
        read_table(tmp_path / "empty.csv")
    (tmp_path / "questions.xlsx").write_text("")
    with pytest.raises(ValueError, match=r"\*\.tsv, \*\.csv, \*\.jsonl, \*\.json, \*\.parquet; got .*xlsx"):
        read_table(tmp_path / "questions.xlsx")
    with pytest.raises(FileNotFoundError, match="there is no file"):
        read_table(tmp_path / "none.tsv")
    with pytest.raises(ValueError, match="NAME=COLUMN, where NAME is one of key, question"):
        Columns.of(["label=answer"])
    table(tmp_path / "other.tsv", [{"frage": "Was?", "A": "x", "B": "y", "answer": "A"}])
    with pytest.raises(BadRowError, match="question is missing; there are frage, A, B, answer"):
        read_table(tmp_path / "other.tsv")


def test_pictures_are_decoded_when_they_are_shown_and_scaled_down_if_wanted():
    picture = picture_of(np.zeros((40, 20, 3), np.uint8), "here")
    assert picture.pixels().shape == (40, 20, 3)
    assert picture.pixels(10).shape == (10, 5, 3)
    assert picture.pixels(100).shape == (40, 20, 3)
    assert picture.id == picture_of(np.zeros((40, 20, 3), np.uint8), "there").id
    with pytest.raises(ValueError, match=r"q\.tsv, row 9 cannot be read as a picture"):
        Picture(b"no picture", "q.tsv, row 9").pixels()


# How questions are put, and replies read.

QUESTION = Question("k", (), "What is it?", ("a cat", "a dog, sleeping", "a bird"), 1)


def test_a_prompt_lists_the_options_and_its_example_favours_none():
    prompt = Wording().prompt(QUESTION)
    assert prompt.startswith("What is it?\nA. a cat\nB. a dog, sleeping\nC. a bird\nAnswer with the option's letter. Reply")
    assert Wording().offered(QUESTION) == ("A", "B", "C")
    assert "Options: a cat, a dog, sleeping, a bird." in Wording("words").prompt(QUESTION)
    assert Wording("words").offered(QUESTION) == QUESTION.options
    assert Wording(style="think").prompt(QUESTION).endswith("</answer>")
    examples = [Wording().prompt(Question(str(n), (), "?", ("x", "y"), 0)).rpartition("<answer>")[2][0] for n in range(200)]
    assert 70 < examples.count("A") < 130
    with pytest.raises(ValueError, match="reply"):
        Wording("number")  # type: ignore[arg-type]


def test_replies_are_read_as_one_option_or_none():
    letters = ("A", "B", "C")
    assert understood("<answer>B</answer>", letters, "direct", "strict") == 1
    assert understood("<answer>b</answer>", letters, "direct", "strict") == 1
    assert understood("The answer is B.", letters, "direct", "strict") is None
    assert understood("The answer is <answer>B</answer>.", letters, "direct", "lenient") == 1
    assert understood("<answer>A, B</answer>", letters, "direct", "strict") is None
    assert understood("<think>hm</think> <answer>C</answer>", letters, "think", "strict") == 2
    assert understood("<answer>A dog, sleeping</answer>", QUESTION.options, "direct", "strict") == 1, "commas are words here"
    assert understood("<answer>a cow</answer>", QUESTION.options, "direct", "strict") is None


def test_some_questions_are_drawn_in_whole_groups():
    questions = [turned for n in range(10) for turned in rotations(Question(str(n), (), "?", ("x", "y", "z"), 0))]
    some = some_of(questions, 12)
    assert len(some) == 12
    assert {sum(question.group == each.group for question in some) for each in some} == {3}
    assert some == some_of(questions, 12)
    assert some != some_of(questions, 12, seed=1)
    assert some_of(questions, None) == questions


def test_what_the_suite_exports_for_vlmevalkit_is_read_back(tmp_path):
    arguments = {"source": "digits", "image_size": 36}
    export(Plan("SSL4RL/Rotation-v0", 6, "vlmevalkit", split="test", arguments=arguments), tmp_path)
    (file,) = tmp_path.glob("*.tsv")
    questions = read_table(file).questions
    expected = list(rows("SSL4RL/Rotation-v0", 6, split="test", **arguments))
    assert [question.options[question.truth] for question in questions] == [row["answer"] for row in expected]
    for question, row in zip(questions, expected, strict=True):
        assert np.array_equal(question.pictures[0].pixels(), np.asarray(row["images"][0]))
