"""Which values lie in a space of actions."""

from __future__ import annotations

import numpy as np
import pytest
from gymnasium import spaces
from hypothesis import given, settings
from hypothesis import strategies as st

from ssl4rl_envs.actions import inside

SPACES = (
    spaces.Discrete(3),
    spaces.Discrete(4, start=-2),
    spaces.MultiDiscrete([2, 3, 4]),
    spaces.MultiDiscrete([[2, 3], [4, 5]], start=[[1, -1], [0, 2]]),
    spaces.MultiBinary(3),
    spaces.Box(-1, 2, (2,), np.float32),
)


@settings(max_examples=60, deadline=None)
@given(
    space=st.sampled_from(SPACES),
    dtype=st.sampled_from((np.int8, np.int64, np.uint8, np.uint64, np.float32, np.bool_)),
    seed=st.integers(0, 2**32),
)
def test_one_value_is_in_a_space_where_it_is_among_many(space, dtype, seed):
    values = np.random.default_rng(seed).integers(-3, 6, (40, *(space.shape or ()))).astype(dtype)
    together = inside(space, values)
    assert together.dtype == np.bool_
    assert together.tolist() == [bool(inside(space, values[row : row + 1])[0]) for row in range(40)]
    if dtype == space.dtype:
        assert together.tolist() == [bool(space.contains(value)) for value in values]


@pytest.mark.parametrize("count", [0, 1, 3])
def test_values_of_another_shape_or_kind_are_in_no_space(count):
    for space in SPACES:
        assert not inside(space, np.zeros((count, *(space.shape or ()), 1), np.int64)).any()
        assert not inside(space, np.zeros((count, *(space.shape or ())), np.complex128)).any()
    assert not inside(spaces.Discrete(2), np.full(count, 0.0)).any()
    assert inside(spaces.Discrete(2), np.full(count, 1)).tolist() == [True] * count
    assert not inside(spaces.Discrete(2), np.full(count, 2**64 - 1, np.uint64)).any()
