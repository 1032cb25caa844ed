"""Which range numbers have: their contrast is kept, and dark pictures stay dark."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ssl4rl_envs.sources.intensity import FULL_SCALES, as_bytes, known_scale, remarks, shared_ranges, spread_of, value_range


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
        (-100, 900, (-100, 900)),
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
        (-100, 900, (-100, 900)),
        (100, 280, (0, 1023)),  # more beyond 255 than resampling leaves
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
    seen = as_bytes(ramp, *spread_of(ramp).own_range)
    assert np.array_equal(seen, np.rint(ramp * (255 / scale)).astype(np.uint8))
    assert (seen[0], seen[-1]) == (0, 255)


@given(st.lists(st.integers(0, 255), min_size=1))
def test_bytes_in_wider_numbers_are_those_bytes(values):
    for dtype in (np.uint16, np.int32, np.int64, np.float32, np.float64):
        assert as_bytes(np.array(values, dtype), 0, 255).tolist() == values


def test_missing_numbers_are_black_and_infinity_is_cut_off():
    values = np.array([0, 1, np.nan, np.inf, -np.inf, -3.4e38, 0.5], np.float32)
    assert spread_of(values).own_range == (0, 1)
    assert as_bytes(values, 0, 1).tolist() == [0, 255, 0, 255, 0, 0, 128]


@pytest.mark.parametrize("value", [np.nan, np.inf, -3.4e38])
def test_no_finite_number_is_an_error(value):
    with pytest.raises(ValueError, match="no finite number"):
        spread_of(np.full((4, 4), value, np.float32))


def test_equal_numbers_are_no_division_by_zero():
    assert as_bytes(np.full(3, -7.0), -7.0, -7.0).tolist() == [0, 0, 0]


@pytest.mark.parametrize("exact", [True, False])
def test_numbers_beyond_every_known_white_keep_their_contrast(exact):
    assert value_range(100_000, 100_100, exact=exact) == (100_000, 100_100)
    ramp = np.linspace(100_000, 100_100, 64).astype(np.int32 if exact else np.float32)
    assert np.ptp(as_bytes(ramp, *spread_of(ramp).own_range)) == 255


# Full scales stay as they are

FULL = {
    "noise": lambda rng: rng.integers(0, 65536, (64, 64)),
    "photograph": lambda rng: rng.normal(30_000, 9_000, (64, 64)).clip(0, 65535),
    "clipped lights": lambda rng: rng.normal(45_000, 15_000, (64, 64)).clip(0, 65535),
    "dark, with lights": lambda rng: np.where(rng.random((64, 64)) < 0.03, 65535, rng.integers(0, 20_000, (64, 64))),
    "mask": lambda rng: (rng.random((64, 64)) < 0.5) * 65535,
    "mask of one pixel": lambda rng: np.eye(1, 4096, 77).reshape(64, 64) * 65535,
    "one grey": lambda rng: np.full((64, 64), 30_000),
    "ramp": lambda rng: np.arange(65536).reshape(256, 256),
}


@pytest.mark.parametrize("name", FULL)
def test_pictures_of_all_16_bits_are_divided_and_nothing_else(name):
    values = FULL[name](np.random.default_rng(0)).astype(np.uint16)
    spread = spread_of(values)
    assert spread.own_range == (0, 65535)
    assert not remarks(spread, spread.own_range)
    assert np.array_equal(as_bytes(values, *spread.own_range), np.rint(values.astype(np.float32) * np.float32(255 / 65535)))


@given(st.integers(16, 255), st.integers(0, 2**32))
def test_bytes_in_16_bits_are_those_bytes_unless_they_are_nearly_of_one_grey(most, seed):
    values = np.random.default_rng(seed).integers(0, most + 1, (16, 16)).astype(np.uint16)
    spread = spread_of(values)
    if spread.most - spread.least >= 255 / 8:
        assert spread.own_range == (0, 255)


# Narrow bands and numbers that lie apart


def ramp(low, high, dtype):
    return np.linspace(low, high, 4096).astype(dtype)


NARROW = [(250, 300, np.float32), (220, 280, np.float32), (0.4, 0.45, np.float64), (30_000, 31_000, np.uint16)]


@pytest.mark.parametrize(("low", "high", "dtype"), NARROW)
def test_a_narrow_band_is_stretched_and_told(low, high, dtype):
    spread = spread_of(ramp(low, high, dtype))
    assert spread.own_range == pytest.approx((low, high))
    assert "are stretched" in remarks(spread, spread.own_range)[0]
    seen = as_bytes(ramp(low, high, dtype), *spread.own_range)
    assert np.abs(seen - np.linspace(0, 255, 4096)).max() <= 1


@pytest.mark.parametrize("share", [1, 40, 1000, 2500])
@pytest.mark.parametrize(
    ("low", "high", "dtype", "mark", "right"),
    [
        (0, 4095, np.uint16, 65535, (0, 4095)),
        (30_000, 31_000, np.uint16, 65535, (30_000, 31_000)),
        (30_000, 31_000, np.uint16, 0, (30_000, 31_000)),
        (250, 300, np.float32, -9999, (250, 300)),
        (250, 300, np.int32, -32768, (250, 300)),
        (250, 300, np.int32, -1, (250, 300)),
        (0, 3000, np.int32, -32768, (0, 4095)),
        (-100, 8848, np.int32, -9999, (-100, 8848)),
        (0, 1, np.float32, -9999, (0, 1)),
        (-1, 1, np.float64, 1e20, (-1, 1)),
    ],
)
def test_marks_of_missing_numbers_do_not_set_the_range(low, high, dtype, mark, right, share):
    values = ramp(low, high, dtype)
    values[np.random.default_rng(0).permutation(np.arange(1, 4095))[:share]] = mark
    spread = spread_of(values)
    assert spread.own_range == right
    assert spread.apart == share
    assert f"{share} of its numbers" in remarks(spread, right)[-1]
    assert set(as_bytes(values, *right)[values == mark]) == {255 if mark > high else 0}


def test_two_marks_are_left_out_whichever_is_farther():
    values = ramp(250, 300, np.int32)
    values[100:200], values[500:900] = -32768, 32767
    assert spread_of(values)[:2] == (250, 300)


@pytest.mark.parametrize("values", [(0, 65535), (-9999, 5), (0, 255), (-1, 1)])
def test_what_is_made_of_two_numbers_keeps_both(values):
    assert spread_of(np.array(values * 50, np.int32))[:2] == values


def test_single_numbers_that_lie_far_off_do_not_set_the_range():
    hot = ramp(1000, 1100, np.uint16)
    hot[7] = 60_000
    least, most = spread_of(hot)[:2]
    assert 1000 <= least <= most <= 1100
    assert most - least > 95
    of_bytes = ramp(0, 255, np.int32)
    of_bytes[7] = 60_000
    assert spread_of(of_bytes).own_range == (0, 255)


def test_small_bright_things_are_no_outliers():
    values = ramp(0, 200, np.uint16)
    values[:40] = 65_535 // 4  # one in a hundred
    assert spread_of(values).most == 65_535 // 4


# Several pictures


def spreads(*pairs, dtype=np.float32):
    return [spread_of(ramp(*pair, dtype)) for pair in pairs]


@pytest.mark.parametrize(
    ("pairs", "right"),
    [
        ([(250, 300), (260, 310)], [(250, 310), (250, 310)]),
        ([(0, 255), (0, 4000), (0, 65_535)], [(0, 255), (0, 4095), (0, 65_535)]),  # each has a scale of its own
        ([(0, 255), (250, 300)], [(0, 255), (250, 300)]),
        ([(250, 300), (280, 280.5)], [(250, 300), (280, 280.5)]),  # which would be of one grey
        ([(30_000, 31_000), (60_000, 61_000)], [(30_000, 31_000), (60_000, 61_000)]),
        ([(-1000, 3000), (-500, 2000)], [(-1000, 3000), (-1000, 3000)]),
    ],
)
def test_pictures_without_a_scale_share_one(pairs, right):
    assert shared_ranges(spreads(*pairs)) == [pytest.approx(pair) for pair in right]


def test_pictures_of_other_types_of_numbers_share_nothing_and_bytes_have_no_range():
    one, other = spreads((250, 300))[0], spreads((30_000, 31_000), dtype=np.uint16)[0]
    assert shared_ranges([one, None, other]) == [(250, 300), None, (30_000, 31_000)]


@given(st.lists(st.tuples(st.floats(-1e6, 1e6), st.floats(0.01, 1e6)), min_size=1, max_size=6))
def test_no_picture_is_left_with_less_than_an_eighth_of_the_greys(pairs):
    found = spreads(*[(low, low + width) for low, width in pairs], dtype=np.float64)
    for spread, (black, white) in zip(found, shared_ranges(found), strict=True):
        assert spread.most - spread.least >= (white - black) / 8 * (1 - 1e-9)
        assert black <= spread.least or (black, white) == known_scale(spread.least, spread.most, exact=False)
