"""Things drawn over pictures: the compiled kernels give the bits of the reference, and both what is right."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ssl4rl_envs.kernels import casts
from ssl4rl_envs.kernels.reference import casts as reference
from ssl4rl_envs.sources.scene_models import COLOURS, KINDS

BALLOON, FLOWER, HOUSE = (KINDS.index(name) for name in ("balloon", "flower", "house"))
RED, BLUE, WHITE = (list(COLOURS).index(name) for name in ("red", "blue", "white"))


def compiled():
    return pytest.importorskip("ssl4rl_envs.kernels.compiled.casts", exc_type=ImportError)


def cast_of(rng: np.random.Generator, count: int, frames: int, many: int) -> tuple[np.ndarray, np.ndarray]:
    """Things of all kinds and of none, in and out of sight, of any size."""
    things = rng.integers(0, 8, (count, many, 3))
    things[..., 0] = rng.integers(-1, len(KINDS), (count, many))
    places = rng.uniform(-0.3, 1.3, (count, frames, many, 2))
    scale, flip = rng.uniform(0.02, 0.8, (count, frames, many)), rng.choice([-1.0, 1.0], (count, frames, many))
    return things, np.concatenate([places, np.stack([scale, flip], axis=-1)], axis=-1)


@settings(max_examples=40, deadline=None)
@given(
    seed=st.integers(0, 2**32),
    count=st.integers(0, 4),
    frames=st.integers(1, 4),
    many=st.integers(1, 4),
    size=st.integers(1, 70),
)
def test_compiled_things_are_the_bits_of_the_reference(seed, count, frames, many, size):
    rng = np.random.default_rng(seed)
    backdrop = rng.integers(0, 256, (count, size, size, 3), np.uint8)
    things, poses = cast_of(rng, count, frames, many)
    drawn = np.zeros((2, count, frames, size, size, 3), np.uint8)
    reference.paint(drawn[0], backdrop, things, poses)
    compiled().paint(drawn[1], backdrop, things, poses)
    assert np.array_equal(*drawn)


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 2**32), size=st.integers(1, 30), reach=st.integers(0, 5), many=st.integers(1, 4))
def test_compiled_comparisons_are_those_of_the_reference(seed, size, reach, many):
    rng = np.random.default_rng(seed)
    pictures = rng.integers(0, 256, (3, many, size, size, 3), np.uint8)
    pairs, least = rng.integers(0, many, (5, 2)), int(rng.integers(0, 500))
    counts = np.zeros((2, 3, 5), np.int64)
    pictures[rng.uniform(size=pictures.shape[:-1]) < rng.uniform(0.5, 1)] = casts.KEY
    middles, places = rng.uniform(-0.2, 1.2, (3, many, 2)), np.zeros((2, 3, many), np.int64)
    for number, module in enumerate((reference, compiled())):
        module.changed(counts[number], pictures, pairs, least)
        module.clear_places(places[number], pictures, middles, reach)
    assert np.array_equal(*counts)
    assert np.array_equal(*places)


def painted(things: list[tuple[int, int, int]], poses: list[tuple[float, ...]], grey: int = 90, size: int = 40) -> np.ndarray:
    out = np.zeros((1, 1, size, size, 3), np.uint8)
    backdrop = np.full((1, size, size, 3), grey, np.uint8)
    casts.paint(out, backdrop, np.array([things]), np.array([[poses]], float))
    return out[0, 0]


def test_nothing_but_the_things_is_written():
    """A house of scale 0.5 with its foot at (0.5, 0.8) is at most 0.6 wide and 0.53 high."""
    picture = painted([(HOUSE, RED, BLUE)], [(0.5, 0.8, 0.5, 1.0)])
    changed = np.argwhere((picture != 90).any(axis=-1)) / 40
    assert 0.26 < changed[:, 0].min() < 0.31
    assert 0.75 < changed[:, 0].max() < 0.82
    assert 0.17 < changed[:, 1].min() < 0.23
    assert 0.75 < changed[:, 1].max() < 0.82
    assert np.array_equal(painted([(-1, RED, BLUE)], [(0.5, 0.8, 0.5, 1.0)]), np.full((40, 40, 3), 90))
    assert np.array_equal(painted([(HOUSE, RED, BLUE)], [(-9.0, 0.8, 0.5, 1.0)]), np.full((40, 40, 3), 90))


def test_every_colour_of_a_backdrop_is_kept_where_nothing_stands():
    values = np.arange(256, dtype=np.uint8).reshape(1, 16, 16, 1).repeat(3, axis=3)
    out = np.zeros((1, 2, 16, 16, 3), np.uint8)
    casts.paint(out, values, np.array([[(-1, 0, 0)]]), np.ones((1, 2, 1, 4)))
    assert np.array_equal(out, values[:, None].repeat(2, axis=1))


def test_what_stands_later_is_drawn_over_what_stands_before():
    """Two flowers at one place: at the middle of a petal shows the colour of the second one."""
    red, blue = (FLOWER, RED, WHITE), (FLOWER, BLUE, WHITE)
    pose = (0.5, 0.9, 0.6, 1.0)
    row, column = round((0.9 - 0.6 * 1.02) * 40), 20
    first, second = painted([red, blue], [pose, pose]), painted([blue, red], [pose, pose])
    assert first[row, column, 2] > first[row, column, 0] + 60
    assert second[row, column, 0] > second[row, column, 2] + 60


def test_a_mirrored_thing_is_the_mirror_image_in_shape():
    one = painted([(HOUSE, RED, BLUE)], [(0.4, 0.8, 0.5, 1.0)])
    other = painted([(HOUSE, RED, BLUE)], [(0.6, 0.8, 0.5, -1.0)])
    mask, mirrored = ((each != 90).any(axis=-1) for each in (one, other[:, ::-1]))
    assert np.mean(mask != mirrored) < 0.01


def test_pixels_count_as_changed_from_the_least_difference_on():
    pictures = np.zeros((1, 3, 4, 4, 3), np.uint8)
    pictures[0, 1, 0, 0], pictures[0, 1, 3, 3], pictures[0, 1, 1, 1] = (20, 20, 20), (0, 60, 0), (20, 20, 19)
    assert casts.changed(pictures, np.array([(0, 1), (1, 0), (0, 2)]), 60).tolist() == [[2, 2, 0]]


def test_a_clear_place_is_the_nearest_of_its_own_that_no_other_comes_near():
    pictures = np.full((1, 2, 6, 6, 3), casts.KEY, np.uint8)
    pictures[0, 0, 2, 1:6] = 0  # a bar, of which the other covers the right end
    pictures[0, 1, 1:4, 4:6] = 255
    middles = np.array([[(5.5 / 6, 2.5 / 6), (4.5 / 6, 1.5 / 6)]])
    assert casts.clear_places(pictures, middles, 0).tolist() == [[2 * 6 + 3, 6 + 4]]
    assert casts.clear_places(pictures, middles, 1).tolist() == [[2 * 6 + 2, -1]]
    pictures[0, 0], pictures[0, 0, 0, 3] = casts.KEY, 0  # at the edge; what is around it is looked at further in
    assert [casts.clear_places(pictures, middles, reach)[0, 0] for reach in (0, 1, 2)] == [3, -1, -1]
    pictures[0, 1, 1:3] = casts.KEY
    assert [casts.clear_places(pictures, middles, reach)[0, 0] for reach in (1, 2, 3)] == [3, -1, -1]
    assert casts.clear_places(pictures, middles, 5).tolist() == [[-1, -1]]
