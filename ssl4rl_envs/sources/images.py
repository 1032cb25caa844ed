"""ImageSource: an immutable set of pictures, split by content, that hands out views in batches.

How views are cut, scaled and turned is in `pyramid`.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from ssl4rl_envs.sources.base import PictureSource, Views
from ssl4rl_envs.sources.index import Index, content_key, heads_of, index_of
from ssl4rl_envs.sources.pyramid import Pyramid
from ssl4rl_envs.sources.smoothing import Smoothed
from ssl4rl_envs.sources.stored import CHANNELS, HEIGHT, WIDTH, Stored, store
from ssl4rl_envs.stream import SPLITS, Stream, check_split

Source = TypeVar("Source", bound="ImageSource")


class ImageSource(PictureSource):
    """Pictures of any sizes, held in memory with their reductions by 2, 4, 8, ...

    Args:
        images: pictures, at least 4 pixels on the shorter side: uint8 arrays, RGB (height, width, 3) or grey (height, width),
            or whatever else `arrays.rgb_pictures` reads: other layouts and numbers, tensors, Pillow's pictures of any mode.
            Or pictures that are `Stored` already, in memory or in mapped files, which are used as they are.
        name: how to call it in messages.
        min_zoom: smallest side of a view as a share of the picture's shorter side, in (0, 1]; 1 shows pictures whole.
        keys: a content digest for each picture (`content_key` of its own pixels by default); pictures that must not be
            separated by the splits share one.
        photographs: which photograph each picture shows a part of; by default equal pictures are one.

    Attributes:
        heights, widths: (items,) in pixels.

    Raises:
        ValueError: there is no picture, or one is none of these, or may be read in two ways.
    """

    origin: str = ""
    """The name by which `load_images` gives the same source in any process; pickles hold it, not the pixels."""

    def __init__(
        self,
        images: Sequence[Any] | NDArray[Any] | Stored,
        *,
        name: str = "arrays",
        min_zoom: float = 0.6,
        keys: Sequence[bytes] | None = None,
        photographs: Sequence[int] | None = None,
    ) -> None:
        if not 0 < min_zoom <= 1:
            raise ValueError(f"min_zoom must lie in (0, 1], got {min_zoom}")
        stored = images if isinstance(images, Stored) else _stored(images, name)
        self._hold(stored, name, min_zoom)
        count = len(stored)
        keys = [content_key(self.picture(item)) for item in range(count)] if keys is None else keys
        if len(keys) != count:
            raise ValueError(f"source {name!r} holds {count} pictures but got {len(keys)} keys; give one for each")
        shown = np.unique(list(keys), return_inverse=True)[1] if photographs is None else np.asarray(photographs, np.int64)
        if shown.shape != (count,):
            raise ValueError(f"source {name!r} holds {count} pictures but got {len(shown)} photographs; give one for each")
        self._split(index_of(heads_of(keys), shown.astype(np.int64)))

    def _hold(self, stored: Stored, name: str, min_zoom: float) -> None:
        """Take in pictures as they are stored, without copying them."""
        self.name, self.min_zoom = name, min_zoom
        self.heights, self.widths = stored.table[:, HEIGHT], stored.table[:, WIDTH]
        self._pyramid = Pyramid(stored)
        self._smooth: Smoothed | None = None
        self.smallest = int(np.minimum(self.heights, self.widths).min())
        self.grey = bool((stored.table[:, CHANNELS] == 1).all())

    def _split(self, index: Index) -> None:
        """Take in which pictures are in which split."""
        self._index = index
        self.splits = index.splits

    def __len__(self) -> int:
        return len(self.heights)

    def __repr__(self) -> str:
        sizes = ", ".join(f"{split} {len(items)}" for split, items in zip(SPLITS, self._index.items, strict=True))
        return f"<{type(self).__name__} {self.name!r}: {sizes}>"

    def __deepcopy__(self, memo: dict[int, Any]) -> ImageSource:
        return self

    def __reduce_ex__(self, protocol: Any) -> Any:
        if self.origin:
            return reloaded, (self.origin, self.fingerprint)
        return super().__reduce_ex__(protocol)

    def __getstate__(self) -> dict[str, Any]:
        """Return what a pickle holds: the pixels once, and nothing that can be computed from them."""
        return {**self.__dict__, "_smooth": None}

    @cached_property
    def fingerprint(self) -> str:
        """A hex digest of all pixels in the order of the items, of splits and photographs, and of how views are drawn."""
        shown = b"".join(content_key(self.picture(item)) for item in range(len(self)))
        return self._index.fingerprint(self.min_zoom, np.frombuffer(shown, np.uint8))

    @property
    def stored(self) -> Stored:
        """The pictures with their reductions, as views are drawn from them."""
        return self._pyramid.stored

    def items(self, split: str) -> NDArray[np.int64]:
        """Return the items of a split.

        Raises:
            ValueError: the split is unknown or got no item.
        """
        items = self._index.items[SPLITS.index(check_split(split))]
        if not len(items):
            raise ValueError(
                f"source {self.name!r} has {len(self)} pictures and none of them falls into the split {split!r}; "
                "the content of a picture decides its split (70 / 15 / 15 %), so add more pictures"
            )
        return items

    def draw(self, stream: Stream) -> NDArray[np.int64]:
        """Draw one item of the stream's split a row, (n,); raises as `items` does."""
        members = self.items(stream.split)
        return members[stream.integers(0, len(members))]

    def sizes(self, items: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Return heights and widths of pictures in pixels, each (n,)."""
        return self.heights[items], self.widths[items]

    def photographs(self, items: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return which photograph each item shows (a part of), (n,)."""
        return self._index.photographs[items]

    def variety(self, split: str) -> int:
        """Return how many different photographs a split holds."""
        self.items(split)
        return self._index.variety[SPLITS.index(split)]

    def picture(self, item: int) -> NDArray[np.uint8]:
        """Return a picture, uint8 (height, width, 3)."""
        return self._pyramid.picture(item)

    def pixels(self, views: Views, size: int, angle: NDArray[np.int64] | int = 0, *, fine: bool = False) -> NDArray[np.uint8]:
        """Draw views and turn what they show; see `PictureSource.pixels`.

        With `fine`, smoothed pictures (`smoothing`) are drawn at twice the size and reduced.
        """
        if not fine:
            return self._pyramid.pixels(views, size, angle)
        if self._smooth is None:
            self._smooth = Smoothed(self._pyramid.stored)
        return self._smooth.pixels(views, size, angle)

    def tiles(self, views: Views, size: int, to: NDArray[np.int64]) -> NDArray[np.uint8]:
        """Draw views with their tiles elsewhere; see `PictureSource.tiles`."""
        return self._pyramid.pixels(views, size, 0, to)

    def twice(self, views: Views, size: int, how: NDArray[np.uint8]) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
        """Draw views, and each once more, turned; see `PictureSource.twice`."""
        return self._pyramid.twice(views, size, how)


def _stored(images: Sequence[Any] | NDArray[Any], name: str) -> Stored:
    from ssl4rl_envs.sources.arrays import rgb_pictures  # with Pillow, which pictures that are stored do without

    return store(rgb_pictures(images, name))


def by_name(source: Source, name: str) -> Source:
    """Return a source after noting the name by which `load_images` gives the same in any process."""
    source.origin = name
    return source


def reloaded(name: str, fingerprint: str) -> PictureSource:
    """Return the source that a pickle names.

    Raises:
        ValueError: its pictures are not those that were pickled.
    """
    from ssl4rl_envs.sources import load_images

    source = load_images(name)
    if source.fingerprint != fingerprint:
        raise ValueError(
            f"source {name!r} has changed since it was pickled: its fingerprint was {fingerprint} and is "
            f"{source.fingerprint}; pickle it again, or restore the pictures"
        )
    return source
