"""What a teacher can truly say of a tile: where it belongs, beside which others, and whether its edge fits them best.

Tiles are called by the numbers of the places where they lie, from 1 on.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ssl4rl_envs.images.tiles import cut
from ssl4rl_envs.kernels.tensors import as_array


class Seams(NamedTuple):
    """How far edges are apart where tile j continues tile i, on its right and below, (n, m, m) sums of grey levels."""

    right: NDArray[np.int64]
    below: NDArray[np.int64]


def seams_of(pictures: NDArray[np.uint8], grid: int) -> Seams:
    """Measure the edges of the tiles of pictures (n, side, side, 3), all against all."""
    tiles = as_array(cut(pictures, grid)).astype(np.int64)
    right = np.abs(tiles[:, :, None, :, -1] - tiles[:, None, :, :, 0])
    below = np.abs(tiles[:, :, None, -1] - tiles[:, None, :, 0])
    return Seams(right.sum(axis=(3, 4)), below.sum(axis=(3, 4)))


def belonging(place: int, target: list[int], grid: int, seams: Seams, row: int) -> str:
    """Say which tile belongs at a place, and what it stands beside there.

    Args:
        place: the place, from 0.
        target: where the tile lies that belongs at each place.
        grid: tiles a side.
        seams: of the picture as the tiles lie now.
        row: which picture of them.
    """
    tile = target[place]
    said = [f"Tile {tile + 1} belongs at place {place + 1}"]
    for other, away, costs, edge in _beside(place, grid, seams, row):
        neighbour = target[other]
        said.append(f"{away} tile {neighbour + 1}{edge if _best(costs, neighbour, tile) else ''}")
    return f"{said[0]}, {', and '.join(said[1:])}."


def _beside(place: int, grid: int, seams: Seams, row: int) -> list[tuple[int, str, NDArray[np.int64], str]]:
    """Return the places on the left of a place and above it, or else beside it: which, how, costs (its tile, tile), edge."""
    right, below = seams.right[row], seams.below[row]
    fits = "whose {} edge it fits better than any other tile"
    found = []
    if place % grid:
        found.append((place - 1, "right of", right, f", {fits.format('right')}"))
    if place >= grid:
        found.append((place - grid, "below", below, f", {fits.format('lower')}"))
    if not found:
        found = [
            (place + 1, "left of", right.T, f", {fits.format('left')}"),
            (place + grid, "above", below.T, f", {fits.format('upper')}"),
        ]
    return found


def _best(costs: NDArray[np.int64], neighbour: int, tile: int) -> bool:
    """Return whether no other tile fits an edge of a neighbour as well."""
    others = np.ones(len(costs), bool)
    others[[neighbour, tile]] = False
    return bool((costs[neighbour, others] > costs[neighbour, tile]).all())
