"""ImageSource: an immutable set of pictures, split by content, that hands out views in batches.

Views are cut, scaled and turned by integer arithmetic alone, pixel by pixel, so that an instance is the same bits in every
batch and on every machine. A turn by a multiple of 90 degrees is an exact transpose of the upright view: the same pixels
are interpolated at the same positions, and only the order of the output differs.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ssl4rl_envs.stream import SPLITS, check_split

_UNIT_BITS = 12
UNIT = 1 << _UNIT_BITS
"""Positions and lengths of views are integers in 1/4096 of a source pixel."""

TURN = 2880
"""Angles of views are integers in 1/2880 of a full turn (1/8 of a degree)."""

SPLIT_SHARES = {"train": 0.70, "validation": 0.15, "test": 0.15}

_ONE = 1 << 14  # fixed-point 1.0 of sines and cosines
_CHUNK = 1 << 16  # output pixels worked on at once: what fits a core's cache
_COS = np.array([round(math.cos(2 * math.pi * k / TURN) * _ONE) for k in range(TURN)], np.int64)
_LOW_LANES = np.uint32(0x00FF00FF)
_HALF_LANES = np.uint32(0x00800080)


def content_key(image: NDArray[np.uint8]) -> bytes:
    """Return a digest of a picture's pixels and shape."""
    return hashlib.blake2b(repr(image.shape).encode() + image.tobytes(), digest_size=16).digest()


def split_of(key: bytes) -> str:
    """Return the split of the item with this content digest: a fixed share of the digest's range each.

    It depends on nothing else, so adding pictures to a collection never moves one across a split.
    """
    position = int.from_bytes(key[:8], "big") / 2**64
    for split in SPLITS:
        position -= SPLIT_SHARES[split]
        if position < 0:
            return split
    return SPLITS[-1]


