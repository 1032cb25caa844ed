"""Things drawn over pictures, and their differences, in NumPy. The arguments are explained in `kernels.casts`."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ssl4rl_envs.kernels.casts import KEY
from ssl4rl_envs.kernels.reference.scenes import packed, paint_shapes, unpacked, view_frame
from ssl4rl_envs.sources.base import UNIT
from ssl4rl_envs.sources.scene_parts import of_parts, placed_parts, roles_of
from ssl4rl_envs.sources.scenery import SIDE

Integers = NDArray[np.int64]


def paint(out: NDArray[np.uint8], backdrop: NDArray[np.uint8], things: Integers, poses: NDArray[np.float64]) -> None:
    """See `kernels.casts.paint`."""
    count, frames, size = out.shape[:3]
    if not out.size:
        return
    canvas = np.repeat(packed(backdrop.astype(np.float64)), frames, axis=0)
    kind, colour, accent = np.moveaxis(np.repeat(things, frames, axis=0), -1, 0)
    x, y, scale, flip = np.moveaxis(poses.reshape(count * frames, *poses.shape[2:]), -1, 0)
    shapes = placed_parts(kind, (x, y, scale, flip), of_parts(roles_of(colour, accent, np.ones(kind.shape)), kind))
    whole = np.full(len(canvas), SIDE * UNIT, np.int64)
    paint_shapes(canvas, shapes, view_frame(whole // 2, whole // 2, whole, np.zeros_like(whole), size))
    out[...] = unpacked(canvas).reshape(out.shape)


def changed(out: Integers, pictures: NDArray[np.uint8], pairs: Integers, least: int) -> None:
    """See `kernels.casts.changed`."""
    values = pictures.astype(np.int16)
    for number, (one, other) in enumerate(pairs.tolist()):
        apart = np.abs(values[:, one] - values[:, other]).sum(axis=-1)
        out[:, number] = (apart >= least).sum(axis=(1, 2))


def clear_places(out: Integers, pictures: NDArray[np.uint8], middles: NDArray[np.float64], reach: int) -> None:
    """See `kernels.casts.clear_places`."""
    size = pictures.shape[2]
    covers = (pictures != np.array(KEY, np.uint8)).any(axis=-1)
    points = (np.arange(size) + 0.5) / size
    inner = np.clip(np.maximum(np.minimum(np.arange(size), size - reach), reach - 1), 0, size - 1)
    for number in range(out.shape[1]):
        near = widened(np.delete(covers, number, axis=1).any(axis=1), reach)
        free = covers[:, number] & ~near[:, inner[:, None], inner]
        across, down = (points - middles[:, number, axis, None] for axis in (0, 1))
        away = np.where(free, (down * down)[:, :, None] + (across * across)[:, None], np.inf).reshape(len(out), -1)
        out[:, number] = np.where(free.reshape(len(out), -1).any(axis=1), away.argmin(axis=1), -1)


def widened(covers: NDArray[np.bool_], reach: int) -> NDArray[np.bool_]:
    """Return which pixels of (n, size, size) lie within so many rows and columns of a covered one."""
    result = covers
    for axis in (1, 2):
        length, pads = result.shape[axis], [(0, 0)] * 3
        pads[axis] = (reach + 1, reach)
        sums = np.pad(result, pads).cumsum(axis=axis, dtype=np.int32)
        first = np.arange(length)
        result = sums.take(first + 2 * reach + 1, axis) > sums.take(first, axis)
    return result
