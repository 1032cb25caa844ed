"""Reductions of pictures: the compiled kernels give the bits of the reference, and both what is right."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ssl4rl_envs.kernels import reductions
from ssl4rl_envs.kernels.reference import reductions as reference
from ssl4rl_envs.sources.stored import entry, reduced, store


@settings(max_examples=100, deadline=None)
@given(seed=st.integers(0, 2**32), height=st.integers(2, 70), width=st.integers(2, 70), channels=st.sampled_from([1, 3]))
def test_compiled_reductions_have_the_bits_of_the_reference(seed, height, width, channels):
    compiled = pytest.importorskip("ssl4rl_envs.kernels.compiled.reductions", exc_type=ImportError)
    picture = np.random.default_rng(seed).integers(0, 256, height * width * channels, np.uint8)
    both = []
    for module in (reference, compiled):
        out = np.zeros(reductions.room(height, width, channels), np.uint8)
        out[: picture.size] = picture
        module.reduce(out, height, width, channels)
        both.append(out)
    assert np.array_equal(*both)
    assert both[0].size == picture.size or both[0][picture.size :].any()


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 2**32), count=st.integers(0, 3), half=st.integers(3, 40))
def test_compiled_halves_have_the_bits_of_the_reference(seed, count, half):
    compiled = pytest.importorskip("ssl4rl_envs.kernels.compiled.reductions", exc_type=ImportError)
    pictures = np.random.default_rng(seed).integers(0, 256, (count, 2 * half, 2 * half, 3), np.uint8)
    one, other = (np.zeros((count, half - 2, half - 2, 3), np.uint8) for _ in range(2))
    reference.halve(one, pictures)
    compiled.halve(other, pictures)
    assert np.array_equal(one, other)


def test_reductions_by_hand():
    """A white column is spread by (1, 3, 3, 1) / 8, with edge pixels repeated; 8 x 9 becomes 4 x 5, which is the last."""
    picture = np.zeros((8, 9, 1), np.uint8)
    picture[:, 3] = 240
    levels = reduced(picture)
    assert levels.size == reductions.room(8, 9, 1) == 8 * 9 + 4 * 5
    assert levels[72:].reshape(4, 5).tolist() == [[0, 90, 30, 0, 0]] * 4


def test_halves_by_hand():
    """A row of 128 is spread by (1, 5, 10, 10, 5, 1) / 32; of the five rows of the half, the first and last are left out."""
    pictures = np.zeros((1, 10, 10, 3), np.uint8)
    pictures[:, 4] = 128
    out = np.zeros((1, 3, 3, 3), np.uint8)
    reductions.halve(out, pictures)
    assert out[0, :, 0, 0].tolist() == [20, 40, 4]


def test_pictures_lie_one_behind_the_other_and_grey_ones_take_a_byte_a_pixel():
    rng = np.random.default_rng(0)
    coloured, grey = rng.integers(0, 256, (9, 12, 3), np.uint8), rng.integers(0, 256, (20, 8, 1), np.uint8).repeat(3, axis=2)
    stored = store([coloured, grey], [0, 2])
    first = reductions.room(9, 12, 3)
    assert stored.table.tolist() == [[0, 9, 12, 3, 0], [first, 20, 8, 1, 2]]
    assert stored.table[1].tolist() == list(entry(grey[..., :1], first, 2))
    assert np.array_equal(stored.pixels, np.concatenate([reduced(coloured), reduced(grey[..., :1])]))
    assert np.array_equal(stored.picture(0), coloured)
    assert np.array_equal(stored.picture(1), grey[..., :1])
