"""Which pictures may be copies: the compiled search finds what NumPy's does, and both find every pair there is."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ssl4rl_envs import kernels
from ssl4rl_envs.kernels import copies

numba = pytest.mark.skipif(kernels.implementation("copies") is kernels.implementation("copies", "numpy"), reason="no numba")


def some(count: int, seed: int, alike: float) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Hashes of which some are near each other, tones, ends, and the least products by bits."""
    rng = np.random.default_rng(seed)
    hashes = rng.integers(0, 2**64, (4, count), np.uint64)
    near = rng.random(count) < alike
    hashes[:, near] = hashes[:, :1] ^ (np.uint64(1) << rng.integers(0, 64, (4, int(near.sum())), np.uint64))
    tones = rng.integers(-(2**15), 2**15, (count, 5)).astype(np.int16)
    ends = np.maximum(np.arange(count), rng.integers(0, count + 1, count))
    return hashes, tones, ends, rng.integers(-(2**31), 2**31, 103)


def by_hand(hashes: np.ndarray, tones: np.ndarray, ends: np.ndarray, least: np.ndarray) -> list[tuple[int, int, int]]:
    found = []
    for one in range(hashes.shape[1]):
        for other in range(one + 1, ends[one]):
            bits = sum(int(word).bit_count() for word in hashes[:, one] ^ hashes[:, other])
            product = sum(int(a) * int(b) for a, b in zip(tones[one], tones[other], strict=True))
            if bits < len(least) and product >= least[bits]:
                found.append((one, other, bits))
    return found


@numba
@given(st.integers(1, 90), st.integers(0, 10_000), st.sampled_from([0.0, 0.3, 1.0]))
@settings(max_examples=40, deadline=None)
def test_both_paths_find_every_pair(count, seed, alike):
    arrays = some(count, seed, alike)
    expected = by_hand(*arrays)
    for name in ("numpy", "numba"):
        found = kernels.implementation("copies", name).close_pairs(*arrays, 0, count)
        assert found.dtype == np.int64
        assert [tuple(row) for row in found.tolist()] == expected


@pytest.mark.parametrize("threads", ["1", "3"])
def test_blocks_and_threads_do_not_show(threads, monkeypatch):
    monkeypatch.setenv("SSL4RL_THREADS", threads)
    arrays = some(700, 1, 0.2)
    whole = kernels.implementation("copies").close_pairs(*arrays, 0, 700)
    monkeypatch.setattr(copies, "_BLOCK", 3)
    found = copies.close_pairs(*arrays)
    assert len(found) > 1000
    assert np.array_equal(found, whole)
