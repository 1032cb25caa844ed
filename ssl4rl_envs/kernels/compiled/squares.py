"""Where the tiles of a view lie in the picture that is shown, for compiled loops."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ssl4rl_envs.kernels.compiled import part


@part
def grid_of(to: NDArray[np.int64]) -> Any:
    """Return how many tiles a side there are, by the corners of all of them."""
    grid = 1
    while grid * grid < len(to):
        grid += 1
    return grid


@part
def start_of(to: NDArray[np.int64], row: int, column: int, side: int, size: int) -> Any:
    """Return the first byte of what a row of a view shows in a column of tiles.

    Args:
        to: (grid * grid, 2) corners of the tiles, rows and columns.
        row: of the view.
        column: of tiles.
        side: of a tile, in pixels.
        size: of the view.
    """
    corner = to[row // side * (size // side) + column]
    return 3 * ((corner[0] + row % side) * size + corner[1])
