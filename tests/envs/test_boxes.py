"""Boxes of uniform bounds are ordinary boxes, but for their size."""

from __future__ import annotations

import copy
import pickle
import tracemalloc

import gymnasium as gym
import numpy as np
import pytest
from gymnasium import spaces
from gymnasium.vector.utils import batch_space, concatenate, create_empty_array, iterate
from hypothesis import given, settings
from hypothesis import strategies as st

from ssl4rl_envs.boxes import UniformBox, slim

KINDS = st.sampled_from([np.uint8, np.int8, np.int64, np.float32, np.float64])
SHAPES = st.lists(st.integers(1, 4), max_size=3).map(tuple)


def pair(low, width, shape, dtype, seed=0):
    ordinary = spaces.Box(low, low + width, shape, dtype, seed=seed)
    thin = slim(spaces.Box(low, low + width, shape, dtype))
    thin.seed(seed)
    assert type(thin) is UniformBox
    return thin, ordinary


@settings(max_examples=80, deadline=None)
@given(low=st.integers(0, 40), width=st.integers(0, 80), shape=SHAPES, dtype=KINDS, count=st.integers(1, 3))
def test_they_do_what_ordinary_boxes_do(low, width, shape, dtype, count):
    thin, ordinary = pair(low, width, shape, dtype)
    assert thin == ordinary
    assert ordinary == thin
    assert repr(thin) == repr(ordinary)
    for name in ("low", "high", "bounded_below", "bounded_above"):
        assert np.array_equal(getattr(thin, name), getattr(ordinary, name))
        assert getattr(thin, name).dtype == getattr(ordinary, name).dtype
    samples = [thin.sample(), ordinary.sample()]
    assert np.array_equal(*samples)
    assert samples[0].dtype == ordinary.dtype
    many, others = (batch_space(space, count) for space in (thin, ordinary))
    assert type(many) is UniformBox
    assert many == others
    assert others == many
    assert np.array_equal(many.sample(), others.sample())
    rows = list(iterate(many, many.sample()))
    assert np.array_equal(concatenate(thin, rows, create_empty_array(thin, count)), np.stack(rows))
    for value in (samples[0], samples[0] + 1, samples[0].astype(np.float64), samples[0][None], low + width, "x"):
        if isinstance(value, np.ndarray):
            assert thin.contains(value) == ordinary.contains(value)


@settings(max_examples=30, deadline=None)
@given(low=st.integers(0, 9), other=st.integers(0, 9), shape=SHAPES, second=SHAPES, dtype=KINDS, kind=KINDS)
def test_they_differ_where_ordinary_boxes_differ(low, other, shape, second, dtype, kind):
    ones, twos = pair(low, 5, shape, dtype), pair(other, 5, second, kind)
    expected = ones[1] == twos[1]
    assert all((one == two) == expected for one in ones for two in twos if one is not two)


def test_copies_and_pickles_go_on_with_the_same_samples_and_stay_small():
    thin, ordinary = pair(0, 255, (500, 64, 64, 3), np.uint8)
    small, _ = pair(0, 255, (5,), np.uint8)
    small.sample()
    for again in (copy.deepcopy(small), pickle.loads(pickle.dumps(small))):
        assert again == small
        assert type(again) is UniformBox
        assert np.array_equal(again.sample(), copy.deepcopy(small).sample())
    assert len(pickle.dumps(thin)) < 2_000
    assert copy.deepcopy(thin).low.strides == (0, 0, 0, 0)
    assert ordinary == thin


def test_bounds_that_differ_or_are_infinite_are_left_as_they_are():
    for box in (
        spaces.Box(np.array([0, 1]), np.array([5, 5]), dtype=np.int64),
        spaces.Box(-np.inf, np.inf, (3,), np.float32),
        spaces.Box(0, 1, (0, 3), np.float32),
    ):
        assert slim(box) is box


def test_the_bounds_of_many_environments_take_no_memory():
    gym.make_vec("SSL4RL/PatchPosition-v0", num_envs=2)
    tracemalloc.start()
    env = gym.make_vec("SSL4RL/PatchPosition-v0", num_envs=16_384)
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert most < 32 << 20
    assert env.observation_space["image"].shape == (16_384, 64, 64, 3)


@pytest.mark.parametrize("features", ["inline", "id"])
def test_bounds_of_graphs_take_no_memory(features):
    env = gym.make_vec("SSL4RL/EdgePrediction-v0", num_envs=64, source="sbm", features=features)
    for space in env.observation_space.values():
        assert isinstance(space, UniformBox)
        assert not any(space.low.strides)
