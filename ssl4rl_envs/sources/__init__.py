"""Sources: the unlabeled data that tasks ask about."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from ssl4rl_envs.sources.base import PictureSource, Views
from ssl4rl_envs.sources.builtin import PICTURES
from ssl4rl_envs.sources.folder import FolderSource, folder
from ssl4rl_envs.sources.huggingface import is_dataset, of_dataset
from ssl4rl_envs.sources.images import ImageSource

ImageSourceLike = str | Path | PictureSource | NDArray[Any] | Sequence[Any]

__all__ = ["PICTURES", "FolderSource", "ImageSource", "ImageSourceLike", "PictureSource", "Views", "load_images"]


def load_images(source: ImageSourceLike | Any) -> PictureSource:
    """Return the image source that `source` names or holds.

    Args:
        source: a name of `PICTURES`: "scenes" (drawn on demand), "scenes:N" (the first N, drawn once), "photos", "faces",
            "digits", "folder:PATH", "parquet:PATH", "webdataset:PATH", "hf:PATH" (options stand behind the path: see
            `options`, and `folder`, `parquet`, `webdataset`, `huggingface`); a `Path` (see `FolderSource`), a
            `PictureSource`, a `datasets.Dataset`, an array or tensor of pictures, or a list of pictures of any sizes: arrays,
            tensors, Pillow's pictures (`arrays.rgb_pictures` says how they are read).

    Raises:
        ValueError: no source has this name, or the arrays are not pictures.
        FileNotFoundError, NotADirectoryError: there is no such folder or file.
        ImportError: a package is not installed that reads such files; the message names it.
        TypeError: it is none of these.
    """
    if isinstance(source, PictureSource):
        return source
    if isinstance(source, Path):
        return folder(source)
    if isinstance(source, str):
        hint = f"; it is a folder: name it 'folder:{source}'" if Path(source).expanduser().is_dir() else ""
        return PICTURES.load(source, hint)
    if is_dataset(source):
        return of_dataset(source)
    from PIL import Image  # which what is drawn, or lies decoded in the cache, does without

    from ssl4rl_envs.sources.arrays import is_arraylike

    if isinstance(source, Image.Image):
        raise TypeError("one picture is no source; give a list of them")
    if is_arraylike(source) or (isinstance(source, Sequence) and not isinstance(source, (bytes, bytearray))):
        return ImageSource(source)
    raise TypeError(
        f"a source is a name, a Path, a PictureSource, an array or tensor, or a list of pictures, got {type(source).__name__}"
    )
