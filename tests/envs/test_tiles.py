"""Tiles: cutting and joining are inverse, gaps leave pixels out, grids that do not fit are errors that name what would."""

from __future__ import annotations

import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ssl4rl_envs import Stream
from ssl4rl_envs.images.tiles import Tiling, cut, join, numbers, panel_grid, panels, permuted, relit
from ssl4rl_envs.sources import ImageSource


def pictures(count: int, side: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (count, side, side, 3), dtype=np.uint8)


def coordinates(side: int) -> np.ndarray:
    """A picture whose red says the row of a pixel and whose green its column."""
    rows, columns = np.indices((side, side))
    return np.stack([rows, columns, np.zeros_like(rows)], axis=-1).astype(np.uint8)


def stream(count: int, seed: int = 0) -> Stream:
    return Stream("train", np.full(count, seed), np.arange(count))


@given(st.integers(1, 4), st.integers(1, 6), st.integers(1, 5), st.integers(0, 99))
def test_joining_undoes_cutting(count, grid, tile, seed):
    whole = pictures(count, grid * tile, seed)
    assert np.array_equal(join(cut(whole, grid), grid), whole)


def test_tiles_are_numbered_from_left_to_right_and_top_to_bottom():
    tiles = cut(coordinates(12)[None], 3)
    assert tiles.shape == (1, 9, 4, 4, 3)
    assert tiles[0, :, 0, 0, 0].tolist() == [0, 0, 0, 4, 4, 4, 8, 8, 8]
    assert tiles[0, :, 0, 0, 1].tolist() == [0, 4, 8, 0, 4, 8, 0, 4, 8]
    assert numbers(9) == ("1", "2", "3", "4", "5", "6", "7", "8", "9")


def test_permuted_puts_tile_order_j_at_place_j():
    tiles = cut(coordinates(8)[None], 2)
    moved = permuted(tiles, np.array([[2, 0, 3, 1]]))
    for place, tile in enumerate([2, 0, 3, 1]):
        assert np.array_equal(moved[0, place], tiles[0, tile])


def test_one_bit_makes_tiles_differ():
    tile = pictures(1, 8)
    shown = np.tile(tile, (1, 2, 2, 1))
    shown[0, 15, 7, 2] ^= 1
    places = np.array([[0, 1, 2, 3, 0, 2]]), np.array([[1, 3, 0, 2, 0, 2]])
    assert Tiling(2, 16).same(shown, *places).tolist() == [[True, True, False, False, True, True]]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"grid": 1, "image_size": 60}, "2, 3, 4, 5, got 1"),
        ({"grid": 6, "image_size": 60}, "2, 3, 4, 5, got 6"),
        ({"grid": 3, "image_size": 64}, "grid=3 does not fit image_size=64.*: 63 or 66"),
        ({"grid": 5, "image_size": 36}, "35 or 40"),
        ({"grid": 5, "image_size": 35}, "image_size of 40, got 35"),
        ({"grid": 2, "image_size": 40, "gap": -1}, "gap must lie in 0 to 20 .*got -1"),
        ({"grid": 2, "image_size": 40, "gap": 21}, "gap must lie in 0 to 20 .*got 21"),
        ({"grid": 2, "image_size": 40, "jitter": 21}, "jitter must lie in 0 to 20 .*got 21"),
        ({"grid": 2, "image_size": 40, "gap": 2.5}, "whole pixels .*got 2.5"),
        ({"grid": 2, "image_size": 40, "jitter": float("nan")}, "jitter must lie in 0 to 20 .*got nan"),
    ],
)
def test_grids_that_do_not_fit_are_errors_that_name_what_would(arguments, message):
    with pytest.raises(ValueError, match=message):
        Tiling(**arguments)


