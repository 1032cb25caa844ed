"""What stands in an answer block is read as the one answer that it says, in whatever words, and never as one of two."""

from __future__ import annotations

import re
from functools import cache

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ssl4rl_benchmarks.audits.hostile import options
from ssl4rl_envs import Stream, Task, make_task
from ssl4rl_envs.answers import AnswerFormat, wrap
from ssl4rl_envs.numerals import at_least, place, spelled
from ssl4rl_envs.wording import body_of
from tests.envs.bodies import BARS, BODIES
from tests.envs.conftest import task_of

# By hand


def read(task: Task, body: str) -> str | None:
    answer = task.parse(wrap(body, "direct"), "direct", "lenient")
    return None if answer is None else task.format(answer)


@pytest.mark.parametrize("key", list(BODIES))
def test_bodies_are_read_as_a_person_reads_them(key):
    name, _, attribute = key.partition(" ")
    task = make_task(f"SSL4RL/{name}-v0", **({"attribute": attribute} if attribute else {}))
    lines = [(answer, body) for answer, bodies in BODIES[key] for body in bodies.split(" | ")]
    lines += [(answer, body) for owner, answer, body in BARS if owner == key]
    assert len({body for _, body in lines}) == len(lines)
    wrong = [(body, read(task, body), answer) for answer, body in lines if read(task, body) != answer]
    assert not wrong, "\n".join(map(str, wrong))


BLOCK = "<answer>90</answer>"
HARMLESS = [
    *("No further explanation is needed.", "No more words.", "No comment.", "\n\nNo additional text is required."),
    *("But this is certain.", "But note that the picture is dark.", "However, the picture is dark."),
    *("I hope this helps! No thanks needed.", "This is certain, but check the sky."),
]
RETRACTIONS = [
    *(
        ". No wait, 180",
        ", or rather 270",
        " No, 180",
        " No.",
        " No",
        " no! It is 180",
        " No it is upside down",
        " (no, 180)",
        ", no: 180",
    ),
    *(
        " But it could be 180",
        " But 180 is possible",
        " But I am not sure.",
        " But maybe upside down.",
        " But...",
        " But B fits as well.",
    ),
    *(
        " But ninety is odd",
        " though upside down is possible too",
        ", but 180 also fits",
        " Yet I doubt it.",
        " But wait, the sky.",
    ),
    *(
        "\nWait, no.",
        " The sky is left. Wait, it is below.",
        " On second thought, it is upside down.",
        " Rather 180.",
        " or 180",
    ),
    *(
        " instead of 180",
        " Hmm, 180?",
        " Scratch that.",
        " Correction: 180",
        " Sorry, 180.",
        " I was wrong: 180",
        "? No.",
        " Oops, 180.",
    ),
    *(" Let me reconsider: 180", " Make it 180", " No, make that 180", " The sky is below. That is wrong.", " Edit: 180"),
]


def test_only_what_takes_an_answer_back_takes_it_back():
    task = make_task("SSL4RL/Rotation-v0", source="digits", image_size=36)
    for behind, answered in [(f" {text}", True) for text in HARMLESS] + [(text, False) for text in RETRACTIONS]:
        assert (task.parse(BLOCK + behind, "direct", "lenient") is not None) == answered, behind


# Forms


PLAIN_FORMS = (
    "{}",
    "{}.",
    "{}!",
    '"{}"',
    "\u201c{}\u201d",
    "**{}**",
    "({})",
    "${}$",
    "\\boxed{{{}}}",
    "The answer is {}",
    "It's {}",
    "{},",
)
LIST_FORMS = ("{}", "[{}]", "**{}**", "The answer is {}.", "{},", "({})")


