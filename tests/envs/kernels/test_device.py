"""Kernels over tensors: the same bits as over arrays, on the CPU here and on a GPU where one is."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ssl4rl_envs.kernels import augmentations, likeness, looks, pictures, reductions, tiles
from ssl4rl_envs.sources.base import TURN
from ssl4rl_envs.sources.stored import store

torch = pytest.importorskip("torch")

DEVICES = ["cpu", *(["cuda"] if torch.cuda.is_available() else [])]
SEEDS = st.integers(0, 2**32)


def noise(rng: np.random.Generator, *shape: int) -> np.ndarray:
    """Bytes of two levels of contrast, so that some squares look alike."""
    return (rng.integers(0, 256, shape) // rng.choice([1, 60])).astype(np.uint8)


def corners(rng: np.random.Generator, count: int, many: int, room: int, *sets: int) -> np.ndarray:
    return rng.integers(0, room + 1, (count, *sets, many, 2))


@pytest.mark.parametrize("device", DEVICES)
@settings(max_examples=25, deadline=None)
@given(seed=SEEDS, size=st.integers(1, 40), exact=st.booleans())
def test_views(device, seed, size, exact):
    rng = np.random.default_rng(seed)
    stored = store(
        [noise(rng, *rng.integers(2, 60, 2), rng.choice([1, 3])) for _ in range(4)], rng.integers(0, 2, 4).tolist()
    )
    where = np.stack(
        [
            rng.integers(0, 4, 5),
            *rng.integers(-9999, 300_000, (2, 5)),
            rng.integers(1, 400_000, 5),
            rng.integers(0, 4, 5) * (TURN // 4) if exact else rng.integers(0, TURN, 5),
        ],
        axis=1,
    )
    out = np.empty((5, size, size, 3), np.uint8)
    pictures.draw(out, stored.pixels, stored.table, where)
    drawn = torch.zeros(out.shape, dtype=torch.uint8, device=device)
    pictures.draw(drawn, *(torch.as_tensor(each, device=device) for each in (stored.pixels, stored.table, where)))
    assert np.array_equal(out, drawn.cpu().numpy())


@pytest.mark.parametrize("device", DEVICES)
@settings(max_examples=25, deadline=None)
@given(seed=SEEDS, count=st.integers(1, 4), side=st.integers(1, 6), many=st.integers(1, 4))
def test_squares(device, seed, count, side, many):
    rng = np.random.default_rng(seed)
    shown = noise(rng, count, 2 * many * side, 14, 3)
    to = np.stack([np.arange(many) * 2 * side, np.full(many, 3)], axis=-1)[None]  # these do not touch
    at, how = (
        corners(rng, count, many, 14 - side)[:, :, ::-1] % (2 * many * side - side + 1),
        rng.integers(0, 8, (count, many), np.uint8),
    )
    other, pairs = noise(rng, count, side, side, 3), (at, corners(rng, count, many, 0))
    channels = np.argsort(rng.random((count, many, 3)), axis=2)
    squares = noise(rng, count, many, side, side, 3)
    light = (
        rng.integers(256, 4096, (count, many)),
        rng.integers(-90000, 90000, (count, many, 3)),
        rng.integers(-9999, 9999, (count, many, 2)),
    )
    words, most = rng.integers(0, 2**64, (count, many, side, side), np.uint64), rng.integers(0, 256, (count, many))

    def done(kind):
        out, lit = kind(shown), kind(squares)
        tiles.place(out, to, kind(shown), at, side, how)
        same = tiles.equal(kind(shown), *pairs, side)
        tiles.recolour(out, to, kind(other), channels)
        tiles.relight(lit, *light)
        tiles.grain(lit, words, most)
        tiles.fill(lit.reshape(count * many, side, side, 3), np.zeros((1, 1, 2), np.int64), side // 2, 7)
        return out, lit, same

    for by_array, by_tensor in zip(done(np.copy), done(lambda array: torch.tensor(array, device=device)), strict=True):
        assert np.array_equal(by_array, by_tensor if isinstance(by_tensor, np.ndarray) else by_tensor.cpu().numpy())


@pytest.mark.parametrize("device", DEVICES)
@settings(max_examples=25, deadline=None)
@given(seed=SEEDS, count=st.integers(1, 4), least=st.integers(0, 4000), centred=st.booleans(), clear=st.integers(0, 2))
def test_likeness(device, seed, count, least, centred, clear):
    rng = np.random.default_rng(seed)
    shown, other, side, grid = noise(rng, count, 12, 12, 3), noise(rng, count, 9, 9, 3), 4, 2
    at, there, how = corners(rng, count, 3, 8), corners(rng, 1, 3, 5), rng.integers(0, 8, (1, 3), np.uint8)
    sets = corners(rng, count, 3, 8, 2)
    order = np.argsort(rng.random((count, 9)), axis=1)

    outside = rng.integers(0, 3, 9)

    def said(kind):
        first, second = kind(shown), kind(other)
        return (
            likeness.differ(first, at, second, there, side, how, least),
            likeness.coloured(first, 20 * least),
            likeness.first_distinct(first, sets, side, least, clear=clear, centred=centred),
            likeness.first_rich(first, at, side, 1000 * least),
            likeness.first_lonely(first, order, grid, side, least),
            looks.differ(second.reshape(count, -1), kind(other[::-1].copy()).reshape(count, -1), 3 * least),
            looks.lie_apart(second, (1, 2, 4, 5, 6, 3), outside, 3 * least),
        )

    for by_array, by_tensor in zip(said(np.copy), said(lambda array: torch.tensor(array, device=device)), strict=True):
        assert by_array.dtype == by_tensor.dtype
        assert np.array_equal(by_array, by_tensor)


@pytest.mark.parametrize("device", DEVICES)
@settings(max_examples=25, deadline=None)
@given(seed=SEEDS, count=st.integers(1, 5), side=st.integers(3, 12))
def test_changes_and_reductions(device, seed, count, side):
    rng = np.random.default_rng(seed)
    shown = rng.integers(0, 256, (count, 2 * side, 2 * side, 3), np.uint8)

    def some(values, neutral, form):
        return np.where(rng.random(count) < 0.5, values, neutral).astype(form)

    changes = augmentations.Changes(
        mirrored=rng.random(count) < 0.5,
        upended=rng.random(count) < 0.5,
        brightness=some(rng.uniform(0, 2, count), 1, np.float32),
        contrast=some(rng.uniform(0, 2, count), 1, np.float32),
        saturation=some(rng.uniform(0, 2, count), 1, np.float32),
        hue=some(rng.integers(-128, 129, count), 0, np.float32),
        grey=rng.random(count) < 0.3,
        blur=some(rng.integers(0, 128, count), 0, np.int64),
        threshold=some(rng.integers(0, 256, count), 256, np.float32),
    )
    array, tensor = shown.copy(), torch.tensor(shown, device=device)
    augmentations.change(array, changes)
    augmentations.change(tensor, changes)
    assert np.array_equal(array, tensor.cpu().numpy())
    half = np.empty((count, side - 2, side - 2, 3), np.uint8)
    reductions.halve(half, shown)
    halved = torch.zeros(half.shape, dtype=torch.uint8, device=device)
    reductions.halve(halved, torch.tensor(shown, device=device))
    assert np.array_equal(half, halved.cpu().numpy())
