"""What edges and equal pixels tell: which tile continues which, what fits a hole, where a crop is from."""

from __future__ import annotations

import itertools

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from ssl4rl_agents.rules.cells import Pictures
from ssl4rl_envs.images.augmentations import crop

Orders = NDArray[np.int64]
"""(n, places): which tile belongs in each place."""

_PIXELS = 12  # a cell's side in template matching
_CHUNK = 125
_ROUNDS = 20


def seams(tiles: NDArray[np.uint8]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Return how badly tile j (n, m, side, side, 3) continues tile i on its right, and below it, (n, m, m) each."""
    values = tiles.astype(np.float32)
    right = np.stack([np.abs(values[:, i, None, :, -1] - values[:, :, :, 0]).mean((2, 3)) for i in range(tiles.shape[1])], 1)
    below = np.stack([np.abs(values[:, i, None, -1] - values[:, :, 0]).mean((2, 3)) for i in range(tiles.shape[1])], 1)
    return right, below


def neighbours(grid: int) -> tuple[list[tuple[int, int]], list[tuple[int, int]]]:
    """Return the pairs of places side by side, and one above the other."""
    across = [(row * grid + column, row * grid + column + 1) for row in range(grid) for column in range(grid - 1)]
    return across, [(place, place + grid) for place in range(grid * (grid - 1))]


def jigsaw(tiles: NDArray[np.uint8], grid: int) -> Orders:
    """Return the orders of least seams."""
    return arrange(*seams(tiles), grid)


def arrange(right: NDArray[np.float32], below: NDArray[np.float32], grid: int) -> Orders:
    """Return the orders of least cost, (n, places): of all for 2 x 2; else the best greedy one, improved by swaps.

    Args:
        right, below: (n, m, m) what it costs to put tile j to the right of tile i, and below it.
        grid: tiles a side.
    """
    if grid == 2:
        return _cheapest(right, below, np.array(list(itertools.permutations(range(4))))[None].repeat(len(right), 0), grid)
    starts = np.stack([_greedy(right, below, grid, first) for first in range(grid * grid)], axis=1)
    order = _cheapest(right, below, starts, grid)
    pairs = list(itertools.combinations(range(grid * grid), 2))
    for _ in range(_ROUNDS):
        tried = np.repeat(order[:, None], len(pairs) + 1, axis=1)
        for number, (i, j) in enumerate(pairs):
            tried[:, number, [i, j]] = order[:, [j, i]]
        better = _cheapest(right, below, tried, grid)
        if np.array_equal(better, order):
            break
        order = better
    return order


def odd_one(tiles: NDArray[np.uint8], grid: int) -> NDArray[np.int64]:
    """Return the tile whose seams with its neighbours are worst on average, (n,)."""
    right, below = seams(tiles)
    across, down = neighbours(grid)
    total, count = np.zeros((len(tiles), grid * grid)), np.zeros(grid * grid)
    for costs, pairs in ((right, across), (below, down)):
        for i, j in pairs:
            for tile in (i, j):
                total[:, tile] += costs[:, i, j]
                count[tile] += 1
    return np.asarray((total / count).argmax(axis=1), np.int64)


def find_mask(pictures: Pictures, side: int, grey: int) -> NDArray[np.int64]:
    """Return the upper left corners (n, 2) of the first squares of this side that are nothing but grey."""
    flat = (pictures == grey).all(axis=-1).astype(np.int64)
    sums = np.pad(flat, ((0, 0), (1, 0), (1, 0))).cumsum(axis=1).cumsum(axis=2)
    area = sums[:, side:, side:] - sums[:, :-side, side:] - sums[:, side:, :-side] + sums[:, :-side, :-side]
    found = (area == side * side).reshape(len(area), -1).argmax(axis=1)
    return np.stack(np.divmod(found, area.shape[2]), axis=1)


def best_fit(pictures: Pictures, candidates: list[Pictures], corners: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return which candidate best continues what is round a square hole at `corners`, (n,)."""
    side = candidates[0].shape[1]
    answers = np.zeros(len(pictures), np.int64)
    for row, (y, x) in enumerate(corners.tolist()):
        image = pictures[row].astype(np.int64)
        offered = np.stack([candidate[row] for candidate in candidates]).astype(np.int64)
        sides: list[NDArray[np.int64]] = []
        if y:
            sides.append(offered[:, 0] - image[y - 1, x : x + side])
        if y + side < len(image):
            sides.append(offered[:, -1] - image[y + side, x : x + side])
        if x:
            sides.append(offered[:, :, 0] - image[y : y + side, x - 1])
        if x + side < len(image):
            sides.append(offered[:, :, -1] - image[y : y + side, x + side])
        answers[row] = np.abs(np.concatenate(sides, axis=1)).mean(axis=(1, 2)).argmin()
    return answers


def first_not_in(pictures: Pictures, candidates: list[Pictures]) -> NDArray[np.int64]:
    """Return the first candidate that is not to be found in the picture to the last bit, or 0, (n,)."""
    answers = np.zeros(len(pictures), np.int64)
    for row, picture in enumerate(pictures):
        absent = [number for number, candidate in enumerate(candidates) if not _holds(picture, candidate[row])]
        answers[row] = absent[0] if absent else 0
    return answers


def find_crop(crops: Pictures, pictures: Pictures, grid: int, share: float) -> NDArray[np.int64]:
    """Return the cells of a grid where reduced crops fit pictures best; crops are `share` of a cell wide, (n,)."""
    fine, small = grid * _PIXELS, round(_PIXELS * share)
    answers = np.zeros(len(crops), np.int64)
    for start in range(0, len(crops), _CHUNK):
        part = slice(start, start + _CHUNK)
        image, template = _reduced(pictures[part], fine), _reduced(crops[part], small)
        windows = sliding_window_view(image, (small, small), axis=(1, 2)).transpose(0, 1, 2, 4, 5, 3)
        apart = np.abs(windows - template[:, None, None]).sum(axis=(3, 4, 5))
        row, column = np.divmod(apart.reshape(len(apart), -1).argmin(axis=1), apart.shape[2])
        cell = [np.minimum((2 * place + small) // (2 * _PIXELS), grid - 1) for place in (row, column)]
        answers[part] = cell[0] * grid + cell[1]
    return answers


def swaps_towards(orders: Orders) -> NDArray[np.int64]:
    """Return two places (n, 2) whose swap puts a tile into its place; 0, 1 where all are."""
    wrong = orders != np.arange(orders.shape[1])
    place = wrong.argmax(axis=1)
    belongs = orders[np.arange(len(orders)), place]
    pairs = np.sort(np.stack([place, belongs], axis=1), axis=1)
    return np.asarray(np.where(wrong.any(axis=1)[:, None], pairs, [0, 1]), np.int64)


def _cheapest(right: NDArray[np.float32], below: NDArray[np.float32], orders: Orders, grid: int) -> Orders:
    """Return the order of least seams of k for each row, (n, k, places)."""
    across, down = neighbours(grid)
    rows = np.arange(len(orders))[:, None]
    cost = np.zeros(orders.shape[:2], np.float32)
    for costs, pairs in ((right, across), (below, down)):
        for i, j in pairs:
            cost += costs[rows, orders[:, :, i], orders[:, :, j]]
    return np.asarray(orders[np.arange(len(orders)), cost.argmin(axis=1)], np.int64)


def _greedy(right: NDArray[np.float32], below: NDArray[np.float32], grid: int, first: int) -> Orders:
    """Place tiles from left to right, top to bottom, each time the one that fits best, with tile `first` in front."""
    rows = np.arange(len(right))
    order = np.full((len(right), grid * grid), first, np.int64)
    used = np.zeros(order.shape, bool)
    used[:, first] = True
    for place in range(1, grid * grid):
        cost = np.where(used, np.float32(np.inf), np.float32(0))
        if place % grid:
            cost += right[rows, order[:, place - 1]]
        if place >= grid:
            cost += below[rows, order[:, place - grid]]
        order[:, place] = cost.argmin(axis=1)
        used[rows, order[:, place]] = True
    return order


def _holds(picture: NDArray[np.uint8], patch: NDArray[np.uint8]) -> bool:
    """Return whether a patch stands somewhere in a picture, to the last bit."""
    side = len(patch)
    most = len(picture) - side + 1
    found = np.ones((most, most), bool)
    for y, x in ((0, 0), (side - 1, side - 1), (0, side - 1), (side - 1, 0), (side // 2, side // 2)):
        found &= (picture[y : y + most, x : x + most] == patch[y, x]).all(axis=-1)
    return any(np.array_equal(picture[y : y + side, x : x + side], patch) for y, x in np.argwhere(found))


def _reduced(pictures: Pictures, size: int) -> NDArray[np.int16]:
    """Return pictures reduced to a side in pixels."""
    none, whole = np.zeros(len(pictures)), np.full(len(pictures), pictures.shape[1])
    return crop(pictures, none, none, whole, whole, size).astype(np.int16)
