"""Changes of pictures, in NumPy, a batch at once. The arguments are explained in `kernels.augmentations`."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Bytes = NDArray[np.uint8]
Floats = NDArray[np.float32]
Flags = NDArray[np.bool_]
Whole = NDArray[np.int64]

_HUES = 255  # steps of Pillow's circle of hues; 255 is 0 again
_CHUNK = 1 << 15  # pixels worked on at once: what fits a core's cache


def change(
    pictures: Bytes,
    mirrored: Flags,
    upended: Flags,
    brightness: Floats,
    contrast: Floats,
    saturation: Floats,
    hue: Floats,
    grey: Flags,
    reaches: Whole,
    kinds: Whole,
    taps: NDArray[np.int32],
    threshold: Floats,
) -> None:
    """See `kernels.augmentations.change`."""
    steps = (
        (mirrored, lambda some, _: some[:, :, ::-1]),
        (upended, lambda some, _: some[:, ::-1]),
        (brightness != 1, lambda some, rows: blend(np.float32(0), some, brightness[rows])),
        (contrast != 1, lambda some, rows: blend(mean_luma(some), some, contrast[rows])),
        (saturation != 1, lambda some, rows: blend(luma(some).astype(np.float32)[..., None], some, saturation[rows])),
        (hue != 0, lambda some, rows: turn_hues(some, hue[rows])),
        (grey, lambda some, _: np.repeat(luma(some)[..., None], 3, axis=-1).astype(np.uint8)),
        (reaches > 0, lambda some, rows: blur(some, taps[kinds[rows]])),
        (threshold < 256, lambda some, rows: solarise(some, threshold[rows])),
    )
    count = max(1, _CHUNK // (pictures.shape[1] * pictures.shape[2]))
    for start in range(0, len(pictures), count):
        part = slice(start, start + count)
        for applies, step in steps:
            rows = start + np.flatnonzero(applies[part])
            if len(rows):
                pictures[rows] = step(pictures[rows], rows)


def luma(pictures: Bytes) -> NDArray[np.uint32]:
    """Return Pillow's luma (n, h, w): 0.299 red + 0.587 green + 0.114 blue in 1/65536, rounded."""
    red, green, blue = (pictures[..., channel].astype(np.uint32) for channel in range(3))
    return np.asarray((red * 19595 + green * 38470 + blue * 7471 + 32768) >> 16, np.uint32)


def mean_luma(pictures: Bytes) -> Floats:
    """Return the mean luma of pictures, rounded, (n, 1, 1, 1)."""
    values = luma(pictures)
    count = values.shape[1] * values.shape[2]
    mean = (2 * values.sum(axis=(1, 2), dtype=np.int64) + count) // (2 * count)
    return np.asarray(mean.astype(np.float32)[:, None, None, None], np.float32)


def blend(ground: Any, pictures: Bytes, factor: Floats) -> Bytes:
    """Go from `ground` (0) to `pictures` (1) and beyond, rounded down as Pillow's ``Image.blend`` does in float32."""
    blended: Floats = pictures - ground
    blended *= factor[:, None, None, None]
    blended += ground
    return np.asarray(np.clip(blended, 0, 255, out=blended).astype(np.uint8))


def turn_hues(pictures: Bytes, steps: Floats) -> Bytes:
    """Turn hues by 255ths of their circle, as through Pillow's ``convert("HSV")`` and back."""
    red, green, blue = np.moveaxis(pictures, -1, 0).astype(np.float32)  # whole numbers throughout, so exact
    value = np.maximum(np.maximum(red, green), blue)
    chroma = value - np.minimum(np.minimum(red, green), blue)
    sixths = np.where(green == value, blue - red + 2 * chroma, red - green + 4 * chroma)
    sixths = np.where(red == value, green - blue, sixths)
    saturation = np.floor(_HUES * chroma / np.maximum(value, 1))
    hue = np.floor(_HUES / 6 * sixths / np.maximum(chroma, 1)) + steps[:, None, None]
    hue += _HUES * (hue < 0).astype(np.float32)
    hue -= _HUES * (hue >= _HUES).astype(np.float32)
    # A channel lacks value * saturation * share, its share in 1/85 being a ramp from 0 to 1 over a sixth of the circle.
    lacking = value * saturation
    ramps = (170 - np.abs(2 * hue - 255), np.abs(2 * hue - 170) - 85, np.abs(2 * hue - 340) - 85)
    result = np.empty_like(pictures)
    for channel, ramp in enumerate(ramps):
        share = np.clip(ramp, 0, 85)
        result[..., channel] = value - np.floor((lacking * share + 85 * _HUES // 2) / (85 * _HUES))
    return result


def blur(pictures: Bytes, taps: NDArray[np.int32]) -> Bytes:
    """Replace columns, then rows, by sums weighted by taps (n, k), rounded after each; the edges are repeated."""
    result, reach = pictures, taps.shape[1] // 2
    for axis in (2, 1):
        pad = [(reach, reach) if a == axis else (0, 0) for a in range(4)]
        padded = np.pad(result, pad, mode="edge").astype(np.int32)
        total = np.full(pictures.shape, 1 << 15, np.int32)
        for k in range(taps.shape[1]):
            window = padded[:, :, k : k + pictures.shape[2]] if axis == 2 else padded[:, k : k + pictures.shape[1]]
            total += taps[:, k, None, None, None] * window
        result = (total >> 16).astype(np.uint8)
    return result


def solarise(pictures: Bytes, threshold: Floats) -> Bytes:
    """Invert values of at least a threshold (n,)."""
    return np.asarray(np.where(pictures < threshold[:, None, None, None], pictures, 255 - pictures), np.uint8)
