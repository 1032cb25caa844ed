"""ImageSource: an immutable set of pictures, split by content, that hands out views in batches.

How views are cut, scaled and turned is in `pyramid`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ssl4rl_envs.sources.pyramid import Pyramid, halve, smoothed
from ssl4rl_envs.stream import SPLITS, check_split

SPLIT_SHARES = {"train": 0.70, "validation": 0.15, "test": 0.15}


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
        self._pyramid = Pyramid(rgb)
        self._smooth: Pyramid | None = None
        keys = [content_key(image) for image in rgb] if keys is None else keys
        if len(keys) != len(rgb):
            raise ValueError(f"source {name!r} holds {len(rgb)} pictures but got {len(keys)} keys; give one for each")
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

    def picture(self, item: int) -> NDArray[np.uint8]:
        """Return a picture, uint8 (height, width, 3)."""
        return self._pyramid.picture(item)

    def views(
        self,
        items: NDArray[np.int64],
        x: NDArray[np.int64],
        y: NDArray[np.int64],
        side: NDArray[np.int64],
        angle: NDArray[np.int64],
        size: int,
        *,
        fine: bool = False,
    ) -> NDArray[np.uint8]:
        """Cut square views out of pictures and turn what they show.

        Args:
            items: (n,) which pictures.
            x, y: (n,) centres of the views, in 1/4096 pixel from the left and the upper edge.
            side: (n,) sides of the views, in 1/4096 pixel.
            angle: (n,) by how much the picture is turned counter-clockwise, in 1/2880 of a full turn.
            size: side of the output in pixels.
            fine: for turns that are no multiples of 90 degrees: draw smoothed pictures (`pyramid.smoothed`) at twice the size
                and reduce them, so that neither interpolation nor the source's pixel lattice betrays the angle.

        Returns:
            uint8 (n, size, size, 3). Outside a picture its edge pixels are repeated.
        """
        if not fine:
            return self._pyramid.views(items, x, y, side, angle, size)
        if self._smooth is None:
            self._smooth = smoothed([self.picture(item) for item in range(len(self))])
        # With a margin of one output pixel all round, the low-pass needs no invented border.
        wider = side * (size + 2) // size
        return halve(self._smooth.views(items, x, y, wider, angle, 2 * size + 4))[:, 1:-1, 1:-1]


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
