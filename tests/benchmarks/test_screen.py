"""Tables for people: aligned where they fit, readable where they do not, and never wider than the terminal."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from ssl4rl_benchmarks import screen

WORD = st.text("abcdefgh", min_size=1, max_size=9)
ROW = st.tuples(WORD, WORD, st.lists(WORD, min_size=1, max_size=12).map(" ".join))
ROWS = st.lists(ROW, min_size=1, max_size=5)


@given(ROWS, st.integers(24, 120))
def test_no_line_is_wider_than_the_terminal_and_no_word_is_lost(rows, room):
    for drawn in (screen.table(("name", "kind", "words"), rows, room), screen.columns(rows, room)):
        assert max(map(len, drawn.splitlines())) <= room
        words = drawn.split()
        for row in rows:
            for cell in row:
                assert set(cell.split()) <= set(words)


def test_a_table_that_fits_is_aligned():
    assert screen.table(("name", "asks"), [("Rotation", "by how much"), ("Odd", "which")], 80).splitlines() == [
        "name      asks",
        "Rotation  by how much",
        "Odd       which",
    ]


def test_words_are_wrapped_in_their_column():
    assert screen.columns([("list", "one two three four five six seven")], 32).splitlines() == [
        "list  one two three four five",
        "      six seven",
    ]


def test_what_is_too_wide_becomes_a_paragraph_a_row():
    rows = [("SSL4RL/Rotation-v0", "Discrete(4)", "by how many degrees it was turned")]
    assert screen.table(("environment", "action space", "asks"), rows, 40).splitlines() == [
        "SSL4RL/Rotation-v0",
        "  action space Discrete(4)",
        "  asks by how many degrees it was turned",
    ]


def test_where_there_is_no_terminal_a_row_is_a_line():
    rows = [("a" * 100, "b" * 300)]
    assert len(screen.table(("x", "y"), rows, 0).splitlines()) == 2
