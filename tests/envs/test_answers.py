"""Text answers: everything that is one answer is read, and nothing else is."""

from __future__ import annotations

import string
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from ssl4rl_envs.answers import (
    PROMPT_STYLES,
    AnswerFormat,
    PromptSpace,
    ReplySpace,
    check_ascii,
    check_style,
    extract,
    instructions,
    wrap,
)

DEGREES = AnswerFormat(("0", "90", "180", "270"), units=("degrees counter-clockwise", "degrees", "degree", "deg", "°"))
PLACES = AnswerFormat(("top-left", "top", "top-right", "left", "right"))
ORDER = AnswerFormat(("1", "2", "3", "4"), slots=4, distinct=True)
PAIR = AnswerFormat(("yes", "no"), slots=2)
FORMATS = {"degrees": DEGREES, "places": PLACES, "order": ORDER, "pair": PAIR}

WORDS = st.text(string.ascii_letters + string.digits + "-_", min_size=1, max_size=8)


def parse(text: str, answer_format: AnswerFormat, style: str) -> Any:
    body = extract(text, style)
    return None if body is None else answer_format.parse(body)


def read(body: str, answer_format: AnswerFormat, style: str = "direct") -> Any:
    answer = parse(wrap(body, style), answer_format, style)
    return None if answer is None else np.asarray(answer).tolist()


# What is written is read back


def folded(label: str) -> str:
    return " ".join(label.lower().replace("-", " ").replace("_", " ").split())


@given(st.data(), st.sampled_from(PROMPT_STYLES), st.text(st.characters(exclude_characters="<>"), max_size=30))
@settings(max_examples=200, deadline=None)
def test_every_answer_of_every_format_is_read_back(data, style, thought):
    labels = tuple(data.draw(st.lists(WORDS, min_size=1, max_size=12, unique_by=folded)))
    assume(all(folded(label) for label in labels))
    distinct = data.draw(st.booleans())
    slots = data.draw(st.integers(1, len(labels) if distinct else 5))
    answer_format = AnswerFormat(labels, slots, distinct=distinct)
    values = st.integers(0, len(labels) - 1)
    values = data.draw(st.permutations(range(len(labels))) if distinct else st.lists(values, min_size=slots, max_size=slots))
    answer = values[0] if slots == 1 else np.array(values[:slots])
    text = wrap(answer_format.format(answer), style, thought)
    parsed = parse(text, answer_format, style)
    assert parsed is not None
    assert parsed.dtype == np.int64
    assert parsed.shape == (() if slots == 1 else (slots,))
    assert np.array_equal(parsed, answer)


@given(st.permutations([0, 1, 2, 3]))
def test_every_permutation_is_read_back(values):
    assert read(ORDER.format(values), ORDER) == values


@pytest.mark.parametrize("name", FORMATS)
def test_every_answer_is_read_back_in_every_style(name, style):
    answer_format = FORMATS[name]
    for value in range(len(answer_format.labels)):
        answer = value
        if answer_format.slots > 1:
            answer = [(value + i) % len(answer_format.labels) for i in range(answer_format.slots)]
        assert read(answer_format.format(answer), answer_format, style) == answer


AWKWARD = {
    "nothing": (("", "a"), 1, ()),
    "white space": ((" ", "a"), 1, ()),
    "a bracketed label": (("[a]", "b"), 1, ()),
    "tags": (("<a>", "b"), 1, ()),
    "the separator": (("x, y", "z"), 2, ()),
    "brackets at both ends of a list": (("(a)", "(b)"), 2, ()),
    "a unit at the end": (("90 degrees", "0 degrees"), 1, ("degrees",)),
    "a label that is another with a unit": (("m", "5", "5 m"), 1, ("m",)),
}


@pytest.mark.parametrize("case", AWKWARD)
def test_labels_that_cannot_be_read_back_are_refused(case):
    """A format either refuses labels at construction, or reads back what it writes (and never an empty answer)."""
    labels, slots, units = AWKWARD[case]
    try:
        answer_format = AnswerFormat(labels, slots, units)
    except ValueError:
        return
    for value in range(len(labels)):
        answer = value if slots == 1 else [value] * slots
        assert read(answer_format.format(answer), answer_format) == answer
    assert read("", answer_format) is None
    assert read("  ", answer_format) is None


# Variants that people write

