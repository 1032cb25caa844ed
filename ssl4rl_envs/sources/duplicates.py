"""Copies of pictures: the same one in another format, size, quality or brightness, in grey, or cropped by a few pixels.

Two pictures count as copies of each other when their perceptual hashes (ImageHash's `phash`, 256 bits) differ in few bits
*and* their small versions agree, the more closely the less detail they have: handwritten digits, skies and gradients resemble
each other without being copies. Mirrored, turned, recoloured and closely cropped pictures are other pictures. Groups are what
such pairs connect, so neighbouring frames of a film are one group; no pair depends on what else is in the folder.

ImageHash and SciPy are imported where they are used: they would double the time that importing the environments takes.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from ssl4rl_envs.kernels.copies import close_pairs

HASH_SIDE, SIDE = 16, 16
MAX_BITS = 102
"""Copies differ in at most this many of the 256 bits of their hashes; unlike pictures differ in about 128."""

MIN_SPREAD = 1.0
"""Pictures whose small versions spread less than this (standard deviation, of 255) are blank; only equal ones are grouped."""

_MAX_ASPECT = 0.1  # of the logarithms of width / height
_SCALE = 30_000.0  # integers a unit of tone; rounding moves a correlation by less than _ROUNDING
_ROUNDING = 0.001
_MOST_DETAIL = SIDE**2
_LUMA = np.array([0.299, 0.587, 0.114], np.float32)
_BLOCK = 1 << 14  # pairs that are looked at closely at a time


class Look(NamedTuple):
    """What of a picture is compared.

    Attributes:
        bits: (4,) uint64, its perceptual hash of 256 bits.
        colours: uint8 RGB (16, 16, 3), its small version.
        aspect: width / height.
    """

    bits: NDArray[np.uint64]
    colours: NDArray[np.uint8]
    aspect: float


class Looks(NamedTuple):
    """The looks of n pictures: (n, 4) uint64, (n, 16, 16, 3) uint8, (n,) float64; about 800 bytes each."""

    bits: NDArray[np.uint64]
    colours: NDArray[np.uint8]
    aspect: NDArray[np.float64]

    @classmethod
    def of(cls, looks: Sequence[Look]) -> Looks:
        """Return the looks of some pictures, one or more."""
        bits, colours, aspect = zip(*looks, strict=True)
        return cls(np.stack(bits), np.stack(colours), np.array(aspect))


class _Details(NamedTuple):
    """What pairs are compared by: standardised tones (n, 256), their spread, detail, colour (n, 32), and log of aspect."""

    tones: NDArray[np.float32]
    spread: NDArray[np.float32]
    detail: NDArray[np.float32]
    chroma: NDArray[np.float32]
    aspect: NDArray[np.float64]


def look_of(pixels: NDArray[np.uint8]) -> Look:
    """Return what of a picture, uint8 RGB (height, width, 3), is compared."""
    import imagehash

    side = 4 * HASH_SIDE  # what `phash` reduces to; a third of a millisecond from 256 x 341 pixels
    small = Image.fromarray(pixels).resize((side, side), Image.Resampling.BILINEAR)
    bits = np.asarray(imagehash.phash(small, hash_size=HASH_SIDE).hash, bool).ravel()
    return Look(np.packbits(bits).view(np.uint64), np.asarray(small.reduce(side // SIDE)), pixels.shape[1] / pixels.shape[0])


def groups_of_copies(looks: Looks | Sequence[Look], keys: Sequence[bytes]) -> list[NDArray[np.int64]]:
    """Group pictures that are copies of each other.

    Args:
        looks: of each picture; none for equal pictures alone.
        keys: a content digest of each picture; equal ones are grouped in any case.

    Returns:
        The pictures of each group of two or more, in order.
    """
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    count = len(keys)
    _, same = np.unique(np.array(keys, dtype=np.bytes_), return_inverse=True)
    first = np.full(count, count)
    np.minimum.at(first, same, np.arange(count))
    pairs = np.stack([np.arange(count), first[same]], axis=1)
    if len(looks):
        pairs = np.concatenate([pairs, copies(looks if isinstance(looks, Looks) else Looks.of(looks))])
    one, other = pairs.T
    links = coo_array((np.ones(len(one), np.int8), (one, other)), shape=(count, count))
    label = connected_components(links, directed=False)[1]
    order = np.argsort(label, kind="stable")
    groups = np.split(order, np.flatnonzero(np.diff(label[order])) + 1)
    return sorted((group.astype(np.int64) for group in groups if len(group) > 1), key=lambda group: int(group[0]))


def agreement_needed(bits: NDArray[np.int64], detail: NDArray[np.float32]) -> NDArray[np.float64]:
    """Return how closely (correlation of tones) copies must agree whose hashes differ in so many bits.

    Args:
        bits: (n,) number of different bits.
        detail: (n,) how many independent details the pictures have, see `_details`; white noise has about 90, scenes and
            photographs 2 to 40, a digit 5, a gradient 1.
    """
    by_hash = np.minimum(0.81 + 0.9 * bits / HASH_SIDE**2, 0.99)
    needed: NDArray[np.float64] = np.maximum(by_hash, 1 - 0.004 * detail)
    return needed


def copies(looks: Looks) -> NDArray[np.int64]:
    """Return the pairs of pictures that are copies of each other, (pairs, 2).

    Pictures of unlike shapes are never compared: sorted by shape, each is compared with the next ones alone.
    """
    details = _details(looks)
    order = np.argsort(details.aspect, kind="stable")
    aspect = details.aspect[order]
    ends = np.searchsorted(aspect, aspect + 1.001 * _MAX_ASPECT, side="right")
    hashes = np.ascontiguousarray(looks.bits[order].T)
    whole = np.rint(details.tones[order] * (_SCALE / SIDE)).astype(np.int16)  # of length 1 before they are rounded
    needed = agreement_needed(np.arange(MAX_BITS + 1), np.full(MAX_BITS + 1, _MOST_DETAIL, np.float32))
    least = np.floor((needed - _ROUNDING) * _SCALE**2).astype(np.int64)
    near = close_pairs(hashes, whole, ends.astype(np.int64), least)
    (one, other), bits = np.sort(order[near[:, :2]], axis=1).T, near[:, 2]
    parts = [slice(start, start + _BLOCK) for start in range(0, len(near), _BLOCK)]
    alike = [_agree(details, one[part], other[part], bits[part]) for part in parts]
    agreed = np.concatenate(alike) if alike else np.zeros(0, bool)
    return np.stack([one[agreed], other[agreed]], axis=1)


def _agree(looks: _Details, one: NDArray[np.int64], other: NDArray[np.int64], bits: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Return which pairs agree in tones, contrast, colour and aspect, (pairs,)."""
    correlation: NDArray[np.float32] = np.einsum("ij,ij->i", looks.tones[one], looks.tones[other]) / SIDE**2
    detail = np.minimum(looks.detail[one], looks.detail[other])
    alike: NDArray[np.bool_] = correlation >= agreement_needed(bits, detail)
    gain = looks.spread[other] / looks.spread[one]
    alike &= (gain > 0.4) & (gain < 2.5)
    alike &= np.minimum(looks.spread[one], looks.spread[other]) > MIN_SPREAD
    alike &= np.abs(looks.aspect[one] - looks.aspect[other]) < _MAX_ASPECT
    alike &= _same_colours(looks.chroma[one] * gain[:, None], looks.chroma[other])
    return alike


