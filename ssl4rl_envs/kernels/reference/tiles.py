"""Squares of pictures, in NumPy. The arguments are explained in `kernels.tiles`."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Bytes = NDArray[np.uint8]
Whole = NDArray[np.int64]


def squares(pictures: Bytes, at: Whole, side: int) -> Bytes:
    """Return a copy of squares of pictures, (n, m, side, side, 3)."""
    return pictures[_within(len(pictures), at, side)]


def place(out: Bytes, to: Whole, pictures: Bytes, at: Whole, side: int, how: Bytes) -> None:
    """See `kernels.tiles.place`."""
    out[_within(len(out), to, side)] = turned(squares(pictures, at, side), how)


def fill(out: Bytes, at: Whole, side: int, value: int) -> None:
    """See `kernels.tiles.fill`."""
    out[_within(len(out), at, side)] = value


def equal(result: NDArray[np.bool_], pictures: Bytes, first: Whole, second: Whole, side: int) -> None:
    """See `kernels.tiles.equal`."""
    same = squares(pictures, first, side) == squares(pictures, second, side)
    result[:] = same.all(axis=(2, 3, 4))


def recolour(out: Bytes, to: Whole, pictures: Bytes, channels: Whole) -> None:
    """See `kernels.tiles.recolour`."""
    # Channel by channel: indexing by pixel is several times slower.
    planes = np.moveaxis(pictures, -1, 1)[np.arange(len(pictures))[:, None, None], channels]
    out[_within(len(out), to, pictures.shape[1])] = np.moveaxis(planes, 2, -1)


def relight(tiles: Bytes, gain: Whole, level: Whole, slope: Whole) -> None:
    """See `kernels.tiles.relight`."""
    side = tiles.shape[2]
    along = 2 * np.arange(side, dtype=np.int64) - (side - 1)
    light = (slope[..., :1, None] * along[:, None] + slope[..., 1:, None] * along[None, :]) // side
    values = (tiles.astype(np.int64) - 128) * gain[..., None, None, None] + level[:, :, None, None] + light[..., None]
    tiles[:] = np.clip(128 + ((values + 512) >> 10), 0, 255)


def grain(tiles: Bytes, words: NDArray[np.uint64], strength: Whole) -> None:
    """See `kernels.tiles.grain`."""
    for channel in range(3):
        number = ((words >> np.uint64(8 * channel)) & np.uint64(255)).astype(np.int64)
        added = ((2 * number - 255) * strength[..., None, None] + 128) >> 8
        tiles[..., channel] = np.clip(tiles[..., channel] + added, 0, 255)


def turned(tiles: Bytes, how: Bytes) -> Bytes:
    """Return tiles (n, m, side, side, 3), each turned as `how` (n or 1, m or 1) says."""
    if not how.any():
        return tiles
    how = np.broadcast_to(how, tiles.shape[:2])
    result = np.empty_like(tiles)
    for turn in np.unique(how):
        some = tiles[how == turn]
        some = some[:, ::-1] if turn & 2 else some
        some = some[:, :, ::-1] if turn & 1 else some
        result[how == turn] = some.swapaxes(1, 2) if turn & 4 else some
    return result


def _within(count: int, at: Whole, side: int) -> tuple[NDArray[np.int64], ...]:
    """Return where the pixels of squares are, for indexing (n, h, w, 3)."""
    rows, columns = (at[..., axis, None] + np.arange(side) for axis in (0, 1))
    return np.arange(count)[:, None, None, None], rows[..., :, None], columns[..., None, :]