@pytest.mark.parametrize(("grid", "size"), [(3, 64), (5, 36), (4, 50), (2, 41)])
def test_what_the_error_names_does_fit(grid, size):
    with pytest.raises(ValueError, match="does not fit") as error:
        Tiling(grid, size)
    near = [int(number) for number in re.findall(r"\d+", str(error.value).split(":")[1])]
    assert len(near) == 2
    assert min(near) <= size <= max(near)
    assert Tiling(grid, max(near)).image_size % grid == 0


def shown(tiling: Tiling, count: int = 40) -> np.ndarray:
    """Tiles of a picture that says where its pixels are, one source pixel an output pixel."""
    source = ImageSource([coordinates(tiling.drawn)] * 2, min_zoom=1.0)
    numbers = stream(count)
    return tiling.draw(numbers, source, source.whole(np.zeros(count, np.int64)), tiling.corners(numbers)).copies()


@pytest.mark.parametrize("grid", [2, 3, 5])
def test_without_gap_the_tiles_are_the_whole_picture(grid):
    tiling = Tiling(grid, 60)
    assert np.array_equal(join(shown(tiling), grid)[0], coordinates(60))


@settings(max_examples=25, deadline=None)
@given(st.sampled_from([2, 3]), st.integers(0, 6), st.integers(0, 5))
def test_tiles_are_unchanged_parts_of_their_own_cells(grid, gap, jitter):
    tiling = Tiling(grid, grid * 10, gap, jitter)
    cell = tiling.tile + gap + 2 * jitter
    tiles = shown(tiling).astype(int)
    assert tiles.shape == (40, grid * grid, 10, 10, 3)
    corners = tiles[:, :, 0, 0, :2]
    expected = coordinates(10)[..., :2].astype(int) + corners[:, :, None, None]
    assert np.array_equal(tiles[..., :2], expected)
    for number in range(grid * grid):
        place = corners[:, number] - cell * np.array(divmod(number, grid))
        assert (place >= 0).all()
        assert (place + tiling.tile <= cell).all()


@pytest.mark.parametrize(("gap", "jitter"), [(1, 0), (4, 0), (5, 0), (4, 2), (3, 2)])
def test_a_gap_keeps_the_edges_of_neighbours_apart(gap, jitter):
    tiles = shown(Tiling(2, 20, gap, jitter), 400).astype(int)
    between = tiles[:, 1, 0, 0, 1] - tiles[:, 0, 0, -1, 1] - 1
    assert between.min() >= gap
    if jitter == 0:
        assert (between == gap).all()
    else:
        assert set(between.tolist()) == set(range(gap, gap + 4 * jitter + 1))


def test_jitter_moves_every_tile_by_itself_and_evenly():
    tiles = shown(Tiling(2, 20, 0, 2), 2_000).astype(int)
    shifts = tiles[:, :, 0, 0, :2] % 14
    for number in range(4):
        for axis in range(2):
            counts = np.bincount(shifts[:, number, axis], minlength=5)
            assert len(counts) == 5
            assert (np.abs(counts - 400) < 5 * (2_000 * 0.2 * 0.8) ** 0.5).all()
    flat = shifts.reshape(2_000, -1)
    assert np.abs(np.corrcoef(flat.T) - np.eye(8)).max() < 0.1


def test_distinct_refuses_pictures_with_equal_tiles():
    side = 32
    different = pictures(1, side)[0]
    twin = different.copy()
    twin[:16, :16] = twin[16:, 16:]
    source = ImageSource([different, twin], min_zoom=1.0)
    tiling, views = Tiling(2, side), source.whole(np.array([0, 1]))
    assert tiling.distinct(source, views, tiling.corners(stream(2)), 4.0).tolist() == [True, False]


def test_shares_are_of_a_tile_and_whole_numbers_are_pixels():
    assert Tiling(2, 60, 0.5, 0.2).drawn == Tiling(2, 60, 15, 6).drawn == 2 * (30 + 15 + 12)
    assert Tiling(3, 60, 0.5, 0.25).drawn == 3 * (20 + 10 + 10)
    assert not Tiling(2, 60, 0.01).apart, "less than half a pixel is nothing"


