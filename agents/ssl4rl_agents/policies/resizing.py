"""Resize pictures as Pillow does, to the last bit, on any device.

Pillow resamples bytes in two passes, one along rows and one along columns, with weights of 22 binary digits in integer
arithmetic, and rounds to a byte after each (libImaging/Resample.c). Sums of such products are whole numbers far below 2^53,
so a product of float64 matrices holds them exactly, whatever the order of its additions: a GPU gives Pillow's very bytes.
Which pass comes first depends on Pillow's version and on the sizes, so Pillow is asked.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

DIGITS = 22
"""Binary digits of a weight behind the point: of 32 bits, 8 hold a byte and 2 are room for sums."""

AT_A_TIME = 2**24
"""Most float64 numbers that exist at a time of what is resized on a GPU."""


def _box(x: float) -> float:
    return 1.0 if -0.5 < x <= 0.5 else 0.0


def _bilinear(x: float) -> float:
    return max(1.0 - abs(x), 0.0)


def _hamming(x: float) -> float:
    x = abs(x)
    if x == 0.0:
        return 1.0
    x *= math.pi
    return 0.0 if x >= math.pi else math.sin(x) / x * (float(np.float32(0.54)) + float(np.float32(0.46)) * math.cos(x))


def _bicubic(x: float) -> float:
    a, x = -0.5, abs(x)
    if x < 1.0:
        return ((a + 2.0) * x - (a + 3.0)) * x * x + 1
    return (((x - 5) * x + 8) * x - 4) * a if x < 2.0 else 0.0


def _lanczos(x: float) -> float:
    def sinc(y: float) -> float:
        return 1.0 if y == 0.0 else math.sin(y * math.pi) / (y * math.pi)

    return sinc(x) * sinc(x / 3) if -3.0 <= x < 3.0 else 0.0


FILTERS: dict[int, tuple[Callable[[float], float], float]] = {
    Image.Resampling.BICUBIC: (_bicubic, 2.0),
    Image.Resampling.BILINEAR: (_bilinear, 1.0),
    Image.Resampling.LANCZOS: (_lanczos, 3.0),
    Image.Resampling.BOX: (_box, 0.5),
    Image.Resampling.HAMMING: (_hamming, 1.0),
}
"""Pillow's filters and how far each reaches."""


@functools.lru_cache(maxsize=64)
def weights(before: int, after: int, resample: int) -> NDArray[np.int64]:
    """Return Pillow's weights for a row of pixels, (after, before), as multiples of 2^-22.

    Args:
        before, after: pixels of a row.
        resample: a key of `FILTERS`.
    """
    function, reach = FILTERS[resample]
    scale = before / after
    stretch = max(scale, 1.0)
    support = reach * stretch
    found = np.zeros((after, before), np.int64)
    for place in range(after):
        center = (place + 0.5) * scale
        first = max(int(center - support + 0.5), 0)
        last = min(int(center + support + 0.5), before)
        taps = [function((x + first - center + 0.5) * (1.0 / stretch)) for x in range(last - first)]
        total = functools.reduce(lambda sum_, tap: sum_ + tap, taps, 0.0)
        for x, tap in enumerate(taps):
            share = tap / total if total != 0.0 else tap
            found[place, first + x] = int(math.copysign(0.5, share) + share * (1 << DIGITS))
    return found


def resize(pictures: Tensor, height: int, width: int, resample: int) -> Tensor:
    """Resize pictures (n, rows, columns, 3) uint8 to (n, height, width, 3), bit for bit as Pillow does.

    On the CPU it is Pillow that does it.
    """
    if pictures.shape[1:3] == (height, width):
        return pictures
    if pictures.device.type == "cpu":
        done = [
            np.asarray(Image.fromarray(picture).resize((width, height), Image.Resampling(resample)))
            for picture in pictures.numpy()
        ]
        return torch.from_numpy(np.stack(done))
    return resize_by_products(pictures, height, width, resample)


def resize_by_products(pictures: Tensor, height: int, width: int, resample: int) -> Tensor:
    """Do as `resize` does by matrix products in float64.

    Raises:
        ValueError: Pillow resizes these sizes in another way than is known here.
    """
    order = order_of(pictures.shape[1], pictures.shape[2], height, width, resample)
    most = max(pictures[0].numel(), 3 * height * pictures.shape[2], 3 * width * pictures.shape[1], 1)
    parts = torch.split(pictures, max(1, AT_A_TIME // most))
    return torch.cat([_in_passes(part, height, width, resample, order) for part in parts])


@functools.lru_cache(maxsize=64)
def order_of(rows: int, columns: int, height: int, width: int, resample: int) -> str:
    """Return the passes in which Pillow resizes pictures of one size to another: "rows columns", or the other way round.

    Raises:
        ValueError: neither gives Pillow's bytes.
    """
    count = 1 + 2**16 // (rows * columns)  # orders that differ do so seldom in small pictures
    shown = np.random.default_rng(0).choice(np.array([0, 1, 254, 255], np.uint8), (count, rows, columns, 3))
    probe = torch.from_numpy(shown)
    expected = resize(probe, height, width, resample)
    for order in ("rows columns", "columns rows"):
        if torch.equal(_in_passes(probe, height, width, resample, order), expected):
            return order
    raise ValueError(f"Pillow resizes {rows} x {columns} to {height} x {width} in a way that is not known here")


def _in_passes(pictures: Tensor, height: int, width: int, resample: int, order: str) -> Tensor:
    planes = pictures.permute(0, 3, 1, 2).double()
    for along in order.split():
        if along == "rows" and planes.shape[3] != width:
            planes = _bytes(planes @ _matrix(planes.shape[3], width, resample, planes.device).T)
        if along == "columns" and planes.shape[2] != height:
            planes = _bytes(_matrix(planes.shape[2], height, resample, planes.device) @ planes)
    return planes.to(torch.uint8).permute(0, 2, 3, 1).contiguous()


def _matrix(before: int, after: int, resample: int, device: torch.device) -> Tensor:
    return torch.from_numpy(weights(before, after, resample)).double().to(device)


def _bytes(sums: Tensor) -> Tensor:
    """Round sums of weighted bytes to bytes, halves up."""
    return ((sums + (1 << (DIGITS - 1))) / (1 << DIGITS)).floor_().clamp_(0, 255)
