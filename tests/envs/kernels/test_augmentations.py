"""Changes of pictures: the compiled kernel gives the bits of the reference."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ssl4rl_envs import kernels
from ssl4rl_envs.kernels import augmentations
from ssl4rl_envs.kernels.augmentations import ONE, Changes

pytest.importorskip("numba")


def drawn(rng: np.random.Generator, count: int) -> Changes:
    """Random changes, each of which is left out in half of the rows."""

    def some(values: np.ndarray, neutral: float, form: type) -> np.ndarray:
        return np.where(rng.random(count) < 0.5, neutral, values).astype(form)

    factors = [some(rng.uniform(0, 3, count), 1, np.float32) for _ in range(3)]
    flags = [rng.random(count) < 0.5 for _ in range(3)]
    hue, blur = some(rng.integers(-128, 129, count), 0, np.float32), some(rng.integers(0, 300, count), 0, np.int64)
    return Changes(*flags[:2], *factors, hue, flags[2], blur, some(rng.uniform(0, 256, count), 256, np.float32))


@settings(max_examples=60, deadline=None)
@given(
    seed=st.integers(0, 2**32),
    count=st.integers(0, 6),
    height=st.integers(1, 12),
    width=st.integers(1, 12),
    flat=st.booleans(),
)
def test_changed_pictures_are_the_same_bits(seed, count, height, width, flat):
    rng = np.random.default_rng(seed)
    pictures = rng.integers(0, 4 if flat else 256, (count, height, width, 3), dtype=np.uint8) * (85 if flat else 1)
    changes, results = drawn(rng, count), []
    for forced in kernels.PACKAGES:
        results.append(pictures.copy())
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv(kernels.VARIABLE, forced)
            augmentations.change(results[-1], changes)
    assert np.array_equal(*results)


@given(st.integers(0, 5_000))
def test_weights_of_a_blur_are_whole_units_that_sum_to_one_and_mirror(step):
    taps = augmentations.gaussian(step)
    assert taps.sum() == ONE
    assert (taps >= 0).all()
    assert np.array_equal(taps, taps[::-1])
    assert len(taps) == 2 * (augmentations.CUTOFF * step // augmentations.SIGMA_STEPS) + 1
