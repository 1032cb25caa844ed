"""Squares of pictures, compiled. The arguments are explained in `kernels.tiles`."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ssl4rl_envs.kernels.compiled import jit, part

Bytes = NDArray[np.uint8]
Whole = NDArray[np.int64]


@jit
def place(out: Bytes, to: Whole, pictures: Bytes, at: Whole, side: int, how: Bytes) -> Any:
    """See `kernels.tiles.place`."""
    count, many = len(out), to.shape[1]
    width, wide = 3 * out.shape[2], 3 * pictures.shape[2]
    written, read = out.reshape(count, -1), pictures.reshape(count, -1)
    for i in range(count):
        ti, ai, hi = min(i, len(to) - 1), min(i, len(at) - 1), min(i, len(how) - 1)
        for j in range(many):
            turn = how[hi, min(j, how.shape[1] - 1)]
            start, origin = to[ti, j, 0] * width + 3 * to[ti, j, 1], at[ai, j, 0] * wide + 3 * at[ai, j, 1]
            place_square(written[i], start, width, read[i], origin, wide, side, turn)


@part
def place_square(written: Bytes, start: int, width: int, read: Bytes, origin: int, wide: int, side: int, turn: int) -> Any:
    """Copy one square.

    Args:
        written, read: the bytes of two pictures.
        start, origin: where the square begins in them.
        width, wide: bytes of a row of them.
        side: of the square, in pixels.
        turn: how it is turned.
    """
    # Along a line of what is written, what is read steps by so much.
    down, step = (3, wide) if turn & 4 else (wide, 3)
    if turn & 2:
        origin += (side - 1) * wide
        down, step = (down, -step) if turn & 4 else (-down, step)
    if turn & 1:
        origin += (side - 1) * 3
        down, step = (-down, step) if turn & 4 else (down, -step)
    if step == 3:
        _copy(written, start, width, read, origin, down, side)
    elif step == -3:
        _copy_mirrored(written, start, width, read, origin + 3 - 3 * side, down, side)
    else:
        _copy_turned(written, start, width, read, origin, down, step, side)


@part
def _copy(written: Bytes, start: int, width: int, read: Bytes, origin: int, down: int, side: int) -> Any:
    for r in range(side):
        here, there = start + r * width, origin + r * down
        target, line = written[here : here + 3 * side], read[there : there + 3 * side]
        for b in range(3 * side):
            target[b] = line[b]


@part
def _copy_mirrored(written: Bytes, start: int, width: int, read: Bytes, origin: int, down: int, side: int) -> Any:
    """Copy lines with their pixels in reverse; `origin` is where the first begins that is read."""
    one, last = np.uint64(1), np.uint64(3 * side - 3)
    for r in range(side):
        here, there = start + r * width, origin + r * down
        target, line = written[here : here + 3 * side], read[there : there + 3 * side]
        for c in range(side):
            # With numbers that cannot be negative the loop is compiled into wide instructions.
            first = np.uint64(3 * c)
            other = last - first
            target[first] = line[other]
            target[first + one] = line[other + one]
            target[first + one + one] = line[other + one + one]


@part
def _copy_turned(written: Bytes, start: int, width: int, read: Bytes, origin: int, down: int, step: int, side: int) -> Any:
    for r in range(side):
        here, there = start + r * width, origin + r * down
        for c in range(side):
            for channel in range(3):
                written[here + 3 * c + channel] = read[there + c * step + channel]


@jit
def fill(out: Bytes, at: Whole, side: int, value: int) -> Any:
    """See `kernels.tiles.fill`."""
    for i in range(len(out)):
        ai = min(i, len(at) - 1)
        top, left = at[ai, 0, 0], at[ai, 0, 1]
        for r in range(side):
            for c in range(side):
                for channel in range(3):
                    out[i, top + r, left + c, channel] = value


@jit
def equal(result: NDArray[np.bool_], pictures: Bytes, first: Whole, second: Whole, side: int) -> Any:
    """See `kernels.tiles.equal`."""
    count, many = result.shape
    wide, line = 3 * pictures.shape[2], 3 * side
    flat = pictures.reshape(count, -1)
    for i in range(count):
        fi, si = min(i, len(first) - 1), min(i, len(second) - 1)
        for j in range(many):
            one, other = (
                first[fi, j, 0] * wide + 3 * first[fi, j, 1],
                second[si, j, 0] * wide + 3 * second[si, j, 1],
            )
            alike = True
            for r in range(side if one != other else 0):
                for b in range(line):
                    if flat[i, one + r * wide + b] != flat[i, other + r * wide + b]:
                        alike = False
                        break
                if not alike:
                    break
            result[i, j] = alike


@jit
def recolour(out: Bytes, to: Whole, pictures: Bytes, channels: Whole) -> Any:
    """See `kernels.tiles.recolour`."""
    side = pictures.shape[1]
    for i in range(len(out)):
        ti = min(i, len(to) - 1)
        for j in range(to.shape[1]):
            red, green, blue = channels[i, j, 0], channels[i, j, 1], channels[i, j, 2]
            top, left = to[ti, j, 0], to[ti, j, 1]
            for r in range(side):
                for c in range(side):
                    out[i, top + r, left + c, 0] = pictures[i, r, c, red]
                    out[i, top + r, left + c, 1] = pictures[i, r, c, green]
                    out[i, top + r, left + c, 2] = pictures[i, r, c, blue]


@jit
def relight(tiles: Bytes, gain: Whole, level: Whole, slope: Whole) -> Any:
    """See `kernels.tiles.relight`."""
    count, many, side = tiles.shape[:3]
    added = np.empty(3 * side, np.int32)
    for i in range(count):
        for j in range(many):
            factor, slanted = np.int32(gain[i, j]), slope[i, j, 0] != 0 or slope[i, j, 1] != 0
            for r in range(side):
                if r == 0 or slanted:
                    write_added(added, gain[i, j], level[i, j], slope[i, j], r)
                row = tiles[i, j, r].reshape(-1)
                for k in range(len(added)):
                    value = np.int32(np.int32(row[k]) * factor + added[k])  # 32 bits, so that many are worked on at once
                    row[k] = min(max(128 + (value >> 10), 0), 255)


@part
def write_added(added: NDArray[np.int32], gain: int, level: Whole, slope: Whole, r: int) -> None:
    """Write what is added to the products of a row, number by number, before they are reduced by 10 bits and rounded."""
    side = len(added) // 3
    for c in range(side):
        light = (slope[0] * (2 * r - side + 1) + slope[1] * (2 * c - side + 1)) // side
        for channel in range(3):
            added[3 * c + channel] = level[channel] + light - 128 * gain + 512


@jit
def grain(tiles: Bytes, words: NDArray[np.uint64], strength: Whole) -> Any:
    """See `kernels.tiles.grain`."""
    count, many, side = tiles.shape[:3]
    for i in range(count):
        for j in range(many):
            for r in range(side):
                for c in range(side):
                    rest = words[i, j, r, c]
                    for channel in range(3):
                        number = np.int64(rest & np.uint64(255))
                        rest >>= np.uint64(8)
                        added = ((2 * number - 255) * strength[i, j] + 128) >> 8
                        tiles[i, j, r, c, channel] = min(max(np.int64(tiles[i, j, r, c, channel]) + added, 0), 255)


def warm() -> None:
    """Compile, or load what was compiled before."""
    picture, corner = np.zeros((1, 1, 1, 3), np.uint8), np.zeros((1, 1, 2), np.int64)
    place(picture.copy(), corner, picture, corner, 1, np.zeros((1, 1), np.uint8))
    fill(picture.copy(), corner, 1, 0)
    equal(np.zeros((1, 1), np.bool_), picture, corner, corner, 1)
    channels = np.zeros((1, 1, 3), np.int64)
    recolour(picture.copy(), corner, picture, channels)
    relight(picture[None], channels[..., 0].copy(), channels, corner)
    grain(picture[None], np.zeros((1, 1, 1, 1), np.uint64), channels[..., 0].copy())