HUMAN = [
    ("90", DEGREES, 1),
    ("90°", DEGREES, 1),
    ("90 °", DEGREES, 1),
    ("90 degrees", DEGREES, 1),
    ("90 Degrees", DEGREES, 1),
    ("90 DEGREES", DEGREES, 1),
    ("90 deg", DEGREES, 1),
    ("90deg", DEGREES, 1),
    ("90-degree", DEGREES, 1),
    ("90 degrees counter-clockwise", DEGREES, 1),
    ("90 degrees counter clockwise", DEGREES, 1),
    (" 90 ", DEGREES, 1),
    ("\n90\n", DEGREES, 1),
    ("\t270\u00a0degrees ", DEGREES, 3),
    ("0°", DEGREES, 0),
    ("[90]", DEGREES, 1),
    ("(180)", DEGREES, 2),
    ("( 180 degrees )", DEGREES, 2),
    ("top-left", PLACES, 0),
    ("Top-Left", PLACES, 0),
    ("top left", PLACES, 0),
    ("TOP LEFT", PLACES, 0),
    ("Top_Left", PLACES, 0),
    ("top  left", PLACES, 0),
    ("top\nleft", PLACES, 0),
    ("Top", PLACES, 1),
    ("2, 1, 4, 3", ORDER, [1, 0, 3, 2]),
    ("2,1,4,3", ORDER, [1, 0, 3, 2]),
    ("2 1 4 3", ORDER, [1, 0, 3, 2]),
    ("[2,1,4,3]", ORDER, [1, 0, 3, 2]),
    ("[2, 1, 4, 3]", ORDER, [1, 0, 3, 2]),
    ("(2 1 4 3)", ORDER, [1, 0, 3, 2]),
    ("( 2, 1, 4, 3 )", ORDER, [1, 0, 3, 2]),
    (" 2 , 1 ,4,3 ", ORDER, [1, 0, 3, 2]),
    ("2\n1\n4\n3", ORDER, [1, 0, 3, 2]),
    ("Yes, NO", PAIR, [0, 1]),
    ("yes yes", PAIR, [0, 0]),
]


@pytest.mark.parametrize(("body", "answer_format", "value"), HUMAN)
def test_variants_that_mean_one_thing_are_read(body, answer_format, value, style):
    assert read(body, answer_format, style) == value


@pytest.mark.parametrize(("left", "right"), [("", "\n"), ("  ", "  "), ("\r\n\t", ""), ("\n\n", "\n\n")])
def test_white_space_around_the_blocks_is_free(left, right):
    assert DEGREES.parse(extract(f"{left}<answer>90</answer>{right}", "direct")) == 1
    assert DEGREES.parse(extract(f"{left}<think>{left}</think>{right}<answer>90</answer>{right}", "think")) == 1


@pytest.mark.parametrize(
    "thought", ["", "a\nb", "x < y > z", "90 or 180?", "< answer>", "<b>bold</b>", "&lt;answer&gt;", "思考"]
)
def test_thinking_may_hold_anything_but_tags(thought):
    assert read("90", DEGREES, "think") == 1
    assert parse(wrap("90", "think", thought), DEGREES, "think") == 1


# What is not one answer


BODIES = {
    "degrees": """-90|90 or 180|0, 90, 180, 270|360|91|９０|٩٠|90.0|+90|9 0|90 degrees degrees|90°°|90 degrees °|degrees|°
        |° 90|degrees 90|90 degrees clockwise|90 radians|90%|π/2|0x5a|9e1|ninety|90, |90 90|&#57;0|90&deg;|90\\u00b0
        |270 (or -90)|90\0|True|1|- 90|−90|90-180""",
    "places": "top-left-top|topleft|left top|top, left|left or right|top-left corner|up|-left|top-left, |the left",
    "order": """2, 1, 4|2, 1, 4, 3, 2|2, 1, 4, 4|1, 1, 1, 1|2143|2; 1; 4; 3|2 1, 4 3|2, 1, 4, 3,|,2,1,4,3|2,,1,4,3|0, 1, 2, 3
        |2, 1, 4, 5|-2, 1, 4, 3|2, 1, 4, three|[2, 1], [4, 3]|[2, 1, 4, 3|{2,1,4,3}|2 and 1 and 4 and 3|2 > 1 > 4 > 3
        |[[2,1,4,3]]|2. 1. 4. 3.|[]|()|[|2, 1, 4, 3; 1, 2, 3, 4""",
    "pair": "yes|yes, no, yes|yes, maybe|yesno|yes/no|yes; no",
}