def forms(task: Task, answer: str) -> list[str]:
    """Return bodies that say one answer of a task, in the ways that the guide tells of."""
    written = task.answer_format
    assert written is not None
    labels = answer.split(", ")
    if written.slots > 1:
        lists = [mark.join(labels) for mark in (", ", "; ", " ", "\n", " and ", " -> ")]
        lists += ["-".join(labels)] if written.slots > 2 else [" & ".join(labels)]
        return [form.format(text) for text in lists for form in LIST_FORMS]
    (label,), place_of = labels, written.labels.index(answer)
    names = [label, *[word for word, other in written.synonyms.items() if other == label]]
    if label.isdecimal():
        names += [f"{label}.0", f"+{label}", *spelled(int(label))]
    if all(other == str(number + 1) for number, other in enumerate(written.labels)):
        names += [
            ("first", "the second", "third", "the fourth tile")[place_of],
            f"tile {label}",
            f"#{label}",
            f"No. {label}",
        ]
    if written.listed:
        letter = "ABCDEFG"[place_of]
        names += [
            letter,
            f"({letter})",
            f"Option {letter}",
            f"{letter}. {label}",
            f"{label} ({letter})",
            f"{letter} - {label}",
        ]
    said = [form.format(name) for name in names for form in PLAIN_FORMS]
    return [body for body in said if body != "It's right"]  # which says yes to something


JOINTS = (
    *(
        "{} {}",
        "{}, {}",
        "{}; {}",
        "{}/{}",
        "{}|{}",
        "{}\n{}",
        "{} or {}",
        "{} and {}",
        "{} & {}",
        "{} - {}",
        "{}-{}",
        "{} to {}",
        "{} -> {}",
    ),
    *(
        "{}: {}",
        "{}. {}",
        "{}={}",
        "{} ({})",
        "({}) {}",
        "[{}] [{}]",
        "{} not {}",
        "{}, not {}",
        "not {} but {}",
        "{} vs {}",
        "{}{}",
    ),
    *(
        "{} rather than {}",
        "{} with {}",
        "{}? {}",
        "{}... {}",
        "{}. No wait, {}",
        "{}, or rather {}",
        "{} is not {}",
        "{} is {}",
    ),
    *(
        "{}, i.e. {}",
        "both {} and {}",
        "either {} or {}",
        "{} then {}",
        "{} of {}",
        "{} in {}",
        "1. {}\n2. {}",
        "1: {}, 2: {}",
    ),
    *(
        "- {}\n- {}",
        "* {}\n* {}",
        "[[{}],[{}]]",
        "[{}],[{}]",
        "**{}** **{}**",
        "${}$ ${}$",
        "\\boxed{{{}}} \\boxed{{{}}}",
        "{} <-> {}",
    ),
    *(
        "{} the {}",
        "{} is correct, {} is not",
        "A. {} B. {}",
        "{}<br>{}",
        "{} / {}",
        "{} \u2013 {}",
        "{} \u2194 {}",
        "{}, and {}",
    ),
)
APART = ("{} {}", "{}\n\n{}", "{} or {}", "{}, no, {}", "{}. But {}", "I thought of {} first. {}", "Not {} but {}", "{}, {}")


def parts_of(env_id: str) -> list[Task]:
    """Return the tasks of an environment whose answers are written in words: itself, or its parts."""
    whole = task_of(env_id)
    parts = [part for part in whole.parts or (whole,) if part.answer_format is not None]
    if not parts:
        pytest.skip("answers have several forms: see the tests of the task itself")
    return parts


@cache
def some_forms(task: Task) -> list[list[str]]:
    """Return the forms of different answers of a task: of all that there are, or of some."""
    bodies = options(task, task.sample(Stream("train", np.zeros(1, int), np.arange(1))))[0]
    return [forms(task, body) for body in bodies]


def test_every_form_is_read_as_its_answer(text_id):
    for task in parts_of(text_id):
        for bodies in some_forms(task):
            found = {body: read(task, body) for body in bodies}
            assert len(bodies) > 10
            assert set(found.values()) == {found[bodies[0]]} != {None}, found


