"""Views: nothing of how they are drawn tells where in their picture they lie, how it lies, or which of two pictures it is."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ssl4rl_envs import Stream
from ssl4rl_envs.images.views import comparable, draw_alike, draw_views, frame_of, parts_of
from ssl4rl_envs.sources import ImageSource, Views
from ssl4rl_envs.sources.base import UNIT


def noise(height: int, width: int, count: int = 1, seed: int = 0) -> list[np.ndarray]:
    return list(np.random.default_rng(seed).integers(0, 256, (count, height, width, 3), dtype=np.uint8))


def stream(count: int, seed: int = 0) -> Stream:
    return Stream("train", np.full(count, seed), np.arange(count))


@settings(max_examples=40, deadline=None)
@given(st.integers(8, 90), st.integers(8, 90), st.sampled_from([8, 16, 23, 36, 64]))
def test_views_show_nothing_that_is_repeated_at_the_edges(height, width, size):
    """A picture that goes on beyond its edges shows the same, to the last bit."""
    around = 64
    large = noise(height + 2 * around, width + 2 * around)[0]
    inner = large[around : around + height, around : around + width]
    inside, beyond = ImageSource([inner]), ImageSource([large])
    views = draw_views(stream(60), inside, size, items=np.zeros(60, np.int64), min_zoom=0.3)
    moved = Views(views.items, views.x + around * UNIT, views.y + around * UNIT, views.side)
    assert np.array_equal(inside.pixels(views, size), beyond.pixels(moved, size))


@pytest.mark.parametrize("size", [8, 36, 64])
def test_a_picture_that_is_as_large_as_what_is_drawn_is_shown_whole(size):
    source = ImageSource(noise(size, size), min_zoom=1.0)
    views = draw_views(stream(3), source, size, items=np.zeros(3, np.int64))
    assert np.array_equal(source.pixels(views, size), np.repeat(source.picture(0)[None], 3, axis=0))


@given(st.integers(4, 3_000), st.sampled_from([8, 21, 36, 64, 224]))
def test_little_of_a_picture_is_lost(shorter, size):
    frame = frame_of(np.array([shorter]), size)
    assert frame.largest[0] <= shorter * UNIT
    lost = 1 - frame.largest[0] / (shorter * UNIT)
    assert lost <= 1 / shorter + 8 / size


@pytest.mark.parametrize(
    ("height", "width", "size"), [(10, 80, 64), (80, 10, 64), (12, 300, 36), (150, 200, 64), (33, 64, 36)]
)
def test_the_lattice_of_pixels_lies_alike_along_both_axes(height, width, size):
    """Where pixels are far apart, a view as high as its picture would have them at one height and anywhere across."""
    source = ImageSource(noise(height, width), min_zoom=0.6)
    views = draw_views(stream(4_000), source, size, items=np.zeros(4_000, np.int64))
    cell = int(frame_of(np.array([min(height, width)]), size).cell[0]) * UNIT
    counts = [np.bincount(centre % cell * 8 // cell, minlength=8) for centre in (views.x, views.y)]
    apart = ((counts[0] - counts[1]) ** 2 / np.maximum(counts[0] + counts[1], 1)).sum()
    assert apart < 30, "chi-square of 7 degrees of freedom"
    for centre, length in ((views.x, width), (views.y, height)):
        assert (centre - views.side // 2 >= -UNIT).all()
        assert (centre + views.side // 2 <= (length + 1) * UNIT).all()
    assert views.x.std() > 0.15 * (width - min(height, width)) * UNIT, "they are anywhere along the longer side"


@pytest.mark.parametrize(
    "shapes", [((64, 64), (64, 64)), ((40, 64), (100, 52)), ((200, 150), (310, 301)), ((10, 40), (14, 12))]
)
def test_two_views_that_are_drawn_alike_have_one_scale_and_one_lattice(shapes):
    source = ImageSource([noise(*shape)[0] for shape in shapes], min_zoom=0.6)
    items = np.zeros(500, np.int64), np.ones(500, np.int64)
    for order in (items, items[::-1]):
        first, second = draw_alike(stream(500), source, 36, order)
        assert np.array_equal(first.side, second.side)
        cell = frame_of(np.array([min(map(min, shapes))]), 36).cell[0] * UNIT
        for name in ("x", "y"):
            assert not ((getattr(first, name) - getattr(second, name)) % cell).any()
        for views in (first, second):
            heights, widths = source.sizes(views.items)
            for centre, length in ((views.x, widths), (views.y, heights)):
                assert (centre - views.side // 2 >= -UNIT).all()
                assert (centre + views.side // 2 <= (length + 1) * UNIT).all()
    assert len(np.unique(second.x)) > 100


def test_pictures_are_comparable_up_to_twice_the_size():
    source = ImageSource([noise(20, 50)[0], noise(40, 41)[0], noise(99, 41)[0]])
    one, other = np.array([0, 1, 0, 2]), np.array([1, 0, 2, 2])
    assert comparable(source, one, other).tolist() == [True, True, False, True]


def test_parts_of_a_view_are_what_the_view_shows_there():
    source = ImageSource(noise(48, 48), min_zoom=1.0)
    whole = source.whole(np.zeros(2, np.int64))
    middle = np.array([[-24, 24], [-24, 24]])
    parts = source.pixels(parts_of(whole, middle, np.zeros_like(middle), 24, 48), 24)
    pixels = source.picture(0)
    assert np.array_equal(parts[0], pixels[12:36, :24])
    assert np.array_equal(parts[3], pixels[12:36, 24:])
