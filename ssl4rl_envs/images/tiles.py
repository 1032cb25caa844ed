"""Tiles: a picture cut by a grid, with or without the edges by which neighbouring tiles could be matched."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ssl4rl_envs.images.base import check_size
from ssl4rl_envs.images.views import all_differ, parts_of
from ssl4rl_envs.sources.base import PictureSource, Views
from ssl4rl_envs.stream import Stream

MIN_TILE = 8
"""Least side of a tile, in pixels."""

GRIDS = (2, 3, 4, 5)

NUMBERED = ("number", "tile", "tiles", "cell", "candidate", "patch", "panel", "place", "colouring", "coloring")
"""Words that stand beside the numbers of tiles, cells and candidates and say nothing new."""

APART: dict[str, float] = {"gap": 0.5, "jitter": 0.25, "light": 1.0}
"""What hides most of what the edges of tiles tell of one another; levels called "gap" use it."""

_LOOK = 8  # side of the reductions by which tiles are compared

_STEPS = 1024  # a change of light is one of so many steps, either way
_GAINS = np.array([round(256 * 2 ** (k / _STEPS)) for k in range(-_STEPS, _STEPS + 1)], np.int32)
_SHADE, _CAST, _SLOPE = 64, 32, 64  # most change of a whole tile, of one of its colours, and from its middle to its border


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

    def draw(self, stream: Stream, source: PictureSource, views: Views, corners: NDArray[np.int64]) -> NDArray[np.uint8]:
        """Draw views and cut them, (n, count, tile, tile, 3)."""
        if self.apart:
            shape = (len(views), self.count, self.tile, self.tile, 3)
            tiles = source.pixels(self._tiles(views, corners), self.tile).reshape(shape)
        else:
            tiles = cut(source.pixels(views, self.image_size), self.grid)
        return relit(tiles, stream, self.light) if self.light else tiles

    def look(self, source: PictureSource, views: Views, corners: NDArray[np.int64]) -> NDArray[np.uint8]:
        """Return reductions of the tiles, (n, count, 8, 8, 3), without edges that hold some of the neighbours."""
        if self.apart:
            tiles = source.pixels(self._tiles(views, corners), _LOOK)
            return tiles.reshape(len(views), self.count, *tiles.shape[1:])
        return cut(source.pixels(views, self.grid * (_LOOK + 2)), self.grid)[:, :, 1:-1, 1:-1]

    def distinct(
        self, source: PictureSource, views: Views, corners: NDArray[np.int64], threshold: float
    ) -> NDArray[np.bool_]:
        """Return which views (n,) have no two tiles that differ by less than `threshold` grey levels on average.

        Where the light is changed, they must differ by more than their mean colours.
        """
        look = self.look(source, views, corners)
        if not self.light:
            return all_differ(look, threshold)
        values, pixels = look.astype(np.int16), _LOOK * _LOOK
        mean = (values.sum(axis=(2, 3), keepdims=True, dtype=np.int64) + pixels // 2) // pixels
        return all_differ((values - mean).astype(np.int16), threshold)

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
    most = round(_STEPS * light)
    steps = stream.integers(-most, most + 1, (tiles.shape[1], 7))[:, :, None, None].astype(np.int32)
    side = tiles.shape[2]
    along = 2 * np.arange(side, dtype=np.int32) - (side - 1)
    slope = _SLOPE * (steps[..., 4:5] * along[:, None, None] + steps[..., 5:6] * along[None, :, None]) // side
    change = _SHADE * steps[..., :1] + _CAST * steps[..., 1:4] + slope
    values = (tiles.astype(np.int32) - 128) * (_GAINS[steps[..., 6:] + _STEPS] * (_STEPS // 256)) + change
    return np.asarray(np.clip(128 + ((values + _STEPS // 2) >> 10), 0, 255), np.uint8)


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
