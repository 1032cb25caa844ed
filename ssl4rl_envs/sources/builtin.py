"""The pictures that come with the dependencies: photographs, faces and digits; and the one way to name any pictures."""

from __future__ import annotations

import gzip
from functools import cache
from importlib.util import find_spec
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ssl4rl_envs.sources.base import PictureSource
from ssl4rl_envs.sources.folder import folder
from ssl4rl_envs.sources.huggingface import huggingface
from ssl4rl_envs.sources.images import ImageSource, by_name
from ssl4rl_envs.sources.named import SourceTable, count_of
from ssl4rl_envs.sources.parquet import parquet

PHOTOGRAPHS: tuple[str, ...] = (
    "astronaut.png",
    "camera.png",
    "chelsea.png",
    "clock_motion.png",
    "coffee.png",
    "motorcycle_left.png",
    "rocket.jpg",
)
"""scikit-image's photographs that have an up and a down. Left out: the second view of the motorcycle, textures, sky and
cells, which look right any way up, and documents."""

REGION = 128
"""Photographs are cut into a grid of regions of about this side, in pixels."""


def cut_regions(image: NDArray[np.uint8], side: int = REGION) -> list[NDArray[np.uint8]]:
    """Cut a picture into a grid of regions of at least `side` pixels that share no pixel and together are the picture."""
    rows, columns = (max(1, length // side) for length in image.shape[:2])
    return [cell for band in np.array_split(image, rows, axis=0) for cell in np.array_split(band, columns, axis=1)]


@cache
def photos() -> ImageSource:
    """Return regions of seven photographs. Regions of different splits share no pixel, but they share photographs."""
    from PIL import Image  # which other sources do without

    folder = _folder_of("skimage") / "data"
    regions: list[NDArray[np.uint8]] = []
    photographs: list[int] = []
    for number, name in enumerate(PHOTOGRAPHS):
        with (folder / name).open("rb") as file, Image.open(file) as picture:
            cells = cut_regions(np.asarray(picture.convert("RGB")))
        regions += cells
        photographs += [number] * len(cells)
    return by_name(ImageSource(regions, name="photos", min_zoom=0.7, photographs=photographs), "photos")


@cache
def faces() -> ImageSource:
    """Return the 100 grey faces, 25 x 25, of scikit-image's subset of Labeled Faces in the Wild."""
    patches = np.load(_folder_of("skimage") / "data" / "lfw_subset.npy")[:100]
    grey = np.rint(patches * 255).astype(np.uint8)
    return by_name(ImageSource(list(grey), name="faces", min_zoom=0.85), "faces")


@cache
def digits() -> ImageSource:
    """Return scikit-learn's 1,797 handwritten digits, 8 x 8, grey, inside a black margin of one pixel."""
    with gzip.open(_folder_of("sklearn") / "datasets" / "data" / "digits.csv.gz", "rt") as file:  # without importing it
        table = np.loadtxt(file, delimiter=",", dtype=np.uint8)
    grey = np.rint(table[:, :64].reshape(-1, 8, 8) * (255 / 16)).astype(np.uint8)
    return by_name(ImageSource([np.pad(image, 1) for image in grey], name="digits", min_zoom=0.9), "digits")


def _folder_of(package: str) -> Path:
    """Return the folder of an installed package, which is not imported."""
    found = find_spec(package)
    if found is None or not found.submodule_search_locations:
        raise ImportError(f"{package} is not installed, whose pictures were asked for; pip install {package}")
    return Path(next(iter(found.submodule_search_locations)))


# What draws scenes, and what reads archives, is imported with the first source of its kind: nobody else needs it in memory.


def _scenes() -> PictureSource:
    from ssl4rl_envs.sources.scenes import scenes

    return scenes()


def _scene_bank(count: str) -> PictureSource:
    from ssl4rl_envs.sources.scene_bank import scene_bank

    return by_name(scene_bank(count_of(count, "scenes:N")), f"scenes:{int(count)}")


def _webdataset(pattern: str) -> PictureSource:
    from ssl4rl_envs.sources.webdataset import webdataset

    return webdataset(pattern)


PICTURES: SourceTable[PictureSource] = SourceTable(
    "source",
    {
        "scenes": _scenes,
        "photos": photos,
        "faces": faces,
        "digits": digits,
        "scenes:N": _scene_bank,
        "folder:PATH": folder,
        "parquet:PATH": parquet,
        "webdataset:PATH": _webdataset,
        "hf:PATH": huggingface,
    },
)
"""The sources of pictures by name, one row each; see `named`. A row that is added here is a source like these."""
