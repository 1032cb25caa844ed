"""Parts of the pictures that tasks lay out in grids and panels."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ssl4rl_envs.images.tiles import panel_grid

Pictures = NDArray[np.uint8]
"""uint8 RGB (n, height, width, 3)."""


def grid_cells(pictures: Pictures, grid: int) -> list[Pictures]:
    """Cut pictures into grid x grid cells, from left to right, top to bottom; what does not fit is left out."""
    side = pictures.shape[1] // grid
    corners = [(row * side, column * side) for row in range(grid) for column in range(grid)]
    return [pictures[:, y : y + side, x : x + side] for y, x in corners]


def panel_cells(pictures: Pictures, many: int, side: int | None = None) -> list[Pictures]:
    """Cut out what `tiles.panels` laid out: `many` pictures of a side, or their whole cells."""
    size, grid = pictures.shape[1], panel_grid(many)
    cell = size // grid
    side = cell if side is None else side
    top = (size - -(-many // grid) * cell) // 2
    inset = (cell - side) // 2
    corners = [(top + number // grid * cell + inset, number % grid * cell + inset) for number in range(many)]
    return [pictures[:, y : y + side, x : x + side] for y, x in corners]
