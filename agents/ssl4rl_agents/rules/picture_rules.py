"""Rules for tasks over pictures: skies are light and plain, tiles continue one another, mirrors can be undone.

Every rule takes a task and what is shown of n instances, and answers them, (n,) or (n, slots). Thresholds were set by eye on
training scenes.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ssl4rl_agents.rules import seams
from ssl4rl_agents.rules.cells import Pictures, panel_cells
from ssl4rl_envs import Task
from ssl4rl_envs.images import aspects
from ssl4rl_envs.images.colorization import Colorization
from ssl4rl_envs.images.comparison import Comparison
from ssl4rl_envs.images.contrastive import Contrastive
from ssl4rl_envs.images.flip_prediction import FlipPrediction
from ssl4rl_envs.images.masked_reconstruction import GREY, MaskedReconstruction
from ssl4rl_envs.images.odd_patch import OddPatch
from ssl4rl_envs.images.patch_ordering import PatchOrdering
from ssl4rl_envs.images.patch_position import PatchPosition
from ssl4rl_envs.images.patch_swap import PatchSwap
from ssl4rl_envs.images.rotate_upright import LEFT, RIGHT, STOP, RotateUpright
from ssl4rl_envs.images.rotation import Rotation
from ssl4rl_envs.images.tiles import cut
from ssl4rl_envs.kernels import tallies

Shown = dict[str, NDArray[Any]]
Answers = NDArray[np.int64]

CROP_SHARE = 2 / 3
"""How much of a cell's side a crop of PatchPosition is."""

BORDER = 6
"""One part in so many of a picture's side is its border."""

ALIKE = 0.55
"""Views whose colour histograms share more than this are taken for crops of one picture."""

BINS = 4