@pytest.mark.parametrize("grid", [2, 3])
def test_tiles_that_are_apart_are_the_same_in_every_batch(grid):
    source = ImageSource(list(pictures(30, 50)))
    tiling = Tiling(grid, 36, 0.5, 0.25, 1.0)

    def drawn(rows: list[int]) -> np.ndarray:
        numbers = Stream("train", np.zeros(len(rows), int), rows)
        return tiling.draw(numbers, source, source.whole(np.array(rows)), tiling.corners(numbers)).copies()

    together = drawn(list(range(20)))
    for row in (0, 7, 19):
        assert np.array_equal(drawn([row])[0], together[row])


def test_light_changes_each_tile_by_itself_and_nothing_else():
    grey = np.full((500, 4, 9, 9, 3), 128, np.uint8)
    lit = relit(grey, stream(500), 1.0).astype(int)
    middle = lit[:, :, 4, 4] - 128
    assert np.abs(middle).max() <= 64 + 32
    shades = middle.mean(axis=-1)
    assert shades.std() > 30
    assert np.abs(np.corrcoef(shades.T) - np.eye(4)).max() < 0.2
    slopes = lit[:, :, 4, -1, 0] - lit[:, :, 4, 0, 0]
    assert 100 < np.abs(slopes).max() <= 128
    assert abs(slopes.mean()) < 5
    half = relit(grey, stream(500), 0.5).astype(int)[:, :, 4, 4] - 128
    assert np.abs(half).max() <= 48


def test_contrast_is_at_most_halved_or_doubled():
    tiles = np.full((400, 4, 8, 8, 3), 128, np.uint8)
    tiles[:, :, 3, 3], tiles[:, :, 4, 4] = 138, 118
    lit = relit(tiles, stream(400), 1.0).astype(int)
    inside = ((lit > 0) & (lit < 255)).all(axis=(2, 3, 4))
    plain = relit(np.full_like(tiles, 128), stream(400), 1.0).astype(int)
    bumps = (lit - plain)[inside][:, 3, 3]
    assert bumps.min() in (4, 5)
    assert bumps.max() in (19, 20)


def test_where_light_changes_tiles_must_differ_by_more_than_their_colour():
    texture = pictures(1, 16)[0] // 4
    shades = np.concatenate(
        [np.concatenate([texture, texture + 60], 1), np.concatenate([texture + 120, texture + 180], 1)], 0
    )
    source = ImageSource([shades, pictures(1, 32)[0]], min_zoom=1.0)
    for light, wanted in ((0.0, [True, True]), (1.0, [False, True])):
        tiling, views = Tiling(2, 32, light=light), source.whole(np.array([0, 1]))
        assert tiling.distinct(source, views, tiling.corners(stream(2)), 4.0).tolist() == wanted


@pytest.mark.parametrize("light", [-0.1, 1.1, float("nan")])
def test_light_out_of_range_is_an_error(light):
    with pytest.raises(ValueError, match="light must lie in 0 to 1"):
        Tiling(2, 32, light=light)


@pytest.mark.parametrize(("many", "grid"), [(1, 1), (2, 2), (4, 2), (5, 3), (6, 3), (9, 3)])
def test_panels_stand_in_reading_order_and_do_not_touch_each_other(many, grid):
    assert panel_grid(many) == grid
    tiles = np.broadcast_to(np.arange(1, many + 1, dtype=np.uint8)[None, :, None, None, None], (2, many, 5, 5, 3))
    canvas = panels(tiles, 36, paper=0)
    assert canvas.shape == (2, 36, 36, 3)
    middles = []
    for number in range(1, many + 1):
        rows, columns = np.nonzero(canvas[0, :, :, 0] == number)
        assert len(rows) == 25
        middles.append((rows.mean(), columns.mean()))
    assert middles == sorted(middles)
    assert len({row for row, _ in middles}) == -(-many // grid)
