"""Arguments that name several kinds, and the share of questions that habit answers."""

from __future__ import annotations

import re

import pytest

from ssl4rl_envs.kinds import checked_bias, some_of

KNOWN = ("edge", "path", "count")


def test_kinds_are_joined_and_come_in_their_own_order():
    assert some_of("kinds", "count+edge", KNOWN) == ("edge", "count")
    assert some_of("kinds", "path", KNOWN) == ("path",)
    assert some_of("kinds", "all", KNOWN) == KNOWN
    assert some_of("kinds", "all", KNOWN, everything=("edge", "path")) == ("edge", "path")


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ("edge+pth", "unknown sort 'pth': of must be all, or of edge, path, count, joined by '+', got 'edge+pth'; did you "),
        ("edge+all", "unknown sort 'all': of must be all, or of"),
        ("", "unknown sort '': of must be all"),
        ("edge+edge", "of must name each sort once, got 'edge+edge'"),
    ],
)
def test_other_kinds_are_errors_that_say_what_is_right(value, message):
    with pytest.raises(ValueError, match=f"^{re.escape(message)}"):
        some_of("of", value, KNOWN, "sort")


@pytest.mark.parametrize("bias", [0.49, 0.96, float("nan")])
def test_bias_leaves_room_for_the_picture(bias):
    assert [checked_bias(fine) for fine in (0.5, 0.95)] == [0.5, 0.95]
    with pytest.raises(ValueError, match=f"bias must lie in 0.5 to 0.95, got {bias}"):
        checked_bias(bias)