@pytest.mark.parametrize(
    ("name", "body"), [(name, body) for name in BODIES for body in BODIES[name].replace("\n        |", "|").split("|")]
)
def test_bodies_that_are_not_exactly_one_answer_are_none(name, body):
    answer_format = FORMATS[name]
    assert answer_format.parse(body) is None
    for style in PROMPT_STYLES:
        assert read(body, answer_format, style) is None


@given(st.text(max_size=200), st.sampled_from(PROMPT_STYLES))
@settings(max_examples=200, deadline=None)
def test_random_text_around_an_answer_is_no_answer(noise, style):
    assume(noise.strip())
    reply = wrap("90", style)
    assert parse(noise + reply, DEGREES, style) is None
    assert parse(reply + noise, DEGREES, style) is None


@given(st.text("<>/answerthink90 \n", max_size=80), st.sampled_from(PROMPT_STYLES))
@settings(max_examples=300, deadline=None)
def test_only_the_grammar_is_read(text, style):
    """Whatever is read has exactly one answer block, at its end, and as many thinking blocks as the style asks for."""
    if style != "tool" and extract(text, style) is not None:
        assert text.count("<answer>") == text.count("</answer>") == 1
        assert text.count("<think>") == text.count("</think>") == (style == "think")
        assert text.rstrip().endswith("</answer>")


def test_styles_do_not_read_each_other(style):
    for other in PROMPT_STYLES:
        assert (parse(wrap("90", style), DEGREES, other) is None) == (other != style)


def test_the_instructions_are_no_answer_themselves(style):
    text = instructions(style, "90")
    assert parse(text, DEGREES, style) is None
    assert (wrap("90", style, "what you see") in text) == (text != "") == (style != "tool")


def test_long_replies_are_read_or_refused_without_backtracking():
    assert parse("<think>" + "</think> " * 3_000 + "<answer>90</answer>", DEGREES, "think") is None
    assert parse(" " * 16_000, DEGREES, "direct") is None
    assert parse("<answer>" + " " * 16_000, DEGREES, "direct") is None
    assert parse("<think>" + "a" * 16_000 + "</think><answer>90</answer>", DEGREES, "think") == 1


# Formats and styles


@pytest.mark.parametrize("labels", [("top-left", "Top Left"), ("a", "A"), ("a", "a"), ("x_y", "x-y"), ("a", " a ")])
def test_labels_that_read_the_same_are_refused(labels):
    with pytest.raises(ValueError, match="differ"):
        AnswerFormat(labels)


@pytest.mark.parametrize(("slots", "distinct"), [(0, False), (-1, False), (3, True)])
def test_impossible_numbers_of_slots_are_refused(slots, distinct):
    with pytest.raises(ValueError, match="slots"):
        AnswerFormat(("a", "b"), slots, distinct=distinct)


@pytest.mark.parametrize("unknown", ["", "Direct", "cot", "none"])
def test_unknown_styles_are_errors_that_name_the_known(unknown):
    for call in (
        check_style,
        lambda name: extract("", name),
        lambda name: wrap("", name),
        lambda name: instructions(name, "1"),
    ):
        with pytest.raises(ValueError, match="direct, think"):
            call(unknown)


# Spaces


@given(st.text(max_size=60))
def test_the_reply_space_holds_every_string_up_to_its_length(text):
    assert text in ReplySpace(60)
    assert (text in ReplySpace(20)) == (len(text) <= 20)


@pytest.mark.parametrize("value", [None, 3, b"90", ["90"], np.array("90"), 1.5])
def test_the_reply_space_holds_strings_alone(value):
    assert value not in ReplySpace(100)


def test_samples_of_the_reply_space_are_printable_and_inside():
    space = ReplySpace(50)
    space.seed(0)
    samples = [space.sample() for _ in range(200)]
    assert all(sample in space and set(sample) <= set(string.printable) for sample in samples)
    assert len({len(sample) for sample in samples}) > 20


def test_the_prompt_space_holds_printable_ascii_alone():
    space = PromptSpace(20)
    space.seed(0)
    assert all(text in space for text in ("", "a b", "<answer>?\n", "x" * 20))
    assert not any(text in space for text in ("x" * 21, "é", "90°", "\x00", None))
    assert space.sample() in space


def test_spaces_of_one_length_are_equal_and_of_two_lengths_are_not():
    assert ReplySpace(5) == ReplySpace(5)
    assert ReplySpace(5) != ReplySpace(6)
    assert PromptSpace(5) == PromptSpace(5)


def test_prompts_outside_printable_ascii_are_an_error_that_shows_the_character():
    check_ascii(["", "plain", string.printable])
    with pytest.raises(ValueError, match="°"):
        check_ascii(["plain", "90°"])
