"""Squares of pictures: the compiled kernels give the bits of the references, and these what was computed by hand."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ssl4rl_envs import kernels
from ssl4rl_envs.kernels import likeness, tiles
from ssl4rl_envs.kernels.tiles import MIRRORED, QUARTERS, TRANSPOSED, UPENDED

pytest.importorskip("numba")

SEEDS = st.integers(0, 2**32)
CORNER = np.zeros((1, 1, 2), np.int64)


def both(function, *arrays, **arguments):
    """What a function of an area gives with either implementation; the arrays that it writes are its own copies."""
    results = []
    for forced in kernels.PACKAGES:
        given = [array.copy() if isinstance(array, np.ndarray) else array for array in arrays]
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv(kernels.VARIABLE, forced)
            result = function(*given, **arguments)
        results.append(given[0] if result is None else result)
    return results


class Scene:
    """Random pictures of few colours, so that squares are alike at times, and squares within them."""

    def __init__(self, seed: int) -> None:
        self.rng = np.random.default_rng(seed)
        self.count, self.many = self.rng.integers(1, 5, 2).tolist()
        self.side = int(self.rng.integers(1, 7))
        self.levels = int(self.rng.choice([2, 256]))

    def pictures(self) -> np.ndarray:
        height, width = self.rng.integers(self.side, self.side + 6, 2)
        values = self.rng.integers(0, self.levels, (self.count, height, width, 3))
        return (values * (255 // (self.levels - 1))).astype(np.uint8)

    def corners(self, pictures: np.ndarray, *many: int) -> np.ndarray:
        rows = self.rng.choice([1, self.count])
        most = np.array(pictures.shape[1:3]) - self.side
        return self.rng.integers(0, most + 1, (rows, *many, 2))

    def turns(self) -> np.ndarray:
        shape = (self.rng.choice([1, self.count]), self.rng.choice([1, self.many]))
        return self.rng.integers(0, 8, shape).astype(np.uint8)

    def least(self) -> int:
        return int(self.rng.integers(0, 150 * 3 * self.side**2))


@settings(max_examples=60, deadline=None)
@given(seed=SEEDS)
def test_placed_squares_are_the_same_bits(seed):
    scene = Scene(seed)
    pictures = scene.pictures()
    # What is written must not overlap, or the order of writing would count.
    out = np.zeros((scene.count, scene.side * scene.many, scene.side + 2, 3), np.uint8)
    to = np.stack([np.arange(scene.many) * scene.side, np.arange(scene.many) % 3], axis=-1)[None]
    at = scene.corners(pictures, scene.many)
    assert np.array_equal(*both(tiles.place, out, to, pictures, at, scene.side, scene.turns()))
    one = np.broadcast_to(at[:, :1], (scene.count, 1, 2)).copy()
    assert np.array_equal(*both(tiles.fill, pictures, one, scene.side, 128))


@settings(max_examples=60, deadline=None)
@given(seed=SEEDS)
def test_what_is_compared_is_judged_alike(seed):
    scene = Scene(seed)
    first, second = scene.pictures(), scene.pictures()
    at, there = scene.corners(first, scene.many), scene.corners(second, scene.many)
    arguments = (first, at, second, there, scene.side, scene.turns(), scene.least())
    assert np.array_equal(*both(likeness.differ, *arguments))
    assert np.array_equal(*both(tiles.equal, first, at, scene.corners(first, scene.many), scene.side))
    assert np.array_equal(*both(likeness.coloured, first, scene.least()))


@settings(max_examples=60, deadline=None)
@given(seed=SEEDS, centred=st.booleans())
def test_the_same_squares_are_chosen(seed, centred):
    scene = Scene(seed)
    pictures, sets = scene.pictures(), int(scene.rng.integers(1, 5))
    clear = int(scene.rng.integers(0, scene.many))
    at = scene.corners(pictures, sets, scene.many)
    chosen = both(likeness.first_distinct, pictures, at, scene.side, scene.least(), clear=clear, centred=centred)
    assert np.array_equal(*chosen)
    each = np.broadcast_to(at[:, :, 0], (scene.count, sets, 2)).copy()
    assert np.array_equal(*both(likeness.first_rich, pictures, each, scene.side, int(scene.rng.integers(0, 9**9))))


@settings(max_examples=40, deadline=None)
@given(seed=SEEDS, grid=st.integers(1, 3), cell=st.integers(2, 4))
def test_the_same_places_of_cells_are_chosen(seed, grid, cell):
    rng = np.random.default_rng(seed)
    side = int(rng.integers(1, cell + 1))
    looks = rng.integers(0, 256, (3, grid * cell, grid * cell, 3), dtype=np.uint8)
    order = np.argsort(rng.random((3, (cell - side + 1) ** 2)), axis=1)
    least = int(rng.integers(0, 100 * 3 * side * side))
    assert np.array_equal(*both(likeness.first_lonely, looks, order, grid, side, least))


@settings(max_examples=40, deadline=None)
@given(seed=SEEDS)
def test_colours_and_light_are_changed_alike(seed):
    scene = Scene(seed)
    pictures = scene.rng.integers(0, 256, (scene.count, scene.side, scene.side, 3), dtype=np.uint8)
    out = np.zeros((scene.count, scene.side * scene.many, scene.side, 3), np.uint8)
    to = np.stack([np.arange(scene.many) * scene.side, np.zeros(scene.many, int)], axis=-1)[None]
    channels = scene.rng.permuted(np.tile(np.arange(3), (scene.count, scene.many, 1)), axis=2)
    assert np.array_equal(*both(tiles.recolour, out, to, pictures, channels))
    shape = (scene.count, scene.many)
    parts = scene.rng.integers(0, 256, (*shape, scene.side, scene.side, 3), dtype=np.uint8)
    gain, level, slope = (scene.rng.integers(-9000, 9000, (*shape, *more)) for more in ((), (3,), (2,)))
    assert np.array_equal(*both(tiles.relight, parts, gain, level, slope))
    words = scene.rng.integers(0, 2**64, (*shape, scene.side, scene.side), np.uint64)
    assert np.array_equal(*both(tiles.grain, parts, words, scene.rng.integers(0, 256, shape)))


@pytest.mark.parametrize("forced", kernels.PACKAGES)
def test_grain_by_hand(forced, monkeypatch):
    """Bytes 0, 128 and 255 of a word say which way red, green and blue go; what would leave 0 to 255 is clipped."""
    monkeypatch.setenv(kernels.VARIABLE, forced)
    frames = np.array([100, 100, 100, 5, 250, 250], np.uint8).reshape(1, 2, 1, 1, 3)
    word = np.uint64(0xABCD_00FF_8000)
    tiles.grain(frames, np.full((1, 2, 1, 1), word), np.array([[10, 200]]))
    assert frames.ravel().tolist() == [90, 100, 110, 0, 251, 255]


@pytest.mark.parametrize("forced", kernels.PACKAGES)
def test_how_a_square_may_be_turned(forced, monkeypatch):
    monkeypatch.setenv(kernels.VARIABLE, forced)
    picture = np.random.default_rng(0).integers(0, 256, (1, 5, 5, 3), dtype=np.uint8)
    ways = {MIRRORED: picture[0, :, ::-1], UPENDED: picture[0, ::-1], TRANSPOSED: picture[0].swapaxes(0, 1)}
    ways |= {int(turn): np.rot90(picture[0], k) for k, turn in enumerate(QUARTERS)}
    for turn, expected in ways.items():
        out = np.empty_like(picture)
        tiles.place(out, CORNER, picture, CORNER, 5, np.array([[turn]], np.uint8))
        assert np.array_equal(out[0], expected)


@pytest.mark.parametrize("forced", kernels.PACKAGES)
def test_the_first_set_without_twins_is_chosen_by_hand(forced, monkeypatch):
    """Four squares of two pixels in a row: the first two are twins up to three grey levels, which make 3 * 4 * 3."""
    monkeypatch.setenv(kernels.VARIABLE, forced)
    picture = np.repeat(np.array([10, 13, 60, 200], np.uint8), 2)[None, None, :, None].repeat(2, 1).repeat(3, 3)
    at = np.array([[[[0, 0], [0, 2]], [[0, 3], [0, 4]], [[0, 4], [0, 6]]]])

    def chosen(least: int, **how: object) -> int:
        return int(likeness.first_distinct(picture, at, 2, least, **how)[0])

    assert chosen(36) == 0
    assert chosen(37) == 1
    assert chosen(37, clear=1) == 2, "the second pair overlaps"
    assert chosen(2_000) == -1
    assert chosen(400, centred=True) == -1, "flat squares differ in little but their means"


def test_nothing_is_placed_or_judged_where_there_are_no_pictures():
    none = np.zeros((0, 4, 4, 3), np.uint8)
    tiles.place(none, CORNER, none, CORNER, 2)
    assert tiles.equal(none, CORNER, CORNER, 2).shape == (0, 1)
    assert likeness.differ(none, CORNER, none, CORNER, 2, tiles.AS_IT_IS, 1).shape == (0,)


def test_rows_shared_among_threads_are_the_same_bits(monkeypatch):
    """Whether corners are one a picture or those of all."""
    scene = Scene(3)
    scene.count, scene.many, scene.side = 7, 3, 4
    pictures = scene.pictures()
    results = []
    for threads, size in (("1", 1 << 30), ("3", 1)):
        monkeypatch.setenv("SSL4RL_THREADS", threads)
        monkeypatch.setattr(tiles, "_BYTES", size)
        monkeypatch.setattr(likeness, "_BYTES", size)
        rng = np.random.default_rng(0)
        for rows in (1, 7):
            at = rng.integers(0, 3, (rows, 3, 2))
            out = np.zeros((7, 12, 4, 3), np.uint8)
            tiles.place(out, np.array([[[0, 0], [4, 0], [8, 0]]]), pictures[:, :6, :6], at, 4)
            results.append(out)
            results.append(likeness.first_distinct(pictures, at[:, None], 4, 1_000))
            results.append(likeness.differ(pictures, at, pictures[::-1], at, 4, tiles.AS_IT_IS, 2_000))
    half = len(results) // 2
    assert all(np.array_equal(one, other) for one, other in zip(results[:half], results[half:], strict=True))
