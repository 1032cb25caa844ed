"""Drawing views of pictures in memory: the compiled kernel gives the bits of the reference, and both what is right."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ssl4rl_envs import kernels
from ssl4rl_envs.kernels import pictures, threads, tiles
from ssl4rl_envs.kernels.reference import pictures as reference
from ssl4rl_envs.sources.base import TURN, UNIT
from ssl4rl_envs.sources.pyramid import Pyramid
from ssl4rl_envs.sources.stored import Stored, store

EDGE = st.sampled_from([-3 * UNIT, -UNIT, -1, 0, 1, UNIT // 2, UNIT - 1, UNIT, 9 * UNIT, 40 * UNIT])
QUARTERS = st.sampled_from([0, 1, 2, 3, 4, 7, -1])


def pile(rng: np.random.Generator, count: int, most: int) -> Stored:
    """Pictures of random sizes, colours and enlargements, some of them grey."""
    shapes = rng.integers(2, most, (count, 2))
    images = [rng.integers(0, 256, (height, width, rng.choice((1, 3))), np.uint8) for height, width in shapes]
    return store(images, rng.integers(0, 3, count).tolist())


def drawn(draw, stored: Stored, where: np.ndarray, size: int, to: np.ndarray = tiles.WHOLE) -> np.ndarray:
    out = np.full((len(where), size, size, 3), 7, np.uint8)
    plain = Pyramid(stored)
    again, how = out.copy(), np.arange(len(where), dtype=np.uint8) % 8
    draw(out, plain._pixels, plain._table, where, to, again, how)
    mirror = np.empty_like(out)
    if len(where):
        tiles.place(mirror, tiles.WHOLE, out, tiles.WHOLE, size, how[:, None])
        assert np.array_equal(again, mirror)
    return out


@settings(max_examples=150, deadline=None)
@given(
    seed=st.integers(0, 2**32),
    count=st.integers(0, 4),
    size=st.integers(1, 40),
    most=st.sampled_from([3, 9, 40, 150]),
    quarter=st.none() | QUARTERS,
    far=st.sampled_from([0, 1, 100]),
    grid=st.integers(1, 3),
)
def test_compiled_views_have_the_bits_of_the_reference(seed, count, size, most, quarter, far, grid):
    """Pictures of all sizes, views inside them, across their edges and beyond, exact turns and others, whole and in tiles."""
    compiled = pytest.importorskip("ssl4rl_envs.kernels.compiled.pictures", exc_type=ImportError)
    rng = np.random.default_rng(seed)
    stored = pile(rng, 5, most)
    where = np.empty((count, 5), np.int64)
    where[:, 0] = rng.integers(0, 5, count)
    where[:, 1:3] = rng.integers(-far * UNIT, (most + far) * UNIT, (count, 2))
    where[:, 3] = rng.integers(0, rng.choice((UNIT, most * UNIT, 4 * most * UNIT)), count)
    where[:, 4] = rng.integers(-TURN, 2 * TURN, count) if quarter is None else quarter * TURN // 4
    size = -(-size // grid) * grid
    corners, _ = tiles.lattice(size, grid * grid)
    to = rng.permuted(np.broadcast_to(np.arange(grid * grid), (count, grid * grid)), axis=1)
    to = corners[0][to] if count and grid > 1 else corners
    assert np.array_equal(drawn(reference.draw, stored, where, size, to), drawn(compiled.draw, stored, where, size, to))


@settings(max_examples=40, deadline=None)
@given(x=EDGE, y=EDGE)
def test_interpolation_by_hand(x, y):
    """One output pixel over a picture of 2 x 2: weights by position, edges repeated, one rounding, in whichever is chosen."""
    values = np.array([[10, 200], [90, 255]])
    stored = store([np.stack([0 * values, values, 0 * values], axis=-1).astype(np.uint8)])
    where = np.array([[0, x + UNIT // 2, y + UNIT // 2, UNIT, 0]])
    across, down = (min(max(at, 0), UNIT) / UNIT for at in (x, y))
    upper, lower = (1 - across) * values[:, 0] + across * values[:, 1]
    right = int((1 - down) * upper + down * lower + 0.5)
    assert drawn(pictures.draw, stored, where, 1)[0, 0, 0].tolist() == [0, right, 0]


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 2**32), size=st.integers(1, 70), quarter=QUARTERS, most=st.sampled_from([9, 150]))
def test_a_turn_by_a_quarter_is_an_exact_transpose_of_the_upright_view(seed, size, quarter, most):
    rng = np.random.default_rng(seed)
    stored = pile(rng, 3, most)
    where = np.array([[item, *rng.integers(0, most * UNIT, 3), 0] for item in range(3)])
    upright = drawn(pictures.draw, stored, where, size)
    where[:, 4] = quarter * TURN // 4
    assert np.array_equal(drawn(pictures.draw, stored, where, size), np.rot90(upright, quarter, axes=(1, 2)))


@pytest.mark.parametrize("forced", ["numpy", "numba"])
@pytest.mark.parametrize("quarter", [0, 1, 0.3])
def test_tiles_lie_where_they_are_to_lie(forced, quarter, monkeypatch):
    pytest.importorskip("numba")
    monkeypatch.setenv(kernels.VARIABLE, forced)
    stored = pile(np.random.default_rng(0), 2, 40)
    where = np.array([[item, 9 * UNIT, 8 * UNIT, 12 * UNIT, quarter * TURN // 4] for item in range(2)], np.int64)
    whole = drawn(pictures.draw, stored, where, 24)
    shuffled = drawn(pictures.draw, stored, where, 24, np.array([[[12, 0], [0, 0], [0, 12], [12, 12]]]))
    assert np.array_equal(shuffled[:, 12:, :12], whole[:, :12, :12])
    assert np.array_equal(shuffled[:, :12, :12], whole[:, :12, 12:])
    assert np.array_equal(shuffled[:, :12, 12:], whole[:, 12:, :12])
    assert np.array_equal(shuffled[:, 12:, 12:], whole[:, 12:, 12:])


def test_grey_pictures_look_as_they_do_in_three_channels():
    rng = np.random.default_rng(0)
    grey = [rng.integers(0, 256, (height, 50, 1), np.uint8) for height in (20, 33, 64)]
    where = np.array([[item, 25 * UNIT, 12 * UNIT, 20 * UNIT, angle] for item in range(3) for angle in (0, 100, TURN // 2)])
    kept, size = store([image.repeat(3, axis=2) for image in grey]), 24
    assert kept.table[:, 3].tolist() == [1, 1, 1]
    coloured = [image.repeat(3, axis=2) for image in grey]
    for image in coloured:
        image[0, 0, 0] ^= 1  # out of sight
    assert np.array_equal(drawn(pictures.draw, kept, where, size), drawn(pictures.draw, store(coloured), where, size))


def test_threads_draw_what_one_draws(monkeypatch):
    rng = np.random.default_rng(1)
    stored = pile(rng, 5, 90)
    where = np.array([[item % 5, *rng.integers(0, 90 * UNIT, 3), item * TURN // 8] for item in range(64)])
    seen = []
    for count in ("1", "3"):
        monkeypatch.setenv(threads.VARIABLE, count)
        seen.append(drawn(pictures.draw, stored, where, 40))
    assert np.array_equal(*seen)


@pytest.mark.parametrize("item", [-1, 3])
@pytest.mark.parametrize("forced", ["numpy", "numba"])
def test_a_picture_that_there_is_not_is_an_error(forced, item, monkeypatch):
    pytest.importorskip("numba")
    monkeypatch.setenv(kernels.VARIABLE, forced)
    with pytest.raises(IndexError, match="a picture that there is not"):
        drawn(pictures.draw, pile(np.random.default_rng(0), 3, 9), np.array([[item, 0, 0, UNIT, 0]]), 4)


def test_an_unknown_implementation_is_refused_when_something_is_drawn(monkeypatch):
    monkeypatch.setenv(kernels.VARIABLE, "cuda")
    with pytest.raises(ValueError, match="cuda"):
        drawn(pictures.draw, pile(np.random.default_rng(0), 1, 9), np.zeros((1, 5), np.int64), 4)
