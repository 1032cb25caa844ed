"""What can be measured of pictures without understanding them: sizes, edges, spectra, colours, traces of drawing."""

from __future__ import annotations

import zlib
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ssl4rl_agents.rules.cells import Pictures

Table = NDArray[np.float64]
"""Numbers (n, features)."""

RINGS = ((0.03, 0.12), (0.12, 0.25), (0.25, 0.37), (0.37, 0.5), (0.5, 0.8))
"""Bands of spatial frequency, in cycles a pixel."""

SECTORS = 8
STEPS = range(-3, 4)
LAGS = (1, 2, 3, 4, 6)
PERIODS = 6
"""Strongest periods along each axis that are looked at."""


def file_size(pictures: Pictures) -> Table:
    """Return how long pictures are as PNG files would be, by rows and by columns, (n, 2).

    That is by the "up" filter of PNG (each line minus the one before) and deflate at its fastest.
    """
    lengths = []
    for lines in (pictures, pictures.swapaxes(1, 2)):
        filtered = lines.copy()
        filtered[:, 1:] -= lines[:, :-1]
        lengths.append([len(zlib.compress(picture.tobytes(), 1)) for picture in filtered])
    return np.array(lengths, np.float64).T


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
    shares, values = _shares(pictures), np.arange(256.0)
    mean = shares @ values
    spread = np.sqrt(np.maximum(shares @ values**2 - mean**2, 0))
    return np.concatenate([mean, spread], axis=1)


def residuals(pictures: Pictures) -> Table:
    """Return how the second differences of pictures spread, reach and repeat along each axis, (n, features).

    Resampling puts periods into them that tell by how much (Gallagher 2005).
    """
    grey = pictures.astype(np.float32).mean(axis=3)
    columns: list[NDArray[np.float32]] = []
    for axis in (1, 2):
        along = np.moveaxis(np.diff(grey, 2, axis=axis), axis, -1)
        flat = along.reshape(len(along), -1)
        spread = flat.std(axis=1) + 1e-6
        repeated = (np.diff(pictures, axis=axis) == 0).mean(axis=(1, 2, 3))
        columns += [
            np.log(spread),
            repeated,
            (np.abs(flat) < 0.5).mean(axis=1),
            (np.square(np.square(flat)).mean(axis=1) / spread**4),
        ]
        for lag in LAGS:
            if along.shape[-1] > lag:
                columns.append((along[..., lag:] * along[..., :-lag]).mean(axis=(1, 2)) / spread**2)
        for other in (1, 2):
            profile = np.abs(along).mean(axis=other)
            power = np.abs(np.fft.rfft(profile - profile.mean(axis=1, keepdims=True), axis=1))[:, 1:]
            power = power / (power.mean(axis=1, keepdims=True) + 1e-6)
            strongest = np.argsort(-power, axis=1)[:, :PERIODS]
            columns += [*np.take_along_axis(power, strongest, axis=1).T, *strongest.T / power.shape[1]]
    return np.stack([*columns, columns[0] - columns[len(columns) // 2]], axis=1).astype(np.float64)


def extremes(pictures: Pictures) -> Table:
    """Return how often values are black or white, or near, by channel; how colourful pixels are; and coarse histograms."""
    shares = _shares(pictures)
    ends = [part.sum(axis=2) for few in (1, 7) for part in (shares[:, :, :few], shares[:, :, -few:])]
    coarse = shares.mean(axis=1).reshape(len(shares), 8, 32).sum(axis=2)
    red, green, blue = (pictures[..., channel] for channel in range(3))
    chroma = np.maximum(np.maximum(red, green), blue) - np.minimum(np.minimum(red, green), blue)
    colourful = _counted(chroma.reshape(len(chroma), -1), 256)
    values = np.arange(256.0)
    mean = colourful @ values
    spread = np.sqrt(np.maximum(colourful @ values**2 - mean**2, 0))
    of_chroma = np.stack([mean, spread, colourful[:, 0], colourful[:, 129:].sum(axis=1)], axis=1)
    return np.concatenate([*ends, coarse, of_chroma], axis=1)


FEATURES: dict[str, Callable[[Pictures], Table]] = {
    "file size": file_size,
    "border rows": border_rows,
    "spectrum": spectrum,
    "mean colour": mean_colour,
    "residuals": residuals,
    "extremes": extremes,
}


def _grey(pictures: Pictures) -> NDArray[np.float64]:
    red, green, blue = (pictures[..., channel].astype(np.float32) for channel in range(3))
    return np.asarray(0.299 * red + 0.587 * green + 0.114 * blue, np.float64)


def _shares(pictures: Pictures) -> NDArray[np.float64]:
    """Return the share of every value in every channel, (n, 3, 256)."""
    return np.stack([_counted(pictures[..., channel].reshape(len(pictures), -1), 256) for channel in range(3)], axis=1)


def _counted(values: NDArray[Any], kinds: int) -> NDArray[np.float64]:
    """Return the shares of the values 0 to kinds - 1 in each row of (n, m), (n, kinds)."""
    rows = np.arange(len(values), dtype=np.int64)[:, None] * kinds
    counts = np.bincount((rows + values).ravel(), minlength=len(values) * kinds)
    return np.asarray(counts.reshape(len(values), kinds) / values.shape[1], np.float64)


def _power(pictures: Pictures) -> Table:
    grey = _grey(pictures).astype(np.float32)
    side = grey.shape[1]
    window = np.hanning(side + 2)[1:-1].astype(np.float32)
    spectra = np.fft.rfft2((grey - grey.mean(axis=(1, 2), keepdims=True)) * window[:, None] * window)
    power = (spectra.real**2 + spectra.imag**2).reshape(len(grey), -1)
    down, across = np.fft.fftfreq(side)[:, None], np.fft.rfftfreq(side)
    radius = np.hypot(down, across)
    sector = (np.arctan2(down, across) % np.pi / np.pi * SECTORS).astype(int) % SECTORS
    rings = [(radius >= low) & (radius < high) for low, high in RINGS]
    masks = [mask for ring in rings for mask in (ring, *(ring & (sector == k) for k in range(SECTORS))) if mask.any()]
    weights = np.stack([mask.ravel() / mask.sum() for mask in masks], axis=1).astype(np.float32)
    return np.log(np.asarray(power @ weights, np.float64) + 1e-3)


def _steps(pictures: Pictures) -> Table:
    """Return how often neighbours rise, fall, differ by little or by an odd number, and how they bend, along each axis."""
    values = pictures[..., :2].astype(np.int16)
    features: list[NDArray[np.float64]] = []
    for axis in (1, 2):
        step = _counted(np.diff(values, axis=axis).reshape(len(values), -1) + 255, 511)
        features += [step[:, 256:].sum(axis=1), step[:, :255].sum(axis=1), step[:, ::2].sum(axis=1)]
        features += [step[:, 255 + k] for k in STEPS]
        bend = _counted(np.diff(values, 2, axis=axis).reshape(len(values), -1) + 510, 1021)
        sizes = np.arange(-510.0, 511.0)
        features += [bend @ sizes, bend @ np.abs(sizes), bend[:, 510]]
    return np.stack(features, axis=1)
