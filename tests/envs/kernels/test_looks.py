"""Whether small pictures look different: the compiled kernels give the bits of the reference, and both what is right."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ssl4rl_envs import Stream
from ssl4rl_envs.images.views import _outside_disk, draw_views, turned_differs
from ssl4rl_envs.kernels import looks
from ssl4rl_envs.kernels.reference import looks as reference
from ssl4rl_envs.kernels.tiles import QUARTERS
from ssl4rl_envs.sources import load_images
from ssl4rl_envs.sources.base import TURN


def compiled():
    return pytest.importorskip("ssl4rl_envs.kernels.compiled.looks", exc_type=ImportError)


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 2**32), numbers=st.integers(1, 900), share=st.sampled_from([0.0, 0.3, 0.34, 1.0]))
def test_compiled_differences_have_the_bits_of_the_reference(seed, numbers, share):
    first, second = np.random.default_rng(seed).integers(0, 256, (2, 5, numbers), np.uint8)
    second[2] = first[2]
    second[3, :-1] = first[3, :-1]
    apart = np.abs(first.astype(int) - second).sum(axis=1)
    least = int(share * 255 * numbers) if share else int(apart[0])  # one of them differs by exactly so much
    results = []
    for module in (reference, compiled()):
        out = np.zeros(5, bool)
        module.differ(out, first, second, least)
        results.append(out)
    assert np.array_equal(*results)
    assert np.array_equal(results[0], apart >= least)


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 2**32), side=st.integers(1, 20), share=st.floats(0, 0.5), ways=st.lists(st.integers(0, 7)))
def test_compiled_pictures_that_lie_otherwise_have_the_bits_of_the_reference(seed, side, share, ways):
    pictures = np.random.default_rng(seed).integers(0, 256, (4, side, side, 3), np.uint8)
    pictures[1] = pictures[1, ::-1] // 2 + pictures[1] // 2
    results = []
    for module in (reference, compiled()):
        out = np.zeros(4, bool)
        least = int(share * pictures[0].size * 255)
        module.lie_apart(out, pictures, np.array(ways, np.int64), _outside_disk(side), least)
        results.append(out)
    assert np.array_equal(*results)


@pytest.mark.parametrize("quarter", range(4))
def test_the_quarters_are_turns_counter_clockwise(quarter):
    picture = np.zeros((1, 5, 5, 3), np.uint8)
    picture[0, 1, 3] = 200
    turned = np.rot90(picture, quarter, axes=(1, 2))
    both = np.concatenate([picture, (picture // 2 + turned // 2)])
    apart = int(np.abs(picture.astype(int) - turned).sum())
    inside = np.zeros(5, np.int64)
    assert looks.lie_apart(both, (int(QUARTERS[quarter]),), inside, apart)[0]
    assert not looks.lie_apart(both, (int(QUARTERS[quarter]),), inside, apart + 1)[0]


@pytest.mark.parametrize("source", ["photos", "scenes"])
def test_exact_turns_are_compared_as_if_they_were_drawn(source):
    images, angles = load_images(source), np.array([TURN // 2, TURN // 4, TURN // 3])
    views = draw_views(Stream.span("train", 0, 0, 40), images, 16)
    centre = (np.arange(16) * 2 - 15) ** 2
    disk = (centre[:, None] + centre[None, :] <= 256)[None, :, :, None]
    drawn = [images.pixels(views, 16, int(angle)).astype(int) for angle in (0, *angles)]
    apart = [(np.abs(drawn[0] - turned) * disk).sum(axis=(1, 2, 3)) / disk.sum() / 3 for turned in drawn[1:]]
    seen = [turned_differs(views, images, angles, threshold) for threshold in (10.0, 25.0, 40.0)]
    assert np.array_equal(seen, [np.min(apart, axis=0) >= threshold for threshold in (10.0, 25.0, 40.0)])
    assert len({int(each.sum()) for each in seen}) > 1
