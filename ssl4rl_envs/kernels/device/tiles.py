"""Squares of pictures, by torch. The arguments are explained in `kernels.tiles`; pictures are tensors, the rest arrays."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ssl4rl_envs.kernels.tiles import AS_IT_IS

Whole = NDArray[np.int64]


def squares(pictures: Tensor, at: Whole, side: int, how: NDArray[np.uint8] = AS_IT_IS) -> Tensor:
    """Return a copy of squares of pictures, each turned as `how` says, (n, m, side, side, 3)."""
    line = torch.arange(side, device=pictures.device)
    down, across = line[:, None].expand(side, side), line[None, :].expand(side, side)
    if how.any():
        turn = torch.as_tensor(how.astype(np.int64), device=pictures.device)[..., None, None]
        down, across = torch.where(turn & 4 > 0, across, down), torch.where(turn & 4 > 0, down, across)
        down = torch.where(turn & 2 > 0, side - 1 - down, down)
        across = torch.where(turn & 1 > 0, side - 1 - across, across)
    corner = torch.as_tensor(np.ascontiguousarray(at), device=pictures.device)[..., None, None]
    return pictures[_numbers(len(pictures), pictures), corner[:, :, 0] + down, corner[:, :, 1] + across]


def place(out: Tensor, to: Whole, pictures: Tensor, at: Whole, side: int, how: NDArray[np.uint8] = AS_IT_IS) -> None:
    """See `kernels.tiles.place`."""
    if len(out):
        _put(out, to, squares(pictures, at, side, how))


def fill(out: Tensor, at: Whole, side: int, value: int) -> None:
    """See `kernels.tiles.fill`."""
    _put(out, at, torch.tensor(value, dtype=out.dtype, device=out.device).expand(len(out), at.shape[1], side, side, 3))


def equal(pictures: Tensor, first: Whole, second: Whole, side: int) -> NDArray[np.bool_]:
    """See `kernels.tiles.equal`."""
    same = squares(pictures, first, side) == squares(pictures, second, side)
    return np.asarray(same.all(-1).all(-1).all(-1).cpu().numpy(), np.bool_)


def recolour(out: Tensor, to: Whole, pictures: Tensor, channels: Whole) -> None:
    """See `kernels.tiles.recolour`."""
    side, many = pictures.shape[1], channels.shape[1]
    chosen = torch.as_tensor(channels, device=pictures.device)[:, :, None, None].expand(-1, -1, side, side, -1)
    if len(out):
        _put(out, to, pictures[:, None].expand(-1, many, -1, -1, -1).gather(-1, chosen))


def relight(tiles: Tensor, gain: Whole, level: Whole, slope: Whole) -> None:
    """See `kernels.tiles.relight`."""
    side = tiles.shape[2]
    strength, shade, fall = (
        torch.as_tensor(np.ascontiguousarray(values), device=tiles.device) for values in (gain, level, slope)
    )
    along = 2 * torch.arange(side, device=tiles.device) - (side - 1)
    light = fall[..., :1, None] * along[:, None] + fall[..., 1:, None] * along[None, :]
    light = torch.div(light, side, rounding_mode="floor")
    values = (tiles.long() - 128) * strength[..., None, None, None] + shade[:, :, None, None] + light[..., None]
    tiles.copy_((128 + ((values + 512) >> 10)).clamp(0, 255))


def grain(tiles: Tensor, words: NDArray[np.uint64], strength: Whole) -> None:
    """See `kernels.tiles.grain`."""
    rest = torch.as_tensor(np.ascontiguousarray(words).view(np.int64), device=tiles.device)
    numbers = torch.stack([(rest >> 8 * channel) & 255 for channel in range(3)], dim=-1)
    most = torch.as_tensor(np.ascontiguousarray(strength), device=tiles.device)[..., None, None, None]
    tiles.copy_((tiles.long() + (((2 * numbers - 255) * most + 128) >> 8)).clamp(0, 255))


def _put(out: Tensor, to: Whole, copies: Tensor) -> None:
    side = copies.shape[2]
    line = torch.arange(side, device=out.device)
    corner = torch.as_tensor(np.ascontiguousarray(to), device=out.device)[..., None, None]
    out[_numbers(len(out), out), corner[:, :, 0] + line[:, None], corner[:, :, 1] + line[None, :]] = copies


def _numbers(count: int, like: Any) -> Tensor:
    return torch.arange(count, device=like.device)[:, None, None, None]
