"""What is given is held against type hints: right things pass, as plain Python has them, and wrong ones are errors."""

from __future__ import annotations

import dataclasses
import json
import math
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ssl4rl_envs.arguments import Checked, checked, checked_arguments, did_you_mean, from_plain, whole_number

CHOICES = Literal["ppo", "gspo"]


@pytest.mark.parametrize(
    ("value", "hint", "right"),
    [
        (3, int, 3),
        (np.int64(3), int, 3),
        (np.uint8(3), int, 3),
        (3, float, 3.0),
        (np.float32(0.5), float, 0.5),
        (np.int32(2), float | None, 2.0),
        (None, float | None, None),
        (np.True_, bool, True),
        ("gspo", CHOICES, "gspo"),
        ([3, np.int64(2)], tuple[int, ...], (3, 2)),
        ((), tuple[int, ...], ()),
        ([0.9, 1], tuple[float, float], (0.9, 1.0)),
        ([1, None], tuple[int | None, ...], (1, None)),
        ({"a": 1}, dict[str, Any], {"a": 1}),
        (3, int | float, 3),
        (3, float | int, 3),
        ([object], list[Any], [object]),
    ],
)
def test_right_values_become_plain_ones(value, hint, right):
    found = checked("x", value, hint)
    assert found == right
    assert type(found) is type(right)
    if isinstance(found, tuple):
        assert [type(part) for part in found] == [type(part) for part in right]


@pytest.mark.parametrize(
    ("value", "hint", "message"),
    [
        (True, int, "x must be a whole number, got True"),
        (np.True_, int, "whole number"),
        (1.0, int, "whole number, got 1.0"),
        (np.float64(1), int, "whole number"),
        ("1", int, "whole number, got '1'"),
        (math.nan, int, "whole number, got nan"),
        (math.nan, float, "finite number, got nan"),
        (np.float32("inf"), float, "finite number"),
        (10**400, float, "finite number"),
        (False, float, "finite number"),
        ("0.1", float | None, "finite number or None"),
        (1, bool, "True or False, got 1"),
        ("False", bool, "True or False"),
        (3, str, "a string, got 3"),
        (None, str, "a string"),
        ("GSPO", CHOICES, "one of ppo, gspo, got 'GSPO'; did you mean 'gspo'"),
        ("cosine", CHOICES, "one of ppo, gspo, got 'cosine'$"),
        ("ppo", tuple[int, ...], "a tuple"),
        ("12", tuple[str, ...], "a tuple"),
        ([1.5], tuple[int, ...], "each part of it a whole number"),
        ([0.9], tuple[float, float], "a tuple of 2"),
        ([], dict[str, Any], "dict"),
        (True, Literal[1, 2], "one of 1, 2, got True"),
    ],
)
def test_wrong_values_are_errors_that_say_what_is_right(value, hint, message):
    with pytest.raises((TypeError, ValueError), match=message):
        checked("x", value, hint)


@given(st.floats() | st.integers() | st.booleans() | st.none() | st.text(max_size=3))
def test_a_number_is_taken_as_itself_or_refused(value):
    for hint in (int, float):
        try:
            found = checked("x", value, hint)
        except (TypeError, ValueError):
            continue
        assert found == pytest.approx(value, rel=1e-15, abs=0)
        assert type(found) is hint
        assert math.isfinite(found)
        assert not isinstance(value, bool)


@pytest.mark.parametrize("value", [True, 0, 2.0, "3", None, math.nan])
def test_whole_numbers_are_no_less_than_the_least(value):
    assert whole_number("n", np.int16(4), 1) == 4
    with pytest.raises(ValueError, match=r"n must be a whole number of at least 1, got"):
        whole_number("n", value, 1)


def test_the_nearest_name_is_found_whatever_its_case_and_dashes():
    assert did_you_mean("Image-Size", ["grid", "image_size"]) == "; did you mean 'image_size'?"
    assert did_you_mean("frameskip", ["grid", "image_size"]) == ""
    assert did_you_mean(3, ["grid"]) == ""


def test_arguments_of_a_function_are_checked_by_its_signature():
    def learn(rate: float, *, steps: int = 3, source: object = None) -> None: ...

    assert checked_arguments("learn()", learn, {"rate": 1, "source": "any"}) == {"rate": 1.0, "source": "any"}
    with pytest.raises(TypeError, match=r"learn\(\) got an unexpected keyword argument 'step'; did you mean 'steps'"):
        checked_arguments("learn()", learn, {"step": 1})
    with pytest.raises(TypeError, match=r"steps of learn\(\) must be a whole number, got 2.5"):
        checked_arguments("learn()", learn, {"steps": 2.5})


@dataclass(frozen=True)
class Inner(Checked):
    rate: float = 0.1
    section = "inner."


@dataclass(frozen=True)
class Outer(Checked):
    kind: CHOICES = "ppo"
    sizes: tuple[int, ...] = ()
    inner: Inner = field(default_factory=Inner)


def test_dataclasses_check_however_they_are_made():
    for make in (
        lambda: Outer(kind="PPO"),
        lambda: dataclasses.replace(Outer(), kind="PPO"),
        lambda: from_plain(Outer, {"kind": "PPO"}),
    ):
        with pytest.raises(ValueError, match="kind must be one of ppo, gspo, got 'PPO'; did you mean 'ppo'"):
            make()
    with pytest.raises(ValueError, match=r"inner\.rate must be a finite number"):
        from_plain(Outer, {"inner": {"rate": math.inf}})
    with pytest.raises(TypeError, match="inner must be Inner"):
        Outer(inner={"rate": 1})
    with pytest.raises(ValueError, match="inner has no setting rates; did you mean 'rate'"):
        from_plain(Outer, {"inner": {"rates": 1}})
    with pytest.raises(TypeError, match="inner must be settings by name, got 3"):
        from_plain(Outer, {"inner": 3})


def test_dataclasses_survive_json():
    some = Outer("gspo", sizes=(np.int64(3), 2), inner=Inner(1))
    assert from_plain(Outer, json.loads(json.dumps(dataclasses.asdict(some)))) == some
