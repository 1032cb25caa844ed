"""A folder of pictures as a source."""

from __future__ import annotations

import warnings
from functools import lru_cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps, UnidentifiedImageError

from ssl4rl_envs.sources.images import ImageSource, content_key

SHORT_SIDE = 256
"""Pictures are kept at most this large on their shorter side, in pixels."""

_NOT_PICTURES = {"BUFR", "GRIB", "HDF5", "MPEG", "WMF"}  # formats that Pillow knows by name alone
_READABLE = frozenset(
    ending for ending, kind in Image.registered_extensions().items() if kind in Image.OPEN and kind not in _NOT_PICTURES
)


class FolderSource(ImageSource):
    """Every picture of a folder and its subfolders, at any depth.

    Pictures are turned upright by their EXIF tag, converted to RGB (transparency is laid on white) and reduced to
    `SHORT_SIDE` on the shorter side: about 0.5 MB of memory each. Files whose name does not end like a picture's are not
    looked at. Equal pictures are kept, and fall into one split.

    Args:
        path: the folder.

    Attributes:
        files: the picture files, in the order of the items.
        skipped: what could not be read, file by file, with the reason; a warning names them too.

    Raises:
        FileNotFoundError, NotADirectoryError: there is no such folder.
        ValueError: it holds no readable picture.
    """

    def __init__(self, path: str | Path) -> None:
        root = Path(path).expanduser()
        if not root.exists():
            raise FileNotFoundError(f"the image folder {root} does not exist")
        if not root.is_dir():
            raise NotADirectoryError(f"{root} is a file; name the folder that holds the pictures")
        candidates = _candidates(root)
        if not candidates:
            raise ValueError(f"the image folder {root} holds no picture; looked for names ending in .png, .jpg, .webp, ...")
        self.files: list[Path] = []
        self.skipped: dict[Path, str] = {}
        images, keys = [], []
        for file in candidates:
            try:
                image, key = read_picture(file)
            except (OSError, ValueError, SyntaxError, RuntimeError, Image.DecompressionBombError) as error:
                self.skipped[file] = _reason(error)
                continue
            self.files.append(file)
            images.append(image)
            keys.append(key)
        if self.skipped:
            listed = "\n".join(f"  {file}: {reason}" for file, reason in self.skipped.items())
            warnings.warn(
                f"{len(self.skipped)} of {len(candidates)} pictures in {root} could not be read and are left out:\n{listed}",
                stacklevel=2,
            )
        if not images:
            raise ValueError(f"the image folder {root} holds {len(candidates)} pictures and none could be read")
        super().__init__(images, name=f"folder:{root}", keys=keys)


def read_picture(file: Path) -> tuple[NDArray[np.uint8], bytes]:
    """Read one picture upright, as RGB, reduced to `SHORT_SIDE`.

    Returns:
        The uint8 array (height, width, 3), and the content digest of the full-size pixels.

    Raises:
        OSError, ValueError, SyntaxError: Pillow cannot read it, or it is smaller than 4 pixels.
    """
    with Image.open(file) as opened:
        picture = ImageOps.exif_transpose(opened)
        if picture.has_transparency_data:
            overlay = picture.convert("RGBA")
            picture = Image.alpha_composite(Image.new("RGBA", overlay.size, "white"), overlay)
        elif picture.mode.startswith("I"):  # 16 bits a pixel, whatever the mode's width
            picture = Image.fromarray((np.asarray(picture).clip(0, 65535) >> 8).astype(np.uint8))
        elif picture.mode == "F":
            values = np.asarray(picture)
            picture = Image.fromarray((values * (255 if values.max() <= 1 else 1)).clip(0, 255).astype(np.uint8))
        picture = picture.convert("RGB")
    key = content_key(np.asarray(picture))
    if min(picture.size) < 4:
        raise ValueError(f"only {picture.width} x {picture.height} pixels; at least 4 x 4 are needed")
    if min(picture.size) > SHORT_SIDE:
        share = SHORT_SIDE / min(picture.size)
        size = (round(picture.width * share), round(picture.height * share))
        picture = picture.resize(size, Image.Resampling.LANCZOS, reducing_gap=3.0)
    return np.asarray(picture), key


def _candidates(root: Path) -> list[Path]:
    hidden = (file for file in root.rglob("*") if file.suffix.lower() in _READABLE and file.is_file())
    return sorted(file for file in hidden if not any(part.startswith(".") for part in file.relative_to(root).parts))


def _reason(error: Exception) -> str:
    return "not a picture that Pillow can read" if isinstance(error, UnidentifiedImageError) else str(error)


def folder(path: str) -> FolderSource:
    """Return the source of a folder; an unchanged folder is read once a process."""
    root = Path(path).expanduser()
    if not root.is_dir():
        return FolderSource(root)
    return _read_once(root.resolve(), tuple((str(f), f.stat().st_mtime_ns, f.stat().st_size) for f in _candidates(root)))


@lru_cache(maxsize=4)
def _read_once(root: Path, _listing: tuple[tuple[str, int, int], ...]) -> FolderSource:
    """Read a folder again only where the listing, which is a part of the cache's key, is another."""
    return FolderSource(root)