class ImageSource:
    """Pictures of any sizes, held in memory with their reductions by 2, 4, 8, ...

    Args:
        images: uint8 arrays, RGB (height, width, 3) or grey (height, width), at least 4 pixels on the shorter side.
        name: how to call it in messages.
        min_zoom: smallest side of a view as a share of the picture's shorter side, in (0, 1]; 1 shows pictures whole.
        keys: a content digest for each picture (`content_key` of its own pixels by default); pictures that must not be
            separated by the splits share one.

    Attributes:
        heights, widths: (items,) in pixels.

    Raises:
        ValueError: there is no picture, or one is not of these shapes.
    """

    def __init__(
        self,
        images: Sequence[NDArray[np.uint8]],
        *,
        name: str = "arrays",
        min_zoom: float = 0.6,
        keys: Sequence[bytes] | None = None,
    ) -> None:
        if len(images) == 0:
            raise ValueError(f"source {name!r} holds no picture")
        if not 0 < min_zoom <= 1:
            raise ValueError(f"min_zoom must lie in (0, 1], got {min_zoom}")
        rgb = [as_rgb(image, f"picture {i} of source {name!r}") for i, image in enumerate(images)]
        self.name, self.min_zoom = name, min_zoom
        self.heights = np.array([image.shape[0] for image in rgb], np.int64)
        self.widths = np.array([image.shape[1] for image in rgb], np.int64)
        self._build_pyramids(rgb)
        keys = [content_key(image) for image in rgb] if keys is None else keys
        assigned = np.array([SPLITS.index(split_of(key)) for key in keys])
        self._items = {split: np.flatnonzero(assigned == i) for i, split in enumerate(SPLITS)}

    def __len__(self) -> int:
        return len(self.heights)

    def __repr__(self) -> str:
        sizes = ", ".join(f"{split} {len(items)}" for split, items in self._items.items())
        return f"<{type(self).__name__} {self.name!r}: {sizes}>"

    def __deepcopy__(self, memo: dict[int, Any]) -> ImageSource:
        return self

    @property
    def splits(self) -> tuple[str, ...]:
        """The splits that hold at least one picture."""
        return tuple(split for split, items in self._items.items() if len(items))

    def items(self, split: str) -> NDArray[np.int64]:
        """Return the items of a split.

        Raises:
            ValueError: the split is unknown or got no item.
        """
        items = self._items[check_split(split)]
        if not len(items):
            raise ValueError(
                f"source {self.name!r} has {len(self)} pictures and none of them falls into the split {split!r}; "
                "the content of a picture decides its split (70 / 15 / 15 %), so add more pictures"
            )
        return items

    def views(
        self,
        items: NDArray[np.int64],
        x: NDArray[np.int64],
        y: NDArray[np.int64],
        side: NDArray[np.int64],
        angle: NDArray[np.int64],
        size: int,
        *,
        oversample: bool = False,
    ) -> NDArray[np.uint8]:
        """Cut square views out of pictures and turn what they show.

        Args:
            items: (n,) which pictures.
            x, y: (n,) centres of the views, in 1/4096 pixel from the left and the upper edge.
            side: (n,) sides of the views, in 1/4096 pixel.
            angle: (n,) by how much the picture is turned counter-clockwise, in 1/2880 of a full turn.
            size: side of the output in pixels.
            oversample: draw at twice the size and reduce by a 6-tap binomial low-pass. For turns that are no multiples of
                90 degrees: it leaves no trace of the interpolation's direction.

        Returns:
            uint8 (n, size, size, 3). Outside a picture its edge pixels are repeated.
        """
        drawn = 2 * size + 4 if oversample else size
        result = np.empty((len(items), size, size, 3), np.uint8)
        # With a margin of two pixels all round, the low-pass needs no invented border.
        scale = side if not oversample else side * (size + 2) // size
        chunk = max(1, _CHUNK // (drawn * drawn))
        for start in range(0, len(items), chunk):
            rows = slice(start, start + chunk)
            pixels = self._draw(items[rows], x[rows], y[rows], scale[rows], angle[rows], drawn)
            result[rows] = _reduce(pixels)[:, 1:-1, 1:-1] if oversample else pixels
        return result

    def _build_pyramids(self, images: Sequence[NDArray[np.uint8]]) -> None:
        """Lay all reductions of all pictures end to end as packed RGB words, with a table of where each level is."""
        levels: list[list[NDArray[np.uint8]]] = []
        for image in images:
            pyramid = [image]
            while min(pyramid[-1].shape[:2]) >= 8:
                pyramid.append(_halve(pyramid[-1]))
            levels.append(pyramid)
        depth = max(len(pyramid) for pyramid in levels)
        self._offsets, self._level_heights, self._level_widths = (np.zeros((len(images), depth), np.int64) for _ in range(3))
        self._depths = np.array([len(pyramid) for pyramid in levels], np.int64)
        self._pixels = np.empty(sum(level.shape[0] * level.shape[1] for p in levels for level in p), np.uint32)
        end = 0
        for item, pyramid in enumerate(levels):
            for depth_index, level in enumerate(pyramid):
                height, width = level.shape[:2]
                self._offsets[item, depth_index] = end
                self._level_heights[item, depth_index] = height
                self._level_widths[item, depth_index] = width
                words = level.astype(np.uint32)
                packed = words[..., 0] | words[..., 1] << np.uint32(8) | words[..., 2] << np.uint32(16)
                self._pixels[end : end + height * width] = packed.ravel()
                end += height * width

    def _draw(
        self,
        items: NDArray[np.int64],
        x: NDArray[np.int64],
        y: NDArray[np.int64],
        side: NDArray[np.int64],
        angle: NDArray[np.int64],
        size: int,
    ) -> NDArray[np.uint8]:
        """Interpolate bilinearly in the finest reduction whose pixels are no smaller than half those of the output."""
        level = np.zeros(len(items), np.int64)
        while np.any(finer := (side >> level > size * UNIT) & (level + 1 < self._depths[items])):
            level += finer
        # Doubled coordinates of output pixels from the centre: -(size - 1), ..., size - 1, symmetric about 0.
        offsets = 2 * np.arange(size, dtype=np.int64) - (size - 1)
        cosine, sine = _COS[angle % TURN], _COS[(angle - TURN // 4) % TURN]

        def term(factor: NDArray[np.int64], along: NDArray[np.int64]) -> NDArray[np.int32]:
            scaled = (side * factor)[:, None] * along[None, :] // (2 * size * _ONE)
            return (scaled >> level[:, None]).astype(np.int32)

        # Centres move from edge-based positions to those of pixel centres at the level.
        centre_x, centre_y = (((c >> level) - UNIT // 2).astype(np.int32) for c in (x, y))
        columns = (centre_x[:, None] + term(cosine, offsets))[:, None, :] + term(sine, -offsets)[:, :, None]
        rows = (centre_y[:, None] + term(cosine, offsets))[:, :, None] + term(sine, offsets)[:, None, :]
        return self._interpolate(items, level, columns, rows)

    def _interpolate(
        self, items: NDArray[np.int64], level: NDArray[np.int64], columns: NDArray[Any], rows: NDArray[Any]
    ) -> NDArray[np.uint8]:
        """Blend the four pixels round each position (in 1/4096 pixel of the level); two colours a word at a time."""
        width = self._level_widths[items, level].astype(np.int32)[:, None, None]
        height = self._level_heights[items, level].astype(np.int32)[:, None, None]
        columns = np.clip(columns, 0, (width - 1) * UNIT - 1)
        rows = np.clip(rows, 0, (height - 1) * UNIT - 1)
        corner = self._offsets[items, level][:, None, None] + ((rows >> _UNIT_BITS) * width + (columns >> _UNIT_BITS))
        right = ((columns & (UNIT - 1)) >> (_UNIT_BITS - 8)).astype(np.uint32)
        down = ((rows & (UNIT - 1)) >> (_UNIT_BITS - 8)).astype(np.uint32)
        left, up = np.uint32(256) - right, np.uint32(256) - down
        taps = [self._pixels.take(corner + step) for step in (0, 1)]
        taps += [self._pixels.take(corner + width + step) for step in (0, 1)]
        words = np.zeros(columns.shape, np.uint32)
        for shift in (np.uint32(0), np.uint32(8)):
            a, b, c, d = ((tap >> shift) & _LOW_LANES for tap in taps)
            above = ((a * left + b * right + _HALF_LANES) >> np.uint32(8)) & _LOW_LANES
            below = ((c * left + d * right + _HALF_LANES) >> np.uint32(8)) & _LOW_LANES
            words |= (((above * up + below * down + _HALF_LANES) >> np.uint32(8)) & _LOW_LANES) << shift
        channels: NDArray[np.uint8] = words.astype("<u4", copy=False).view(np.uint8).reshape(*words.shape, 4)
        return np.asarray(channels[..., :3], np.uint8)


def as_rgb(image: NDArray[Any], what: str) -> NDArray[np.uint8]:
    """Return a picture as uint8 RGB (height, width, 3); grey is repeated.

    Raises:
        ValueError: it is not uint8, not of a picture's shape, or smaller than 4 pixels.
    """
    array = np.asarray(image)
    if array.ndim == 2:
        array = np.repeat(array[..., None], 3, axis=2)
    if array.dtype != np.uint8 or array.ndim != 3 or array.shape[2] != 3:
        raise ValueError(
            f"{what} must be uint8 of shape (height, width, 3) or (height, width), got {array.dtype} {np.shape(image)}"
        )
    if min(array.shape[:2]) < 4:
        raise ValueError(f"{what} must be at least 4 pixels wide and high, got {array.shape[1]} x {array.shape[0]}")
    return np.ascontiguousarray(array)


def _halve(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Reduce a picture to half its size by the binomial filter (1, 3, 3, 1) / 8 along both axes."""
    height, width = image.shape[:2]
    padded = np.pad(image, ((1, 1 + height % 2), (1, 1 + width % 2), (0, 0)), mode="edge").astype(np.uint32)
    rows = padded[0:-3:2] + 3 * padded[1:-2:2] + 3 * padded[2:-1:2] + padded[3::2]
    both = rows[:, 0:-3:2] + 3 * rows[:, 1:-2:2] + 3 * rows[:, 2:-1:2] + rows[:, 3::2]
    return ((both + 32) >> 6).astype(np.uint8)


def _reduce(images: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Reduce pictures (n, 2k, 2k, 3) to half by the binomial filter (1, 5, 10, 10, 5, 1) / 32 along both axes."""
    padded = np.pad(images, ((0, 0), (2, 2), (2, 2), (0, 0)), mode="edge").astype(np.uint32)
    half = images.shape[1] // 2
    rows = np.zeros((len(images), half, *padded.shape[2:]), np.uint32)
    both = np.zeros((len(images), half, half, 3), np.uint32)
    weights = np.array((1, 5, 10, 10, 5, 1), np.uint32)
    for k, weight in enumerate(weights):
        rows += weight * padded[:, k : k + 2 * half : 2]
    for k, weight in enumerate(weights):
        both += weight * rows[:, :, k : k + 2 * half : 2]
    return ((both + np.uint32(512)) >> np.uint32(10)).astype(np.uint8)
