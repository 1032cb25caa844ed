"""Pictures that show no direction of their pixel lattice, for turns by any angle.

They are blurred by a Gaussian, which knows no direction, until little is left at the lattice's own frequencies, and small
ones are enlarged by B-spline subdivision so that interpolation between far pixels leaves no pattern.
"""

from __future__ import annotations

import threading

import numpy as np
from numpy.typing import NDArray

from ssl4rl_envs.kernels import reductions, smoothing, threads
from ssl4rl_envs.sources.base import Views
from ssl4rl_envs.sources.pyramid import Pyramid
from ssl4rl_envs.sources.stored import WIDTH, Stored, entry, reduced

SMOOTH_SIDE = 128
"""Smoothed pictures are enlarged until their shorter side has at least this many pixels."""

MOST_KEPT = 1 << 28
"""Bytes of smoothed pictures that a thread keeps: what 600 pictures of 256 x 341 pixels take."""


def smooth(picture: NDArray[np.uint8]) -> tuple[NDArray[np.uint8], int]:
    """Return a picture (height, width, channels) smoothed, and how many times it was doubled in size."""
    result, doublings = smoothing.blur(picture), 0
    while min(result.shape[:2]) < SMOOTH_SIDE:
        result, doublings = smoothing.double(result), doublings + 1
    return result, doublings


class Smoothed(threading.local):
    """Views of the smoothed pictures of a store, which are smoothed as they are asked for.

    The last ones are kept, by each thread for itself: so nothing is locked, and a process that is forked finds them.
    """

    def __init__(self, stored: Stored, most: int = MOST_KEPT) -> None:
        self._stored = stored
        self._bytes = np.empty(most, np.uint8)  # which takes no memory before it is written
        self._forget()

    def pixels(self, views: Views, size: int, angle: NDArray[np.int64] | int) -> NDArray[np.uint8]:
        """Draw views at twice the size, and reduce them; see `PictureSource.pixels`."""
        items = np.unique(views.items)
        if not self._hold(items) and len(items) > 1:
            half, angles = len(views) // 2, np.broadcast_to(angle, len(views))
            parts = [
                self.pixels(Views(*(each[rows] for each in (views.items, views.x, views.y, views.side))), size, angles[rows])
                for rows in (slice(half), slice(half, None))
            ]
            return np.concatenate(parts)
        # With a margin of one output pixel all round, the low-pass needs no invented border.
        wider = Views(views.items, views.x, views.y, views.side * (size + 2) // size)
        return Pyramid(Stored(self._bytes, self._table)).halved(wider, size, angle)

    def _forget(self) -> None:
        self._end, self._table = 0, np.zeros_like(self._stored.table)

    def _hold(self, items: NDArray[np.int64]) -> bool:
        """Smooth the items, each given once, that are not kept; return whether there is room for all."""
        missing = items[self._table[items, WIDTH] == 0]
        needed = [self._room(item) for item in missing.tolist()]
        if self._end + sum(needed) > len(self._bytes):
            if self._end:
                self._forget()
                return self._hold(items)
            if len(items) > 1:
                return False
            self._bytes = np.empty(needed[0], np.uint8)
        starts = self._end + np.cumsum([0, *needed[:-1]])
        stored, table, kept = self._stored, self._table, self._bytes  # this thread's, for others to write to

        def work(rows: slice) -> None:
            for item, start in zip(missing[rows].tolist(), starts[rows].tolist(), strict=True):
                picture, doublings = smooth(stored.picture(item))
                flat = reduced(picture)
                kept[start : start + len(flat)] = flat
                table[item] = entry(picture, start, doublings)

        threads.share(len(missing), work, 1)
        self._end += sum(needed)
        return True

    def _room(self, item: int) -> int:
        _, height, width, channels, _ = self._stored.table[item].tolist()
        while min(height, width) < SMOOTH_SIDE:
            height, width = 2 * height, 2 * width
        return reductions.room(height, width, channels)
