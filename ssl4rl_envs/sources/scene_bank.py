"""Scenes that are drawn once and kept: a fraction of the cost of drawing each anew, for runs that ask often."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ssl4rl_envs.sources.images import ImageSource
from ssl4rl_envs.sources.scenes import scenes
from ssl4rl_envs.stream import SPLITS, Stream

SIDE = 96
"""Kept scenes are this many pixels wide and high."""

FEWEST, MOST = 64, 65_536
_CHUNK = 256


class SceneBank(ImageSource):
    """A number of scenes, held in memory at `SIDE` pixels; those of one bank are the first ones of a larger one.

    Args:
        count: how many, `FEWEST` to `MOST`; each takes 37 kB, and a quarter of a millisecond to make.

    Raises:
        ValueError: `count` is out of range.
    """

    def __init__(self, count: int) -> None:
        if not FEWEST <= count <= MOST:
            raise ValueError(f"scenes:N keeps {FEWEST} to {MOST} scenes, got {count}")
        source = scenes()
        # Of every split of the endless scenes alike; which split of the bank one falls to, its content decides.
        drawn = [source.draw(Stream.span(split, 0, 0, count)) for split in SPLITS]
        self.scenes: NDArray[np.int64] = np.stack(drawn, axis=1).reshape(-1)[:count]
        """Which scenes these are, (count,), as items of `scenes()`."""
        parts = [self.scenes[start : start + _CHUNK] for start in range(0, count, _CHUNK)]
        pictures = [picture for part in parts for picture in source.pixels(source.whole(part), SIDE)]
        super().__init__(pictures, name=f"scenes:{count}", min_zoom=source.min_zoom)

    def labels(self, items: NDArray[np.int64]) -> dict[str, NDArray[Any]]:
        """Return what scenes show, by name; see `Scenes.labels`."""
        return scenes().labels(self.scenes[items])


@lru_cache(maxsize=2)
def scene_bank(count: int) -> SceneBank:
    """Return the bank of this size; the same object each time, as long as it is one of the last two."""
    return SceneBank(count)
