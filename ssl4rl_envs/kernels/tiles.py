"""Kernels that cut pictures into squares, put squares together, and change their colours and light.

A square is named by its upper left corner (row, column) in its picture. Corners are int64 (n, m, 2), or (1, m, 2) where they
are those of all pictures.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ssl4rl_envs import kernels
from ssl4rl_envs.kernels import threads
from ssl4rl_envs.kernels.tensors import over_tensors

Bytes = NDArray[np.uint8]
Whole = NDArray[np.int64]

MIRRORED, UPENDED, TRANSPOSED = 1, 2, 4
"""How a square may be turned, as bits of a number: columns exchanged, rows exchanged, and, after these, both axes."""

AS_IT_IS = np.zeros((1, 1), np.uint8)
QUARTERS = np.array([0, TRANSPOSED | MIRRORED, MIRRORED | UPENDED, TRANSPOSED | UPENDED], np.uint8)
"""Turns by 0, 90, 180 and 270 degrees counter-clockwise."""

WHOLE = np.zeros((1, 1, 2), np.int64)
"""The corner of the one square that is a whole picture."""

_BYTES = 1 << 17
"""What is worth a thread."""


@over_tensors
def place(out: Bytes, to: Whole, pictures: Bytes, at: Whole, side: int, how: Bytes = AS_IT_IS) -> None:
    """Copy squares of pictures into other pictures.

    Args:
        out: (n, height, width, 3), which is written.
        to: corners of m squares in it.
        pictures: (n, h, w, 3).
        at: corners of the same squares in these.
        side: of all squares, in pixels.
        how: (n or 1, m or 1), how each is turned: of `MIRRORED`, `UPENDED` and `TRANSPOSED`.
    """
    copy, pictures = kernels.area("tiles").place, np.ascontiguousarray(pictures)
    _share(
        len(out),
        3 * side * side * to.shape[1],
        lambda rows: copy(out[rows], part(to, rows), pictures[rows], part(at, rows), side, part(how, rows)),
    )


@over_tensors
def fill(out: Bytes, at: Whole, side: int, value: int) -> None:
    """Write one value into one square of each of the pictures (n, height, width, 3); corners (n or 1, 1, 2)."""
    paint = kernels.area("tiles").fill
    _share(len(out), 3 * side * side, lambda rows: paint(out[rows], part(at, rows), side, value))


@over_tensors
def equal(pictures: Bytes, first: Whole, second: Whole, side: int) -> NDArray[np.bool_]:
    """Return which squares of pictures (n, h, w, 3) are equal to the last bit, pair by pair of two lists, (n, m)."""
    compare, pictures = kernels.area("tiles").equal, np.ascontiguousarray(pictures)
    result = np.empty((len(pictures), first.shape[1]), np.bool_)
    _share(
        len(result),
        side * first.shape[1],  # what differs does so in its first line
        lambda rows: compare(result[rows], pictures[rows], part(first, rows), part(second, rows), side),
    )
    return result


@over_tensors
def recolour(out: Bytes, to: Whole, pictures: Bytes, channels: Whole) -> None:
    """Copy pictures (n, side, side, 3) to m places each, with channels exchanged.

    Args:
        out: (n, height, width, 3), which is written.
        to: corners of the copies in it.
        pictures: what is copied.
        channels: (n, m, 3) which channel each copy shows as red, green and blue.
    """
    copy = kernels.area("tiles").recolour
    _share(
        len(out),
        3 * pictures.shape[1] ** 2 * to.shape[1],
        lambda rows: copy(out[rows], part(to, rows), pictures[rows], channels[rows]),
    )


@over_tensors
def relight(tiles: Bytes, gain: Whole, level: Whole, slope: Whole) -> None:
    """Change the light of tiles (n, m, side, side, 3) in place.

    A value v becomes 128 + ((v - 128) gain + level + (down r + across c) / side) / 1024, rounded and clipped, for r and c
    from -(side - 1) to side - 1 in steps of 2. All of it before the division by 1024 is below 2**31.

    Args:
        tiles: what is changed.
        gain: (n, m), in 1/1024.
        level: (n, m, 3), of each channel, in 1/1024 of a grey level.
        slope: (n, m, 2), down and across, in the same unit.
    """
    change = kernels.area("tiles").relight
    arrays = (tiles, gain, level, slope)
    _share(len(tiles), 6 * tiles[:1].size, lambda rows: change(*(array[rows] for array in arrays)))


@over_tensors
def grain(tiles: Bytes, words: NDArray[np.uint64], strength: Whole) -> None:
    """Add grain to tiles (n, m, side, side, 3) in place.

    To a value ((2 b - 255) strength + 128) // 256 is added, for b from 0 to 255, and the sum clipped: with random words,
    numbers from -strength to strength.

    Args:
        tiles: what is changed.
        words: (n, m, side, side), whose lowest bytes are the numbers b of the channels, red in the last one.
        strength: (n, m), in grey levels.
    """
    change = kernels.area("tiles").grain
    arrays = (tiles, words, strength)
    _share(len(tiles), 6 * tiles[:1].size, lambda rows: change(*(array[rows] for array in arrays)))


def part(array: NDArray[Any], rows: slice) -> NDArray[Any]:
    """Return the rows of an array that holds one a picture; all of one that holds one for all pictures."""
    return np.ascontiguousarray(array if len(array) == 1 else array[rows])


def lattice(size: int, many: int) -> tuple[Whole, int]:
    """Return the corners (1, many, 2) of the tiles of a square in reading order, and the side of each."""
    grid = math.isqrt(many)
    side = size // grid
    return np.stack(np.divmod(np.arange(many, dtype=np.int64), grid), axis=1)[None] * side, side


def _share(rows: int, size: int, work: Callable[[slice], None]) -> None:
    if rows:
        threads.share(rows, work, max(1, _BYTES // max(1, size)))
