"""Which range numbers have: their contrast is kept, and dark pictures stay dark."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ssl4rl_envs.sources.intensity import FULL_SCALES, as_bytes, extremes, value_range


@pytest.mark.parametrize(
    ("least", "most", "right"),
    [
        (0, 1, (0, 1)),  # a mask
        (0, 255, (0, 255)),
        (3, 100, (0, 255)),  # dark, and stays so
        (0, 1023, (0, 1023)),
        (0, 4095, (0, 4095)),
        (0, 1500, (0, 4095)),
        (0, 16383, (0, 16383)),
        (0, 65535, (0, 65535)),
        (0, 30000, (0, 65535)),
        (0, 9, (0, 9)),  # would be nearly black
        (0, 70000, (0, 70000)),
        (0, 0, (0, 1)),
        (-1, 4095, (0, 4095)),  # -1 stands for missing
        (-1, 1, (-1, 1)),
        (-1024, 3071, (-1024, 3071)),  # Hounsfield units
        (-7, -7, (-7, -7)),
    ],
)
def test_integers(least, most, right):
    assert value_range(least, most, exact=True) == right


@pytest.mark.parametrize(
    ("least", "most", "right"),
    [
        (0, 0.5, (0, 1)),
        (-0.06, 1.05, (0, 1)),  # resampled
        (-0.9, 0.7, (-1, 1)),
        (-1.04, 1.0, (-1, 1)),
        (-2.1, 2.6, (-2.1, 2.6)),  # standardised
        (0, 0.01, (0, 0.01)),
        (0, 3.5, (0, 3.5)),
        (0, 200, (0, 255)),
        (-5, 262, (0, 255)),
        (0, 4095, (0, 4095)),
        (0, 1e9, (0, 1e9)),
    ],
)
def test_floats(least, most, right):
    assert value_range(least, most, exact=False) == right


@given(st.floats(0, 1e6), st.booleans())
def test_the_maximum_is_never_nearly_black_nor_beyond_white_by_much(most, exact):
    black, white = value_range(0, most, exact=exact)
    assert black == 0
    if most:
        assert white / 16 <= most * (1 + 1e-9)
        assert most <= white * (1 if exact else 1.1)


@pytest.mark.parametrize("scale", FULL_SCALES)
def test_a_full_ramp_becomes_a_full_ramp_of_bytes(scale):
    dtype = np.uint8 if scale == 1 else np.uint16
    ramp = np.linspace(0, scale, 4096).astype(dtype)
    seen = as_bytes(ramp, *value_range(*extremes(ramp), exact=True))
    assert np.array_equal(seen, np.rint(ramp * (255 / scale)).astype(np.uint8))
    assert (seen[0], seen[-1]) == (0, 255)


@given(st.lists(st.integers(0, 255), min_size=1))
def test_bytes_in_wider_numbers_are_those_bytes(values):
    for dtype in (np.uint16, np.int32, np.int64, np.float32, np.float64):
        assert as_bytes(np.array(values, dtype), 0, 255).tolist() == values


def test_missing_numbers_are_black_and_infinity_is_cut_off():
    values = np.array([0, 1, np.nan, np.inf, -np.inf, -3.4e38, 0.5], np.float32)
    assert extremes(values) == (0, 1)
    assert as_bytes(values, 0, 1).tolist() == [0, 255, 0, 255, 0, 0, 128]


@pytest.mark.parametrize("value", [np.nan, np.inf, -3.4e38])
def test_no_finite_number_is_an_error(value):
    with pytest.raises(ValueError, match="no finite number"):
        extremes(np.full((4, 4), value, np.float32))


def test_equal_numbers_are_no_division_by_zero():
    assert as_bytes(np.full(3, -7.0), -7.0, -7.0).tolist() == [0, 0, 0]


@pytest.mark.parametrize("exact", [True, False])
def test_numbers_beyond_every_known_white_keep_their_contrast(exact):
    assert value_range(100_000, 100_100, exact=exact) == (100_000, 100_100)
    ramp = np.linspace(100_000, 100_100, 64).astype(np.int32 if exact else np.float32)
    assert np.ptp(as_bytes(ramp, *value_range(*extremes(ramp), exact=exact))) == 255
