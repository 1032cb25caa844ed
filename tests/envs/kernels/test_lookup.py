"""Numbers looked up by bytes: compiled as by NumPy, and by hand."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ssl4rl_envs.kernels.lookup import look_up
from ssl4rl_envs.kernels.reference import lookup as reference


@settings(max_examples=60, deadline=None)
@given(count=st.integers(0, 5), pixels=st.integers(1, 40), numbers=st.integers(0, 200), seed=st.integers(0, 2**32 - 1))
def test_compiled_look_up_gives_the_bits_of_the_reference(count, pixels, numbers, seed):
    compiled = pytest.importorskip("ssl4rl_envs.kernels.compiled.lookup", exc_type=ImportError)
    random = np.random.default_rng(seed)
    seen = random.integers(0, 256, (count, 3 * pixels), dtype=np.uint8)
    places = random.integers(0, 3 * pixels + 2, numbers, dtype=np.int32)
    table, constants = random.normal(size=768).astype(np.float32), random.normal(size=2).astype(np.float32)
    outs = [np.zeros((count, numbers), np.float32) for _ in range(2)]
    for kernel, out in zip((reference, compiled), outs, strict=True):
        kernel.look_up(out, seen, places, table, constants)
    assert np.array_equal(*outs)


def test_look_up_by_hand(monkeypatch):
    """Two pixels; a byte 7 of the second channel is 256 + 7 in a table of its own numbers, place 6 the first constant."""
    seen = np.array([[1, 7, 0, 255, 2, 3]] * 4, np.uint8)
    table, constants = np.arange(768, dtype=np.float32), np.array([-1], np.float32)
    places = np.array([1, 6, 3, 5, 0], np.int32)
    monkeypatch.setenv("SSL4RL_THREADS", "2")
    monkeypatch.setattr("ssl4rl_envs.kernels.lookup.LEAST", 1)
    assert look_up(seen, places, table, constants).tolist() == [[263, -1, 255, 515, 1]] * 4
