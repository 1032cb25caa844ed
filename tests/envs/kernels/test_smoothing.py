"""Smoothing: the compiled kernels give the bits of the reference, and pictures are smoothed as they are asked for."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ssl4rl_envs.kernels import threads
from ssl4rl_envs.kernels.reference import smoothing as reference
from ssl4rl_envs.kernels.smoothing import RADIUS, WEIGHTS, blur, double
from ssl4rl_envs.sources.base import TURN, Views
from ssl4rl_envs.sources.images import ImageSource
from ssl4rl_envs.sources.smoothing import SMOOTH_SIDE, Smoothed, smooth
from ssl4rl_envs.sources.stored import store


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 2**32), height=st.integers(1, 40), width=st.integers(1, 40), channels=st.sampled_from([1, 3]))
def test_compiled_smoothing_has_the_bits_of_the_reference(seed, height, width, channels):
    compiled = pytest.importorskip("ssl4rl_envs.kernels.compiled.smoothing", exc_type=ImportError)
    picture = np.random.default_rng(seed).integers(0, 256, (height, width, channels), np.uint8)
    picture[: height // 2] = 255  # the largest sums
    results = []
    for module in (reference, compiled):
        blurred, doubled = np.zeros_like(picture), np.zeros((2 * height, 2 * width, channels), np.uint8)
        module.blur(blurred, picture)
        module.double(doubled, picture)
        results.append(np.append(blurred.ravel(), doubled.ravel()))
    assert np.array_equal(*results)


def test_a_point_becomes_a_gaussian_and_a_spline():
    assert WEIGHTS.sum() == 4096
    point = np.zeros((21, 21, 1), np.uint8)
    point[10, 10] = 255
    outer = np.outer(WEIGHTS, WEIGHTS).astype(float) / 4096**2
    assert np.array_equal(blur(point)[10 - RADIUS : 11 + RADIUS, 10 - RADIUS : 11 + RADIUS, 0], np.floor(255 * outer + 0.5))
    spline = np.outer(*[np.array((1, 5, 10, 10, 5, 1)) / 16] * 2)
    assert np.array_equal(double(point)[18:24, 18:24, 0], np.floor(255 * spline + 0.5))


@pytest.mark.parametrize("count", ["1", "3"])
def test_pictures_are_smoothed_whatever_there_is_room_to_keep(count, monkeypatch):
    """Room for all, for two or three, and for less than one: the same views, of pictures that are enlarged and not."""
    monkeypatch.setenv(threads.VARIABLE, count)
    rng = np.random.default_rng(0)
    images = [rng.integers(0, 256, (height, 150, 3), np.uint8) for height in (40, 130, 200, 31)]
    source = ImageSource(images)
    items = rng.integers(0, 4, 12)
    whole = source.whole(items)
    views = Views(items, whole.x, whole.y, whole.side * 2 // 3)
    angles = rng.integers(0, TURN, 12)
    seen = [Smoothed(store(images), most).pixels(views, 24, angles) for most in (1 << 24, 600_000, 10)]
    assert np.array_equal(seen[0], seen[1])
    assert np.array_equal(seen[0], seen[2])
    assert np.array_equal(seen[0], source.pixels(views, 24, angles, fine=True))
    assert smooth(images[3])[0].shape == (31 * 8, 150 * 8, 3)
    assert smooth(images[3])[1] == 3
    assert min(smooth(images[0])[0].shape[:2]) >= SMOOTH_SIDE
