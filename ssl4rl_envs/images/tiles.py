"""Tiles: a picture cut by a grid, with or without the edges by which neighbouring tiles could be matched."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from ssl4rl_envs.images.base import check_size
from ssl4rl_envs.images.views import parts_of
from ssl4rl_envs.kernels import likeness
from ssl4rl_envs.kernels import tiles as kernels
from ssl4rl_envs.kernels.tensors import room_beside
from ssl4rl_envs.memory import copy_of
from ssl4rl_envs.sources.base import PictureSource, Views
from ssl4rl_envs.stream import Stream

MIN_TILE = 8
"""Least side of a tile, in pixels."""

GRIDS = (2, 3, 4, 5)

NUMBERED = ("number", "tile", "tiles", "cell", "candidate", "patch", "panel", "place", "colouring", "coloring")
"""Words that stand beside the numbers of tiles, cells and candidates and say nothing new."""

APART: dict[str, float] = {"gap": 0.5, "jitter": 0.25, "light": 1.0}
"""What hides most of what the edges of tiles tell of one another; levels called "gap" use it."""

PAPER = 128
"""Grey level of what lies round panels."""

_LOOK = 8  # side of the reductions by which tiles are compared

STEPS = 1024  # a change of light is one of so many steps, either way
GAINS = np.array([round(256 * 2 ** (k / STEPS)) for k in range(-STEPS, STEPS + 1)], np.int64)
SHADE, CAST, _SLOPE = 64, 32, 64  # most change of a whole tile, of one of its colours, and from its middle to its border


@dataclass(frozen=True)
class Tiles:
    """m square tiles of each of n pictures: where they lie, so that nothing is copied before it is shown.

    Args:
        pictures: uint8 (n, h, w, 3).
        at: (1, m, 2) upper left corners of the tiles, rows and columns.
        side: of a tile, in pixels.
    """

    pictures: NDArray[np.uint8]
    at: NDArray[np.int64]
    side: int

    def copies(self) -> NDArray[np.uint8]:
        """Return the tiles, (n, m, side, side, 3)."""
        result = room_beside(self.pictures, (len(self.pictures), self.at.shape[1], self.side, self.side, 3))
        if result.size:
            to = stacked(result)
            kernels.place(to.pictures, to.at, self.pictures, self.at, self.side)
        return result

    def joined(self, order: NDArray[np.int64]) -> NDArray[np.uint8]:
        """Return pictures with tile `order[:, j]` (n, grid**2) at place j, (n, grid * side, grid * side, 3)."""
        grid = math.isqrt(self.at.shape[1])
        result = room_beside(self.pictures, (len(self.pictures), grid * self.side, grid * self.side, 3))
        kernels.place(result, places(grid, self.side), self.pictures, self.at[0][order], self.side)
        return result


def stacked(tiles: NDArray[np.uint8]) -> Tiles:
    """Return tiles (n, m, side, side, 3) one below the other; the pixels are shared if they lie in one piece."""
    count, many, side = tiles.shape[:3]
    return Tiles(tiles.reshape(count, many * side, side, 3), _column(many, side), side)


@lru_cache(maxsize=256)
def _column(many: int, side: int) -> NDArray[np.int64]:
    return np.stack([np.arange(many, dtype=np.int64) * side, np.zeros(many, np.int64)], axis=-1)[None]


@lru_cache(maxsize=256)
def places(grid: int, side: int) -> NDArray[np.int64]:
    """Return the corners of grid x grid squares that fill a picture, in reading order, (1, grid**2, 2); not to be written."""
    return np.stack(np.divmod(np.arange(grid * grid, dtype=np.int64), grid), axis=1)[None] * side


@dataclass(frozen=True)
class Tiling:
    """How a square picture is cut into grid x grid tiles, numbered from left to right, top to bottom.

    Args:
        grid: tiles a side, 2 to 5.
        image_size: side of all tiles together, in pixels; a multiple of `grid`.
        gap: what is left out of the picture between neighbouring tiles: pixels, or below 1 a share of a tile's side.
        jitter: most by which a tile is moved from the middle of its cell, each way: pixels, or below 1 such a share.
        light: how much the light of each tile is changed by itself, 0 to 1; see `relit`.

    Raises:
        ValueError: an argument does not fit; the message says what would.
    """

    grid: int
    image_size: int
    gap: float = 0
    jitter: float = 0
    light: float = 0.0

    def __post_init__(self) -> None:
        if self.grid not in GRIDS:
            raise ValueError(f"grid must be one of {', '.join(map(str, GRIDS))}, got {self.grid}")
        check_size(self.image_size)
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
            if not 0 <= value <= self.tile or (value > 1 and value != int(value)):
                raise ValueError(
                    f"{name} must lie in 0 to {self.tile} whole pixels (the side of a tile), or below 1 as a share of it, "
                    f"got {value}"
                )
        if not 0 <= self.light <= 1:
            raise ValueError(f"light must lie in 0 to 1, got {self.light}")

    @property
    def count(self) -> int:
        """How many tiles there are."""
        return self.grid**2

    @property
    def tile(self) -> int:
        """Side of a tile, in pixels."""
        return self.image_size // self.grid

    @property
    def drawn(self) -> int:
        """Side of the picture that the tiles are cut from, gaps included, in pixels of the tiles."""
        return self.grid * (self.tile + self._pixels(self.gap) + 2 * self._pixels(self.jitter))

    @property
    def apart(self) -> bool:
        """Whether tiles are parts of their cells."""
        return self.drawn > self.image_size

    def corners(self, stream: Stream) -> NDArray[np.int64]:
        """Draw where the tiles' upper left corners are in their cells, (n, count, 2) rows and columns in pixels."""
        gap, jitter = self._pixels(self.gap), self._pixels(self.jitter)
        if not jitter:
            return np.full((len(stream), self.count, 2), gap // 2, np.int64)
        return gap // 2 + stream.integers(0, 2 * jitter + 1, (self.count, 2))

    def draw(self, stream: Stream, source: PictureSource, views: Views, corners: NDArray[np.int64]) -> Tiles:
        """Draw views and say where their tiles are."""
        tiles = self._parts(source, views, corners, self.tile, 0)
        return stacked(relit(tiles.copies(), stream, self.light)) if self.light else tiles

    def shuffled(
        self, stream: Stream, source: PictureSource, views: Views, corners: NDArray[np.int64], target: NDArray[np.int64]
    ) -> NDArray[np.uint8]:
        """Draw views with tile j at place `target[:, j]`, (n, image_size, image_size, 3)."""
        to = places(self.grid, self.tile)[0][target]
        if not self.apart and not self.light:
            return source.tiles(views, self.image_size, to)
        tiles = self.draw(stream, source, views, corners)
        result = room_beside(tiles.pictures, (len(views), self.image_size, self.image_size, 3))
        kernels.place(result, to, tiles.pictures, tiles.at, self.tile)
        return result

    def look(self, source: PictureSource, views: Views, corners: NDArray[np.int64]) -> Tiles:
        """Draw reductions of the tiles, 8 pixels wide, without edges that hold some of the neighbours."""
        return self._parts(source, views, corners, _LOOK, 1)

    def distinct(
        self, source: PictureSource, views: Views, corners: NDArray[np.int64], threshold: float
    ) -> NDArray[np.bool_]:
        """Return which views (n,) have no two tiles that differ by less than `threshold` grey levels on average.

        Where the light is changed, they must differ by more than their mean colours.
        """
        look = self.look(source, views, corners)
        least = likeness.least(threshold, _LOOK)
        first = likeness.first_distinct(look.pictures, look.at[:, None], _LOOK, least, centred=self.light > 0)
        return np.asarray(first == 0, np.bool_)

    def _parts(self, source: PictureSource, views: Views, corners: NDArray[np.int64], side: int, margin: int) -> Tiles:
        """Draw tiles at any size: those of a whole picture with a margin round each, or each by itself."""
        if not self.apart:
            cell = side + 2 * margin
            return Tiles(source.pixels(views, self.grid * cell), places(self.grid, cell) + margin, side)
        tiles = source.pixels(self._tiles(views, corners), side)
        return stacked(tiles.reshape(len(views), self.count, side, side, 3))

    def same(self, pictures: NDArray[np.uint8], first: NDArray[np.int64], second: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Return which tiles of shown pictures are equal to the last bit, pair by pair of two lists (n, m), (n, m)."""
        at = places(self.grid, self.tile)[0]
        return kernels.equal(pictures, at[first], at[second], self.tile)

    def _pixels(self, value: float) -> int:
        return round(value * self.tile) if value < 1 else int(value)

    def _tiles(self, views: Views, corners: NDArray[np.int64]) -> Views:
        """Return the tiles as views, tile by tile of each row."""
        cell = self.drawn // self.grid
        place = np.stack(np.divmod(np.arange(self.count), self.grid), axis=1) * cell
        middle = 2 * (place + corners) + self.tile - self.drawn
        return parts_of(views, middle[..., 1], middle[..., 0], self.tile, self.drawn)


def relit(tiles: NDArray[np.uint8], stream: Stream, light: float) -> NDArray[np.uint8]:
    """Change the light of each tile (n, m, side, side, 3) at random, by itself: what tells neighbours by colour and shade.

    With light 1 the contrast is halved or doubled at most, a tile as a whole made lighter or darker by up to 64 grey levels
    of 255 and each colour by 32 more, and light falls across it so that borders differ from the middle by up to 64 each way.
    All are drawn evenly up to that.
    """
    most = round(STEPS * light)
    steps = stream.integers(-most, most + 1, (tiles.shape[1], 7))
    result = copy_of(tiles)
    gain, level = GAINS[steps[..., 6] + STEPS] * (STEPS // 256), SHADE * steps[..., :1] + CAST * steps[..., 1:4]
    kernels.relight(result, gain, level, _SLOPE * steps[..., 4:6])
    return result


def cut(pictures: NDArray[np.uint8], grid: int) -> NDArray[np.uint8]:
    """Cut pictures (n, side, side, 3) into tiles (n, grid**2, side // grid, side // grid, 3)."""
    tile = pictures.shape[1] // grid
    return Tiles(pictures, places(grid, tile), tile).copies()


def join(tiles: NDArray[np.uint8], grid: int) -> NDArray[np.uint8]:
    """Put tiles (n, grid**2, side, side, 3) together to pictures (n, grid * side, grid * side, 3)."""
    return stacked(tiles).joined(np.broadcast_to(np.arange(grid * grid), (len(tiles), grid * grid)))


def panels(pictures: NDArray[np.uint8], size: int, paper: int = PAPER) -> NDArray[np.uint8]:
    """Lay m pictures (n, m, side, side, 3) out on one, (n, size, size, 3), from left to right, top to bottom.

    Each stands in the middle of its cell of the smallest square grid that holds all; the rest is grey.
    """
    count, many, side = pictures.shape[:3]
    canvas, laid = room_beside(pictures, (count, size, size, 3), paper), stacked(pictures)
    kernels.place(canvas, panel_places(many, size, side), laid.pictures, laid.at, side)
    return canvas


def panel_places(many: int, size: int, side: int) -> NDArray[np.int64]:
    """Return the corners of `panels`, (1, many, 2)."""
    grid = panel_grid(many)
    cell = size // grid
    # Fewer rows than columns are moved to the middle of the height.
    start = np.array([(size - -(-many // grid) * cell) // 2, 0]) + (cell - side) // 2
    return np.asarray(start + places(grid, cell)[:, :many], np.int64)


def panel_grid(many: int) -> int:
    """Return how many columns `panels` uses for so many pictures."""
    return int(np.ceil(np.sqrt(many)))


def permuted(tiles: NDArray[np.uint8], order: NDArray[np.int64]) -> NDArray[np.uint8]:
    """Return tiles (n, m, ...) in another order: tile `order[:, j]` stands at place j."""
    return tiles[np.arange(len(tiles))[:, None], order]


def numbers(count: int) -> tuple[str, ...]:
    """Return the names "1", "2", ... of so many tiles."""
    return tuple(str(number + 1) for number in range(count))
