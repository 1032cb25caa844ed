"""Changes of pictures, by torch, a batch at once. The arguments are explained in `kernels.augmentations`.

Numbers that are not whole are float32, and every operation is rounded by itself, as NumPy's are.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

from ssl4rl_envs.kernels.augmentations import Changes, gaussian

_HUES = 255  # steps of Pillow's circle of hues; 255 is 0 again


def change(pictures: Tensor, changes: Changes) -> None:
    """See `kernels.augmentations.change`."""
    c = changes
    steps: tuple[tuple[Any, Any], ...] = (
        (c.mirrored, lambda some, _: some.flip(2)),
        (c.upended, lambda some, _: some.flip(1)),
        (c.brightness != 1, lambda some, rows: _blend(some.float() * 0, some, c.brightness[rows])),
        (c.contrast != 1, lambda some, rows: _blend(_mean_luma(some), some, c.contrast[rows])),
        (c.saturation != 1, lambda some, rows: _blend(_luma(some).float()[..., None], some, c.saturation[rows])),
        (c.hue != 0, lambda some, rows: _turn_hues(some, c.hue[rows])),
        (c.grey, lambda some, _: _luma(some)[..., None].expand(*some.shape).to(torch.uint8)),
        (c.blur > 0, lambda some, rows: _blur(some, c.blur[rows])),
        (c.threshold < 256, lambda some, rows: _solarise(some, c.threshold[rows])),
    )
    for applies, step in steps:
        rows = np.flatnonzero(applies)
        if len(rows):
            chosen = torch.as_tensor(rows, device=pictures.device)
            pictures[chosen] = step(pictures[chosen], rows)


def _column(values: Any, like: Tensor) -> Tensor:
    return torch.as_tensor(np.ascontiguousarray(values), device=like.device)[:, None, None, None]


def _luma(pictures: Tensor) -> Tensor:
    red, green, blue = pictures.int().unbind(-1)
    return (red * 19595 + green * 38470 + blue * 7471 + 32768) >> 16


def _mean_luma(pictures: Tensor) -> Tensor:
    values = _luma(pictures)
    count = values.shape[1] * values.shape[2]
    mean = torch.div(2 * values.sum(dim=(1, 2)) + count, 2 * count, rounding_mode="floor")
    return mean.float()[:, None, None, None]


def _blend(ground: Tensor, pictures: Tensor, factor: Any) -> Tensor:
    blended = pictures.float() - ground
    blended *= _column(factor, pictures)
    blended += ground
    return blended.clamp(0, 255).to(torch.uint8)


def _turn_hues(pictures: Tensor, steps: Any) -> Tensor:
    red, green, blue = pictures.float().unbind(-1)
    value = torch.maximum(torch.maximum(red, green), blue)
    chroma = value - torch.minimum(torch.minimum(red, green), blue)
    sixths = torch.where(green == value, blue - red + 2 * chroma, red - green + 4 * chroma)
    sixths = torch.where(red == value, green - blue, sixths)
    saturation = torch.floor(_HUES * chroma / value.clamp_min(1))
    hue = torch.floor(_HUES / 6 * sixths / chroma.clamp_min(1)) + _column(steps, pictures)[..., 0]
    hue += _HUES * (hue < 0).float()
    hue -= _HUES * (hue >= _HUES).float()
    lacking = value * saturation
    ramps = (170 - (2 * hue - 255).abs(), (2 * hue - 170).abs() - 85, (2 * hue - 340).abs() - 85)
    channels = (value - torch.floor((lacking * ramp.clamp(0, 85) + 85 * _HUES // 2) / (85 * _HUES)) for ramp in ramps)
    return torch.stack(tuple(channels), dim=-1).to(torch.uint8)


def _blur(pictures: Tensor, steps: Any) -> Tensor:
    weights = [gaussian(step) for step in steps.tolist()]
    reach = max(len(each) for each in weights) // 2
    taps = np.stack([np.pad(each, reach - len(each) // 2) for each in weights])
    result = pictures
    for axis in (2, 1):
        length = pictures.shape[axis]
        total = torch.full(pictures.shape, 1 << 15, dtype=torch.int32, device=pictures.device)
        line = torch.arange(length, device=pictures.device)
        for k in range(2 * reach + 1):
            window = result.index_select(axis, (line + (k - reach)).clamp(0, length - 1)).int()
            total += _column(taps[:, k], pictures) * window
        result = (total >> 16).to(torch.uint8)
    return result


def _solarise(pictures: Tensor, threshold: Any) -> Tensor:
    return torch.where(pictures.float() < _column(threshold, pictures), pictures, 255 - pictures)