@settings(max_examples=120, deadline=None)
@given(data=st.data())
def test_two_answers_are_never_read_as_one(text_id, data):
    """Whatever two forms of whatever two answers stand in one block or in two: there is no answer."""
    task = data.draw(st.sampled_from(parts_of(text_id)))
    first, second = data.draw(st.permutations(range(len(some_forms(task)))))[:2]
    one, two = (data.draw(st.sampled_from(some_forms(task)[number])) for number in (first, second))
    body = data.draw(st.sampled_from(JOINTS)).format(one, two)
    found = read(task, body)
    says_yes = re.search(r"is \W*right", body) is not None  # "red is right", where right is an answer as well
    assert found is None or says_yes or (found == "both" and "horizontal" in body and "vertical" in body), body
    reply = data.draw(st.sampled_from(APART)).format(wrap(one, "direct"), wrap(two, "direct"))
    assert task.parse(reply, "direct", "lenient") is None, reply


@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_one_answer_twice_is_that_answer_or_none(text_id, data):
    task = data.draw(st.sampled_from(parts_of(text_id)))
    bodies = data.draw(st.sampled_from(some_forms(task)))
    one, two = (data.draw(st.sampled_from(bodies)) for _ in range(2))
    body = data.draw(st.sampled_from(JOINTS)).format(one, two)
    assert read(task, body) in (None, read(task, bodies[0])), body
    twice = task.parse(f"{wrap(one, 'direct')} That is: {wrap(two, 'direct')}", "direct", "lenient")
    assert twice is not None
    assert task.format(twice) == read(task, bodies[0])


# Numbers


def test_numbers_are_spelled_in_words():
    assert [spelled(number)[0] for number in (0, 9, 12, 20, 90, 45, 100)] == [
        *("zero", "nine", "twelve", "twenty", "ninety", "forty five", "one hundred"),
    ]
    assert spelled(270) == ("two hundred seventy", "two hundred and seventy")
    assert spelled(1000) == spelled(-1) == ()
    words = [word for number in range(1000) for word in spelled(number)]
    assert len(set(words)) == len(words)


def test_ordinals_name_places():
    assert [place(word) for word in ("first", "twelfth", "1st", "2nd", "3rd", "4th", "11th", "12th", "21st", "101st")] == [
        *(1, 12, 1, 2, 3, 4, 11, 12, 21, 101),
    ]
    assert [place(word) for word in ("1nd", "2th", "11st", "13rd", "111st", "st", "two", "", "0.1st")] == [None] * 9


def test_so_many_or_more_has_the_names_of_no_other_number():
    names = [set(at_least(number)) for number in range(1, 20)]
    assert {"4+", ">3", ">=4", "more than three", "four or more"} <= names[3]
    assert sum(map(len, names)) == len(set().union(*names))


def test_orders_of_nine_may_stand_in_rows():
    nine = AnswerFormat(tuple("123456789"), slots=9, distinct=True, fillers=("tile",))
    assert (
        body_of("[[2, 1, 3], [4, 5, 6], [7, 8, 9]]", nine)
        == body_of("2 1 3\n4 5 6\n7 8 9", nine)
        == "2, 1, 3, 4, 5, 6, 7, 8, 9"
    )
    assert body_of("2, 1, 3\n4, 5, 6, 7\n8, 9", nine) is None
    sixteen = AnswerFormat(tuple(str(k) for k in range(1, 17)), slots=16, distinct=True)
    pairs = "\n".join(f"{k}, {k + 1}" for k in range(1, 17, 2))
    assert body_of(pairs, sixteen) is None
    assert body_of("1 2 3 4\n5 6 7 8\n9 10 11 12\n13 14 15 16", sixteen) is not None


def test_a_single_hidden_word_can_be_answered_in_both_grammars():
    task = make_task("SSL4RL/MaskedFeatures-v0", masked=1)
    batch = task.sample(Stream("train", np.zeros(3, int), np.arange(3)))
    for body, grammar in (("{}", "strict"), ("{}.", "lenient")):
        replies = [wrap(body.format(word), "direct") for word in task.truths(batch)]
        assert task.score_texts(replies, batch, "direct", grammar).success.all()
