"""Tiles: a picture cut by a grid, with or without the edges by which neighbouring tiles could be matched."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ssl4rl_envs.images.views import all_differ
from ssl4rl_envs.sources.base import PictureSource, Views
from ssl4rl_envs.stream import Stream

MIN_TILE = 8
"""Least side of a tile, in pixels."""

GRIDS = (2, 3, 4, 5)

NUMBERED = ("number", "tile", "tiles", "cell", "candidate", "patch", "panel", "place", "colouring", "coloring")
"""Words that stand beside the numbers of tiles, cells and candidates and say nothing new."""

_LOOK = 8  # side of the reductions by which tiles are compared


@dataclass(frozen=True)
class Tiling:
    """How a square picture is cut into grid x grid tiles, numbered from left to right, top to bottom.

    Args:
        grid: tiles a side, 2 to 5.
        image_size: side of all tiles together, in pixels; a multiple of `grid`.
        gap: pixels of the picture that are left out between neighbouring tiles.
        jitter: most pixels by which a tile is moved from the middle of its cell, each way.

    Raises:
        ValueError: an argument does not fit; the message says what would.
    """

    grid: int
    image_size: int
    gap: int = 0
    jitter: int = 0

    def __post_init__(self) -> None:
        if self.grid not in GRIDS:
            raise ValueError(f"grid must be one of {', '.join(map(str, GRIDS))}, got {self.grid}")
        if self.image_size % self.grid:
            near = self.image_size // self.grid * self.grid
            raise ValueError(
                f"grid={self.grid} does not fit image_size={self.image_size}, which must be a multiple of it: "
                f"{near} or {near + self.grid}"
            )
        if self.tile < MIN_TILE:
            raise ValueError(
                f"tiles must be at least {MIN_TILE} pixels wide; with grid={self.grid} that takes an image_size of "
                f"{self.grid * MIN_TILE}, got {self.image_size}"
            )
        for name, value in {"gap": self.gap, "jitter": self.jitter}.items():
            if not 0 <= value <= self.tile:
                raise ValueError(f"{name} must lie in 0 to {self.tile} pixels (the side of a tile), got {value}")

    @property
    def count(self) -> int:
        """How many tiles there are."""
        return self.grid**2

    @property
    def tile(self) -> int:
        """Side of a tile, in pixels."""
        return self.image_size // self.grid

    @property
    def _cell(self) -> int:
        return self.tile + self.gap + 2 * self.jitter

    def draw(self, stream: Stream, source: PictureSource, views: Views) -> NDArray[np.uint8]:
        """Draw views and cut them, (n, count, tile, tile, 3)."""
        pictures = source.pixels(views, self.grid * self._cell)
        cells = cut(pictures, self.grid)
        if self.gap == self.jitter == 0:
            return cells
        shift = self.gap // 2 + stream.integers(0, 2 * self.jitter + 1, (self.count, 2))
        along = np.arange(self.tile)
        rows, columns = (shift[:, :, None, axis] + along for axis in (0, 1))
        instance, number = np.arange(len(cells))[:, None, None, None], np.arange(self.count)[None, :, None, None]
        return np.asarray(cells[instance, number, rows[:, :, :, None], columns[:, :, None, :]], np.uint8)

    def look(self, source: PictureSource, views: Views) -> NDArray[np.uint8]:
        """Return reductions of the tiles without their edges, which hold some of the neighbours, (n, count, 8, 8, 3)."""
        return cut(source.pixels(views, self.grid * (_LOOK + 2)), self.grid)[:, :, 1:-1, 1:-1]

    def distinct(self, source: PictureSource, views: Views, threshold: float) -> NDArray[np.bool_]:
        """Return which views (n,) have no two tiles that differ by less than `threshold` grey levels on average."""
        return all_differ(self.look(source, views), threshold)


def cut(pictures: NDArray[np.uint8], grid: int) -> NDArray[np.uint8]:
    """Cut pictures (n, side, side, 3) into tiles (n, grid**2, side // grid, side // grid, 3)."""
    count, side = pictures.shape[:2]
    tile = side // grid
    parts = pictures.reshape(count, grid, tile, grid, tile, 3).swapaxes(2, 3)
    return np.ascontiguousarray(parts.reshape(count, grid * grid, tile, tile, 3))


def join(tiles: NDArray[np.uint8], grid: int) -> NDArray[np.uint8]:
    """Put tiles (n, grid**2, side, side, 3) together to pictures (n, grid * side, grid * side, 3)."""
    count, side = len(tiles), tiles.shape[2]
    parts = tiles.reshape(count, grid, grid, side, side, 3).swapaxes(2, 3)
    return np.ascontiguousarray(parts.reshape(count, grid * side, grid * side, 3))


def panels(pictures: NDArray[np.uint8], size: int, paper: int = 128) -> NDArray[np.uint8]:
    """Lay m pictures (n, m, side, side, 3) out on one, (n, size, size, 3), from left to right, top to bottom.

    Each stands in the middle of its cell of the smallest square grid that holds all; the rest is grey.
    """
    count, many, side = pictures.shape[:3]
    grid = panel_grid(many)
    cell = size // grid
    canvas = np.full((count, size, size, 3), paper, np.uint8)
    # Fewer rows than columns are moved to the middle of the height.
    top = (size - -(-many // grid) * cell) // 2
    for number in range(many):
        y, x = (start + (cell - side) // 2 for start in (top + number // grid * cell, number % grid * cell))
        canvas[:, y : y + side, x : x + side] = pictures[:, number]
    return canvas


def panel_grid(many: int) -> int:
    """Return how many columns `panels` uses for so many pictures."""
    return int(np.ceil(np.sqrt(many)))


def permuted(tiles: NDArray[np.uint8], order: NDArray[np.int64]) -> NDArray[np.uint8]:
    """Return tiles (n, m, ...) in another order: tile `order[:, j]` stands at place j."""
    return tiles[np.arange(len(tiles))[:, None], order]


def same(first: NDArray[np.uint8], second: NDArray[np.uint8]) -> NDArray[np.bool_]:
    """Return where tiles (n, m, side, side, 3) are equal to the last bit, (n, m)."""
    return np.asarray((first == second).all(axis=(2, 3, 4)), np.bool_)


def numbers(count: int) -> tuple[str, ...]:
    """Return the names "1", "2", ... of so many tiles."""
    return tuple(str(number + 1) for number in range(count))
