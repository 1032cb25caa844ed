"""Which tokens may be said in many places, as few masks as there are."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, cast

import torch
from torch import Tensor


@dataclass(frozen=True)
class Allowed:
    """Which tokens may be said in some places.

    Args:
        which: (...) int64, the mask of each place.
        masks: (masks, bytes) uint8; bit b of byte k says whether token 8 * k + b may be said.
    """

    which: Tensor
    masks: Tensor

    def __getitem__(self, places: Any) -> Allowed:
        return Allowed(self.which[places], self.masks)

    def flat(self) -> Allowed:
        """Return the places in one row."""
        return Allowed(self.which.flatten(), self.masks)

    def tokens(self, size: int) -> Tensor:
        """Return which of `size` tokens may be said, (..., size) bool."""
        masks, place = self._distinct()
        return _unpacked(masks, size)[place]

    def others(self, forbidden: Tensor) -> Tensor:
        """Return which tokens may not be said, (..., size) bool: `forbidden` (size,) ones nowhere."""
        masks, place = self._distinct()
        return (~_unpacked(masks, len(forbidden)) | forbidden)[place]

    def _distinct(self) -> tuple[Tensor, Tensor]:
        """Return the masks that there are, each once, and which of these is whose."""
        found, place = cast(Any, self.which).unique(return_inverse=True)
        return self.masks[found], place


def _unpacked(masks: Tensor, size: int) -> Tensor:
    bits = torch.tensor([1 << bit for bit in range(8)], dtype=torch.uint8, device=masks.device)
    return (masks.unsqueeze(-1) & bits).ne(0).flatten(-2)[..., :size]