def upright_side(task: Task, shown: Shown) -> Answers:
    """Rotation: the lightest and plainest border is the sky, so it belongs on top."""
    assert isinstance(task, Rotation)
    scores = np.stack([_sky(side) for side in _borders(shown["image"])], axis=1)  # top, left, bottom, right
    # Turned counter-clockwise by a quarter, what was on top is on the left.
    return np.asarray(scores.argmax(axis=1) * 90 // task.step_degrees, np.int64)


def next_turn(task: Task, shown: Shown) -> Answers:
    """RotateUpright: turn the lightest and plainest border to the top, and stop."""
    assert isinstance(task, RotateUpright)
    scores = np.stack([_sky(side) for side in _borders(shown["image"])], axis=1)
    return np.asarray(np.array([STOP, RIGHT, RIGHT, LEFT])[scores.argmax(axis=1)], np.int64)


def mirror(task: Task, shown: Shown) -> Answers:
    """FlipPrediction: the mirror that makes the picture the reference; without one, the sky belongs on top."""
    assert isinstance(task, FlipPrediction)
    image = shown["image"].astype(np.int16)
    if not task.reference:
        top, _, bottom, _ = (_sky(side) for side in _borders(shown["image"]))
        return np.asarray(bottom > top, np.int64)
    mirrored = [image, image[:, :, ::-1], image[:, ::-1], image[:, ::-1, ::-1]]
    apart = np.stack([np.abs(picture - shown["reference"]).mean(axis=(1, 2, 3)) for picture in mirrored], axis=1)
    return np.asarray(apart.argmin(axis=1), np.int64)


def measured(task: Task, shown: Shown) -> Answers:
    """Comparison: measure both halves, or both pictures."""
    assert isinstance(task, Comparison)
    parts = 2 if task.compare == "halves" else 1
    tallied = np.concatenate([tallies.tally(shown[name], parts) for name in task.images], axis=1)
    only = aspects.NAMES.index(task.kinds[0])
    kind = shown["asked"][:, 0] if "asked" in shown else np.full(len(tallied), only)
    amounts = aspects.sums(tallied, kind) * aspects.signs(kind)[:, None]
    return np.asarray(amounts.argmax(axis=1), np.int64)


def natural_colours(task: Task, shown: Shown) -> Answers:
    """Colorization: above, blue outweighs red; below, green outweighs blue."""
    assert isinstance(task, Colorization)
    scores = []
    for panel in panel_cells(shown["image"], task.candidates):
        values = panel.astype(np.float64)
        third = values.shape[1] // 3
        sky, ground = values[:, :third].mean(axis=(1, 2)), values[:, -third:].mean(axis=(1, 2))
        scores.append(sky[:, 2] - sky[:, 0] + ground[:, 1] - ground[:, 2])
    return np.asarray(np.stack(scores, axis=1).argmax(axis=1), np.int64)


def same_colours(task: Task, shown: Shown) -> Answers:
    """Contrastive: views of one picture have alike histograms of colours."""
    assert isinstance(task, Contrastive)
    shared = np.minimum(*(_histogram(shown[name]) for name in ("image_1", "image_2"))).sum(axis=1)
    return np.asarray(shared > ALIKE, np.int64)


def by_edges(task: Task, shown: Shown) -> Answers:
    """Answer by what continues what: tasks of tiles and MaskedReconstruction; of PatchSwap, the order to reach."""
    image = shown["image"]
    if isinstance(task, MaskedReconstruction):
        offered = panel_cells(shown["candidates"], task.candidates, task.patch_size)
        return seams.best_fit(image, offered, seams.find_mask(image, task.patch_size, GREY))
    assert isinstance(task, (PatchOrdering, PatchSwap, OddPatch))
    tiles, grid = cut(image, task.tiling.grid), task.tiling.grid
    return seams.odd_one(tiles, grid) if isinstance(task, OddPatch) else seams.jigsaw(tiles, grid)


def by_duplicates(task: Task, shown: Shown) -> Answers:
    """Answer by what is found twice: where a crop fits, which candidate is not to be found elsewhere."""
    image = shown["image"]
    if isinstance(task, PatchPosition):
        return seams.find_crop(shown["crop"], image, task.grid, CROP_SHARE)
    assert isinstance(task, MaskedReconstruction)
    return seams.first_not_in(image, panel_cells(shown["candidates"], task.candidates, task.patch_size))


def next_swap(task: Task, shown: Shown) -> Answers:
    """PatchSwap: put a tile where the edges want it, and stop where they want no more."""
    assert isinstance(task, PatchSwap)
    orders = by_edges(task, shown)
    swaps = (task.pairs[None] == seams.swaps_towards(orders)[:, None]).all(axis=2).argmax(axis=1)
    done = task.stop & (orders == np.arange(task.tiling.count)).all(axis=1)
    return np.where(done, len(task.pairs), swaps).astype(np.int64)


def _borders(pictures: Pictures) -> list[NDArray[np.float64]]:
    """Return the borders of pictures, top, left, bottom, right, as grey (n, pixels)."""
    grey = pictures.mean(axis=3)
    width = max(1, grey.shape[1] // BORDER)
    sides = (grey[:, :width], grey[:, :, :width], grey[:, -width:], grey[:, :, -width:])
    return [side.reshape(len(grey), -1) for side in sides]


def _sky(border: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray(border.mean(axis=1) - border.std(axis=1), np.float64)


def _histogram(pictures: Pictures) -> NDArray[np.float64]:
    """Return shares of pixels by colour, (n, BINS**3)."""
    levels = pictures.astype(np.int64) * BINS // 256
    codes = (levels[..., 0] * BINS + levels[..., 1]) * BINS + levels[..., 2]
    codes = codes.reshape(len(pictures), -1) + np.arange(len(pictures))[:, None] * BINS**3
    counts = np.bincount(codes.reshape(-1), minlength=len(pictures) * BINS**3).reshape(len(pictures), -1)
    return np.asarray(counts / counts.sum(axis=1, keepdims=True), np.float64)
