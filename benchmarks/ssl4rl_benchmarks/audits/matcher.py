"""A matcher of tiles that lie apart: it carries their borders on over the gap and asks which fit, in place and in direction.

It knows borders and colours, nothing else: what it earns, nobody needs to understand a picture for. `costs` is made by
hand; `learn` weighs many of such costs, with colours and roughness near the borders, by boosted trees.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray
from sklearn.ensemble import HistGradientBoostingClassifier

from ssl4rl_agents.rules.seams import Orders, arrange, neighbours

Costs = tuple[NDArray[np.float32], NDArray[np.float32]]
"""How badly tile j continues tile i on its right, and below it, (n, m, m) each."""

Tiles = NDArray[np.uint8]
"""(n, m, side, side, 3)."""


@dataclass(frozen=True)
class Matching:
    """How borders are compared.

    Args:
        width: how many lines the border is, whose mean is compared.
        slope: how far its slope is carried on: 0 not at all, 1 by the distance of the lines behind it.
        shift: most pixels by which one border is moved along the other.
        level: what is taken off first: "none"; "tile", every tile's mean, and its spread is divided out; "border", the
            border's own; "slope", all but the differences along the border.
    """

    width: int = 2
    slope: float = 0.7
    shift: int = 3
    level: str = "none"


MATCHINGS = tuple(
    Matching(width, slope, shift, level)
    for level in ("none", "tile", "border", "slope")
    for width, slope, shift in ((1, 0.0, 0), (2, 0.7, 3), (2, 2.0, 6), (4, 0.0, 6))
)
"""What the learned matcher weighs."""

_RANDOM = 0


def costs(tiles: Tiles, matching: Matching | None = None) -> Costs:
    """Compare the borders of all tiles of a picture by hand."""
    how = matching or Matching()
    values = tiles.astype(np.float32)
    if how.level == "tile":
        mean, spread = (f(values, axis=(2, 3), keepdims=True) for f in (np.mean, np.std))
        values = (values - mean) / (spread + 1)
    sides = [_carried(side, how) for side in _sides(values)]
    return _apart(sides[0], sides[1], how.shift), _apart(sides[2], sides[3], how.shift)


def match(tiles: Tiles, grid: int, matching: Matching | None = None) -> Orders:
    """Return the orders whose borders fit best, (n, places)."""
    return arrange(*costs(tiles, matching), grid)


class LearnedMatcher:
    """Boosted trees that say of two borders whether they are neighbours; see `learn`."""

    def __init__(self, models: tuple[Any, Any]) -> None:
        self._models = models

    def costs(self, tiles: Tiles) -> Costs:
        """Return minus the log-odds of being neighbours."""
        found = []
        for model, table in zip(self._models, features(tiles), strict=True):
            likely = model.predict_proba(table.reshape(-1, table.shape[-1]))[:, 1].clip(1e-6, 1 - 1e-6)
            found.append(np.log((1 - likely) / likely).reshape(table.shape[:3]).astype(np.float32))
        return found[0], found[1]

    def match(self, tiles: Tiles, grid: int) -> Orders:
        """Return the likeliest orders, (n, places)."""
        return arrange(*self.costs(tiles), grid)


def learn(tiles: Tiles, orders: Orders, grid: int) -> LearnedMatcher:
    """Learn from pictures whose orders (n, places) are known which borders are neighbours."""
    models = []
    for table, pairs in zip(features(tiles), neighbours(grid), strict=True):
        count, many = table.shape[:2]
        label = np.zeros((count, many, many), bool)
        rows = np.arange(count)
        for first, second in pairs:
            label[rows, orders[:, first], orders[:, second]] = True
        asked = np.broadcast_to(~np.eye(many, dtype=bool), label.shape)
        model = HistGradientBoostingClassifier(max_iter=150, learning_rate=0.06, max_leaf_nodes=15, random_state=_RANDOM)
        models.append(model.fit(table[asked], label[asked]))
    return LearnedMatcher((models[0], models[1]))


def features(tiles: Tiles) -> list[NDArray[np.float32]]:
    """Return what is known of every pair of borders, to the right and below, (n, m, m, features) each.

    Costs by hand, each as it is and beside the mean of its row and of its column; and how the colours, their spread and
    their roughness differ in strips of a sixth, a third and a half of a tile.
    """
    by_hand = [costs(tiles, matching) for matching in MATCHINGS]
    sides = _sides(tiles.astype(np.float32))
    result = []
    for way, (first, second) in enumerate(((sides[0], sides[1]), (sides[2], sides[3]))):
        columns: list[NDArray[np.float32]] = []
        for pair in by_hand:
            cost = pair[way]
            columns += [cost, cost - cost.mean(axis=1, keepdims=True), cost - cost.mean(axis=2, keepdims=True)]
        for share in (6, 3, 2):
            one, other = (_described(side[:, :, : max(1, side.shape[2] // share)]) for side in (first, second))
            apart = np.abs(one[:, :, None] - other[:, None])
            columns += list(np.moveaxis(apart, -1, 0))
            columns += [apart.sum(axis=-1)]
        result.append(np.stack(columns, axis=-1))
    return result


def _sides(values: NDArray[np.float32]) -> list[NDArray[np.float32]]:
    """Return tiles seen from their right, left, lower and upper border, (n, m, lines, along, 3): the border comes first."""
    left, above = values.swapaxes(2, 3), values
    return [left[:, :, ::-1], left, above[:, :, ::-1], above]


def _carried(side: NDArray[np.float32], how: Matching) -> NDArray[np.float32]:
    """Return borders (n, m, along, 3), carried on by their slope."""
    outer = side[:, :, : how.width].mean(axis=2)
    inner = side[:, :, how.width : 2 * how.width + 1].mean(axis=2)
    border = outer + how.slope * (outer - inner)
    if how.level == "border":
        border = border - border.mean(axis=2, keepdims=True)
        border = border / (border.std(axis=(2, 3), keepdims=True) + 1)
    return np.diff(border, axis=2) if how.level == "slope" else border


def _apart(first: NDArray[np.float32], second: NDArray[np.float32], shift: int) -> NDArray[np.float32]:
    """Return the least mean distance of borders (n, m, along, 3) over shifts along one another, (n, m, m)."""
    middle = first[:, :, shift : first.shape[2] - shift]
    moved = sliding_window_view(second, middle.shape[2], axis=2)  # (n, m, shifts, 3, along)
    best = np.full((len(first), first.shape[1], first.shape[1]), np.inf, np.float32)
    for k in range(moved.shape[2]):
        other = moved[:, :, k].swapaxes(2, 3)
        np.minimum(best, np.abs(middle[:, :, None] - other[:, None]).mean(axis=(3, 4)), out=best)
    return best


def _described(strip: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return means, spreads and roughness of strips (n, m, lines, along, 3) by channel, and ratios of colours."""
    mean, spread = strip.mean(axis=(2, 3)), strip.std(axis=(2, 3))
    rough = np.abs(np.diff(strip, axis=3)).mean(axis=(2, 3))
    relative = rough / (spread + 1)
    cast = np.log((mean + 8) / (mean.mean(axis=-1, keepdims=True) + 8))
    return np.concatenate([mean / 32, spread / 16, rough / 8, relative, cast * 4], axis=-1)
