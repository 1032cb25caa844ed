"""Sums over pictures: the compiled kernel and the one of torch give the bits of the reference."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ssl4rl_envs.kernels import tallies
from ssl4rl_envs.kernels.reference import tallies as reference


def noise(seed: int, side: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return (rng.integers(0, 256, (4, side, side, 3)) // rng.choice([1, 60])).astype(np.uint8)


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 2**32), side=st.integers(1, 40), parts=st.integers(1, 2))
def test_compiled_sums_have_the_bits_of_the_reference(seed, side, parts):
    compiled = pytest.importorskip("ssl4rl_envs.kernels.compiled.tallies", exc_type=ImportError)
    results = np.empty((2, 4, parts, 5), np.int64)
    for out, module in zip(results, (reference, compiled), strict=True):
        module.tally(out, noise(seed, side))
    assert np.array_equal(*results)


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 2**32), side=st.integers(1, 40), parts=st.integers(1, 2))
def test_tensors_have_the_same_sums(seed, side, parts):
    torch = pytest.importorskip("torch")
    pictures = noise(seed, side)
    for device in ("cpu", *(["cuda"] if torch.cuda.is_available() else [])):
        assert np.array_equal(tallies.tally(torch.as_tensor(pictures, device=device), parts), tallies.tally(pictures, parts))


def test_the_lightest_picture_does_not_overflow():
    assert tallies.tally(np.full((1, 512, 512, 3), 255, np.uint8), 1)[0, 0].tolist() == [255 * 512 * 512] * 3 + [0, 0]
