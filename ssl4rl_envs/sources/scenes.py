"""Scenes: an endless source of drawn pictures, sharp at any size.

What a scene shows is composed in `scenery`, and drawn by `kernels.scenes`.
"""

from __future__ import annotations

import hashlib
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray
from typing_extensions import override

from ssl4rl_envs.kernels import scenes as drawing
from ssl4rl_envs.memory import recycled
from ssl4rl_envs.sources.base import PictureSource, Views
from ssl4rl_envs.sources.scenery import SIDE, compose
from ssl4rl_envs.stream import SPLITS, Stream


class Scenes(PictureSource):
    """Endless drawn pictures: sky, ground, light and shadow, and things that stand, float or grow.

    An item is any integer >= 0; every scene is a pure function of it. Items of the three splits are those that leave the
    remainders 0, 1 and 2 when divided by 3. A scene goes on beyond its edges as far as its sky and ground do.
    """

    name = "scenes"
    min_zoom = 0.8
    fingerprint = hashlib.blake2b(b"scenes 1", digest_size=16).hexdigest()
    """Of the name and of a number that counts up when scenes come to look otherwise."""

    splits = SPLITS
    grey = False
    smallest = SIDE

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.name!r}: endless>"

    def __deepcopy__(self, memo: dict[int, Any]) -> Scenes:
        return self

    def draw(self, stream: Stream) -> NDArray[np.int64]:
        """Draw one of 2**58 items of the stream's split a row, (n,)."""
        return (stream.words() >> np.uint64(6)).astype(np.int64) * len(SPLITS) + SPLITS.index(stream.split)

    def sizes(self, items: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Return heights and widths, all `SIDE`, each (n,)."""
        sides = np.full(np.shape(items), SIDE, np.int64)
        return sides, sides.copy()

    def photographs(self, items: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return the items: no two are of one scene, (n,)."""
        return items

    @override
    def variety(self, split: str) -> None:
        """Return None: there is no end of scenes."""
        return None

    def labels(self, items: NDArray[np.int64]) -> dict[str, NDArray[Any]]:
        """Return what scenes show, by name.

        Returns:
            `kind` and `colour`, int64 (n, 4): positions in KINDS and COLOURS of the thing in each of SLOTS, -1 where there is
            none; `x` and `y`, float64 (n, 4): a point in the middle of its body, as shares of the scene from its left and
            upper edge, NaN where there is none; `sky` and `ground`, int64 (n,): positions in SKIES and GROUNDS; `light`,
            int64 (n,): whether the light comes from the left (0) or the right (1); `horizon`, float64 (n,): its height, as a
            share from the upper edge.
        """
        return compose(np.asarray(items, np.int64)).labels

    @override
    def pixels(self, views: Views, size: int, angle: NDArray[np.int64] | int = 0, *, fine: bool = False) -> NDArray[np.uint8]:
        """Draw views and turn what they show; see `PictureSource.pixels`. `fine` makes no difference: all turns are sharp."""
        result = recycled((len(views), size, size, 3), np.uint8)
        angles = np.broadcast_to(np.asarray(angle, np.int64), views.items.shape)
        drawing.draw(result, views.items, (views.x, views.y, views.side), angles)
        return result


@cache
def scenes() -> Scenes:
    """Return the one source of scenes."""
    return Scenes()
