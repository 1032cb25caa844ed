"""Copies of pictures: the same one in another format, size, quality or brightness, in grey, or cropped by a few pixels.

Two pictures count as copies of each other when their perceptual hashes (ImageHash's `phash`, 256 bits) differ in few bits
*and* their small versions agree, the more closely the less detail they have: handwritten digits, skies and gradients resemble
each other without being copies. Mirrored, turned, recoloured and closely cropped pictures are other pictures. Groups are what
such pairs connect, so neighbouring frames of a film are one group; no pair depends on what else is in the folder.

ImageHash and SciPy are imported where they are used: they would double the time that importing the environments takes.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image

HASH_SIDE, SIDE = 16, 16
MAX_BITS = 102
"""Copies differ in at most this many of the 256 bits of their hashes; unlike pictures differ in about 128."""

MIN_SPREAD = 1.0
"""Pictures whose small versions spread less than this (standard deviation, of 255) are blank; only equal ones are grouped."""

_LUMA = np.array([0.299, 0.587, 0.114], np.float32)
_BLOCK = 1024


class Look(NamedTuple):
    """What of a picture is compared.

    Attributes:
        bits: (256,) bool, its perceptual hash.
        colours: uint8 RGB (16, 16, 3), its small version.
        aspect: width / height.
    """

    bits: NDArray[np.bool_]
    colours: NDArray[np.uint8]
    aspect: float


class _Looks(NamedTuple):
    """The looks of n pictures: hashes as -1 and 1, standardised tones (n, 256), their spread, detail, colour and aspect."""

    signs: NDArray[np.float32]
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
    return Look(bits, np.asarray(small.reduce(side // SIDE)), pixels.shape[1] / pixels.shape[0])


def groups_of_copies(looks: Sequence[Look], keys: Sequence[bytes]) -> list[NDArray[np.int64]]:
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
    pairs = [np.stack([np.arange(count), first[same]], axis=1), *(_copies(_compiled(looks)) if len(looks) else [])]
    one, other = np.concatenate(pairs).T
    links = coo_array((np.ones(len(one), np.int8), (one, other)), shape=(count, count))
    label = connected_components(links, directed=False)[1]
    order = np.argsort(label, kind="stable")
    groups = np.split(order, np.flatnonzero(np.diff(label[order])) + 1)
    return sorted((group.astype(np.int64) for group in groups if len(group) > 1), key=lambda group: int(group[0]))


def agreement_needed(bits: NDArray[np.int64], detail: NDArray[np.float32]) -> NDArray[np.float64]:
    """Return how closely (correlation of tones) copies must agree whose hashes differ in so many bits.

    Args:
        bits: (n,) number of different bits.
        detail: (n,) how many independent details the pictures have, see `_compiled`; white noise has about 90, scenes and
            photographs 2 to 40, a digit 5, a gradient 1.
    """
    by_hash = np.minimum(0.81 + 0.9 * bits / HASH_SIDE**2, 0.99)
    needed: NDArray[np.float64] = np.maximum(by_hash, 1 - 0.004 * detail)
    return needed


def _copies(looks: _Looks) -> Iterator[NDArray[np.int64]]:
    """Yield pairs of copies, (pairs, 2), block by block; every pair of hashes is compared."""
    count = len(looks.signs)
    for start in range(0, count, _BLOCK):
        products = looks.signs[start : start + _BLOCK] @ looks.signs[start:].T
        one, other = np.nonzero(products >= HASH_SIDE**2 - 2 * MAX_BITS)
        later = other > one
        one, other = one[later], other[later]
        bits = np.rint((HASH_SIDE**2 - products[one, other]) / 2).astype(np.int64)
        one, other = one + start, other + start
        alike = _agree(looks, one, other, bits)
        yield np.stack([one[alike], other[alike]], axis=1)


def _agree(looks: _Looks, one: NDArray[np.int64], other: NDArray[np.int64], bits: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Return which pairs agree in tones, contrast, colour and aspect, (pairs,)."""
    correlation: NDArray[np.float32] = np.einsum("ij,ij->i", looks.tones[one], looks.tones[other]) / SIDE**2
    detail = np.minimum(looks.detail[one], looks.detail[other])
    alike: NDArray[np.bool_] = correlation >= agreement_needed(bits, detail)
    gain = looks.spread[other] / looks.spread[one]
    alike &= (gain > 0.4) & (gain < 2.5)
    alike &= np.minimum(looks.spread[one], looks.spread[other]) > MIN_SPREAD
    alike &= np.abs(np.log(looks.aspect[one] / looks.aspect[other])) < 0.1
    alike &= _same_colours(looks.chroma[one] * gain[:, None], looks.chroma[other])
    return alike


def _same_colours(one: NDArray[np.float32], other: NDArray[np.float32]) -> NDArray[np.bool_]:
    """Return which colours, (pairs, colours), are about the same; grey goes with every colour."""
    strength = np.minimum(np.abs(one).mean(axis=1), np.abs(other).mean(axis=1))
    same: NDArray[np.bool_] = (strength < 2) | (np.abs(one - other).mean(axis=1) < 6 + 0.3 * strength)
    return same


def _compiled(looks: Sequence[Look]) -> _Looks:
    """Return what pairs are compared by.

    The detail of a picture is the participation ratio of the energies of its cosine transform: how many coefficients of equal
    energy would be as spread out.
    """
    from scipy.fft import dctn

    colours = np.stack([look.colours for look in looks]).astype(np.float32)
    tones = colours @ _LUMA
    chroma = colours[..., [0, 2]] - tones[..., None]
    tones = tones - tones.mean(axis=(1, 2), keepdims=True)
    spread = np.sqrt(np.square(tones).mean(axis=(1, 2)))
    energy = np.square(dctn(tones, axes=(1, 2), norm="ortho")).reshape(len(tones), -1)
    detail = np.square(energy.sum(axis=1)) / np.maximum(np.square(energy).sum(axis=1), 1e-12)
    return _Looks(
        signs=np.stack([look.bits for look in looks]).astype(np.float32) * 2 - 1,
        tones=tones.reshape(len(tones), -1) / np.maximum(spread, 1e-6)[:, None],
        spread=np.maximum(spread, 1e-6),
        detail=detail,
        chroma=chroma.reshape(-1, 4, SIDE // 4, 4, SIDE // 4, 2).mean(axis=(2, 4)).reshape(len(tones), -1),
        aspect=np.array([look.aspect for look in looks]),
    )
