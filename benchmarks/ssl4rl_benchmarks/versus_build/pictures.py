"""Folders of pictures to measure with: drawn scenes as JPEG files of several shapes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

from ssl4rl_envs.sources.scenes import scenes

SHAPES = ((256, 256), (192, 256), (256, 192), (256, 171))
"""Heights and widths, in turns."""


def write_folder(folder: Path, count: int, shrink: int = 1) -> None:
    """Write `count` JPEG files, in subfolders of a thousand each.

    Args:
        folder: exists.
        count: how many.
        shrink: divides their sides.
    """
    source = scenes()
    for start in range(0, count, 64):
        items = 3 * np.arange(start, min(start + 64, count), dtype=np.int64)
        for number, pixels in zip(range(start, count), source.pixels(source.whole(items), 256 // shrink), strict=False):
            height, width = (side // shrink for side in SHAPES[number % len(SHAPES)])
            place = folder / f"{number // 1000:04}" / f"{number:07}.jpg"
            place.parent.mkdir(exist_ok=True)
            Image.fromarray(pixels[:height, :width]).save(place, quality=90)
