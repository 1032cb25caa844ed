"""Sources: the unlabeled data that tasks ask about."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ssl4rl_envs.sources.base import PictureSource, Views
from ssl4rl_envs.sources.builtin import BUILTIN
from ssl4rl_envs.sources.folder import FolderSource, folder
from ssl4rl_envs.sources.images import ImageSource
from ssl4rl_envs.sources.scene_bank import scene_bank

ImageSourceLike = str | PictureSource | NDArray[np.uint8] | Sequence[NDArray[np.uint8]]

__all__ = ["BUILTIN", "FolderSource", "ImageSource", "ImageSourceLike", "PictureSource", "Views", "load_images"]


def load_images(source: ImageSourceLike | Any) -> PictureSource:
    """Return the image source that `source` names or holds.

    Args:
        source: "scenes" (drawn on demand), "scenes:N" (the first N, drawn once), "photos", "faces", "digits", "folder:PATH",
            a `PictureSource`, a uint8 array (n, height, width, 3) or (n, height, width), or a list of uint8 pictures of any
            sizes.

    Raises:
        ValueError: no source has this name, or the arrays are not pictures.
        TypeError: it is none of these.
    """
    if isinstance(source, PictureSource):
        return source
    if isinstance(source, str):
        if source.startswith("folder:"):
            return folder(source.removeprefix("folder:"))
        if source.startswith("scenes:"):
            count = source.removeprefix("scenes:")
            if not count.isdecimal():
                raise ValueError(f"scenes:N keeps N scenes, e.g. scenes:2048, got {source!r}")
            return scene_bank(int(count))
        if source not in BUILTIN:
            raise ValueError(f"unknown source {source!r}; known are {', '.join(BUILTIN)}, scenes:N and folder:PATH")
        return BUILTIN[source]()
    if isinstance(source, (np.ndarray, list, tuple)):
        return ImageSource(list(source))
    raise TypeError(f"a source is a name, a PictureSource or arrays, got {type(source).__name__}")
