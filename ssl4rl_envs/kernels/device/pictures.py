"""Views of pictures, drawn by torch. The arguments are explained in `kernels.pictures`, as tensors of one device."""

from __future__ import annotations

from functools import cache

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ssl4rl_envs.kernels.device import tiles
from ssl4rl_envs.kernels.pictures import COSINES, ONE
from ssl4rl_envs.kernels.reductions import LEAST
from ssl4rl_envs.kernels.tiles import WHOLE, lattice
from ssl4rl_envs.sources.base import TURN, UNIT, UNIT_BITS

_CHUNK = 1 << 24  # output pixels worked on at once: each takes about a hundred bytes on the way


def draw(out: Tensor, pixels: Tensor, table: Tensor, where: Tensor, to: NDArray[np.int64] = WHOLE) -> None:
    """See `kernels.pictures.draw`."""
    size = out.shape[1]
    chunk = max(1, _CHUNK // max(1, size * size))
    for start in range(0, len(out), chunk):
        rows = slice(start, start + chunk)
        _draw(out[rows], pixels, table[where[rows, 0]], where[rows])
    if to.shape[1] > 1:
        tiles.place(out, to, out.clone(), *lattice(size, to.shape[1]))


@cache
def _cosines(device: torch.device) -> Tensor:
    return torch.tensor(COSINES, device=device)


def _draw(out: Tensor, pixels: Tensor, pictures: Tensor, views: Tensor) -> None:
    size, (_, x, y, side, angle) = out.shape[1], views.unbind(1)
    enlarged = pictures[:, 4]
    x, y, side = (values << enlarged for values in (x, y, side))
    level, (start, height, width, channels) = _levels(pictures, side, size)
    along = 2 * torch.arange(size, device=out.device) - (size - 1)
    divisor = ((2 * size * ONE) << level)[:, None]
    cosines = _cosines(out.device)
    right, down = (
        torch.div((side * cosines[turn % TURN])[:, None] * along, divisor, rounding_mode="trunc")  # alike on both sides of 0
        for turn in (angle, angle - TURN // 4)
    )
    x, y = ((c >> level) - UNIT // 2 for c in (x, y))
    columns = x[:, None, None] + right[:, None, :] - down[:, :, None]
    rows = y[:, None, None] + right[:, :, None] + down[:, None, :]
    _interpolate(out, pixels, (start, height, width, channels), (rows, columns))


def _levels(pictures: Tensor, side: Tensor, size: int) -> tuple[Tensor, tuple[Tensor, ...]]:
    """Return which reductions are drawn from, (n,), and where they begin, their heights, widths and channels, (n,) each."""
    start, height, width, channels, _ = pictures.unbind(1)
    level, coarsest = torch.zeros_like(side), max(1, int(side.max()) // (size * UNIT)).bit_length() if len(side) else 0
    for _ in range(coarsest + 1):
        coarser = (side >> level > size * UNIT) & (torch.minimum(height, width) >= LEAST)
        start = torch.where(coarser, start + height * width * channels, start)
        height, width = (torch.where(coarser, (length + 1) // 2, length) for length in (height, width))
        level = level + coarser
    return level, (start, height, width, channels)


def _interpolate(out: Tensor, pixels: Tensor, pictures: tuple[Tensor, ...], positions: tuple[Tensor, Tensor]) -> None:
    """Blend what is round positions, (n, size, size) rows and columns in 1/4096 of a pixel from the middle of the first."""
    start, height, width, channels = (values[:, None, None] for values in pictures)
    rows, columns = (
        torch.minimum(at.clamp_min(0), (count - 1) * UNIT) for at, count in zip(positions, (height, width), strict=True)
    )
    left, top = columns >> UNIT_BITS, rows >> UNIT_BITS
    right, below = columns & (UNIT - 1), rows & (UNIT - 1)
    corner = start + (top * width + left) * channels
    zero = torch.zeros((), dtype=torch.int64, device=out.device)
    beside = torch.where(left < width - 1, channels, zero)
    under = torch.where(top < height - 1, width * channels, zero)
    weights = ((UNIT - below) * (UNIT - right), (UNIT - below) * right, below * (UNIT - right), below * right)
    for channel in range(3):
        place = corner + torch.clamp_max(channels - 1, channel)
        total = torch.full_like(columns, 1 << 2 * UNIT_BITS - 1)
        for tap, weight in zip((place, place + beside, place + under, place + under + beside), weights, strict=True):
            total += pixels[tap].to(torch.int64) * weight
        out[..., channel] = total >> 2 * UNIT_BITS
