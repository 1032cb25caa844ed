"""Drawn scenes: the compiled kernels paint the bits of the NumPy reference, and leave out nothing that shows."""

from __future__ import annotations

import functools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ssl4rl_envs import Stream, kernels, make_task
from ssl4rl_envs.kernels import scenes
from ssl4rl_envs.kernels.reference import scenes as reference
from ssl4rl_envs.sources.base import TURN, UNIT
from ssl4rl_envs.sources.scene_bank import SceneBank
from ssl4rl_envs.sources.scenery import SIDE

compiled = pytest.importorskip("ssl4rl_envs.kernels.compiled.scenes", exc_type=ImportError)
colours = pytest.importorskip("ssl4rl_envs.kernels.compiled.scene_colours", exc_type=ImportError)


def views_of(rng: np.random.Generator, count: int, tilted: bool, where: str) -> tuple[np.ndarray, ...]:
    """Random arguments of `draw` after `out`: views in their scenes, partly outside, or of any size."""
    if where == "anywhere":
        side = (2.0 ** rng.uniform(0, 26, count)).astype(np.int64)
        x, y = rng.integers(0, SIDE * UNIT, (2, count))
    else:
        side = rng.integers(SIDE * UNIT * 8 // 10, SIDE * UNIT, count)
        x, y = (side // 2 + rng.integers(0, SIDE * UNIT - side + 1) for _ in range(2))
        if where == "partly outside":
            x, y = (v + rng.integers(-SIDE * UNIT // 2, SIDE * UNIT // 2, count) for v in (x, y))
    angles = rng.integers(-TURN, 2 * TURN, count) if tilted else rng.integers(-4, 8, count) * (TURN // 4)
    return rng.integers(0, 2**60, count), x, y, side, angles


def assert_equal(arguments: tuple[np.ndarray, ...], size: int) -> None:
    first, second = np.zeros((2, len(arguments[0]), size, size, 3), np.uint8)
    reference.draw(first, *arguments)
    compiled.draw(second, *arguments)
    assert np.array_equal(first, second)


@settings(max_examples=60, deadline=None)
@given(
    seed=st.integers(0, 2**32),
    count=st.integers(0, 12),
    size=st.integers(1, 96),
    tilted=st.booleans(),
    where=st.sampled_from(["inside", "partly outside", "anywhere"]),
)
def test_compiled_scenes_are_the_bits_of_the_reference(seed, count, size, tilted, where):
    assert_equal(views_of(np.random.default_rng(seed), count, tilted, where), size)


@pytest.mark.parametrize("tilted", [False, True])
@pytest.mark.parametrize("size", [16, 64, 224])
def test_many_scenes_are_the_bits_of_the_reference(size, tilted):
    assert_equal(views_of(np.random.default_rng(size), 4 if size == 224 else 96, tilted, "inside"), size)


@functools.cache
def compiled_mixed():
    """`mixed` as a function that Python can call."""
    import numba

    part = colours.mixed
    return numba.njit(lambda first, second, weight: part(first, second, weight))


@settings(max_examples=200, deadline=None)
@given(first=st.integers(0, 4080), second=st.integers(0, 4080), weight=st.integers(0, 256), lane=st.sampled_from([0, 21, 42]))
def test_a_mixture_is_rounded_in_every_lane_alone(first, second, weight, lane):
    """Other lanes hold the extremes, from which a lane could borrow; weights 0 and 256 give one colour or the other."""
    rest = [(4080 << other, 0) for other in (0, 21, 42) if other != lane]
    one, two = (value << lane for value in (first, second))
    one, two = one | rest[0][0] | rest[1][1], two | rest[0][1] | rest[1][0]
    for mixed in (reference.mixed, compiled_mixed()):
        mixture = int(mixed(np.int64(one), np.int64(two), np.int64(weight)))
        assert (mixture >> lane) & 0xFFF == (first * (256 - weight) + second * weight + 128) >> 8
        if weight in (0, 256):
            assert mixture == (two if weight else one)


@pytest.mark.parametrize(("name", "level"), [("Rotation", "angles-12"), ("PatchPosition", "2x2"), ("Contrastive", "")])
def test_tasks_over_scenes_ask_the_same_with_either(name, level, monkeypatch):
    seen = []
    for forced in kernels.PACKAGES:
        monkeypatch.setenv(kernels.VARIABLE, forced)
        task = make_task(f"SSL4RL/{name}-v0", source="scenes", image_size=48, **({"level": level} if level else {}))
        batch = task.sample(Stream.span("test", 3, 0, 12))
        seen.append([batch.target, *batch.observation.values()])
    assert all(np.array_equal(one, two) for one, two in zip(*seen, strict=True))


def test_banks_hold_the_same_scenes_with_either(monkeypatch):
    banks = []
    for forced in kernels.PACKAGES:
        monkeypatch.setenv(kernels.VARIABLE, forced)
        banks.append(SceneBank(64))
    assert all(np.array_equal(banks[0].picture(item), banks[1].picture(item)) for item in range(64))
    assert banks[0].fingerprint == banks[1].fingerprint


def test_views_are_the_same_bits_whatever_the_threads(monkeypatch):
    items, x, y, side, angles = views_of(np.random.default_rng(1), 33, True, "inside")
    pictures = []
    for threads in ("1", "3"):
        monkeypatch.setenv("SSL4RL_THREADS", threads)
        pictures.append(np.zeros((33, 32, 32, 3), np.uint8))
        scenes.draw(pictures[-1], items, (x, y, side), angles)
    assert np.array_equal(*pictures)


def test_scenes_that_there_are_not_are_refused():
    one, size = np.ones(1, np.int64), np.zeros((1, 8, 8, 3), np.uint8)
    with pytest.raises(ValueError, match="from 0 on, got -1"):
        scenes.draw(size, -one, (one, one, one), one)
