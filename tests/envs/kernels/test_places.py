"""Places of views and the words that settle them: the compiled kernels give the bits of the reference."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ssl4rl_envs import Stream
from ssl4rl_envs.kernels import places
from ssl4rl_envs.kernels.places import CELL, EDGE, LARGEST, SIDE
from ssl4rl_envs.kernels.reference import places as reference
from ssl4rl_envs.kernels.reference import stream as plain_stream
from ssl4rl_envs.sources.base import UNIT

SEEDS = st.integers(0, 2**32)


def compiled(name: str):
    return pytest.importorskip(f"ssl4rl_envs.kernels.compiled.{name}", exc_type=ImportError)


@settings(max_examples=60, deadline=None)
@given(seed=SEEDS, size=st.integers(2, 300), most=st.sampled_from([9, 70, 5_000]), margin=st.integers(0, 3))
def test_frames_have_the_bits_of_the_reference_whatever_else_is_in_the_batch(seed, size, most, margin):
    shorter = np.random.default_rng(seed).integers(4, most, 9)
    together, alone, other = (np.zeros((9, 4), np.int64) for _ in range(3))
    reference.frames(together, shorter, size, margin)
    for row in range(9):
        reference.frames(alone[row : row + 1], shorter[row : row + 1], size, margin)
    compiled("places").frames(other, shorter, size, margin)
    assert np.array_equal(together, alone)
    assert np.array_equal(together, other)


@settings(max_examples=80, deadline=None)
@given(seed=SEEDS, size=st.sampled_from([2, 8, 36, 224]), most=st.sampled_from([9, 70, 5_000]), zoom=st.integers(1, UNIT))
def test_places_have_the_bits_of_the_reference(seed, size, most, zoom):
    rng = np.random.default_rng(seed)
    shapes = rng.integers(8, most, (4, 20))
    words = rng.integers(0, 2**64, (20, places.DRAWS), np.uint64)
    frames = places.frames(shapes.min(axis=0), size, 0)
    results = []
    for module in (reference, compiled("places")):
        placed, reach, second = np.zeros((3, 20), np.int64), np.zeros(20, np.int64), np.zeros((2, 20), np.int64)
        assert module.place(placed, reach, words, frames, shapes[0], shapes[1], 3_000, zoom)
        module.beside(second, placed, reach, frames, *shapes)
        results.append([*placed, reach, *second])
    assert np.array_equal(*results)
    x, y, side = results[0][:3]
    low = frames[:, EDGE] + results[0][3] // 2
    for centre, length in ((x, shapes[1]), (y, shapes[0]), (results[0][4], shapes[3]), (results[0][5], shapes[2])):
        assert (centre >= low).all()
        assert (centre + low <= length * UNIT).all()
    assert (side <= frames[:, LARGEST] * 3_000 // UNIT).all()


def test_frames_by_hand():
    """A picture of 64 pixels at 64 is shown pixel by pixel, one of 100 at 25 by pixels of four."""
    assert places.frames(np.array([64]), 64, 0)[0].tolist() == [1, 64, UNIT // 2, 64 * UNIT]
    (frame,) = places.frames(np.array([100]), 25, 0)
    assert frame[[CELL, SIDE, EDGE]].tolist() == [4, 100, 6 * UNIT]
    assert frame[LARGEST] == 88 * UNIT * 25 // 24


@pytest.mark.parametrize("forced", ["numpy", "numba"])
def test_a_picture_without_room_is_an_error_that_says_what_would_do(forced, monkeypatch):
    pytest.importorskip("numba")
    monkeypatch.setenv("SSL4RL_KERNELS", forced)
    frames, sides = places.frames(np.array([8]), 8, 4), (np.array([8]), np.array([9]))
    with pytest.raises(ValueError, match=r"8 x 9 pixels or more has no room for a view.* use larger pictures"):
        places.place(np.zeros((1, places.DRAWS), np.uint64), frames, sides, (UNIT, UNIT))


@settings(max_examples=40, deadline=None)
@given(seed=SEEDS, rows=st.integers(0, 4), draws=st.integers(0, 4), first=st.integers(0, 9))
def test_several_words_have_the_bits_of_the_reference(seed, rows, draws, first):
    keys = np.random.default_rng(seed).integers(0, 2**64, rows, np.uint64)
    results = [np.zeros((rows, draws), np.uint64) for _ in range(2)]
    plain_stream.several(results[0], keys, np.uint64(first))
    compiled("stream").several(results[1], keys, np.uint64(first))
    assert np.array_equal(*results)


def test_several_draws_are_what_single_ones_are():
    one, other = Stream.span("test", 3, 0, 5), Stream.span("test", 3, 0, 5)
    one.integers(0, 5)
    other.words()
    together = one.several(4)
    assert np.array_equal(together, np.stack([other.words() for _ in range(4)], axis=1))
    assert np.array_equal(one.words((2, 3)), other.words((2, 3)))
