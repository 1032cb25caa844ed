"""Sources of pictures that draw on a device."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ssl4rl_envs.kernels import pictures
from ssl4rl_envs.kernels.tiles import WHOLE
from ssl4rl_envs.sources.base import PictureSource, Views
from ssl4rl_envs.sources.images import ImageSource
from ssl4rl_envs.sources.pyramid import placed
from ssl4rl_envs.sources.stored import Stored
from ssl4rl_envs.stream import Stream


class Pool:
    """Pictures with their reductions on a device.

    Args:
        stored: the pictures on the host.
        device: where they are copied to.
    """

    def __init__(self, stored: Stored, device: torch.device) -> None:
        self.pixels = torch.tensor(np.asarray(stored.pixels), device=device)
        self.table = torch.tensor(np.asarray(stored.table), device=device)

    def draw(self, views: Views, size: int, angle: NDArray[np.int64] | int, to: NDArray[np.int64] = WHOLE) -> Any:
        """Draw views, a tensor, as `Pyramid.pixels`."""
        result: Any = self.pixels.new_empty((len(views), size, size, 3))
        draw: Any = pictures.draw  # for arrays, and for tensors as these are
        draw(result, self.pixels, self.table, torch.as_tensor(placed(views, angle), device=self.pixels.device), to)
        return result


class DeviceSource(PictureSource):
    """A source whose views are tensors on a device; in all else it is the source that it is made from.

    Args:
        source: pictures in memory are copied to the device once and drawn from there. What other sources draw is copied each
            time, and so are views for finer turns than 90 degrees, which are drawn from smoothed pictures.
        device: of torch.
    """

    def __init__(self, source: PictureSource, device: torch.device) -> None:
        self.source, self.device = source, device
        self.name, self.min_zoom, self.splits = source.name, source.min_zoom, source.splits
        self.grey, self.smallest = source.grey, source.smallest
        self._pool = Pool(source.stored, device) if isinstance(source, ImageSource) else None

    def __deepcopy__(self, memo: dict[int, Any]) -> DeviceSource:
        return self

    def __reduce__(self) -> tuple[Any, ...]:
        """Be pickled by the source: pixels on a device are not carried along."""
        return DeviceSource, (self.source, self.device)

    @property
    def fingerprint(self) -> str:
        """The source's own: the questions are the same."""
        return self.source.fingerprint

    def draw(self, stream: Stream) -> NDArray[np.int64]:
        """Draw items as the source does."""
        return self.source.draw(stream)

    def sizes(self, items: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Return the source's heights and widths."""
        return self.source.sizes(items)

    def photographs(self, items: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return which photographs the source's items show."""
        return self.source.photographs(items)

    def variety(self, split: str) -> int | None:
        """Return the source's variety."""
        return self.source.variety(split)

    def room(self, shape: Sequence[int]) -> Any:
        """Return room for pixels on the device."""
        return torch.empty(tuple(shape), dtype=torch.uint8, device=self.device)

    def pixels(self, views: Views, size: int, angle: NDArray[np.int64] | int = 0, *, fine: bool = False) -> Any:
        """Draw views, a uint8 tensor (n, size, size, 3); see `PictureSource.pixels`."""
        if self._pool is None or fine:
            return to_device(self.source.pixels(views, size, angle, fine=fine), self.device)
        return self._pool.draw(views, size, angle)

    def tiles(self, views: Views, size: int, to: NDArray[np.int64]) -> Any:
        """Draw views with their tiles elsewhere, a uint8 tensor; see `PictureSource.tiles`."""
        if self._pool is None:
            return to_device(self.source.tiles(views, size, to), self.device)
        return self._pool.draw(views, size, 0, to)


def to_device(array: NDArray[Any], device: torch.device) -> Tensor:
    """Return an array as a tensor on a device, copied without waiting for it where that is a GPU."""
    tensor = torch.from_numpy(np.ascontiguousarray(array))
    if device.type != "cuda":
        return tensor.to(device)
    return tensor.pin_memory().to(device, non_blocking=True)
