"""How pictures are kept to be drawn from: as bytes, with their reductions by 2, 4, 8, ..., one behind the other.

Three bytes a pixel, and one where a picture is grey. Nothing but two plain arrays, so that they may as well lie in files that
are mapped into memory. The pictures may be of any sizes and shapes, and each is reduced by itself: in another process, if
there are many.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ssl4rl_envs.kernels import reductions

START, HEIGHT, WIDTH, CHANNELS, ENLARGED = range(5)
"""Columns of `Stored.table`."""


@dataclass(frozen=True)
class Stored:
    """Pictures with their reductions.

    Attributes:
        pixels: uint8 (bytes,), the pictures as `reduced` gives them, in any order.
        table: int64 (items, 5), a row a picture as `entry` gives it: where its bytes begin, its height and width in pixels,
            how many channels it has (3, or 1 if it is grey), and how many times it was doubled in size before it was stored:
            positions of views count pixels before that.

    Arrays that are mapped from files, and cannot be written, will do: ``Stored(np.load(one, mmap_mode="r"), ...)``. The table
    is looked into at random; it takes 40 bytes a picture and is best held in memory.
    """

    pixels: NDArray[np.uint8]
    table: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.table)

    def picture(self, item: int) -> NDArray[np.uint8]:
        """Return a picture as it was stored, uint8 (height, width, channels), without copying."""
        start, height, width, channels = (int(value) for value in self.table[item, :ENLARGED])
        return self.pixels[start : start + height * width * channels].reshape(height, width, channels)


def without_colour(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return a picture (height, width, 3) as it is, and as (height, width, 1) if its channels are equal everywhere."""
    grey = image.shape[2] == 3 and bool((image[..., 0] == image[..., 1]).all() and (image[..., 0] == image[..., 2]).all())
    return image[..., :1] if grey else image


def reduced(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return a picture and its reductions as bytes.

    Args:
        image: uint8 (height, width, channels), of 3 channels or 1.

    Returns:
        uint8 (bytes,), levels from the largest to the smallest, each row by row.
    """
    result = np.empty(reductions.room(*image.shape), np.uint8)
    _reduce_into(result, image)
    return result


def entry(image: NDArray[np.uint8], start: int, enlarged: int = 0) -> tuple[int, int, int, int, int]:
    """Return the row of the table for a picture whose bytes begin at `start`; see `Stored`."""
    return (start, *image.shape, enlarged)


def store(images: Sequence[NDArray[np.uint8]], enlarged: Sequence[int] | None = None) -> Stored:
    """Return pictures as they are stored, grey ones without colour.

    Args:
        images: uint8 (height, width, 3) or (height, width, 1), each at least 2 x 2.
        enlarged: how many times each of them was doubled in size.
    """
    kept = [without_colour(image) for image in images]
    ends = np.cumsum([reductions.room(*image.shape) for image in kept])
    starts = [0, *ends[:-1].tolist()]
    pixels = np.empty(int(ends[-1]), np.uint8)
    for image, start, end in zip(kept, starts, ends.tolist(), strict=True):
        _reduce_into(pixels[start:end], image)
    rows = zip(kept, starts, [0] * len(kept) if enlarged is None else enlarged, strict=True)
    return Stored(pixels, np.array([entry(*row) for row in rows], np.int64))


def _reduce_into(out: NDArray[np.uint8], image: NDArray[np.uint8]) -> None:
    height, width, channels = image.shape
    out[: image.size] = image.reshape(-1)
    reductions.reduce(out, height, width, channels)
