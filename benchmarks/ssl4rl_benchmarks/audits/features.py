"""What can be measured of pictures without understanding them: sizes, edges, spectra, colours."""

from __future__ import annotations

import io
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from ssl4rl_agents.rules.cells import Pictures

Table = NDArray[np.float64]
"""Numbers (n, features)."""

RINGS = ((0.03, 0.12), (0.12, 0.25), (0.25, 0.37), (0.37, 0.5), (0.5, 0.8))
"""Bands of spatial frequency, in cycles a pixel."""

SECTORS = 8
STEPS = range(-3, 4)


def file_size(pictures: Pictures) -> Table:
    """Return how long pictures are as PNG files, as they are and transposed, (n, 2)."""
    return np.array([(_png(picture), _png(picture.swapaxes(0, 1))) for picture in pictures], np.float64)


def border_rows(pictures: Pictures) -> Table:
    """Return means, spreads and roughness of the two outermost lines of each side, and how often they are black or white."""
    grey = _grey(pictures)
    lines = [grey[:, row] for row in (0, 1, -2, -1)] + [grey[:, :, column] for column in (0, 1, -2, -1)]
    features: list[NDArray[np.float64]] = []
    for line in lines:
        features += [line.mean(axis=1), line.std(axis=1), np.abs(np.diff(line, axis=1)).mean(axis=1)]
        features += [(line < 2).mean(axis=1), (line > 253).mean(axis=1)]
    return np.stack(features, axis=1)


def spectrum(pictures: Pictures) -> Table:
    """Return log-power by rings and sectors of the Fourier plane, and the traces that interpolation leaves in steps."""
    return np.concatenate([_power(pictures), _steps(pictures)], axis=1)


def mean_colour(pictures: Pictures) -> Table:
    """Return mean and spread of each channel, (n, 6)."""
    return np.concatenate([pictures.mean(axis=(1, 2)), pictures.std(axis=(1, 2))], axis=1).astype(np.float64)


FEATURES: dict[str, Callable[[Pictures], Table]] = {
    "file size": file_size,
    "border rows": border_rows,
    "spectrum": spectrum,
    "mean colour": mean_colour,
}


def _grey(pictures: Pictures) -> NDArray[np.float64]:
    return np.asarray(pictures @ np.array([0.299, 0.587, 0.114]), np.float64)


def _png(picture: NDArray[np.uint8]) -> int:
    file = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(picture)).save(file, "PNG", compress_level=1)
    return file.tell()


def _power(pictures: Pictures) -> Table:
    grey = _grey(pictures)
    side = grey.shape[1]
    window = np.hanning(side + 2)[1:-1]
    power = np.abs(np.fft.fft2((grey - grey.mean(axis=(1, 2), keepdims=True)) * window[:, None] * window)) ** 2
    frequency = np.fft.fftfreq(side)
    radius = np.hypot(frequency[:, None], frequency)
    sector = (np.arctan2(frequency[:, None], frequency) % np.pi / np.pi * SECTORS).astype(int) % SECTORS
    rings = [(radius >= low) & (radius < high) for low, high in RINGS]
    masks = [mask for ring in rings for mask in (ring, *(ring & (sector == k) for k in range(SECTORS))) if mask.any()]
    return np.log(np.stack([power[:, mask].mean(axis=1) for mask in masks], axis=1) + 1e-3)


def _steps(pictures: Pictures) -> Table:
    """Return how often neighbours rise, fall, differ by little or by an odd number, and how they bend, along each axis."""
    values = pictures[..., :2].astype(np.int16)
    features: list[NDArray[np.float64]] = []
    for axis in (1, 2):
        step = np.diff(values, axis=axis).reshape(len(values), -1)
        features += [(step > 0).mean(axis=1), (step < 0).mean(axis=1), (step % 2).mean(axis=1)]
        features += [(step == k).mean(axis=1) for k in STEPS]
        bend = np.diff(values, 2, axis=axis).reshape(len(values), -1)
        features += [bend.mean(axis=1), np.abs(bend).mean(axis=1), (bend == 0).mean(axis=1)]
    return np.stack(features, axis=1)
