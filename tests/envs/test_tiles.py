"""Tiles: cutting and joining are inverse, gaps leave pixels out, grids that do not fit are errors that name what would."""

from __future__ import annotations

import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ssl4rl_envs import Stream
from ssl4rl_envs.images.tiles import Tiling, cut, join, numbers, panel_grid, panels, permuted, same
from ssl4rl_envs.sources import ImageSource
from ssl4rl_envs.sources.base import Views


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
    tiles = cut(pictures(1, 8), 2)
    other = tiles.copy()
    other[0, 2, 3, 3, 2] ^= 1
    assert same(tiles, other).tolist() == [[True, True, False, True]]


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
    side = tiling.grid * (tiling.tile + tiling.gap + 2 * tiling.jitter)
    source = ImageSource([coordinates(side)] * 2, min_zoom=1.0)
    items = np.zeros(count, np.int64)
    whole = source.whole(items)
    return tiling.draw(stream(count), source, Views(items, whole.x, whole.y, whole.side))


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
    assert Tiling(2, side).distinct(source, source.whole(np.array([0, 1])), 4.0).tolist() == [True, False]


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
