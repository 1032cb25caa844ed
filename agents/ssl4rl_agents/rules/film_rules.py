"""Rules for tasks over drawn things: what moves is what differs from the frames' median; marks are found by their pixels."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ssl4rl_agents.rules.cells import Pictures, panel_cells
from ssl4rl_envs import Task
from ssl4rl_envs.images import marks
from ssl4rl_envs.images.depth_order import DepthOrder
from ssl4rl_envs.images.frame_ordering import FrameOrdering
from ssl4rl_envs.images.next_frame import NextFrame
from ssl4rl_envs.images.relative_position import RelativePosition

Shown = dict[str, NDArray[Any]]
Answers = NDArray[np.int64]

MOVED = 1.5
"""Pixels that differ by more, in mean deviations of a frame summed over the channels, show what moves."""


def steady(frames: list[Pictures]) -> NDArray[np.float64]:
    """Return frames (n, frames, side, side, 3) without the flicker of their light: of median 0 and mean deviation 1."""
    values = np.stack(frames, axis=1).astype(np.float64)
    values -= np.median(values, axis=(2, 3), keepdims=True)
    return np.asarray(values / (np.abs(values).mean(axis=(2, 3, 4), keepdims=True) + 1e-6))


def centroids(apart: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the middles of what differs by more than `MOVED` in maps (..., side, side), right and down, (..., 2)."""
    weight = np.where(apart > MOVED, apart, 0.0) + 1e-6
    points = np.arange(apart.shape[-1], dtype=np.float64)
    sums = [(weight.sum(axis=axis) * points).sum(axis=-1) for axis in (-2, -1)]
    return np.asarray(np.stack(sums, axis=-1) / weight.sum(axis=(-2, -1))[..., None])


def in_time(task: Task, shown: Shown) -> Answers:
    """FrameOrdering: the order in which what moves gets away from where the first frame shows it, or from one end."""
    assert isinstance(task, FrameOrdering)
    frames = steady(panel_cells(shown["image"], task.frames, task.side))
    where = centroids(np.abs(frames - np.median(frames, axis=1, keepdims=True)).sum(axis=-1))
    if task.marked:
        away = np.square(where[:, 1:] - where[:, :1]).sum(axis=2)
        return np.argsort(away, axis=1)
    spread = where - where.mean(axis=1, keepdims=True)
    axis = np.linalg.svd(spread, full_matrices=False)[2][:, 0]
    return np.argsort(np.einsum("nki,ni->nk", spread, axis), axis=1)


def goes_on(task: Task, shown: Shown) -> Answers:
    """NextFrame: the candidate whose change comes where it would at the pace of the film's own changes."""
    assert isinstance(task, NextFrame)
    film, offered = (
        steady(panel_cells(shown[name], many, task.side)) for name, many in (("film", task.frames), ("next", task.candidates))
    )
    before = centroids(np.abs(np.diff(film, axis=1)).sum(axis=-1))
    after = centroids(np.abs(offered - film[:, -1:]).sum(axis=-1))
    pace = before[:, -1] - before[:, -2] if task.frames > 2 else 0.0  # of one change nothing but the place is known
    away = np.square(after - (before[:, -1] + pace)[:, None]).sum(axis=2)
    return np.asarray(away.argmin(axis=1), np.int64)


def find_marks(pictures: Pictures, count: int) -> NDArray[np.int64]:
    """Return the upper left corners of marks 1 to `count`, (n, count, 2) rows and columns."""
    size, side = pictures.shape[1], marks.side_of(pictures.shape[1])
    places, green = size - side + 1, np.ascontiguousarray(pictures[..., 1])  # of marks all channels are alike
    found = []
    for drawn in marks.squares(count, side)[0, ..., 1]:
        wrong = np.zeros((len(pictures), places, places), np.uint16)
        for row in range(side):
            for column in range(side):
                wrong += green[:, row : row + places, column : column + places] != drawn[row, column]
        found.append(np.stack(np.divmod(wrong.reshape(len(pictures), -1).argmin(axis=1), places), axis=-1))
    return np.stack(found, axis=1)


def seen_from(task: Task, shown: Shown) -> Answers:
    """RelativePosition: the direction from mark 2 to mark 1."""
    assert isinstance(task, RelativePosition)
    corners = find_marks(shown["image"], 2)
    down, right = (corners[:, 0] - corners[:, 1]).T
    return np.asarray(np.rint(np.arctan2(-down, right) * task.directions / (2 * np.pi)) % task.directions, np.int64)


def goes_through(task: Task, shown: Shown) -> Answers:
    """DepthOrder: the thing whose colours are found between the marks."""
    assert isinstance(task, DepthOrder)
    image = shown["image"]
    side = marks.side_of(image.shape[1])
    corners = find_marks(image, task.things)
    middle = corners.mean(axis=1).round().astype(np.int64)
    between = _around(image, middle, side)
    own = [_around(image, corners[:, number], side) for number in range(task.things)]
    return np.asarray(np.stack([np.minimum(each, between).sum(axis=1) for each in own], axis=1).argmax(axis=1), np.int64)


def _around(pictures: Pictures, corners: NDArray[np.int64], side: int) -> NDArray[np.float64]:
    """Return histograms of the colours in and around squares, black and white left out, (n, 64)."""
    result = np.zeros((len(pictures), 64))
    for row, (top, left) in enumerate(corners):
        reach = side // 2 + 1
        part = pictures[row, max(top - reach, 0) : top + side + reach, max(left - reach, 0) : left + side + reach]
        bins = part.reshape(-1, 3).astype(np.int64) // 64
        plain = (part.reshape(-1, 3).min(axis=1) < 255) & (part.reshape(-1, 3).max(axis=1) > 0)
        result[row] = np.bincount(bins[plain] @ np.array([16, 4, 1]), minlength=64) / max(1, plain.sum())
    return result