def _same_colours(one: NDArray[np.float32], other: NDArray[np.float32]) -> NDArray[np.bool_]:
    """Return which colours, (pairs, colours), are about the same; grey goes with every colour."""
    strength = np.minimum(np.abs(one).mean(axis=1), np.abs(other).mean(axis=1))
    same: NDArray[np.bool_] = (strength < 2) | (np.abs(one - other).mean(axis=1) < 6 + 0.3 * strength)
    return same


def _details(looks: Looks) -> _Details:
    """Return what pairs are compared by.

    The detail of a picture is the participation ratio of the energies of its cosine transform: how many coefficients of equal
    energy would be as spread out.
    """
    parts = [_details_of(looks.colours[start : start + _BLOCK]) for start in range(0, len(looks.colours), _BLOCK)]
    tones, spread, detail, chroma = (np.concatenate(column) for column in zip(*parts, strict=True))
    return _Details(tones, spread, detail, chroma, np.log(looks.aspect))


def _details_of(small: NDArray[np.uint8]) -> tuple[NDArray[np.float32], ...]:
    from scipy.fft import dctn

    colours = small.astype(np.float32)
    tones = colours @ _LUMA
    chroma = colours[..., [0, 2]] - tones[..., None]
    tones = tones - tones.mean(axis=(1, 2), keepdims=True)
    spread = np.sqrt(np.square(tones).mean(axis=(1, 2)))
    energy = np.square(dctn(tones, axes=(1, 2), norm="ortho")).reshape(len(tones), -1)
    detail = np.square(energy.sum(axis=1)) / np.maximum(np.square(energy).sum(axis=1), 1e-12)
    return (
        tones.reshape(len(tones), -1) / np.maximum(spread, 1e-6)[:, None],
        np.maximum(spread, 1e-6),
        detail,
        chroma.reshape(-1, 4, SIDE // 4, 4, SIDE // 4, 2).mean(axis=(2, 4)).reshape(len(tones), -1),
    )
